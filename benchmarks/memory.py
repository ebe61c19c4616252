"""Peak memory of an execution environment on the largest batches, and of the idle local stack.

Run: .venv/bin/python -m benchmarks.memory. Targets: an environment under 128 MB RSS at 10,000 events of 200 bytes,
`infra up` idle under 200 MB in all its processes, and what an environment's full page cache adds under 32 MB (it fills
over many batches, so it comes on top of the first figure). Lambda's invocation payload is limited to 6,291,556 bytes, so without
aggregation only as many events as fit are sent. The environment runs under awslambdaric, as in `infra up`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks._workloads import events, kinesis_event, uniform

PAYLOAD_BYTES_MAX = 6_291_556
ENVIRONMENT_MB_MAX, IDLE_MB_MAX, CACHE_MB_MAX = 128, 200, 32


def memory_mb(pid: int, field: str) -> float:
    """VmRSS or VmHWM of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) / 1024


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def batch(run: str, aggregate: int | None) -> tuple[int, bytes]:
    """(events, payload): 10,000 events of 200 bytes on 1,000 keys, or as many as the payload limit allows."""
    count = 10_000
    pairs = events(run, uniform(1000, count), size=200)
    payload = json.dumps(kinesis_event(pairs, aggregate)).encode()
    while len(payload) > PAYLOAD_BYTES_MAX:
        count = int(count * PAYLOAD_BYTES_MAX / len(payload) * 0.999)
        payload = json.dumps(kinesis_event(pairs[:count], aggregate)).encode()
    return count, payload


def cache_mb(per_chain: int) -> float:
    """MiB of a page cache filled with chains of `per_chain` identities, names and keys included."""
    import tracemalloc

    from processor.core.cache import CHAIN_WEIGHT, IDENTITIES_MAX, PageCache
    from processor.core.pages import Page

    tracemalloc.start()
    cache = PageCache()
    for number in range(IDENTITIES_MAX // (per_chain + CHAIN_WEIGHT)):
        key = (f"demo.metered#customer-{number:06d}", "2026-11-23T09:00:00Z")
        chain = cache.chain(key)
        ids = [f"{number:05d}{one:06d}" for one in range(per_chain)]
        chain.sealed = set(ids[: per_chain // 75 * 75])
        chain.page = Page(set(ids[per_chain // 75 * 75 :]), {"sum_bytes", "sum_quantity"})
        cache.keep(key, chain)
    del ids
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / 1024 / 1024


def main() -> int:
    up: Any = subprocess.Popen(
        [Path(sys.executable).parent / "infra", "up", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    ok = True
    try:
        ready = json.loads(up.stdout.readline())
        time.sleep(1)
        idle = sum(memory_mb(pid, "VmRSS") for pid in [up.pid, *children(up.pid)])
        ok &= idle < IDLE_MB_MAX
        print(f"infra up, idle, all processes            {idle:7.1f} MB   target < {IDLE_MB_MAX}")
        for aggregate in (None, 100):
            functions = boto3.client(
                "lambda", endpoint_url=ready["endpoint_url"], region_name="us-east-1", aws_access_key_id="test",
                aws_secret_access_key="test", config=Config(read_timeout=120, retries={"total_max_attempts": 1}),
            )  # fmt: skip
            for pid in children(up.pid):
                os.kill(pid, signal.SIGKILL)  # each shape starts in a fresh environment
            count, payload = batch(f"memory-{aggregate}", aggregate)
            for _ in range(2):  # the second time everything is known already: duplicates
                answer = functions.invoke(FunctionName=ready["functions"][0], Payload=payload)
                assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}, answer
            peak = max(memory_mb(pid, "VmHWM") for pid in children(up.pid))
            ok &= peak < ENVIRONMENT_MB_MAX
            shape = "not aggregated" if aggregate is None else f"aggregated by {aggregate}"
            print(
                f"environment, {count:,} x 200 bytes, {shape:<18} {peak:7.1f} MB   target < {ENVIRONMENT_MB_MAX}"
                f"   (payload {len(payload):,} bytes)"
            )
        print(f"infra up after that, its own process     {memory_mb(up.pid, 'VmRSS'):7.1f} MB")
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(30)
    for per_chain in (1, 20, 60, 100_000):
        full = cache_mb(per_chain)
        ok &= full < CACHE_MB_MAX
        print(f"full page cache, {per_chain:>7,} identities a window {full:7.1f} MB   target < {CACHE_MB_MAX}")
    print("ok" if ok else "MISSED")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
