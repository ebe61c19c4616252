"""Shared by the benchmarks: seeded events, Kinesis events as Lambda sends them, and tables on a served ministack."""

import base64
import json
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Any

from processor.core.packing import Packer, PackingSettings

TIME = "2026-11-23T09:11:52.059Z"


class Context:
    """A Lambda context with plenty of time left."""

    function_name, memory_limit_in_mb, aws_request_id = "benchmark", 512, "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:benchmark"

    def get_remaining_time_in_millis(self) -> int:
        return 600_000


def uniform(keys: int, count: int) -> list[int]:
    """Every key equally often, in turn."""
    return [number % keys for number in range(count)]


def zipf(keys: int, count: int, skew: float, seed: int) -> list[int]:
    """Keys drawn by Zipf's law."""
    weights = list(accumulate((key + 1) ** -skew for key in range(keys)))
    return Random(seed).choices(range(keys), cum_weights=weights, k=count)


def events(run: str, keys: Sequence[int], first: int = 0, size: int = 0) -> list[tuple[str, bytes]]:
    """(partition key, payload) pairs: CloudEvents of run `run`, padded to `size` bytes."""
    pairs = []
    for number, key in enumerate(keys, first):
        event: dict[str, Any] = {
            "specversion": "1.0", "id": f"{number:08d}", "source": f"benchmark/{run}", "type": "demo.metered",
            "subject": f"{run}-{key:06d}", "time": TIME, "data": {"bytes": 1000 + number, "quantity": 1.5},
        }  # fmt: skip
        payload = json.dumps(event, separators=(",", ":"))
        if size > len(payload):
            event["data"]["pad"] = "x" * (size - len(payload) - len(',"pad":""'))
            payload = json.dumps(event, separators=(",", ":"))
        pairs.append((event["subject"], payload.encode()))
    return pairs


def kinesis_event(pairs: Sequence[tuple[str, bytes]], aggregate: int | None, first: int = 0) -> dict[str, Any]:
    """The invocation payload for these events; with `aggregate` as KPL aggregates of that many user records."""
    packer: Packer[int] = Packer(PackingSettings(aggregate=aggregate, lanes=1, record_bytes=1024 * 1024))
    packed = [record for number, (key, data) in enumerate(pairs) for record in packer.add(key, data, number, 0.0)]
    packed += packer.flush()
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record.partition_key,
                    "sequenceNumber": str(49_000_000_000_000_000_000 + first + number),
                    "data": base64.b64encode(record.data).decode(),
                    "approximateArrivalTimestamp": 1_795_425_112.059,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"shardId-000000000000:{49_000_000_000_000_000_000 + first + number}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/benchmark",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/benchmark",
            }
            for number, record in enumerate(packed)
        ]
    }


def create_table(dynamodb: Any, name: str, *keys: str) -> None:
    """An on-demand table with string keys."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
    )
