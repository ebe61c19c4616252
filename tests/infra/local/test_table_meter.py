"""Tables without limits: what their writes consume is counted as DynamoDB would count it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.services import ServiceCallError, Services
from infra.local.table_meter import FUNCTIONS
from infra.local.tables import TARGET, TableFront
from infra.model.table import TableLimits

TABLE = "written"
KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}


class Bench:
    def __init__(self, services: Services) -> None:
        self.services, self.front = services, TableFront(services)

    def call(self, operation: str, payload: dict[str, Any]) -> None:
        asyncio.run(self.services.call_json(TARGET + operation, payload))

    def put(self, size: int, **more: Any) -> None:
        self.call("PutItem", {"TableName": TABLE, "Item": {**KEY, "v": {"S": "x" * size}}, **more})

    def units(self) -> float:
        return self.front.counted().get(TABLE, {}).get("write_units", 0)


@pytest.fixture
def bench(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    from ministack.services import dynamodb

    for name in FUNCTIONS:
        monkeypatch.setattr(dynamodb, name, getattr(dynamodb, name))  # so that they are put back
    found = Bench(services)
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    found.call(
        "CreateTable",
        {
            "TableName": TABLE,
            "KeySchema": keys,
            "AttributeDefinitions": attributes,
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    found.put(10)  # there before anybody counts
    found.front.meter.attach()
    yield found
    found.call("DeleteTable", {"TableName": TABLE})


def test_a_write_costs_the_larger_of_the_item_before_and_after_it(bench: Bench) -> None:
    costs = []
    for size in (10, 3_000, 10):
        before = bench.units()
        bench.put(size)
        costs.append(bench.units() - before)
    assert costs == [1, 3, 3]


@pytest.mark.parametrize(
    ("operation", "payload"),
    [
        ("UpdateItem", {"TableName": TABLE, "Key": KEY, "UpdateExpression": "SET n = :n",
                        "ExpressionAttributeValues": {":n": {"N": "1"}}}),
        ("DeleteItem", {"TableName": TABLE, "Key": KEY}),
        ("BatchWriteItem", {"RequestItems": {TABLE: [{"DeleteRequest": {"Key": KEY}}]}}),
        ("ExecuteStatement", {"Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'sk': ?}}",
                              "Parameters": [{"S": "p"}, {"S": "t"}]}),
        ("BatchExecuteStatement", {"Statements": [{"Statement": f'UPDATE "{TABLE}" SET n=? WHERE pk=? AND sk=?',
                                                   "Parameters": [{"N": "2"}, {"S": "p"}, {"S": "s"}]}]}),
    ],
)  # fmt: skip
def test_every_kind_of_write_is_counted(bench: Bench, operation: str, payload: dict[str, Any]) -> None:
    bench.call(operation, payload)
    assert bench.units() == 1


def statement(text: str, *parameters: str) -> dict[str, Any]:
    return {"Statement": text, "Parameters": [{"S": parameter} for parameter in parameters]}


INSERT = statement(f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'sk': ?}}", "p", "s")
UPDATE = statement(f'UPDATE "{TABLE}" SET v=? WHERE pk=? AND sk=? AND v=?', "y", "p", "s", "no")
TOLD = {**UPDATE, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
NOWHERE = statement(f'UPDATE "{TABLE}" SET v=? WHERE pk=? AND sk=?', "y", "p", "nowhere")


@pytest.mark.parametrize(("refused", "units"), [(INSERT, 3), (TOLD, 3), (UPDATE, 1), (NOWHERE, 1)])
def test_a_statement_that_is_refused_costs_what_is_there(bench: Bench, refused: dict[str, Any], units: int) -> None:
    bench.put(3_000)
    before = bench.units()
    bench.call("BatchExecuteStatement", {"Statements": [refused]})
    assert bench.units() - before == units  # of one that does not ask for the item at least one


def test_a_refused_write_costs_what_is_there_and_reading_nothing(bench: Bench) -> None:
    bench.put(3_000)
    before = bench.units()
    with pytest.raises(ServiceCallError):
        bench.put(10, ConditionExpression="attribute_not_exists(pk)")
    assert bench.units() - before == 3
    bench.call("GetItem", {"TableName": TABLE, "Key": KEY})
    assert bench.units() - before == 3


def test_a_table_with_limits_is_counted_once(bench: Bench) -> None:
    asyncio.run(bench.front.limit(TABLE, TableLimits(write_units_per_s=100)))
    bench.put(10)  # past the front: it counts nothing of it, and the meter leaves the table to it
    assert bench.units() == 0
    bench.front.release(TABLE)
    bench.put(10)
    assert bench.units() == 1
