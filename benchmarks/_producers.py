"""Two other producers, each with the same events to the same endpoint: a boto3 `put_records` loop and async-kinesis.

Run as a script by another interpreter (async-kinesis is no dependency of this project), so it imports nothing of ours:
python _producers.py boto3|async-kinesis|async-kinesis-kpl ENDPOINT_URL EVENTS EVENT_BYTES KEYS. Prints one JSON line.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")


def events(count: int, size: int, keys: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """As `loadgen run` makes them, of about the same length in JSON."""
    draw = random.Random(1)
    padding = "x" * max(0, size - 215)
    for number in range(count):
        key = f"benchmark/key-{draw.randrange(keys):06d}"
        yield (
            key,
            {
                "specversion": "1.0",
                "id": f"{number:010d}",
                "source": "loadgen/benchmark",
                "type": "loadgen.metered",
                "subject": key,
                "time": "2026-11-23T09:00:00.000Z",
                "data": {"bytes": draw.randrange(100_000), "quantity": draw.randrange(10**6) / 1000, "pad": padding},
            },
        )


def boto3_loop(endpoint_url: str, made: Iterator[tuple[str, dict[str, Any]]]) -> None:
    """The loop that every tutorial has: 500 records a call, one event per record."""
    import boto3

    client = boto3.client("kinesis", endpoint_url=endpoint_url)
    while chunk := list(islice(made, 500)):
        records: Any = [
            {"PartitionKey": key, "Data": json.dumps(event, separators=(",", ":")).encode()} for key, event in chunk
        ]
        answer = client.put_records(StreamName="null", Records=records)
        assert answer["FailedRecordCount"] == 0


async def async_kinesis(endpoint_url: str, made: Iterator[tuple[str, dict[str, Any]]], *, kpl: bool) -> None:
    """Its own limits out of the way. With `kpl` it may aggregate as it likes: no event has a key of its own."""
    from kinesis import Producer
    from kinesis.processors import JsonProcessor, KPLJsonProcessor

    async with Producer(
        "null",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        processor=KPLJsonProcessor() if kpl else JsonProcessor(),
        skip_describe_stream=True,
        put_rate_limit_per_shard=10**9,
        put_bandwidth_limit_per_shard=10**9,
    ) as producer:
        for key, event in made:
            await producer.put(event, partition_key=None if kpl else key)
        await producer.flush()


def main() -> None:
    which, endpoint_url, count, size, keys = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    made = events(count, size, keys)
    began_s, cpu_s = time.monotonic(), time.process_time()
    if which == "boto3":
        boto3_loop(endpoint_url, made)
    else:
        asyncio.run(async_kinesis(endpoint_url, made, kpl=which.endswith("kpl")))
    print(json.dumps({"cpu_s": time.process_time() - cpu_s, "wall_s": time.monotonic() - began_s, "events": count}))


if __name__ == "__main__":
    main()
