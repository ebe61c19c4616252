"""An `infra up` process for tests, started and stopped as a user does it, and ways to look at it from outside."""

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

INFRA = str(Path(sys.executable).parent / "infra")
READY_WITHIN_S = 40
STOP_WITHIN_S = 20
ARRIVES_WITHIN_S = 40


def children(parent: int) -> list[int]:
    """Process ids of the direct children of a process (Linux)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return sorted(found)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], Any], what: str, within_s: float = ARRIVES_WITHIN_S) -> Any:
    """The first true value of `holds`; fails after `within_s`, saying what was waited for."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {within_s} s: {what}")


class Up:
    """An `infra up` process. `ready` is its first line of output; stderr goes to a file."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("w") as stderr:
            # Its own session: a Ctrl-C of the person who runs the tests is not for it.
            self.process = subprocess.Popen(
                [INFRA, "up", "--port", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        try:
            assert self.process.stdout is not None
            readable, _, _ = select.select([self.process.stdout], [], [], READY_WITHIN_S)
            line = self.process.stdout.readline() if readable else ""
            assert line, f"infra up was not ready within {READY_WITHIN_S} s:\n{log.read_text()}"
            self.ready: dict[str, Any] = json.loads(line)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.endpoint_url: str = self.ready["endpoint_url"]

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """A boto3 client as a user makes one."""
        make: Any = boto3.client  # its stubs want the service's name as a literal
        return make(
            service,
            endpoint_url=self.endpoint_url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def infra(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another `infra` command against this stack."""
        return subprocess.run(
            [INFRA, *arguments, "--endpoint-url", self.endpoint_url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def results(self, kind: str) -> list[dict[str, Any]]:
        """`infra results` of one event type."""
        said = self.infra("results", "--type", kind, "--format", "json")
        assert said.returncode == 0, said.stderr
        rows: list[dict[str, Any]] = json.loads(said.stdout)
        return rows

    def events(self, kind: str) -> int:
        """How many events of one type are counted in the results table."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(
            TableName=f"{self.ready['stack_name']}-results",
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": f"{kind}#"}},
            ConsistentRead=True,
        )  # fmt: skip
        return sum(int(item["events"]["N"]) for page in pages for item in page["Items"])

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ends it as a user does; returns the exit status. Fails when one of its children survives."""
        below = children(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"infra up did not end within {STOP_WITHIN_S} s:\n{self.log.read_text()}")
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()
        until(lambda: not any(map(is_alive, below)), f"the end of the children {below}", 5)
        return status
