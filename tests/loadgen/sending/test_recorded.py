"""A recording on disk: what cannot be read is counted, said and in the verdict, and a second reading starts anew."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from infra.ops.errors import CommandError
from loadgen.offer.recordings import TSV_COLUMNS
from loadgen.sending.recorded import Recording

LINE = "h\t807256800\tGET\t/\t200\t5\n"
HEADER = "\t".join(TSV_COLUMNS) + "\n"


def test_every_reading_gives_the_same_events_and_the_same_unreadable_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    path.write_text(HEADER + LINE + "junk\n" + LINE + "junk\n" * 9)
    recording = Recording(path, None)
    first = list(recording.events())
    assert [event.line for event in first] == [2, 4]
    assert (recording.unread.lines, [line for line, _ in recording.unread.first]) == (10, [3, 5, 6, 7, 8])
    assert list(recording.events()) == first
    assert recording.unread.lines == 10


def test_a_damaged_file_gives_what_was_read_and_says_that_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv.gz"
    lines = HEADER + "".join(f"host-{number * 7919 % 104729}\t{number}\tGET\t/\t200\t5\n" for number in range(9000))
    whole = gzip.compress(lines.encode())
    path.write_bytes(whole[: len(whole) // 2])
    recording = Recording(path, None)
    assert list(recording.events())
    assert "log.tsv.gz" in (recording.unread.broken or "")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="there is no such file") as raised:
        Recording(Path("none.tsv"), None)
    assert raised.value.exit_status == 2


def test_a_huge_file_is_read_line_by_line_and_never_held(tmp_path: Path) -> None:
    path = tmp_path / "huge.tsv.gz"
    line = "host-{}\t807256800\tGET\t/" + "a" * 3_000 + "\t200\t5\n"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("\t".join(TSV_COLUMNS) + "\n")
        file.writelines(line.format(number) for number in range(3_000))
    recording = Recording(path, None)
    tracemalloc.start()
    try:
        assert sum(1 for _ in recording.events()) == 3_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000  # of 9 MB
