"""The real day: every request to a public web server on 1 August 1995, twice, while environments are killed.

The truth is computed here from the file alone, in the same way as the awk line beside the data.
"""

import gzip
import json
import signal
import subprocess
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.loads import Killer

DATA = Path(__file__).parents[3] / "shared" / "data" / "nasa-http-1995-08-01.tsv.gz"
BIN = Path(sys.executable).parent

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(900)]


def truth() -> dict[tuple[str, int], tuple[int, int]]:
    """(host, hour since the epoch) -> (requests, bytes)."""
    totals: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    with gzip.open(DATA, "rt", encoding="latin-1", newline="\n") as lines:
        next(lines)
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            total = totals[fields[0], int(fields[2]) // 3600]
            total[0] += 1
            total[1] += int(fields[6])
    return {key: (n, total) for key, (n, total) in totals.items()}


@pytest.mark.skipif(not DATA.exists(), reason=f"the real day is not here: {DATA.name} is read from ../shared/data")
def test_the_real_day_is_exact_after_two_replays_with_an_environment_killed_every_second(tmp_path: Path) -> None:
    with (tmp_path / "stack.log").open("w") as log:
        stack = subprocess.Popen(
            [BIN / "infra", "up", "--port", "0", "--data-dir", tmp_path / "data"],
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert stack.stdout is not None
        ready = json.loads(stack.stdout.readline())
        endpoint = ["--endpoint-url", ready["endpoint_url"]]
        killer = Killer(ready["pid"])
        killer.start()
        for round_number in (1, 2):
            replay = subprocess.run(
                [BIN / "loadgen", "replay", DATA, "--speed", "max", *endpoint, "--out", tmp_path / str(round_number)],
                capture_output=True, text=True, timeout=400, check=False,
            )  # fmt: skip
            assert replay.returncode == 0, replay.stdout + replay.stderr
        killer.enough.set()
        killer.join()
        assert killer.killed > 0
        results = subprocess.run(
            [BIN / "infra", "results", "--format", "json", *endpoint], capture_output=True, text=True, check=True
        )
        rows = json.loads(results.stdout)
        found = {
            (row["subject"], int(datetime.fromisoformat(row["window"]).timestamp()) // 3600): (
                row["events"],
                row["sum_bytes"],
            )
            for row in rows
            if row["type"] == "http.request"
        }
        assert len(found) == 3246
        assert found == truth()
    finally:
        stack.send_signal(signal.SIGINT)
        assert stack.wait(30) == 0
