"""PURE: a load's seconds as charts over one common axis: offered to processed, who was busy, what was refused, how old
it was."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from loadgen.showing.chart import Line, Mark, chart, mean
from loadgen.target.observation import rows

Row: TypeAlias = dict[str, float | None]


class Timeline(NamedTuple):
    """One chart. `needs`: it is drawn when one of these columns has something; none named: one of its lines."""

    title: str
    lines: tuple[Line, ...]
    needs: tuple[str, ...] = ()


SENT = (
    Timeline(
        "Events per second",
        (
            Line("offered", "offered", "a", mean),
            Line("acknowledged", "accepted", "b", mean),
            Line("processed", "processed", "d", mean),
        ),
    ),
    Timeline(
        "Latency, from due to accepted, ms",
        (Line("latency_p50_ms", "p50", "c", mean), Line("latency_p99_ms", "p99", "b", max)),
    ),
    Timeline(
        "Latency, from due to committed, ms",
        (Line("commit_latency_p50_ms", "p50", "c", mean), Line("commit_latency_p99_ms", "p99", "b", max)),
    ),
    Timeline(
        "Invocations at the same time",
        (
            Line("concurrency", "mean of the second", "b", mean),
            Line("lanes_with_work", "lanes with work", "c", max),
            Line("allowed", "allowed", "a", mean),
        ),
        ("concurrency", "lanes_with_work"),
    ),
    Timeline(
        "Throttled, per second",
        (
            Line("throttled_attempts", "Kinesis records", "b", max),
            Line("read_throttles", "GetRecords calls", "c", max),
            Line("lambda_throttles", "invocations", "d", max),
            Line("table_throttles", "table accesses", "e", max),
        ),
    ),
)
TARGET = (
    Timeline(
        "Age of the oldest record, ms",
        (Line("event_age_ms", "at its commit", "b", max), Line("iterator_age_ms", "iterator age", "a", max)),
    ),
    Timeline(
        "Batches: Kinesis records and their partition keys",
        (Line("batch_size", "records, mean", "b", mean), Line("effective_parallelism", "keys, mean", "c", mean)),
    ),
    Timeline("Fill of the batches, % of BatchSize", (Line("batch_fill_percent", "mean", "b", mean),)),
    Timeline(
        "Capacity units per second",
        (
            Line("write_units", "written, as estimated", "b", max),
            Line("table_write_units", "written", "c", max),
            Line("table_read_units", "read", "d", max),
            Line("table_allowed", "allowed", "a", mean),
        ),
        ("write_units", "table_write_units", "table_read_units"),
    ),
    Timeline(
        "Tried again, Kinesis records per second",
        (
            Line("failed_attempts", "failed puts", "b", max),
            Line("batch_item_failures", "batch item failures", "e", max),
        ),
    ),
    Timeline("Cold starts per second", (Line("cold_starts", "environments", "b", max),)),
)  # fmt: skip
TABLE_THROTTLES = ("table_write_throttles", "table_read_throttles", "quarantine_throttles")
NONE_RAN = ("concurrency", "lanes_with_work")
BY_SHARD = "write_throttles "
SHARDS_MAX = 6
AFTER_S_MAX = 100_000
NEARLY_WHOLE_S = 0.9
SHARD_STYLES = ("b", "c", "d", "e", "f", "g")


def timelines(report: Mapping[str, Any]) -> list[str]:
    """One figure for each group that has something to show; the legends say how finely it is known."""
    series = (report.get("limits") or {}).get("series") or []
    table = _table(report, series)
    resolutions = {one["name"]: one["resolution_s"] for one in series}
    marks = _marks(report, len(table))
    drawn = []
    for timeline in (*SENT, *_of_shards(series), *TARGET):
        columns, lines = _shown(table, timeline, resolutions)
        if _has_any(table, timeline.needs or tuple(line.column for line in lines)):
            drawn.append(chart(timeline.title, columns, lines, marks))
    return [figure for figure in drawn if figure]


def _table(report: Mapping[str, Any], series: Sequence[Mapping[str, Any]]) -> list[Row]:
    """One row for every second in which something happened here or there."""
    timeline = report["timeline"]
    table = observed(series, timeline)
    limits = report.get("limits") or {}
    allowed, table_allowed = (
        _allowed(limits.get("capacity")),
        (limits.get("capacity") or {}).get("table_write_units_per_s"),
    )
    whole = whole_seconds(report)
    for second, row in enumerate(table):
        sent = timeline[second] if second < len(timeline) else {}
        row["offered"], row["acknowledged"] = (
            (sent["offered"], sent["acknowledged"]) if sent and second < whole else (None, None)
        )
        for name in ("latency_p50_ms", "latency_p99_ms", "throttled_attempts", "failed_attempts"):
            row[name] = sent.get(name, 0 if name.endswith("attempts") else None)
        row["table_throttles"] = _together([row[name] for name in TABLE_THROTTLES if name in row])
        row["allowed"], row["table_allowed"] = allowed, table_allowed
        fill = row.get("batch_fill")
        row["batch_fill_percent"] = None if fill is None else 100 * fill
    return table


def observed(series: Sequence[Mapping[str, Any]], timeline: Sequence[object]) -> list[Row]:
    """The target's columns by second. Where a whole log has no invocation, none ran: that is a zero and no gap."""
    table = rows(series, seconds(series, timeline))
    silent = [one["name"] for one in series if one["name"] in NONE_RAN and not one.get("partial")]
    for row in table:
        row.update({name: 0.0 for name in silent if row[name] is None})
    return table


