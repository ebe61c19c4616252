"""What the load generator itself costs: schedule, events, truth, packing, PutRecords through botocore, results, ledger.

Run: .venv/bin/python -m benchmarks.generator [events]. Everything of `loadgen run` but the network: botocore's requests
end in a null sink that acknowledges every record. Printed: events per second of CPU time, of all threads, and the mean
number of events per Kinesis record. Exits with 1 when aggregation 100 does less than 30,000 events per CPU second.
"""

import io
import json
import sys
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from botocore.awsrequest import AWSResponse

from infra.ops.outputs import Target, connect
from loadgen.events import EventOptions, Generator
from loadgen.ledger import Expectations
from loadgen.metrics import Metrics
from loadgen.results import PutResult, encode
from loadgen.run import late_after_us
from loadgen.sender import Due, Sender
from loadgen.truth import Truth, Truths
from processor.adapters.publisher import PutRecords
from processor.core.packing import PackingSettings
from processor.core.resend import RetryPolicy
from processor.core.rule_api import RuleSettings

EVENTS, TARGET = 200_000, 30_000
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


def measure(events: int, aggregate: int | None, duplicates: float) -> tuple[float, float]:
    """(events per CPU second, events per Kinesis record)."""
    packing = PackingSettings(aggregate=aggregate)
    metrics, expected, lines = Metrics(late_after_us(packing)), Expectations(SETTINGS.measures), io.StringIO()

    def settled(result: PutResult, truths: tuple[Truth, ...]) -> None:
        assert result.shard_id is not None
        assert result.sequence_number is not None
        lines.write(encode(result) + "\n")
        metrics.add(result)
        expected.acknowledged(truths, result.shard_id, result.sequence_number)

    def schedule() -> Iterator[Due]:
        generator = Generator(EventOptions("benchmark", 1, 1.7e9, duplicates=duplicates))
        truths = Truths(SETTINGS)
        for number in range(events):
            event = generator.next(number / 50_000)
            yield Due(None, event.partition_key, event.payload, truths.of_generated(event, 0))

    put = null_sink(connect(Target("http://127.0.0.1:9", None, "null")).client("kinesis", attempts=1))
    sender = Sender(put, packing, RetryPolicy(), settled, lambda *_: None)
    began_s = time.process_time()
    sender.run(schedule())
    used_s = time.process_time() - began_s
    assert metrics.acknowledged == events
    return events / used_s, events / metrics.records


def main() -> int:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    slowest = float("inf")
    for aggregate, duplicates in ((100, 0.0), (100, 0.05), (None, 0.0)):
        rate, per_record = measure(events if aggregate else events // 5, aggregate, duplicates)
        named = f"aggregate {aggregate or 'off'}, duplicates {duplicates:.0%}"
        print(f"{named:<30} {rate:>8,.0f} events per CPU second, {per_record:5.1f} events per record")
        if aggregate:
            slowest = min(slowest, rate)
    ok = slowest >= TARGET
    print(f"target >= {TARGET:,} with aggregation 100: {'ok' if ok else 'MISSED'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
