"""With limits a table refuses as DynamoDB does, statement by statement; without limits nothing passes through here."""

import asyncio
import json
from typing import Any

import pytest

from infra.local.http import Request, Response
from infra.local.services import Services
from infra.local.tables import PATH, TARGET, TableFront
from infra.model.table import TableLimits

TABLE = "front-table"
# Values that no attribute of DynamoDB's JSON has.
ODD: list[Any] = [1, None, {}, {"N": 5}, {"N": None}, {"S": 1}, {"L": "x"}, {"M": []}, {"S": "a", "N": "1"}]


@pytest.fixture(scope="module")
def services(services: Services) -> Services:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    create = {
        "TableName": TABLE,
        "KeySchema": keys,
        "AttributeDefinitions": [{"AttributeName": key["AttributeName"], "AttributeType": "S"} for key in keys],
        "BillingMode": "PAY_PER_REQUEST",
    }
    asyncio.run(services.call_json(TARGET + "CreateTable", create))
    return services


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A front with a clock moved by hand."""

    def __init__(self, services: Services) -> None:
        self.clock = Clock()
        self.front = TableFront(services, self.clock)

    def limit(self, **limits: Any) -> None:
        asyncio.run(self.front.limit(TABLE, TableLimits(**{"burst_s": 1, **limits})))

    def call(self, operation: str, payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"x-amz-target": TARGET + operation, "content-type": "application/x-amz-json-1.0"}
        request = Request("POST", "/", {}, headers, json.dumps(payload).encode())
        response = asyncio.run(self.front.handle(request))
        return response.status, json.loads(response.body)

    def configure(self, method: str, table: str = TABLE, body: bytes = b"") -> Response:
        return asyncio.run(self.front.configure(Request(method, PATH + table, {}, {}, body)))

    def put(self, sk: str, size: int = 10) -> int:
        item = {"pk": {"S": "p"}, "sk": {"S": sk}, "v": {"S": "x" * size}}
        return self.call("PutItem", {"TableName": TABLE, "Item": item})[0]


@pytest.fixture
def bench(services: Services) -> Bench:
    return Bench(services)


def insert(pk: str, sk: str) -> dict[str, Any]:
    return {
        "Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'sk': ?, 'is it ?': ?}}",
        "Parameters": [{"S": pk}, {"S": sk}, {"N": "1"}],
    }


def update(pk: str, sk: str) -> dict[str, Any]:
    return {
        "Statement": f'UPDATE "{TABLE}" SET n=? WHERE pk=? AND sk=?',
        "Parameters": [{"N": "2"}, {"S": pk}, {"S": sk}],
    }


def test_a_table_without_limits_is_not_fronted(bench: Bench) -> None:
    seen = [bench.front.active]
    bench.limit(write_units_per_s=1)
    seen.append(bench.front.active)
    bench.front.release(TABLE)
    seen.append(bench.front.active)
    assert seen == [False, True, False]


def test_writes_over_the_capacity_are_refused_as_dynamodb_refuses_them(bench: Bench) -> None:
    bench.limit(write_units_per_s=1)
    assert bench.put("a") == 200
    item = {"pk": {"S": "p"}, "sk": {"S": "b"}}
    status, body = bench.call("PutItem", {"TableName": TABLE, "Item": item})
    assert status == 400
    assert body["__type"].endswith("#ProvisionedThroughputExceededException")
    assert body["message"].startswith("The level of configured provisioned throughput for the table was exceeded. ")
    (reason,) = body["ThrottlingReasons"]
    assert reason["reason"] == "TableWriteProvisionedThroughputExceeded"
    assert reason["resource"].endswith(f":table/{TABLE}")
    bench.clock.now = 1.0
    assert bench.put("b") == 200


def test_an_on_demand_table_refuses_in_its_own_words_and_serves_again_in_the_next_second(bench: Bench) -> None:
    """fact 10.5"""
    bench.limit(on_demand=True, write_units_per_s=1)
    assert bench.put("a") == 200
    item = {"pk": {"S": "p"}, "sk": {"S": "b"}}
    status, body = bench.call("PutItem", {"TableName": TABLE, "Item": item})
    assert (status, body["__type"]) == (400, "com.amazonaws.dynamodb.v20120810#ThrottlingException")
    assert body["message"].startswith("Throughput exceeds the current capacity of your table or index. DynamoDB is ")
    assert body["throttlingReasons"][0]["reason"] == "TableWriteKeyRangeThroughputExceeded"
    bench.clock.now = 1.0
    _, body = bench.call("BatchExecuteStatement", {"Statements": [update("p", "a"), update("p", "a")]})
    assert [answer.get("Error", {}).get("Code") for answer in body["Responses"]] == [None, "ThrottlingError"]


def test_a_hot_key_is_refused_as_such_while_the_table_has_room(bench: Bench) -> None:
    """fact 10.3"""
    bench.limit(partition_write_units_per_s=1, write_units_per_s=100)
    assert bench.put("a") == 200
    item = {"pk": {"S": "p"}, "sk": {"S": "b"}}
    _, body = bench.call("PutItem", {"TableName": TABLE, "Item": item})
    assert body["ThrottlingReasons"][0]["reason"] == "TableWriteKeyRangeThroughputExceeded"
    assert bench.call("PutItem", {"TableName": TABLE, "Item": {**item, "pk": {"S": "other"}}})[0] == 200


def test_a_failed_condition_costs_its_write_units_and_so_does_deleting_what_is_not_there(bench: Bench) -> None:
    """fact 10.2"""
    bench.limit(write_units_per_s=6)
    assert bench.put("kept", size=3000) == 200
    item = {"pk": {"S": "p"}, "sk": {"S": "kept"}}
    failing = {"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    bench.clock.now = 1.0
    status, body = bench.call("PutItem", failing)
    assert (status, body["__type"].rpartition("#")[2]) == (400, "ConditionalCheckFailedException")
    missing = {"TableName": TABLE, "Key": {"pk": {"S": "p"}, "sk": {"S": "absent"}}}
    assert [bench.call("DeleteItem", missing)[0] for _ in range(4)] == [200, 200, 200, 400]


def test_a_large_item_costs_its_size_even_when_it_is_made_small(bench: Bench) -> None:
    bench.limit(write_units_per_s=5)
    assert bench.put("large", size=4000) == 200
    bench.clock.now = 1.0
    assert bench.put("large", size=1) == 200
    assert bench.put("other") == 200
    assert bench.put("other") == 400


def test_reads_are_metered_with_the_size_that_is_stored(bench: Bench) -> None:
    bench.limit(read_units_per_s=2)
    assert bench.put("read", size=5000) == 200
    get = {"TableName": TABLE, "Key": {"pk": {"S": "p"}, "sk": {"S": "read"}}, "ConsistentRead": True}
    assert bench.call("GetItem", get)[0] == 200
    assert bench.call("GetItem", get)[0] == 400


def test_of_a_batch_of_statements_only_those_over_the_capacity_fail_and_the_order_stays(bench: Bench) -> None:
    bench.limit(partition_write_units_per_s=1)
    statements = [insert("hot", "1"), insert("hot", "2"), insert("cold", "1")]
    status, body = bench.call("BatchExecuteStatement", {"Statements": statements})
    assert status == 200
    codes = [response.get("Error", {}).get("Code") for response in body["Responses"]]
    assert codes == [None, "ProvisionedThroughputExceeded", None]
    bench.clock.now = 1.0
    _, body = bench.call("BatchExecuteStatement", {"Statements": [insert("hot", "2"), insert("cold", "1")]})
    codes = [response.get("Error", {}).get("Code") for response in body["Responses"]]
    assert codes == [None, "DuplicateItem"]


def test_a_batch_that_is_refused_whole_is_an_error_of_the_request(bench: Bench) -> None:
    bench.limit(write_units_per_s=1)
    assert bench.put("x") == 200
    assert bench.call("BatchExecuteStatement", {"Statements": [update("p", "x"), update("p", "y")]})[0] == 400


def test_an_update_statement_costs_what_is_stored(bench: Bench) -> None:
    bench.limit(write_units_per_s=4)
    assert bench.put("stored", size=3500) == 200
    bench.clock.now = 1.0
    assert bench.call("ExecuteStatement", update("p", "stored"))[0] == 200
    assert bench.put("tiny") == 400


def test_other_operations_and_tables_pass(bench: Bench) -> None:
    bench.limit(write_units_per_s=1)
    assert bench.put("x") == 200
    assert bench.call("DescribeTable", {"TableName": TABLE})[0] == 200
    status, body = bench.call("PutItem", {"TableName": "front-no-such-table", "Item": {"pk": {"S": "p"}}})
    assert status == 400
    assert body["__type"].endswith("ResourceNotFoundException")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_a_request_is_answered_with_400(bench: Bench, body: bytes) -> None:
    bench.limit(write_units_per_s=1)
    headers = {"x-amz-target": TARGET + "PutItem", "content-type": "application/x-amz-json-1.0"}
    assert asyncio.run(bench.front.handle(Request("POST", "/", {}, headers, body))).status == 400


@pytest.mark.parametrize(
    ("operation", "payload"),
    [
        *(("PutItem", {"TableName": TABLE, "Item": {"pk": {"S": "p"}, "sk": {"S": "s"}, "a": value}}) for value in ODD),
        ("ExecuteStatement", {"Statement": f'SELECT * FROM "{TABLE}" WHERE pk=? AND sk=?', "Parameters": 5}),
        ("ExecuteStatement", {"Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?}}", "Parameters": [{"N": 1}]}),
    ],
    ids=lambda value: json.dumps(value),
)
def test_what_cannot_be_measured_is_handed_on_to_be_refused(
    bench: Bench, operation: str, payload: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.limit(write_units_per_s=1_000, read_units_per_s=1_000)
    handed_on: list[bytes] = []

    async def passed(request: Request, body: bytes) -> Response:
        handed_on.append(body)
        return Response(400, b"{}", {})

    monkeypatch.setattr(bench.front, "_pass", passed)
    assert bench.call(operation, payload) == (400, {})
    assert handed_on == [json.dumps(payload).encode()]


def test_limits_are_set_shown_and_ended_over_http(bench: Bench) -> None:
    assert bench.configure("PUT", body=b'{"write_units_per_s": 1, "burst_s": 1, "latency_ms": 0}').status == 200
    assert bench.put("x") == 200
    assert bench.put("x") == 400
    shown = json.loads(bench.configure("GET").body)
    assert (shown["limited"], shown["counts"]) == (True, {"write_allowed": 1, "write_table": 1})
    limits = {"write_units_per_s": 1, "read_units_per_s": None, "burst_s": 1, "latency_ms": 0, "on_demand": False}
    limits |= {"burst_at_start_s": None}
    assert shown["limits"] == {**limits, "partition_write_units_per_s": 1000, "partition_read_units_per_s": 3000}
    assert json.loads(bench.configure("DELETE").body) == {"limited": False, "counts": {}}
    assert bench.put("x") == 200


def test_a_latency_delays_only_the_table_that_has_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert bench.configure("PUT", body=b'{"latency_ms": 250}').status == 200
    assert bench.put("slow") == 200
    assert bench.call("BatchExecuteStatement", {"Statements": [update("p", "slow"), update("p", "x")]})[0] == 200
    assert bench.call("GetItem", {"TableName": "front-other-table", "Key": {"pk": {"S": "p"}}})[0] == 400
    assert waited == [0.25, 0.25]


@pytest.mark.parametrize(
    ("method", "table", "body", "status"),
    [
        ("PUT", TABLE, b'{"speed": 1}', 400),
        ("PUT", TABLE, b'{"write_units_per_s": 0}', 400),
        ("PUT", TABLE, b'{"write_units_per_s": "1"}', 400),
        ("PUT", TABLE, b'{"write_units_per_s": true}', 400),
        ("PUT", TABLE, b'{"write_units_per_s": -1}', 400),
        ("PUT", TABLE, b'{"write_units_per_s": NaN}', 400),
        ("PUT", TABLE, b'{"write_units_per_s": Infinity}', 400),
        ("PUT", TABLE, b'{"burst_s": -1}', 400),
        ("PUT", TABLE, b'{"latency_ms": 60001}', 400),
        ("PUT", TABLE, b'{"on_demand": 1}', 400),
        ("PUT", TABLE, b'{"on_demand": null}', 400),
        ("PUT", TABLE, b"[" * 100_000, 400),
        ("PUT", TABLE, b"[]", 400),
        ("PUT", TABLE, b"{", 400),
        ("PUT", "front-no-such-table", b"{}", 404),
        ("PUT", "", b"{}", 404),
        ("POST", TABLE, b"{}", 405),
    ],
)
def test_wrong_limits_are_refused_with_a_sentence(
    bench: Bench, method: str, table: str, body: bytes, status: int
) -> None:
    response = bench.configure(method, table, body)
    assert response.status == status
    assert json.loads(response.body)["message"]
    assert not bench.front.active


def test_refused_accesses_and_consumed_units_are_counted_by_table_and_stay_counted_when_it_is_released(
    bench: Bench,
) -> None:
    bench.limit(write_units_per_s=1)
    for number in range(4):
        bench.call("PutItem", {"TableName": TABLE, "Item": {"pk": {"S": "counted"}, "sk": {"S": str(number)}}})
    for consistent in (True, False):
        key = {"pk": {"S": "counted"}, "sk": {"S": "0"}}
        bench.call("GetItem", {"TableName": TABLE, "Key": key, "ConsistentRead": consistent})
    bench.front.release(TABLE)
    assert bench.front.counted() == {TABLE: {"throttled_writes": 3, "write_units": 1, "read_units": 1.5}}
