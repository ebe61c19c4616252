"""Pages as a user's commands make them, and a browser that shows them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import chromium
from tests.browser.chromium import Chromium
from tests.support.local_stack import INFRA, Up, until

LOADGEN = str(Path(INFRA).with_name("loadgen"))
WITHIN_S = 300


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Skips without a Chromium, unless REQUIRE_BROWSER=1 says that there must be one."""
    executable = chromium.found()
    if executable is None:
        reason = f"none of {', '.join(chromium.NAMES)} is on the path: the pages cannot be looked at"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(f"{reason} (REQUIRE_BROWSER=1 makes this a failure)")
    opened = Chromium(executable, tmp_path_factory.mktemp("browser") / "profile")
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="session")
def made(browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of real loads, of two compared, and of a real sweep, all on a narrow local stack. (No stack is started
    when there is no browser to look at them.)"""
    folder = tmp_path_factory.mktemp("pages")
    up = Up(folder / "stderr", "--parameter", "ShardCount=1", "--parameter", "ReservedConcurrency=1")
    try:
        # More than one shard takes, garbage, a threshold that cannot hold.
        hot = ("--rate", "1600", "--duration", "6", "--aggregate", "off", "--malformed", "0.02", "--duplicates", "0.02")
        assert run(up, folder / "throttled", *hot, "--threshold", "latency_p99_ms<1", "--threshold", "lost==0") == 1
        assert run(up, folder / "short", "--rate", "100", "--duration", "1") == 0
        assert run(up, folder / "interrupted", "--rate", "300", "--duration", "300", interrupted=True) == 130
        sweep = (
            "sweep", "--parallelization-factor", "1,2", "--reserved-concurrency", "none", "--batch-size", "5",
            "--function-latency-ms", "500", "--aggregate", "off", "--point-duration", "5", "--probes", "3",
            "--endpoint-url", up.endpoint_url, "--out", str(folder / "sweep"),
        )  # fmt: skip
        assert command(*sweep) == 0
    finally:
        up.stop()
    assert command("report", f"{folder}/throttled", f"{folder}/short", "--html", f"{folder}/compared.html") == 0
    loads = {name: folder / name / "report.html" for name in ("throttled", "short", "interrupted")}
    return {**loads, "compared": folder / "compared.html", "sweep": folder / "sweep" / "sweep.html"}


@pytest.fixture(scope="session")
def throttled(made: dict[str, Path]) -> dict[str, Any]:
    """report.json of a load that met every kind of page element."""
    document: dict[str, Any] = json.loads(made["throttled"].with_name("report.json").read_text())
    assert document["numbers"]["throttled_attempts"], "the load was to be throttled"
    return document


def command(*words: str) -> int:
    return subprocess.run([LOADGEN, *words], stdout=sys.stderr, timeout=WITHIN_S, check=False).returncode


def run(up: Up, out: Path, *words: str, interrupted: bool = False) -> int:
    """The exit status. `interrupted`: by a Ctrl-C after a few seconds of load."""
    command = [LOADGEN, "run", *words, "--endpoint-url", up.endpoint_url, "--out", str(out)]
    load = subprocess.Popen(command, stdout=sys.stderr)
    try:
        if interrupted:
            lines = out / "results.jsonl"
            until(lambda: lines.exists() and lines.stat().st_size > 0, "the first acknowledged events")
            time.sleep(3)  # of load: enough seconds for charts
            load.send_signal(signal.SIGINT)
        return load.wait(WITHIN_S)
    finally:
        if load.poll() is None:
            load.kill()
            load.wait()
