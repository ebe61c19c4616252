"""What goes wrong around a whole load, at the commands that a user types: nothing is lost, or it is said what was."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.loads import LOADGEN, Load
from tests.support.local_stack import Up, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def test_an_endpoint_that_is_killed_during_a_load_and_started_again_loses_nothing(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    arguments = ("--data-dir", str(tmp_path / "data"), "--port", free_port())
    up = start(*arguments)
    load = Load(up, tmp_path / "load", "--rate", "400", "--duration", "8", "--settle", "1", "--malformed", "0.01")
    until(lambda: (tmp_path / "load.log").read_text().count("sending"), "the first line of the load")
    up.process.send_signal(signal.SIGKILL)
    up.process.wait()
    start(*arguments)
    report = load.balanced()
    assert report["numbers"]["events_failed"] == 0
    assert sum(report["errors"].values()) > 0
    assert report["numbers"]["latency_max_ms"] > 500
    limits = report["limits"]
    assert "the stream's endpoint" in {limits["limited_by"], *(also["limit"] for also in limits["also"])}


def test_the_demo_ends_with_a_balanced_ledger_and_the_address_of_its_report(tmp_path: Path) -> None:
    demo = [sys.executable, "-m", "loadgen.demo", "--rate", "500", "--duration", "2", "--out", str(tmp_path / "demo")]
    ended = subprocess.run(demo, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"The report, for a browser: file://{tmp_path}/demo/report.html"
    assert "The ledger balances" in ended.stdout
    assert "sending" in ended.stderr
    assert json.loads((tmp_path / "demo" / "report.json").read_text())["ledger"]["copies"] > 0


def test_a_terminal_sees_the_load_live(start: Callable[..., Up], tmp_path: Path) -> None:
    up = start()
    mine, terminal = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while part := os.read(mine, 65_536):
                shown.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    command = [LOADGEN, "run", "--rate", "200", "--duration", "3", "--settle", "0", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "50", "PYTHONUTF8": "1"}
    ended = subprocess.run(
        [*command, "--endpoint-url", up.endpoint_url],
        stdout=subprocess.PIPE,
        stderr=terminal,
        timeout=120,
        check=False,
        env=environment,
    )
    os.close(terminal)
    reader.join(10)
    os.close(mine)
    assert ended.returncode == 0, ended.stdout
    text = b"".join(shown).decode()
    for what in ("offered", "accepted", "processed", "concurrency", "8 lanes", "throttles", "600 of 600"):
        assert what in text
