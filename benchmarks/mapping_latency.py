"""How soon an event source mapping reacts to a put, and what its lanes cost while nothing comes.

Run: .venv/bin/python -m benchmarks.mapping_latency [--shards N] [--factor N] [--puts N] [--idle SECONDS] [--poll-as-aws].
The stream is the local one and the mapping the local one, in this process; the function answers at once. Latency is from
before PutRecord to the function's invocation: of single puts, each to a shard that has had nothing for seconds, and again
while another shard is put to all the time. Cost is this process's CPU time over wall time while nothing is put.
Exit status 1 if a limit is missed: 50 ms at the 99th percentile of the former (not with --poll-as-aws), 5 % of a core.
The latter's tail is the machine's: its event loop is busy for 10 % of a core then, and waits for one like everybody.
"""

import argparse
import asyncio
import json
import logging
import statistics
import sys
import time
from itertools import count
from typing import Any

from infra.blueprint import MappingBlueprint, StreamBlueprint
from infra.local.http import Request
from infra.local.kinesis import KinesisService
from infra.local.mappings import MappingService
from infra.model.mapping import Pace
from infra.model.stream import Quotas
from tests.support.mapping_doubles import DestinationsInMemory, FunctionsInMemory

LATENCY_MS_MAX, CORE_SHARE_MAX = 50.0, 0.05
REFERENCE = "one poll per second, as on AWS: 0 to 1,000 ms, 500 ms on average"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/events"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:noop"


class Bench:
    """A stream of `shards` shards and a mapping with `factor` lanes for each of them."""

    def __init__(self, shards: int, factor: int, *, read_on_put: bool) -> None:
        self.kinesis = KinesisService("000000000000", "us-east-1", quotas=Quotas())
        self.kinesis.create_stream(stream_blueprint(shards))
        self.arrived: dict[str, float] = {}
        self.functions = FunctionsInMemory(self._invoked)
        self.service = MappingService(
            self.kinesis, self.functions, DestinationsInMemory().deliver, pace=Pace(read_on_put=read_on_put)
        )
        self.service.add(mapping_blueprint(factor))
        step = 2**128 // shards
        self.hash_keys = [str(step * shard + step // 2) for shard in range(shards)]
        self._names = count()

    async def _invoked(self, request_id: str, payload: bytes) -> Any:
        now = time.perf_counter()
        for record in json.loads(payload)["Records"]:
            self.arrived[record["kinesis"]["partitionKey"]] = now
        self.functions.calls.clear()
        return await FunctionsInMemory().answer(request_id, payload)

    @property
    def reads(self) -> int:
        return sum(each.get_records for each in self.kinesis.counters(STREAM).values())

    async def put(self, shard: int) -> tuple[str, float]:
        """The record's partition key, and when its put began."""
        key, began = f"key-{next(self._names)}", time.perf_counter()
        body = {"StreamName": "events", "PartitionKey": key, "Data": "eA==", "ExplicitHashKey": self.hash_keys[shard]}
        headers = {"x-amz-target": "Kinesis_20131202.PutRecord", "content-type": "application/x-amz-json-1.1"}
        response = await self.kinesis.handle(Request("POST", "/", {}, headers, json.dumps(body).encode()))
        assert response.status == 200, response.body
        return key, began

    async def latencies_ms(self, puts: int, *, beside_traffic: bool) -> list[float]:
        """One put after the other, each to the next shard (all but the last, which may have traffic of its own)."""
        traffic = asyncio.create_task(self._traffic(len(self.hash_keys) - 1)) if beside_traffic else None
        idle_shards = len(self.hash_keys) - 1
        began = {}
        for number in range(puts):
            key, at = await self.put(number % idle_shards)
            began[key] = at
            # Two seconds and more from one put to a shard to its next, and not in step with the polls.
            await asyncio.sleep(2 / idle_shards + number % 7 * 0.003)
        for _ in range(300):
            if began.keys() <= self.arrived.keys():
                break
            await asyncio.sleep(0.01)
        if traffic is not None:
            traffic.cancel()
        return sorted((self.arrived[key] - at) * 1e3 for key, at in began.items())

    async def _traffic(self, shard: int) -> None:
        while True:
            await self.put(shard)
            await asyncio.sleep(0.005)


def stream_blueprint(shards: int) -> StreamBlueprint:
    return StreamBlueprint(
        logical_id="Stream",
        name="events",
        arn=STREAM,
        mode="PROVISIONED",
        shard_count=shards,
        retention_hours=24,
        record_size_kib_max=1_024,
        encrypted=False,
    )


def mapping_blueprint(factor: int) -> MappingBlueprint:
    return MappingBlueprint(
        logical_id="Mapping",
        uuid="11111111-2222-3333-4444-555555555555",
        function_arn=FUNCTION,
        event_source_arn=STREAM,
        starting_position="LATEST",
        starting_position_timestamp_s=None,
        enabled=True,
        batch_size=100,
        batching_window_s=0,
        parallelization_factor=factor,
        bisect_batch_on_function_error=False,
        retry_attempts_max=-1,
        record_age_s_max=-1,
        report_batch_item_failures=False,
        on_failure_destination_arn=None,
        event_count_metrics=True,
    )


def told(name: str, latencies_ms: list[float]) -> float:
    p99 = latencies_ms[min(len(latencies_ms) - 1, int(len(latencies_ms) * 0.99))]
    median, worst = statistics.median(latencies_ms), latencies_ms[-1]
    print(f"{name}: p50 {median:.2f} ms, p99 {p99:.2f} ms, worst {worst:.2f} ms of {len(latencies_ms)} puts")
    return p99


async def measure(arguments: argparse.Namespace) -> bool:
    bench = Bench(arguments.shards, arguments.factor, read_on_put=not arguments.poll_as_aws)
    await bench.service.start()
    await asyncio.sleep(1.5)
    reads, cpu_s, wall_s = bench.reads, time.process_time(), time.perf_counter()
    await asyncio.sleep(arguments.idle)
    took_s = time.perf_counter() - wall_s
    share = (time.process_time() - cpu_s) / took_s
    lanes, reads_per_s = arguments.shards * arguments.factor, (bench.reads - reads) / took_s
    print(
        f"{lanes:,} idle lanes ({arguments.shards} shards x {arguments.factor}): {share:.2%} of a core, "
        f"{reads_per_s:.0f} reads/s"
    )
    idle = told("a put to an idle shard", await bench.latencies_ms(arguments.puts, beside_traffic=False))
    told("the same beside 200 puts/s to another", await bench.latencies_ms(arguments.puts, beside_traffic=True))
    print(f"reference: {REFERENCE}")
    await bench.service.stop()
    is_soon = arguments.poll_as_aws or idle <= LATENCY_MS_MAX
    return is_soon and share < CORE_SHARE_MAX


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--factor", type=int, default=10)
    parser.add_argument("--puts", type=int, default=300)
    parser.add_argument("--idle", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--poll-as-aws", action="store_true", help="one read per second and idle shard")
    logging.disable(logging.INFO)
    arguments = parser.parse_args()
    if arguments.shards < 2:
        parser.error("--shards: 2 or more, one of which is for the traffic")
    return 0 if asyncio.run(measure(arguments)) else 1


if __name__ == "__main__":
    sys.exit(main())
