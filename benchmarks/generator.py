"""What the load generator itself costs, beside a boto3 `put_records` loop and async-kinesis, in CPU seconds.

Run: .venv/bin/python -m benchmarks.generator [--events N] [--parts] [--async-kinesis PYTHON]. Ours is everything of `loadgen run`:
schedule, events, packing, PutRecords, results, numbers, what the ledger needs. Measured twice: with a null sink below
botocore's parser, and, like the two others, against a sink over HTTP that only acknowledges, in a process of its
own. PYTHON is an interpreter that has `async-kinesis[kpl]`, which is no dependency of this project:
python3 -m venv DIR && DIR/bin/pip install 'async-kinesis[kpl]'; without it that row is left out and said to be.
Exits with 1 below 50,000 events per CPU second at aggregation 100, 5 times boto3's loop, or 3 times async-kinesis.
`--parts` prints what each part of the way costs, and what of it is the digests and encodings that the formats ask for;
also what comes after a load: the identities of its events, which the ledger looks for in the tables.
"""

import argparse
import hashlib
import io
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse

from infra.ops.outputs import Target, connect
from loadgen.offer.column_packer import ColumnPacker
from loadgen.offer.columns import Columns
from loadgen.offer.events import EventOptions
from loadgen.outcome.books import Books
from loadgen.outcome.ledger import Expectations
from loadgen.outcome.metrics import Metrics
from loadgen.run import late_after_us
from loadgen.sending.direct import DirectPutRecords
from loadgen.sending.sender import Sender, collect_rarely
from loadgen.sending.sources import GeneratedSource
from processor.adapters.publisher import PutRecords
from processor.adapters.put_records import encoded
from processor.core.packing import PackingSettings
from processor.core.resend import Acknowledged, CallFailed, Entry, RetryPolicy, Settled, Written
from processor.core.rule_api import RuleSettings
from tests.support.kinesis_sink import in_own_process

TARGET, TIMES_BOTO3, TIMES_ASYNC_KINESIS = 50_000, 5, 3
EVENT_BYTES, KEYS, RATE = 256, 1_000, 1_000_000.0
CALL_RECORDS = 4  # what a call has in such a load: the largest of 16 lanes has a fifth of it, one record at a time
SETTINGS = RuleSettings(("bytes", "quantity"), 3600)


class Body(io.BytesIO):
    """What botocore asks a response's raw body for."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.getvalue()


def null_sink(client: Any) -> PutRecords:
    """Acknowledges every record of every call, in the wire format and below botocore's parser."""
    numbers = count(10**55)

    def answer(request: Any, **_: object) -> AWSResponse:
        records = [
            {"ShardId": "shardId-000000000000", "SequenceNumber": str(next(numbers))}
            for _ in range(request.body.count(b'"PartitionKey"'))
        ]
        body = json.dumps({"FailedRecordCount": 0, "Records": records}).encode()
        headers: Any = {"x-amzn-RequestId": "null"}
        return AWSResponse(request.url, 200, headers, Body(body))

    client.meta.events.register("before-send.kinesis.PutRecords", answer)
    return PutRecords(client, "null")


def source(events: int, duplicates: float) -> GeneratedSource:
    """A rate that nobody keeps up with: the generator is what limits."""
    options = EventOptions("benchmark", 1, 1.7e9, EVENT_BYTES, KEYS, duplicates=duplicates)
    return GeneratedSource(options, "constant", RATE, events / RATE, SETTINGS)


def measure(put: PutRecords, events: int, aggregate: int | None, duplicates: float) -> tuple[float, float]:
    """(events per CPU second of all threads, events per Kinesis record)."""
    packing = PackingSettings(aggregate=aggregate)
    metrics, expected, lines = Metrics(late_after_us(packing)), Expectations(SETTINGS.measures), io.StringIO()
    books = Books(metrics, expected, lines.write, lambda: None)
    sender = Sender(put, packing, RetryPolicy(deadline_s=600), books.settled, lambda *_: None)
    began_s = time.process_time()
    sender.run(source(events, duplicates).due())
    used_s = time.process_time() - began_s
    assert metrics.acknowledged == events
    return events / used_s, events / metrics.records