def whole_seconds(report: Mapping[str, Any]) -> int:
    """Seconds of which (nearly) all belonged to the sending: a count of a part of one would be drawn as a drop. Of a
    load that was shorter than that, the only one there is."""
    return max(1, int(report["numbers"]["elapsed_s"] + 1 - NEARLY_WHOLE_S))


def _together(values: Sequence[float | None]) -> float | None:
    """Their sum; None where nothing was counted and one of them is not known: that is no zero."""
    total = sum(value for value in values if value is not None)
    return None if not total and None in values else total


def seconds(series: Iterable[Mapping[str, Any]], timeline: Sequence[object]) -> int:
    """How many seconds there are to draw; what is said to be long after the load is no second of it."""
    last = max((begin + 1 for one in series for begin, _ in one["points"]), default=0)
    return max(len(timeline), min(last, len(timeline) + AFTER_S_MAX))


def _marks(report: Mapping[str, Any], seconds: int) -> list[Mark]:
    """Where sending ended, when there is more behind it."""
    ended_s = report["numbers"]["elapsed_s"]
    return [Mark(ended_s, "all sent")] if 0 < ended_s < seconds - 1 else []


def _of_shards(series: Iterable[Mapping[str, Any]]) -> list[Timeline]:
    """Kinesis's write throttles by shard, of the shards that had most, when there is more than one."""
    throttled = [one for one in series if one["name"].startswith(BY_SHARD)]
    if len(throttled) < 2:
        return []
    throttled.sort(key=lambda one: -sum(value for _, value in one["points"]))
    names = sorted(one["name"] for one in throttled[:SHARDS_MAX])
    lines = tuple(
        Line(name, name.removeprefix(BY_SHARD), style, max) for name, style in zip(names, SHARD_STYLES, strict=False)
    )
    more = f" (the {SHARDS_MAX} of {len(throttled)} that had most)" if len(throttled) > SHARDS_MAX else ""
    return [Timeline(f"Kinesis records throttled, by shard{more}", lines)]


def _allowed(capacity: Mapping[str, Any] | None) -> int | None:
    known = (
        [capacity[name] for name in ("lanes", "reserved_concurrency") if capacity[name] is not None] if capacity else []
    )
    return min(known) if known else None


def _has_any(table: Iterable[Row], columns: Sequence[str]) -> bool:
    return any(row.get(name) for row in table for name in columns)


def _shown(table: Sequence[Row], timeline: Timeline, resolutions: Mapping[str, int]) -> tuple[list[Row], list[Line]]:
    """The chart's columns; a line without anything is left out, and one that is not known by the second says so."""
    lines = [line for line in timeline.lines if _has_any(table, (line.column,))]
    columns = [{line.column: row.get(line.column) for line in lines} for row in table]
    return columns, [_with_resolution(line, resolutions) for line in lines]


def _with_resolution(line: Line, resolutions: Mapping[str, int]) -> Line:
    columns = TABLE_THROTTLES if line.column == "table_throttles" else (line.column,)
    coarsest = max(resolutions.get(column, 1) for column in columns)
    return line._replace(label=f"{line.label} (by {coarsest} s)") if coarsest > 1 else line
