"""The handler against the documented Powertools way (benchmarks/reference), on the same emulated DynamoDB.

Run: .venv/bin/python -m benchmarks.handler. DynamoDB is served by another process, so the CPU time is the handlers' own
(client included). Per workload and per event, both sides: DynamoDB calls, write units, CPU. Write units are computed
from item sizes: every write statement costs the units of the largest item of its batch, and a refused condition costs
them too (AWS: DynamoDB, read and write capacity). Importing
our handler also tunes the garbage collector, which helps the reference as much. Exits with 1 when a target is missed.
"""

import contextlib
import io
import json
import os
import sys
import time
from decimal import Decimal
from statistics import median
from typing import Any, NamedTuple

from benchmarks._workloads import Context, create_table, events, kinesis_event, uniform, zipf
from processor.core.sizes import item_bytes
from tests.support.ministack import Ministack, serve

EVENTS = 1000
REFERENCE_EVENTS = 250  # its cost per event does not depend on how many there are; it takes seconds
ROUNDS = 5
CPU_TARGETS = {"50 keys": 100.0, "1,000 keys": 25.0}


class Cost(NamedTuple):
    """Per event."""

    calls: float
    units: float
    cpu_us: float


class Wire:
    """Counts every request that leaves through botocore, and the write statements in it."""

    def __init__(self) -> None:
        self.calls = self.writes = 0

    def watch(self) -> None:
        from botocore.httpsession import URLLib3Session

        send = URLLib3Session.send

        def counted(session: Any, request: Any) -> Any:
            self.calls += 1
            target = request.headers.get("X-Amz-Target", b"")
            operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
            if operation == "BatchExecuteStatement":
                self.writes += len(json.loads(request.body)["Statements"])
            elif operation in ("PutItem", "UpdateItem", "DeleteItem"):
                self.writes += 1
            return send(session, request)

        URLLib3Session.send = counted  # type: ignore[method-assign]

    def take(self) -> tuple[int, int]:
        found = self.calls, self.writes
        self.calls = self.writes = 0
        return found


def item_size(item: dict[str, Any]) -> int:
    """Bytes of an item in DynamoDB's JSON."""
    values = {name: next(iter(value.items())) for name, value in item.items()}
    return item_bytes(
        {name: Decimal(v) if kind == "N" else frozenset(v) if kind == "SS" else v for name, (kind, v) in values.items()}
    )


def scan(stack: Ministack, table: str) -> dict[tuple[str, str], dict[str, Any]]:
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return {(item["pk"]["S"], item["sk"]["S"]): item for page in pages for item in page["Items"]}


def measured(wire: Wire, handler: Any, event: dict[str, Any]) -> tuple[int, int, float]:
    wire.take()
    with contextlib.redirect_stdout(io.StringIO()):  # the metrics and log lines are written, but not shown
        began = time.process_time()
        answer = handler(event, Context())
        cpu_s = time.process_time() - began
    assert answer == {"batchItemFailures": []}, answer
    return (*wire.take(), cpu_s)


class Round(NamedTuple):
    """One workload once: both sides' cost per event, and whether the counts of calls and units reach their targets."""

    ours: Cost
    reference: Cost
    ok: bool