def parts(put: PutRecords, events: int) -> None:
    """What each part of the way costs by itself, in us of CPU per event, one after the other in one thread."""
    spent: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        began_s = time.process_time()
        yield
        spent[name] = (time.process_time() - began_s) / events * 1e6

    schedule, made = source(events, 0.0).due(), list[tuple[Columns, int]]()
    with part("events and their truths: drawn and rendered"):
        while (columns := schedule.columns) is not None:
            made.append((columns, schedule.rows(math.inf, events)[1]))
    packer = ColumnPacker.of(made[0][0], PackingSettings())
    assert packer is not None
    with part("packing"):
        records = [record for columns, last in made for record in packer.add(columns, last, 0.0)] + packer.flush()
    with part("  of that MD5, which the aggregates' format asks for"):
        for record in records:
            hashlib.md5(record.data, usedforsecurity=False).digest()
    entries = [Entry(record, 0.0, record.size, 0.0, 1) for record in records]
    calls = [entries[first : first + CALL_RECORDS] for first in range(0, len(entries), CALL_RECORDS)]
    with part(f"PutRecords through botocore, {CALL_RECORDS} records a call"):
        replies = [put(call) for call in calls]
    with part("  of that base64 and JSON"):
        bodies = [b"".join(encoded([entry.record for entry in call])) for call in calls]
    with part("  of that SHA-256, which the signature asks for"):
        for body in bodies:
            hashlib.sha256(body).digest()
    metrics, expected, lines = Metrics(110_000), Expectations(SETTINGS.measures), io.StringIO()
    books = Books(metrics, expected, lines.write, lambda: None)
    sender = Sender(put, PackingSettings(), RetryPolicy(), books.settled, lambda *_: None)
    with part("account: results.jsonl, latencies, what the tables must have"):
        for call, reply in zip(calls, replies, strict=True):
            assert not isinstance(reply, CallFailed)
            for entry, answer in zip(call, reply, strict=True):
                assert isinstance(answer, Written)
                sender._settled([Settled(entry, Acknowledged(*answer, uncertain=False))], 1.0)
    with part("afterwards: their identities, for the ledger"):
        assert expected.identities == events
    for name, spent_us in spent.items():
        print(f"{name:<62} {spent_us:6.2f} us per event")


def other(python: str, which: str, endpoint_url: str, events: int) -> tuple[float, float] | None:
    """Events per CPU second and per second of another producer; None: it cannot be run, which is said."""
    command = [python, str(Path(__file__).with_name("_producers.py")), which, endpoint_url]
    command += [str(events), str(EVENT_BYTES), str(KEYS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if ended.returncode:
        print(f"{which}: not measured: {ended.stderr.strip().splitlines()[-1:]}")
        return None
    found = json.loads(ended.stdout.splitlines()[-1])
    return events / found["cpu_s"], events / found["wall_s"]


def show(name: str, rate: float, note: str = "") -> None:
    print(f"{name:<52} {rate:>9,.0f} events per CPU second  {note}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--async-kinesis", metavar="PYTHON")
    options = parser.parse_args()
    events: int = options.events
    collect_rarely()
    put = null_sink(connect(Target("http://127.0.0.1:9", None, "null")).client("kinesis", attempts=1))
    if options.parts:
        parts(put, events)
        return 0
    best = 0.0
    for aggregate, duplicates in ((100, 0.0), (100, 0.05), (None, 0.0)):
        rate, per_record = measure(put, events if aggregate else events // 5, aggregate, duplicates)
        best = max(best, rate)
        show(
            f"ours, aggregate {aggregate or 'off'}, duplicates {duplicates:.0%}", rate, note=f"{per_record:.0f}/record"
        )
    missed = [f"{TARGET:,} events per CPU second at aggregation 100"] if best < TARGET else []
    with in_own_process() as endpoint_url:
        client = connect(Target(endpoint_url, None, "null")).client("kinesis", attempts=1)
        began_s = time.monotonic()
        ours, _ = measure(DirectPutRecords(client, "null"), events, 100, 0.0)
        wall = events / (time.monotonic() - began_s)
        show("ours over HTTP, aggregate 100", ours, f"{wall:,.0f} per second")

        def beside(python: str, which: str, name: str) -> float | None:
            found = other(python, which, endpoint_url, events // 4)
            if found is None:
                return None
            times = f"ours: {ours / found[0]:.1f} times of the CPU time, {wall / found[1]:.1f} times of the wall's"
            show(name, found[0], f"{found[1]:,.0f} per second; {times}")
            return ours / found[0]

        loop = beside(sys.executable, "boto3", "boto3 put_records loop, 500 records a call")
        missed += [f"{TIMES_BOTO3} times boto3's loop"] if (loop or 0.0) < TIMES_BOTO3 else []
        if options.async_kinesis is None:
            print("async-kinesis: not measured: --async-kinesis names no interpreter that has it")
            return verdict(missed)
        keyed = beside(options.async_kinesis, "async-kinesis", "async-kinesis, every event under its own key")
        keyless = beside(
            options.async_kinesis, "async-kinesis-kpl", "async-kinesis, KPL aggregates of events without keys"
        )
        times = min(keyed or 0.0, keyless or 0.0)
        missed += [f"{TIMES_ASYNC_KINESIS} times async-kinesis"] if times < TIMES_ASYNC_KINESIS else []
    return verdict(missed)


def verdict(missed: list[str]) -> int:
    print(f"MISSED: {', '.join(missed)}" if missed else "all targets reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
