"""PURE: two loads beside each other as one self-contained page, their seconds drawn into the same charts."""

import html
from collections.abc import Mapping
from typing import Any

from loadgen.showing import comparison
from loadgen.showing.chart import Line, chart, mean
from loadgen.showing.page import words
from loadgen.showing.style import STYLE
from loadgen.showing.timelines import observed, whole_seconds

CHARTS = (
    ("Accepted, events per second", "acknowledged", mean),
    ("Processed, events per second", "processed", mean),
    ("Latency p99, from due to accepted, ms", "latency_p99_ms", max),
    ("Latency p99, from due to committed, ms", "commit_latency_p99_ms", max),
    ("Invocations at the same time, mean", "concurrency", mean),
    ("Age of the oldest record at its commit, ms", "event_age_ms", max),
)
MORE_STYLE = """td:not(:first-child),th:not(:first-child){text-align:right;font-variant-numeric:tabular-nums}
td:first-child{min-width:9rem;overflow-wrap:anywhere}
.worse td:last-child{color:var(--bad)}.better td:last-child{color:var(--good)}
@media(max-width:600px){.wide{font-size:12px}.wide td,.wide th{padding:.2rem .3rem}}"""
GRADES = ("worse", "better")
NAMED_MAX = 5


def comparison_page(names: tuple[str, str], first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Everything from the reports is escaped. `names`: their folders."""
    *each, verdict = comparison.sentences(first, second)
    said = "".join(f"<p class=note>{html.escape(one)}</p>" for one in (*_graded(first, second), *each))
    commands = "".join(
        f"<pre>{which}  {html.escape(name)}\n{words(report['command'])}</pre>"
        for which, name, report in (("A", names[0], first), ("B", names[1], second))
    )
    measured = [
        f"<tr class='{row.judgement}'>{''.join(f'<td>{html.escape(cell)}' for cell in row.cells())}"
        for row in comparison.compare(first, second)
        if (row.first, row.second) != (None, None)
    ]
    changed = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}' for cell in row)}" for row in comparison.settings(first, second)
    )
    settings = (
        f"<h2>Set differently</h2><div class=wide><table><thead><tr><th>setting<th>A<th>B<tbody>{changed}</table></div>"
        if changed
        else ""
    )
    return "\n".join((
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>loadgen: A and B</title><style>{STYLE}{MORE_STYLE}</style>",
        f"<header><h1>{html.escape(verdict)}</h1><p class=dim>Two loads beside each other</p></header>",
        said,
        commands,
        settings,
        f"<h2>Second by second</h2><div class=pair>{''.join(_charts(first, second))}</div>",
        "<h2>Measured</h2><div class=wide><table><thead><tr><th>number<th>A<th>B<th>change<th>B is<tbody>",
        f"{''.join(measured)}</table></div>\n",
    ))  # fmt: skip


def _graded(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The telling numbers in which B is worse, then those in which it is better; the first ones by name."""
    said = []
    rows = [row for row in comparison.compare(first, second) if row.name in comparison.FIRST]
    for grade in GRADES:
        names = [f"{row.name} {row.cells()[3]}".strip() for row in rows if row.judgement == grade]
        more = f", and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        if names:
            said.append(f"B is {grade} in {', '.join(names[:NAMED_MAX])}{more}.")
    return said


def _charts(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    a, b = _seconds(first), _seconds(second)
    length = max(len(a), len(b))
    drawn = []
    for title, column, combine in CHARTS:
        lines = (Line("A", "A", "a", combine), Line("B", "B", "b", combine))
        table = [
            {
                "A": a[second].get(column) if second < len(a) else None,
                "B": b[second].get(column) if second < len(b) else None,
            }
            for second in range(length)
        ]
        if figure := chart(title, table, lines):
            drawn.append(f"<div>{figure}</div>")
    return drawn


def _seconds(report: Mapping[str, Any]) -> list[dict[str, float | None]]:
    series = (report.get("limits") or {}).get("series") or []
    timeline = report["timeline"]
    table = observed(series, timeline)
    for second, row in enumerate(table[: whole_seconds(report)]):
        sent = timeline[second] if second < len(timeline) else {}
        row.update({name: sent.get(name) for name in ("acknowledged", "latency_p99_ms")})
    return table
