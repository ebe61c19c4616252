"""The event source mapping side by side with ministack's own Kinesis trigger: records per second, and features.

Run: .venv/bin/python -m benchmarks.trigger. The same function (20 ms per call) on the same machine in one run: 4 shards,
parallelization factor 10, batches of 100 records, a backlog put before the mapping is enabled. Target: at least 10 times
ministack's records per second. Environments are warm on both sides; the time is from the backlog's first invocation to
its last answer, as the functions wrote it down. `--features` runs the conformance tests against both instead and prints
which of them pass where.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3

from tests.support.local_stack import Up
from tests.support.ministack import serve

SHARDS, FACTOR, BATCH, KEYS, SLEEP_MS = 4, 10, 100, 400, 20
BACKLOG = {"ours": 60_000, "ministack": 6_000}  # records: a few seconds for each
WARM_UP = 4_000
TARGET = 10
WITHIN_S = 120
FUNCTION = """
import os, time
def handler(event, context):
    began = time.time()
    time.sleep(float(os.environ["SLEEP_S"]))
    line = f"{began} {time.time()} {len(event['Records'])}\\n"
    descriptor = os.open(os.environ["CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)
"""


def records_per_s(client: Callable[[str], Any], calls: Path, backlog: int) -> float:
    """Deploys the function and the mapping, warms them up, and lets them work off a backlog."""
    kinesis, functions = client("kinesis"), client("lambda")
    kinesis.create_stream(StreamName="side", ShardCount=SHARDS)
    _until(lambda: _summary(kinesis)["StreamStatus"] == "ACTIVE", "the stream is active")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("side.py", FUNCTION)
    functions.create_function(
        FunctionName="side", Runtime="python3.12", Handler="side.handler", Code={"ZipFile": packed.getvalue()},
        Role="arn:aws:iam::000000000000:role/side", Timeout=30,
        Environment={"Variables": {"CALLS": str(calls), "SLEEP_S": str(SLEEP_MS / 1000)}},
    )  # fmt: skip
    functions.get_waiter("function_active_v2").wait(FunctionName="side")
    mapping = functions.create_event_source_mapping(
        FunctionName="side", EventSourceArn=_summary(kinesis)["StreamARN"], StartingPosition="TRIM_HORIZON",
        ParallelizationFactor=FACTOR, BatchSize=BATCH,
    )["UUID"]  # fmt: skip
    _put(kinesis, WARM_UP)
    _until(lambda: _done(calls) >= WARM_UP, "the warm-up is done")
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    time.sleep(2)
    warm = len(calls.read_text().splitlines())
    _put(kinesis, backlog)
    functions.update_event_source_mapping(UUID=mapping, Enabled=True)
    _until(lambda: _done(calls) >= WARM_UP + backlog, "the backlog is done")
    lines = [[float(field) for field in line.split()] for line in calls.read_text().splitlines()[warm:]]
    return sum(line[2] for line in lines) / (max(line[1] for line in lines) - min(line[0] for line in lines))


def _summary(kinesis: Any) -> Any:
    return kinesis.describe_stream_summary(StreamName="side")["StreamDescriptionSummary"]


def _put(kinesis: Any, count: int) -> None:
    """Puts `count` records; those that a shard's quota refuses are put again."""
    waiting = [{"Data": b"x" * 100, "PartitionKey": f"key {number % KEYS}"} for number in range(count)]
    deadline = time.monotonic() + WITHIN_S
    while waiting and time.monotonic() < deadline:
        now, waiting = waiting[:500], waiting[500:]
        answer = kinesis.put_records(StreamName="side", Records=now)
        refused = [record for record, result in zip(now, answer["Records"], strict=True) if result.get("ErrorCode")]
        if refused:
            time.sleep(0.05)
            waiting = refused + waiting
    if waiting:
        raise SystemExit(f"{len(waiting)} records could not be put within {WITHIN_S} s")


def _done(calls: Path) -> int:
    return sum(int(line.split()[2]) for line in calls.read_text().splitlines()) if calls.exists() else 0


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {WITHIN_S} s: {what}")
        time.sleep(0.1)


def _client(endpoint_url: str) -> Callable[[str], Any]:
    make: Any = boto3.client
    return lambda service: make(
        service, endpoint_url=endpoint_url, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test",
    )  # fmt: skip


def throughput(folder: Path) -> bool:
    up = Up(folder / "stderr")
    try:
        ours = records_per_s(_client(up.endpoint_url), folder / "ours", BACKLOG["ours"])
    finally:
        up.stop()
    with serve() as stack:
        theirs = records_per_s(_client(stack.endpoint_url), folder / "theirs", BACKLOG["ministack"])
    ok = ours >= TARGET * theirs
    print(f"{SHARDS} shards, factor {FACTOR}, batches of {BATCH}, a function of {SLEEP_MS} ms:")
    print(f"ours {ours:,.0f} records/s, ministack {theirs:,.0f} records/s: {ours / theirs:.1f}x", end=" ")
    print(f"(target >= {TARGET}x {'ok' if ok else 'MISSED'})")
    return ok


def features(folder: Path) -> bool:
    """Runs the conformance tests against both; True if ours passes all of them."""
    ours = _conformance(folder / "ours.xml", None)
    with serve() as stack:
        theirs = _conformance(folder / "theirs.xml", stack.endpoint_url)
    width = max(len(name) for name in ours)
    print(f"{'':<{width}}  ours  ministack")
    for name, passed in ours.items():
        print(f"{name:<{width}}  {'yes' if passed else 'NO':<4}  {'yes' if theirs.get(name) else 'no'}")
    print(f"{sum(ours.values())} of {len(ours)} here, {sum(theirs.values())} of {len(theirs)} with ministack alone")
    return all(ours.values())


def _conformance(report: Path, endpoint_url: str | None) -> dict[str, bool]:
    """Test -> passed."""
    environment = {name: value for name, value in os.environ.items() if name != "CONFORMANCE_TARGET"}
    if endpoint_url is not None:
        environment["CONFORMANCE_TARGET"] = endpoint_url
    subprocess.run(
        [sys.executable, "-m", "pytest", "tests/conformance", "--junitxml", str(report), "-p", "no:cacheprovider"],
        env=environment, stdout=subprocess.DEVNULL, check=False, timeout=900,
    )  # fmt: skip
    cases = ElementTree.parse(report).iter("testcase")
    return {
        case.attrib["name"].removeprefix("test_").replace("_", " "): case.find("failure") is None
        and case.find("error") is None
        for case in cases
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="The event source mapping beside ministack's own Kinesis trigger.")
    parser.add_argument("--features", action="store_true", help="compare features by the conformance tests instead")
    measure = features if parser.parse_args().features else throughput
    with tempfile.TemporaryDirectory() as folder:
        return 0 if measure(Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
