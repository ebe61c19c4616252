"""Deaggregation and parsing, ours against the usual way, in one run and in alternating rounds.

    .venv/bin/python benchmarks/deaggregation.py [rounds]

The usual way: `aws_kinesis_agg`'s `deaggregate_records` on Lambda's records, then for each user record base64 decoding
(it encodes every payload again) and `json.loads`. Ours starts from the same Lambda records: `from_lambda`,
`deaggregate`, then `parse_objects` (strict JSON), or `parse_all` (the whole envelope, identity included).

Printed: microseconds of CPU (process time) per user record, median of the rounds, and the ratios. Exits with 1 when
"deaggregation plus parsing" is not at least twice as fast.
"""

import base64
import gc
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from aws_kinesis_agg.deaggregator import deaggregate_records

from processor.core.aggregate_format import MAGIC, AggregatedRecord
from processor.core.events import parse_all
from processor.core.json_objects import parse_objects
from processor.core.records import deaggregate, from_lambda

LambdaRecords = list[dict[str, Any]]
USERS_PER_AGGREGATE = 100
AGGREGATES = 10
EVENT_BYTES = 192
RATIO_WANTED = 2.0


def event(number: int) -> bytes:
    """Return one usage event of exactly EVENT_BYTES bytes, as the load generator makes them: compact JSON."""
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{number:012d}",
        "source": "/loadgen/7",
        "type": "api.call",
        "subject": f"customer-{number % 50:04d}",
        "time": f"2026-11-23T09:{number // 60 % 60:02d}:{number % 60:02d}.125Z",
        "data": {"bytes": 10_000 + number, "quantity": 1 + number % 7, "path": ""},
    }
    missing = EVENT_BYTES - len(json.dumps(document, separators=(",", ":")))
    document["data"]["path"] = ("/v1/objects/" + "x" * missing)[:missing]
    return json.dumps(document, separators=(",", ":")).encode()


def batch() -> LambdaRecords:
    """Return a Lambda batch of aggregates."""
    records = []
    for aggregate in range(AGGREGATES):
        message = AggregatedRecord()
        for position in range(USERS_PER_AGGREGATE):
            number = aggregate * USERS_PER_AGGREGATE + position
            message.partition_key_table.append(f"customer-{number:04d}")
            message.records.add(partition_key_index=position, data=event(number))
        body = message.SerializeToString()
        data = MAGIC + body + hashlib.md5(body, usedforsecurity=False).digest()
        records.append(
            {
                "eventID": f"shardId-000000000000:{aggregate}",
                "eventSource": "aws:kinesis",
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "a",
                    "sequenceNumber": str(aggregate),
                    "data": base64.b64encode(data).decode(),
                    "approximateArrivalTimestamp": 1_795_000_000.125,
                },
            }
        )
    return records


def usual(records: LambdaRecords) -> list[Any]:
    return [json.loads(base64.b64decode(user["kinesis"]["data"])) for user in deaggregate_records(records)]


def usual_deaggregation(records: LambdaRecords) -> list[Any]:
    return [base64.b64decode(user["kinesis"]["data"]) for user in deaggregate_records(records)]


def ours(records: LambdaRecords) -> list[Any]:
    found: list[Any] = []
    for record in records:
        found += parse_objects([user.data for user in deaggregate(from_lambda(record))])
    return found


def ours_deaggregation(records: LambdaRecords) -> list[Any]:
    return [user.data for record in records for user in deaggregate(from_lambda(record))]


def ours_validated(records: LambdaRecords) -> list[Any]:
    found: list[Any] = []
    for record in records:
        found += parse_all([user.data for user in deaggregate(from_lambda(record))])
    return found


SIDES: tuple[Callable[[LambdaRecords], list[Any]], ...] = (
    usual_deaggregation,
    ours_deaggregation,
    usual,
    ours,
    ours_validated,
)


def measure(rounds: int) -> dict[str, float]:
    """Return microseconds of CPU per user record for each side."""
    records = batch()
    if usual(records) != ours(records) or len(ours_validated(records)) != AGGREGATES * USERS_PER_AGGREGATE:
        raise SystemExit("the two sides do not read the same events")
    spent: dict[str, list[float]] = {side.__name__: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            gc.collect()  # nobody pays for another's garbage; the collector stays on, as it is in Lambda
            start_s = time.process_time()
            side(records)
            spent[side.__name__].append(time.process_time() - start_s)
    users = AGGREGATES * USERS_PER_AGGREGATE
    return {name: statistics.median(times) / users * 1e6 for name, times in spent.items()}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    us = measure(rounds)
    print(
        f"{AGGREGATES} aggregates of {USERS_PER_AGGREGATE} events of {EVENT_BYTES} bytes, median of {rounds} rounds,"
        f" Python {sys.version.split()[0]}; microseconds of CPU per user record"
    )
    ratios = {}
    for label, theirs, mine in (
        ("deaggregation", "usual_deaggregation", "ours_deaggregation"),
        ("deaggregation plus parsing", "usual", "ours"),
        ("with the whole envelope validated", "usual", "ours_validated"),
    ):
        ratios[label] = us[theirs] / us[mine]
        print(f"{label:34} usual {us[theirs]:5.2f}   ours {us[mine]:5.2f}   ratio {ratios[label]:4.2f}x")
    return 0 if ratios["deaggregation plus parsing"] >= RATIO_WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
