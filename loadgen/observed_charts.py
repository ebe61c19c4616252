"""PURE: the observed series as charts: what was processed, who was busy, what was throttled, how old it was."""

from collections.abc import Mapping
from typing import Any

from loadgen.chart import Line, chart, mean
from loadgen.observation import rows

CHARTS = (
    (
        "Processed by the function, events per second",
        (Line("offered", "offered", "a", mean), Line("processed", "processed", "d", mean)),
    ),
    (
        "Invocations at the same time",
        (Line("concurrency", "running, mean of the second", "b", mean), Line("allowed", "allowed", "a", mean)),
    ),
    (
        "Throttled, per second",
        (
            Line("write_throttles", "Kinesis records (attempts)", "b", max),
            Line("read_throttles", "GetRecords calls", "c", max),
            Line("lambda_throttles", "invocations", "d", max),
            Line("table_throttles", "table accesses", "e", max),
        ),
    ),
    ("Age of the oldest record at its commit, ms", (Line("event_age_ms", "from its arrival", "b", max),)),
    (
        "Batches",
        (Line("batch_size", "Kinesis records", "b", mean), Line("effective_parallelism", "partition keys", "c", mean)),
    ),
    ("Batch item failures, Kinesis records per second", (Line("batch_item_failures", "failed", "b", max),)),
)
TABLE_THROTTLES = ("table_write_throttles", "table_read_throttles")


def observed_charts(report: Mapping[str, Any]) -> list[str]:
    """One figure for each group of series that has something to show; the captions say how finely they are known."""
    limits = report.get("limits")
    if not limits or not limits["series"]:
        return []
    series = limits["series"]
    last = max((begin for one in series for begin, _ in one["points"]), default=-1)
    table = rows(series, max(last + 1, len(report["timeline"])))
    writes = [one["name"] for one in series if one["name"].startswith("write_throttles ")]
    allowed = _allowed(limits["capacity"])
    for second, row in enumerate(table):
        timeline = report["timeline"]
        row["offered"] = timeline[second]["offered"] if second < len(timeline) else 0
        row["write_throttles"] = sum(row.get(name) or 0.0 for name in writes)
        row["table_throttles"] = sum(row.get(name) or 0.0 for name in TABLE_THROTTLES)
        row["allowed"] = allowed
    resolutions = {one["name"]: one["resolution_s"] for one in series}
    return [
        drawn
        for title, lines in CHARTS
        if _has_any(table, lines[0].column if len(lines) < 3 else None, lines)
        and (drawn := chart(_titled(title, lines, resolutions), _filled(table, lines), lines))
    ]


def _allowed(capacity: Mapping[str, Any]) -> int | None:
    known = [capacity[name] for name in ("lanes", "reserved_concurrency") if capacity[name] is not None]
    return min(known) if known else None


def _has_any(table: list[dict[str, float | None]], column: str | None, lines: tuple[Line, ...]) -> bool:
    columns = [line.column for line in lines] if column is None else [column]
    return any(row.get(name) for row in table for name in columns)


def _filled(table: list[dict[str, float | None]], lines: tuple[Line, ...]) -> list[dict[str, float | None]]:
    return [{line.column: row.get(line.column) for line in lines} for row in table]


def _titled(title: str, lines: tuple[Line, ...], resolutions: Mapping[str, int]) -> str:
    coarse = {resolutions[line.column] for line in lines if resolutions.get(line.column, 1) > 1}
    return f"{title} (CloudWatch knows it by {max(coarse)} s)" if coarse else title
