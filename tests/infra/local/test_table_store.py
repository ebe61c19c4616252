"""Every write to a template's table is on disk before it is answered, whatever operation it came with."""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.services import ServiceCallError, Services
from infra.local.table_store import StoreError, TableStore

PLACE = {"account_id": "000000000000", "region": "us-east-1"}
KEPT, OTHER = "store-kept", "store-other"
TARGET = "DynamoDB_20120810."


class Bench:
    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        self.path = folder / "tables" / "items.sqlite"
        self.empty_tables()
        self.store = TableStore(self.path)
        self.restored = self.store.attach([KEPT], **PLACE)

    def call(self, operation: str, **payload: Any) -> dict[str, Any]:
        return asyncio.run(self.services.call_json(TARGET + operation, payload))

    def empty_tables(self) -> None:
        for name in (KEPT, OTHER):
            keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
            types = [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}]
            if name in self.call("ListTables")["TableNames"]:
                self.call("DeleteTable", TableName=name)
            self.call(
                "CreateTable",
                TableName=name,
                KeySchema=keys,
                AttributeDefinitions=types,
                BillingMode="PAY_PER_REQUEST",
            )

    def items(self, name: str = KEPT) -> list[dict[str, Any]]:
        found = self.call("Scan", TableName=name)["Items"]
        return sorted(found, key=lambda item: json.dumps(item, sort_keys=True))

    def on_disk(self) -> list[dict[str, Any]]:
        """As another process would find it now."""
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT item FROM items").fetchall()
        return sorted((json.loads(row[0]) for row in rows), key=lambda item: json.dumps(item, sort_keys=True))


