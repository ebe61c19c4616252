"""Recordings: every line is an event or said with its number, and equal lines are two events."""

import gzip
import json
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer.recordings import FormatError, Recorded, Unreadable, guess, read
from loadgen.sending.recording_file import LINE_BYTES_MAX, FileError, first_line, lines
from processor.core.events import parse

HEADER = b"host\tlogname\ttime\tmethod\turl\tresponse\tbytes\n"
ROW = b"a.example\t-\t807256800\tGET\t/x.gif\t200\t1713\n"
CLF = b'a.example - - [01/Aug/1995:00:00:01 -0400] "GET /x.gif HTTP/1.0" 200 1839\n'
EVENT = {
    "specversion": "1.0", "id": "1", "source": "s", "type": "t", "subject": "k", "time": "1995-08-01T00:00:01Z",
    "data": {"bytes": 7},
}  # fmt: skip
REAL = Path(__file__).parents[4] / "shared" / "data" / "nasa-http-1995-08-01.tsv.gz"


def events(file_format: str, *given_lines: bytes) -> list[Recorded | Unreadable]:
    return list(read(file_format, given_lines, "access.log"))


def test_a_tsv_line_becomes_an_event_with_its_place_as_identity() -> None:
    one, two = events("tsv", HEADER, ROW, ROW)
    assert isinstance(one, Recorded)
    assert isinstance(two, Recorded)
    assert (one.line, two.line, one.time_s, one.partition_key) == (2, 3, 807256800, "a.example")
    event, other = parse(one.payload), parse(two.payload)
    assert event.digest != other.digest
    assert (event.id, event.source, event.type, event.subject) == ("2", "access.log", "http.request", "a.example")
    assert event.time_s == 807256800
    assert event.data == {"method": "GET", "path": "/x.gif", "status": 200, "bytes": 1713}


def test_a_size_that_was_not_logged_is_absent_and_not_0() -> None:
    (tsv,) = events("tsv", HEADER, ROW.replace(b"1713", b"-"))
    (clf,) = events("clf", CLF.replace(b"1839", b"-"))
    assert isinstance(tsv, Recorded)
    assert isinstance(clf, Recorded)
    assert "bytes" not in parse(tsv.payload).data
    assert "bytes" not in parse(clf.payload).data


@pytest.mark.parametrize("tail", [b"", b' "http://ref/" "agent \\"quoted\\""'])
def test_common_and_combined_log_lines_are_read(tail: bytes) -> None:
    (one,) = events("clf", CLF.rstrip(b"\n") + tail + b"\r\n")
    assert isinstance(one, Recorded)
    event = parse(one.payload)
    assert event.time == "1995-08-01T04:00:01Z"
    assert event.data == {"method": "GET", "path": "/x.gif", "status": 200, "bytes": 1839}


def test_a_cloudevents_line_is_passed_on_byte_for_byte() -> None:
    raw = json.dumps(EVENT, indent=None).encode()
    (one,) = events("cloudevents", raw + b"\r\n")
    assert one == Recorded(1, 807235201, "k", raw)


@pytest.mark.parametrize(
    ("file_format", "good", "bad"),
    [
        ("tsv", ROW, b"a\tb\n"),
        ("tsv", ROW, ROW.replace(b"807256800", b"noon")),
        ("tsv", ROW, ROW.replace(b"807256800", b"9" * 30)),
        ("tsv", ROW, ROW.replace(b"200", b"ok")),
        ("clf", CLF, b"not a log line\n"),
        ("clf", CLF, CLF.replace(b"Aug", b"Agu")),
        ("clf", CLF, CLF.replace(b"01/Aug/1995:00:00:01 -0400", b"31/Dec/9999:23:59:59 -1400")),
        ("clf", CLF, CLF.replace(b"1839", b"9" * 5000)),
        ("tsv", ROW, ROW.replace(b"200", b"2" * 5000)),
        ("cloudevents", json.dumps(EVENT).encode() + b"\n", b'{"specversion":"1.0"}\n'),
        ("cloudevents", json.dumps(EVENT).encode() + b"\n", b"\xff\xfe\n"),
    ],
)
def test_a_bad_line_is_said_with_its_number_and_the_others_are_read(file_format: str, good: bytes, bad: bytes) -> None:
    start = [HEADER] if file_format == "tsv" else []
    found = events(file_format, *start, good, bad, good)
    assert [type(event) for event in found] == [Recorded, Unreadable, Recorded]
    assert [event.line - len(start) for event in found] == [1, 2, 3]
    assert isinstance(found[1], Unreadable)
    assert bad.decode("latin-1").strip() not in found[1].why


