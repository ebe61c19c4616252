"""PURE: lines of a recording -> events. Nothing is loaded whole; a line that cannot be read is said with its number.

Formats: `cloudevents` (one JSON event per line, its bytes passed on as they are), `tsv` (a header line naming at least
`host`, `time`, `method`, `url`, `response` and `bytes`; times in Unix seconds), `clf` (common or combined log format).
An access-log line becomes a CloudEvent: `type` `http.request`, `subject` the host, `source` the file's name, `id` the
line's number in the file, `data` {method, path, status, bytes}. Two equal lines are two requests: the identity of a
line is its position. A line whose event breaks a limit of `processor.core.events` is unreadable in every format,
so that whatever is read fits a Kinesis record and is no malformed event.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from processor.core.errors import Malformed
from processor.core.events import parse

FORMATS = ("cloudevents", "clf", "tsv")
TYPE = "http.request"
TSV_COLUMNS = ("host", "time", "method", "url", "response", "bytes")
DIGITS_MAX = 4_000  # Python reads no number of more than 4,300
CLF = re.compile(
    r'(?P<host>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}|-) (?P<bytes>\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*")?\s*'
)


class Recorded(NamedTuple):
    """One event of a recording. `time_s`: when it happened, Unix seconds."""

    line: int
    time_s: float
    partition_key: str
    payload: bytes


class Unreadable(NamedTuple):
    """A line that is no event; `why` does not quote it."""

    line: int
    why: str


class FormatError(ValueError):
    """The file is not in the format that was named."""


def read(file_format: str, lines: Iterable[bytes], name: str) -> Iterator[Recorded | Unreadable]:
    """The events of a file's lines. Raises FormatError when its first line already shows another format."""
    numbered = enumerate(lines, 1)
    if file_format == "tsv":
        yield from _tsv(numbered, name)
        return
    one = _cloudevent if file_format == "cloudevents" else _clf
    for line, raw in numbered:
        text = raw.rstrip(b"\r\n")
        if text.strip():
            yield one(line, text, name)


def guess(name: str, first_line: bytes) -> str | None:
    """The format by the file's name, then by its first line; None when neither says."""
    stem = name.removesuffix(".gz")
    if stem.endswith(".tsv"):
        return "tsv"
    if first_line.lstrip().startswith(b"{"):
        return "cloudevents"
    if b"\t" in first_line and first_line.startswith(b"host"):
        return "tsv"
    return "clf" if CLF.fullmatch(first_line.decode("latin-1").rstrip("\r\n")) else None


def access_event(line: int, name: str, host: str, time_s: int, data: dict[str, str | int]) -> Recorded | Unreadable:
    """An access-log line as a CloudEvent. Raises ValueError or OverflowError for a time that is none."""
    event = {
        "specversion": "1.0",
        "id": str(line),
        "source": name,
        "type": TYPE,
        "subject": host,
        "time": datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data,
    }
    payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        parse(payload)
    except Malformed as error:
        return Unreadable(line, f"{error.reason}: {error.detail}")
    return Recorded(line, time_s, host, payload)


def _tsv(numbered: Iterator[tuple[int, bytes]], name: str) -> Iterator[Recorded | Unreadable]:
    header = next(numbered, (0, b""))[1].decode("latin-1").rstrip("\r\n").split("\t")
    missing = [column for column in TSV_COLUMNS if column not in header]
    if missing:
        raise FormatError(f"{name}: the first line of a tsv file names its columns; it lacks {', '.join(missing)}")
    host, time, method, url, response, size = (header.index(column) for column in TSV_COLUMNS)
    for line, raw in numbered:
        fields = raw.decode("latin-1").rstrip("\r\n").split("\t")
        if len(fields) != len(header):
            yield Unreadable(line, f"{len(fields)} of the header's {len(header)} columns")
            continue
        try:
            data: dict[str, str | int] = {
                "method": fields[method],
                "path": fields[url],
                "status": int(fields[response]),
            }
            if fields[size] != "-":
                data["bytes"] = int(fields[size])
            yield access_event(line, name, fields[host], int(fields[time]), data)
        except (ValueError, OverflowError, OSError):
            yield Unreadable(line, "time, response and bytes must be whole numbers")


def _clf(line: int, raw: bytes, name: str) -> Recorded | Unreadable:
    match = CLF.fullmatch(raw.decode("latin-1"))
    if match is None:
        return Unreadable(line, "not in common or combined log format")
    method, _, rest = match["request"].partition(" ")
    path = rest.rpartition(" ")[0] if " " in rest else rest
    data: dict[str, str | int] = {"method": method, "path": path}
    if match["status"] != "-":
        data["status"] = int(match["status"])
    if len(match["bytes"]) > DIGITS_MAX:
        return Unreadable(line, f"bytes must be a number of at most {DIGITS_MAX:,} digits")
    if match["bytes"] != "-":
        data["bytes"] = int(match["bytes"])
    try:  # both of these refuse times: what is none, and what is before the year 1 or after 9999 in UTC
        time_s = int(datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp())
        return access_event(line, name, match["host"], time_s, data)
    except (ValueError, OverflowError):
        return Unreadable(line, "its time is not like 01/Aug/1995:00:00:01 -0400")


def _cloudevent(line: int, raw: bytes, _name: str) -> Recorded | Unreadable:
    try:
        event = parse(raw)
    except Malformed as error:
        return Unreadable(line, f"{error.reason}: {error.detail}")
    return Recorded(line, event.time_s, event.subject, raw)