@pytest.fixture
def bench(services: Services, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(services, tmp_path)
    yield bench
    bench.store.close()


def item(number: int, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": f"key-{number}"}, "sk": {"N": str(number)}, **attributes}


def key(number: int) -> dict[str, Any]:
    return item(number)


def statements(*texts: str) -> list[dict[str, Any]]:
    return [{"Statement": text} for text in texts]


WRITES: dict[str, Callable[[Bench], object]] = {
    "PutItem": lambda b: b.call("PutItem", TableName=KEPT, Item=item(1, b={"B": "AAEC"}, ids={"SS": ["x", "y"]})),
    "PutItem, replacing": lambda b: b.call("PutItem", TableName=KEPT, Item=item(0, new={"BOOL": True})),
    "UpdateItem": lambda b: b.call(
        "UpdateItem",
        TableName=KEPT,
        Key=key(0),
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    ),
    "DeleteItem": lambda b: b.call("DeleteItem", TableName=KEPT, Key=key(0)),
    "BatchWriteItem": lambda b: b.call(
        "BatchWriteItem",
        RequestItems={KEPT: [{"PutRequest": {"Item": item(1)}}, {"DeleteRequest": {"Key": key(0)}}]},
    ),
    "TransactWriteItems": lambda b: b.call(
        "TransactWriteItems",
        TransactItems=[
            {"Put": {"TableName": KEPT, "Item": item(1)}},
            {"Delete": {"TableName": KEPT, "Key": key(2)}},
            {
                "Update": {
                    "TableName": KEPT,
                    "Key": key(0),
                    "UpdateExpression": "SET n = :one",
                    "ExpressionAttributeValues": {":one": {"N": "7"}},
                }
            },
        ],
    ),
    "ExecuteStatement": lambda b: b.call(
        "ExecuteStatement", Statement=f"INSERT INTO \"{KEPT}\" VALUE {{'pk': 'key-1', 'sk': 1}}"
    ),
    "BatchExecuteStatement": lambda b: b.call(
        "BatchExecuteStatement",
        Statements=statements(
            f"INSERT INTO \"{KEPT}\" VALUE {{'pk': 'key-1', 'sk': 1, 'ids': <<'a'>>}}",
            f"UPDATE \"{KEPT}\" SET n = n + 5 SET ids = set_add(ids, <<'c'>>) WHERE pk = 'key-0' AND sk = 0",
            f"DELETE FROM \"{KEPT}\" WHERE pk = 'key-2' AND sk = 2",
        ),
    ),
    "ExecuteTransaction": lambda b: b.call(
        "ExecuteTransaction",
        TransactStatements=statements(
            f"INSERT INTO \"{KEPT}\" VALUE {{'pk': 'key-1', 'sk': 1}}",
            f"DELETE FROM \"{KEPT}\" WHERE pk = 'key-2' AND sk = 2",
        ),
    ),
}


def prepare(bench: Bench) -> None:
    for number in (0, 2):
        bench.call("PutItem", TableName=KEPT, Item=item(number, n={"N": "1"}, ids={"SS": ["b"]}))


@pytest.mark.parametrize("operation", WRITES)
def test_what_a_write_has_changed_is_on_disk_when_it_is_answered(bench: Bench, operation: str) -> None:
    prepare(bench)
    before = bench.items()
    assert bench.on_disk() == before
    WRITES[operation](bench)
    assert bench.items() != before
    assert bench.on_disk() == bench.items()


def test_a_transaction_that_fails_leaves_nothing_on_disk(bench: Bench) -> None:
    prepare(bench)
    with pytest.raises(ServiceCallError, match="TransactionCanceled"):
        bench.call(
            "ExecuteTransaction",
            TransactStatements=statements(
                f"INSERT INTO \"{KEPT}\" VALUE {{'pk': 'key-1', 'sk': 1}}",
                f"INSERT INTO \"{KEPT}\" VALUE {{'pk': 'key-0', 'sk': 0}}",
            ),
        )
    assert len(bench.items()) == 2
    assert bench.on_disk() == bench.items()


@pytest.mark.parametrize("operation", ["PutItem", "ExecuteStatement", "UpdateItem"])
def test_what_cannot_be_written_is_not_in_the_table_either(
    bench: Bench, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a writer that tries again would find its work done, and a checkpoint would say so."""
    prepare(bench)
    before = bench.items()
    bench.store._database.execute("PRAGMA query_only = ON")  # as with a full disk: every write fails
    for _ in range(3):
        with pytest.raises(ServiceCallError):
            WRITES[operation](bench)
    assert bench.items() == before == bench.on_disk()
    bench.store._database.execute("PRAGMA query_only = OFF")
    WRITES[operation](bench)
    assert bench.items() == bench.on_disk() != before
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2, "once when it begins and once when it ends, not for every request"
    assert "items.sqlite cannot be written" in told[0]


def test_items_are_there_again_and_go_on_to_be_kept(bench: Bench) -> None:
    prepare(bench)
    WRITES["PutItem"](bench)
    before = bench.items()
    bench.store.close()
    again = Bench(bench.services, bench.path.parents[1])
    try:
        assert again.restored == 3
        assert again.items() == before
        assert again.call("DescribeTable", TableName=KEPT)["Table"]["ItemCount"] == 3
        WRITES["DeleteItem"](again)
        assert again.on_disk() == again.items() != before
    finally:
        again.store.close()


def test_tables_that_are_not_the_templates_are_left_alone(bench: Bench) -> None:
    bench.call("PutItem", TableName=OTHER, Item=item(1))
    assert bench.on_disk() == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    path.write_text("this is not a database, but it is long enough to look like something else" * 20)
    with pytest.raises(StoreError, match=r"items\.sqlite cannot be used"):
        TableStore(path)


def test_another_version_of_ministack_is_refused_by_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    assert services
    other = SimpleNamespace(_set_item=None, _items_replaced=None, _tables=None)
    monkeypatch.setitem(sys.modules, "ministack.services.dynamodb", other)
    monkeypatch.setattr(sys.modules["ministack.services"], "dynamodb", other, raising=False)
    store = TableStore(tmp_path / "items.sqlite")
    with pytest.raises(StoreError, match="no _remove_item"):
        store.attach([KEPT], **PLACE)
    store.close()
