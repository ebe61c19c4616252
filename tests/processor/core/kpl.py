"""A small KPL aggregator for tests, and events to put in: writes the format's bytes without checking anything."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from processor.core.aggregate_format import MAGIC, AggregatedRecord
from processor.core.records import KinesisRecord


def seal(body: bytes) -> bytes:
    """Return `body` between the magic number and its right digest."""
    magic: bytes = MAGIC
    return magic + body + hashlib.md5(body, usedforsecurity=False).digest()


def message(users: Iterable[tuple[str, bytes]], hash_keys: Sequence[str] = ()) -> Any:
    """Return the protobuf message of (partition key, data) pairs, each key once in the table, as the KPL does it."""
    result = AggregatedRecord()
    keys: dict[str, int] = {}
    for partition_key, data in users:
        if partition_key not in keys:
            keys[partition_key] = len(keys)
            result.partition_key_table.append(partition_key)
        result.records.add(partition_key_index=keys[partition_key], data=data)
    result.explicit_hash_key_table.extend(hash_keys)
    return result


def aggregate(users: Iterable[tuple[str, bytes]]) -> bytes:
    body: bytes = message(users).SerializeToString()
    return seal(body)


def kinesis(data: bytes, number: int = 0, partition_key: str = "outer") -> KinesisRecord:
    return KinesisRecord("shardId-000000000000", str(number), partition_key, 1_795_000_000_000 + number, data)


def document(**changes: Any) -> dict[str, Any]:
    """Return a well-formed event with some members changed; None takes a member out."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "1",
        "source": "/tests",
        "type": "api.call",
        "subject": "customer-1",
        "time": "2026-11-23T09:12:34.567Z",
        "data": {"bytes": 100, "quantity": 2},
    }
    event.update(changes)
    return {name: value for name, value in event.items() if value is not None}


def encoded(**changes: Any) -> bytes:
    return json.dumps(document(**changes), separators=(",", ":"), ensure_ascii=False).encode()
