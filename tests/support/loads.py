"""A load against a running stack, as a user starts it, and what can be done to the stack meanwhile."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.local_stack import Up, children, until

LOADGEN = str(Path(sys.executable).parent / "loadgen")


class Load:
    """A `loadgen run` that is under way."""

    def __init__(self, up: Up, out: Path, *arguments: str) -> None:
        self.out = out
        self._log = out.with_suffix(".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [LOADGEN, "run", "--endpoint-url", up.endpoint_url, "--out", str(out), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def balanced(self, within_s: float = 120) -> dict[str, Any]:
        """Waits for its end; fails unless the ledger balances. Returns the report."""
        try:
            status = self._process.wait(within_s)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        assert status == 0, self._log.read_text()
        report: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        ledger = report["ledger"]
        # What the exit status says, once more, out of the numbers.
        assert ledger["sent"] == ledger["stored"] + ledger["quarantined"] + ledger["expired"]
        wrong = ("lost", "duplicates_applied", "sums_different", "foreign")
        assert {name: ledger[name] for name in wrong} == dict.fromkeys(wrong, 0)
        # The sums of a window whose events were given up, and are in the bucket, cannot be compared.
        assert ledger["sums_not_checked"] == 0 or ledger["expired"] > 0
        return report


def environments(parent: int) -> list[int]:
    """Process ids of the execution environments below `infra up`."""
    found = []
    for pid in children(parent):
        with contextlib.suppress(OSError):
            if b"awslambdaric" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


class Killer(threading.Thread):
    """Kills one environment with SIGKILL every `every_s` until told to stop: `with Killer(pid) as killer`."""

    def __init__(self, parent: int, every_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.parent, self.every_s, self.killed, self.enough = parent, every_s, 0, threading.Event()

    def run(self) -> None:
        while not self.enough.wait(self.every_s):
            alive = environments(self.parent)
            if alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(alive[self.killed % len(alive)], signal.SIGKILL)
                    self.killed += 1

    def __enter__(self) -> "Killer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()


def limit(up: Up, table: str, method: str, **limits: Any) -> dict[str, Any]:
    """The capacity of one table: PUT sets it, DELETE releases it, GET shows the counts."""
    request = urllib.request.Request(
        f"{up.endpoint_url}/_local/tables/{table}", json.dumps(limits).encode(), method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def reshard(up: Up, shard_count: int) -> None:
    """UpdateShardCount, until that many shards are open."""
    up.client("kinesis").update_shard_count(
        StreamName=up.ready["stream"], TargetShardCount=shard_count, ScalingType="UNIFORM_SCALING"
    )
    until(lambda: open_shards(up) == shard_count, f"{shard_count} open shards")


def open_shards(up: Up) -> int:
    summary = up.client("kinesis").describe_stream_summary(StreamName=up.ready["stream"])
    count: int = summary["StreamDescriptionSummary"]["OpenShardCount"]
    return count
