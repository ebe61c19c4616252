"""What it costs to keep a stream on disk: PutRecords with and without a data directory, in one run, in alternating
rounds; and how long the streams take to come back.

    .venv/bin/python benchmarks/stream_store.py [rounds]

Requests as the SDK sends them (500 records each, JSON), answered by the service in this process: no sockets. Printed for
each record size: microseconds of CPU (process time) per record, median of the rounds, their ratio, and microseconds of
elapsed time per record that is read back. Exits with 1 when keeping 200-byte records costs half as much again or more.
"""

import asyncio
import base64
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from infra.local.http import Request
from infra.local.kinesis import KinesisService
from infra.model.stream import Quotas

BOUNDLESS = Quotas(10**9, 10**12, 10**9, 10**12, 10**9)
SIZES = {200: 100, 1_000: 100, 20_000: 10}  # bytes of a record: requests of a round
RECORDS = 500
RATIO_WANTED = 1.5


def request(operation: str, **members: object) -> Request:
    headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "content-type": "application/x-amz-json-1.1"}
    return Request("POST", "/", {}, headers, json.dumps(members).encode())


async def put(service: KinesisService, size: int, requests: int) -> float:
    """Microseconds of CPU per record."""
    await service.handle(request("CreateStream", StreamName="orders", ShardCount=2))
    data = base64.b64encode(bytes(size)).decode()
    records = [{"PartitionKey": f"customer-{number:04d}", "Data": data} for number in range(RECORDS)]
    puts = request("PutRecords", StreamName="orders", Records=records)
    began = time.process_time()
    for _ in range(requests):
        response = await service.handle(puts)
        assert response.status == 200, response.body
    return (time.process_time() - began) / (requests * RECORDS) * 1e6


def service(data_dir: Path | None) -> KinesisService:
    return KinesisService("000000000000", "us-east-1", transition_s=0.0, quotas=BOUNDLESS, data_dir=data_dir)


def main(rounds: int) -> int:
    status = 0
    for size, requests in SIZES.items():
        memory, disk, back = [], [], []
        for _ in range(rounds):
            memory.append(asyncio.run(put(service(None), size, requests)))
            with tempfile.TemporaryDirectory() as folder:
                kept = service(Path(folder) / "kinesis")
                disk.append(asyncio.run(put(kept, size, requests)))
                kept.close()
                began = time.perf_counter()
                service(Path(folder) / "kinesis").close()
                back.append((time.perf_counter() - began) / (requests * RECORDS) * 1e6)
        ratio = statistics.median(disk) / statistics.median(memory)
        print(
            f"{size:6} bytes: {statistics.median(memory):6.1f} us in memory, {statistics.median(disk):6.1f} us kept on disk "
            f"({ratio:.2f} times), {statistics.median(back):5.1f} us to read back"
        )
        if size == 200 and ratio >= RATIO_WANTED:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
