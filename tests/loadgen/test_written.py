"""Files and lines are written whatever the text is."""

import io
import sys
from pathlib import Path

import pytest

from loadgen.written import say, whole


def test_text_that_no_encoding_has_is_written_as_its_number(tmp_path: Path) -> None:
    whole(tmp_path / "report.html", "a shard \ud800, ü")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "a shard \\ud800, ü"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8", "a shard \\ud800, ü\n"), ("ascii", "a shard \\ud800, \\xfc\n")]
)
def test_text_that_the_terminal_has_not_is_said_as_its_number(
    monkeypatch: pytest.MonkeyPatch, encoding: str, said: str
) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    say("a shard \ud800, ü")
    stdout.seek(0)
    assert stdout.read() == said
