"""A load's folder: of one load at a time, and without what an earlier one left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.ops.errors import CommandError
from loadgen.written import prepare

HOLD = "import sys; from pathlib import Path; from loadgen.written import prepare\nwith prepare(Path(sys.argv[1])):"
HOLD += "\n    print('held', flush=True)\n    sys.stdin.read()"


def test_a_second_load_into_a_folder_is_refused_and_leaves_the_firsts_files_alone(tmp_path: Path) -> None:
    with prepare(tmp_path):
        (tmp_path / "results.jsonl").write_text("line\n")
        with pytest.raises(CommandError, match=r"another load is writing there.*another folder") as raised:
            prepare(tmp_path)
        assert raised.value.exit_status == 2
        assert (tmp_path / "results.jsonl").read_text() == "line\n"
    with prepare(tmp_path):
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("results.jsonl", "")]


def test_a_folder_whose_load_was_killed_can_be_used_again(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CommandError):
            prepare(tmp_path)
        os.kill(other.pid, signal.SIGKILL)
    with prepare(tmp_path):
        pass


def test_what_a_killed_load_left_is_not_part_of_the_next_one(tmp_path: Path) -> None:
    for name in ("results-0.jsonl.part", "results-63.jsonl.part", "report.html.part", "report.json", "report.html"):
        (tmp_path / name).write_text("of an earlier load\n")
    (tmp_path / "notes.part").write_text("mine")
    with prepare(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.part", "results.jsonl"]
