"""PURE: whether a JSON document has the shape of report.json, as far as a report is made again from it.

A file may have been edited, cut or written by something else: what the page and the summary rely on is checked before
they see it, so that a mistake is a sentence with its place.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeAlias, get_origin, get_type_hints

from loadgen.outcome.ledger import Expectations, Findings, Ledger, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import COUNT_MAX, TIME_US_MAX
from loadgen.showing import report

COUNTED = ("lines_unreadable", "events_acknowledged", "events_failed")  # what results.jsonl is held against
LEDGER_ADDED = ("unexpected", "quarantined_others", "broken", "windows_not_read")  # not in every report of this schema
SECONDS_MAX = TIME_US_MAX // 1_000_000

Shape: TypeAlias = Callable[[Any, str], None]


class ShapeError(ValueError):
    """The document is not one of ours; the text names the place, and what is needed there."""


def check(document: Any) -> None:
    """Raises ShapeError for the first thing that is missing or of another kind."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != report.SCHEMA:
        raise ShapeError(f"it has the schema {_shown(schema)}, not {report.SCHEMA}")
    if missing := report.FIELDS - report.ADDED - document.keys():
        raise ShapeError(f"it is not complete: it lacks {', '.join(sorted(missing))}")
    for name, shape in _document().items():
        if name in document:
            shape(document[name], name)


def text(value: Any, place: str) -> None:
    if not isinstance(value, str):
        raise _wrong(place, "a text", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ShapeError(f"{place} has half of a surrogate pair, which is no text") from error


def flag(value: Any, place: str) -> None:
    if not isinstance(value, bool):
        raise _wrong(place, "true or false", value)


def number(value: Any, place: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(place, "a number", value)
    if isinstance(value, float) and not math.isfinite(value):  # a whole number may be too large for this question
        raise _wrong(place, "a number", value)
    if not abs(value) <= COUNT_MAX:
        raise _wrong(place, f"a number up to {COUNT_MAX}", value)


def whole(low: int, high: int) -> Shape:
    def check_whole(value: Any, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(place, f"a whole number from {low} to {high}", value)

    return check_whole


def nullable(shape: Shape) -> Shape:
    return lambda value, place: None if value is None else shape(value, place)


def many(shape: Shape) -> Shape:
    """A list."""

    def check_many(value: Any, place: str) -> None:
        if not isinstance(value, list):
            raise _wrong(place, "a list", value)
        for index, item in enumerate(value):
            shape(item, f"{place}[{index}]")

    return check_many


def pair(first: Shape, second: Shape) -> Shape:
    def check_pair(value: Any, place: str) -> None:
        if not isinstance(value, list) or len(value) != 2:
            raise _wrong(place, "a list of two", value)
        first(value[0], f"{place}[0]")
        second(value[1], f"{place}[1]")

    return check_pair


def named(
    required: Mapping[str, Shape], others: Shape | None = None, optional: Mapping[str, Shape] | None = None
) -> Shape:
    """An object with at least the required names."""

    def check_named(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(place, "an object", value)
        for name in required:
            if name not in value:
                raise ShapeError(f"{place} lacks {name}")
        for name, item in value.items():
            text(name, f"a name in {place}")
            if shape := required.get(name, (optional or {}).get(name, others)):
                shape(item, f"{place}.{name}")

    return check_named


def _document() -> dict[str, Shape]:
    count = whole(0, COUNT_MAX)
    counts = named({}, count)
    hints = get_type_hints(Ledger)
    ledger = {each.name: counts if get_origin(hints[each.name]) is not None else count for each in fields(Ledger)}
    added = {name: ledger.pop(name) for name in LEDGER_ADDED}
    own = report.ledger_numbers(settle(Expectations(()), Findings()), Metrics(0), 0.0, 0)
    series = {"name": text, "source": text, "resolution_s": whole(1, SECONDS_MAX), "statistic": text}
    points = many(pair(whole(-SECONDS_MAX, SECONDS_MAX), number))
    limits = {
        "limited_by": text,
        "reason": text,
        "also": many(named({"limit": text, "reason": text}, optional={"share": number})),
        "capacity": named(
            {"lanes": nullable(number), "reserved_concurrency": nullable(number)},
            printable,
            {
                "table_write_units_per_s": nullable(number),
                "batching_window_s": nullable(number),
                "shards": nullable(number),
            },
        ),
        "missing": many(text),
        "series": many(named({**series, "points": points}, optional={"partial": flag})),
    }
    part = {"part": text, "amount": number, "unit": text, "price": text, "usd": number, "rests_on": text}
    cost = {
        "usd": number,
        "usd_per_million_events": nullable(number),
        "prices_of": text,
        "region": text,
        "parts": many(named(part)),
        "left_out": many(text),
    }
    return {
        "verdict": text,
        "passed": flag,
        "command": many(text),
        "started_at": moment,
        "partial": flag,
        "problem": nullable(text),
        "configuration": named({"late_after_us": nullable(count)}, printable),
        "ledger": named({**ledger, "balanced": flag}, optional=added),
        "numbers": named({name: nullable(number) for name in (*own, *COUNTED)}, nullable(number)),
        "thresholds": many(named({"expression": text, "value": nullable(number), "passed": flag})),
        "unreadable": many(named({"line": count, "why": text})),
        "errors": counts,
        "failures": counts,
        "events_per_shard": counts,
        "limits": nullable(named(limits)),
        "cost": nullable(named(cost)),
    }


def moment(value: Any, place: str) -> None:
    """An ISO 8601 time, or nothing."""
    text(value, place)
    try:
        datetime.fromisoformat(value or "2026-11-23")
    except ValueError as error:
        raise _wrong(place, "a time", value) from error


def printable(value: Any, place: str) -> None:
    """A text, a number, true, false or null."""
    if isinstance(value, str):
        text(value, place)
    elif value is not None and not isinstance(value, bool):
        number(value, place)


def _wrong(place: str, needed: str, value: Any) -> ShapeError:
    return ShapeError(f"{place} must be {needed}, not {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return {None: "null", True: "true", False: "false"}.get(value) or ascii(value)[:40]