@pytest.mark.parametrize(
    ("file_format", "line", "why"),
    [
        ("tsv", b"a\t-\t807256800\tGET\t/" + b'"' * 700_000 + b"\t200\t1\n", "too_large: "),  # fits no Kinesis record
        ("tsv", b"a\t-\t807256800\tGET\t/" + b"x" * 300_000 + b"\t200\t1\n", "too_large: "),  # and this one would
        ("tsv", b"h" * 257 + b"\t-\t807256800\tGET\t/\t200\t1\n", "bad_subject: "),
        ("tsv", b"\t-\t807256800\tGET\t/\t200\t1\n", "bad_subject: "),
        ("clf", CLF.replace(b"a.example", b"h" * 257), "bad_subject: "),
        ("cloudevents", json.dumps({**EVENT, "data": {"x": "x" * 300_000}}).encode() + b"\n", "too_large: "),
    ],
)
def test_a_line_whose_event_breaks_a_limit_is_unreadable_in_every_format(
    file_format: str, line: bytes, why: str
) -> None:
    header = [HEADER] if file_format == "tsv" else []
    (found,) = events(file_format, *header, line)
    assert isinstance(found, Unreadable)
    assert found.why.startswith(why)


def test_blank_lines_are_no_events_and_are_counted() -> None:
    found = events("clf", b"\n", CLF, b"  \n", CLF)
    assert [event.line for event in found] == [2, 4]


@pytest.mark.parametrize("header", [b"", b"\n", b"host\ttime\n", ROW, CLF])
def test_a_tsv_file_without_its_columns_is_refused_naming_what_lacks(header: bytes) -> None:
    with pytest.raises(FormatError, match=r"lacks .*bytes"):
        events("tsv", header, ROW)


@given(st.sampled_from(["tsv", "clf", "cloudevents"]), st.lists(st.binary(max_size=80), max_size=5))
def test_no_bytes_at_all_are_more_than_an_unreadable_line(file_format: str, garbage: list[bytes]) -> None:
    raw = [HEADER, *garbage] if file_format == "tsv" else garbage
    for event in read(file_format, raw, "f"):
        assert 1 <= event.line <= len(raw)


@pytest.mark.parametrize(
    ("name", "first", "expected"),
    [
        ("day.tsv.gz", b"", "tsv"),
        ("day", HEADER, "tsv"),
        ("day", b'{"id": 1}', "cloudevents"),
        ("access.log", CLF, "clf"),
        ("README", b"hello\n", None),
        ("empty", b"", None),
    ],
)
def test_the_format_is_told_from_the_name_or_the_first_line(name: str, first: bytes, expected: str | None) -> None:
    assert guess(name, first) == expected


def test_plain_and_gzip_files_have_the_same_lines(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(HEADER + ROW)
    (tmp_path / "packed").write_bytes(gzip.compress(HEADER + ROW))
    assert list(lines(tmp_path / "plain")) == list(lines(tmp_path / "packed")) == [HEADER, ROW]
    assert first_line(tmp_path / "packed") == HEADER


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(HEADER * 100)[:-10])
    flipped = bytearray(gzip.compress(bytes(range(32, 127)) * 50))
    flipped[len(flipped) // 2] ^= 0xFF
    (tmp_path / "flipped.gz").write_bytes(flipped)
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"x")[:10] + b"\xff" * 40)
    (tmp_path / "binary").write_bytes(b"\x00\x01\n")
    (tmp_path / "endless").write_bytes(b"x" * (LINE_BYTES_MAX + 2))
    for name in ("cut.gz", "flipped.gz", "broken.gz", "binary", "endless", "missing", "."):
        with pytest.raises(FileError, match=str(tmp_path)):
            list(lines(tmp_path / name))


def test_the_real_day_has_30969_events_and_not_one_unreadable_line() -> None:
    if not REAL.exists():
        pytest.skip(f"the recording is not part of the repository and not beside it: {REAL.name}")
    total, last = 0, 0
    for event in read("tsv", lines(REAL), REAL.name):
        assert isinstance(event, Recorded), event
        assert event.line == last + 1 or last == 0
        total, last = total + 1, event.line
    assert total == 30_969
    for event in islice(read("tsv", lines(REAL), REAL.name), 0, None, 97):
        assert isinstance(event, Recorded)
        assert parse(event.payload).subject == event.partition_key