def one_round(stack: Ministack, wire: Wire, keys: list[int], aggregate: int | None, sides: tuple[Any, Any]) -> Round:
    """Two batches on the same keys (new windows, then known ones) for ours; a shorter one for the reference."""
    ours, reference = sides
    run, ok = f"w{time.monotonic_ns()}", True
    batches = []
    for batch in (0, 1):
        before = scan(stack, "results")
        pairs = events(run, keys, first=batch * EVENTS)
        calls, writes, cpu_s = measured(wire, ours, kinesis_event(pairs, aggregate, first=batch * EVENTS))
        after = scan(stack, "results")
        touched = [key for key, item in after.items() if before.get(key) != item]
        units = writes * -(-max(item_size(after[key]) for key in touched) // 1024)
        batches.append((calls, units, cpu_s))
        ok &= units == len(touched) and units <= EVENTS and calls <= len(touched) / 25 + 1
        mine = [item for key, item in after.items() if key[0].startswith(f"demo.metered#{run}-")]
        counted = sum(int(item["events"]["N"]) for item in mine)
        assert counted == (batch + 1) * EVENTS, f"{counted} events counted of {(batch + 1) * EVENTS}"
    calls, units, cpu_s = (sum(column) for column in zip(*batches, strict=True))
    pairs = events(run + "r", keys[:REFERENCE_EVENTS])
    their_calls, their_units, their_cpu_s = measured(wire, reference, kinesis_event(pairs, aggregate))
    return Round(
        Cost(calls / (2 * EVENTS), units / (2 * EVENTS), cpu_s / (2 * EVENTS) * 1e6),
        Cost(their_calls / REFERENCE_EVENTS, their_units / REFERENCE_EVENTS, their_cpu_s / REFERENCE_EVENTS * 1e6),
        ok,
    )


def workload(
    stack: Ministack, wire: Wire, name: str, keys: list[int], aggregate: int | None, sides: tuple[Any, Any]
) -> tuple[bool, dict[str, Any]]:
    """ROUNDS rounds, both sides in turn; CPU times and their ratio are medians over the rounds."""
    rounds = [one_round(stack, wire, keys, aggregate, sides) for _ in range(ROUNDS)]
    ratio = median(found.reference.cpu_us / found.ours.cpu_us for found in rounds)
    our = rounds[0].ours._replace(cpu_us=median(found.ours.cpu_us for found in rounds))
    their = rounds[0].reference._replace(cpu_us=median(found.reference.cpu_us for found in rounds))
    target = next((target for part, target in CPU_TARGETS.items() if name.startswith(part)), 0.0)
    ok = all(found.ok for found in rounds) and ratio >= target
    verdict = f"{f'>= {target:.0f}x' if target else '':>8} {'ok' if ok else 'MISSED'}"
    print(
        f"{name:<44}{our.calls:>7.3f}{their.calls:>7.2f}{our.units:>8.3f}{their.units:>7.2f}"
        f"{our.cpu_us:>9.1f}{their.cpu_us:>8.0f}{ratio:>7.0f}x {verdict}"
    )
    row = {"workload": name, "ours": our._asdict(), "reference": their._asdict(), "cpu_ratio": round(ratio, 1)}
    return ok, row


def hot_key(stack: Ministack, wire: Wire, ours: Any) -> tuple[bool, dict[str, Any]]:
    """100,000 events on one key in one window, in batches of 1,000."""
    run, units, cpu_s = f"h{time.monotonic_ns()}", 0, 0.0
    for batch in range(100):
        pairs = events(run, [0] * EVENTS, first=batch * EVENTS)
        _, writes, used_s = measured(wire, ours, kinesis_event(pairs, 100, first=batch * 10))
        units, cpu_s = units + writes, cpu_s + used_s
    pages = [item for key, item in scan(stack, "results").items() if key[0].startswith(f"demo.metered#{run}-")]
    largest = max(map(item_size, pages))
    units *= -(-largest // 1024)
    assert sum(int(item["events"]["N"]) for item in pages) == 100_000
    ok = units / 100_000 <= 0.03 and largest <= 4096
    print(
        f"\n100,000 events on one key in one window: {units / 100_000:.4f} write units per event (target <= 0.03), "
        f"{len(pages):,} pages, largest item {largest:,} bytes (target <= 4,096), {cpu_s * 10:.1f} us CPU per event"
    )
    return ok, {"units_per_event": units / 100_000, "largest_bytes": largest, "ok": ok}


def main() -> int:
    with serve() as stack:
        dynamodb = stack.client("dynamodb")
        create_table(dynamodb, "results", "pk", "sk")
        create_table(dynamodb, "quarantine", "pk", "sk")
        create_table(dynamodb, "reference", "pk", "sk")
        create_table(dynamodb, "idempotency", "id")
        os.environ.update(stack.environment())
        os.environ.update(
            RESULTS_TABLE="results", QUARANTINE_TABLE="quarantine", FAILURE_BUCKET="failures",
            MEASURES="bytes,quantity", REFERENCE_TABLE="reference", IDEMPOTENCY_TABLE="idempotency", POWERTOOLS_SERVICE_NAME="benchmark",
        )  # fmt: skip
        from benchmarks.reference.handler import handler as reference
        from processor.stream import handler as ours

        wire = Wire()
        wire.watch()
        for side, count in ((ours, 100), (reference, 20)):  # warm up both
            measured(wire, side, kinesis_event(events("warm", uniform(10, count)), None))
        heads = f"{'calls':>7}{'ref.':>7}{'units':>8}{'ref.':>7}{'CPU us':>9}{'ref.':>8}{'ratio':>8} {'target':>8}"
        print(f"{'per event:':<44}{heads}")
        passed, report = True, []
        for name, keys in (
            ("50 keys", uniform(50, EVENTS)),
            ("1,000 keys", uniform(1000, EVENTS)),
            ("Zipf 1.1 on 10,000 keys", zipf(10_000, EVENTS, 1.1, seed=1)),
        ):
            for aggregate in (100, None):
                label = f"{name}, {'aggregated by 100' if aggregate else 'not aggregated'}"
                ok, row = workload(stack, wire, label, keys, aggregate, (ours, reference))
                passed, report = passed and ok, [*report, row]
        print("\ntargets: write units = distinct pages written (never over 1); calls <= distinct items/25 + 1 a batch")
        ok, hot = hot_key(stack, wire, ours)
        print(json.dumps({"workloads": report, "hot_key": hot}))
        return 0 if passed and ok else 1


if __name__ == "__main__":
    sys.exit(main())
