"""PURE: report.html: one file that asks for nothing else, light and dark; the verdict is what is read first."""

import html
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from loadgen.outcome.account import ledger_rows
from loadgen.showing.headline import is_behind, is_slow, of_accepted_only
from loadgen.showing.report import limit_sentences, notes, number
from loadgen.showing.style import STYLE
from loadgen.showing.timelines import timelines
from loadgen.target.series import SENDER

SHARE, SHARE_MIN = "{:.1%}", 0.0005
TILES = (
    ("acknowledged_events_per_s", "events/s accepted by the stream", "{:,.0f}"),
    ("processed_events_per_s", "events/s until all was in the tables", "{:,.0f}"),
    ("latency_p50_ms", "p50, from due to accepted", "{:,.1f} ms"),
    ("latency_p99_ms", "p99, from due to accepted", "{:,.1f} ms"),
    ("commit_latency_p50_ms", "p50, from due to committed", "{:,.0f} ms"),
    ("commit_latency_p99_ms", "p99, from due to committed", "{:,.0f} ms"),
    ("late_share", "of the events left late", SHARE),
    ("throttled_attempts", "puts of Kinesis records throttled", "{:,}"),
)
THROTTLES = (
    ("throttled_attempts", "Kinesis: puts of records"),
    ("read_throttles", "Kinesis: GetRecords calls"),
    ("lambda_throttles", "Lambda: invocations"),
    ("table_throttles", "DynamoDB: accesses to the tables"),
)
PLACES_MAX = 12
UNITS = {"_units_per_s": "units per s", "_s": "s", "_mb": "MB"}
UNSEEN = (
    "Of the target nothing was observed: what was processed when, concurrency, ages, and throttles beyond those of the "
    "puts are not known."
)
TITLES = {True: "Passed", False: "NOT passed"}


def page(report: Mapping[str, Any]) -> str:
    """The whole page. Everything from the report is escaped."""
    charts = timelines(report)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{TITLES[report['passed']]}: loadgen report</title><style>{STYLE}</style>",
        _head(report),
        _limits(report),
        *(f"<p class=note>{html.escape(note)}</p>" for note in notes(report)),
        _tiles(report["numbers"]),
        _thresholds(report["thresholds"]),
        _pair("", [_ledger(report), _capacity(report)]),
        _pair("Second by second", charts),
        f"<p class=note>{UNSEEN}</p>" if _is_unseen(report) else "",
        _pair(
            "",
            [
                _throttles(report["numbers"]),
                _counts("Events per shard", report["events_per_shard"]),
                _counts("Failed attempts to put a Kinesis record, by error", report["errors"]),
                _counts("Events given up, by reason", report["failures"]),
                _counts("In quarantine, by reason", report["ledger"]["found_reasons"]),
            ],
        ),
        _table(
            "Lines of the file that could not be read (the first ones)",
            [(line["why"], f"line {line['line']:,}") for line in report["unreadable"]],
        ),
        _cost(report.get("cost")),
        _table("Configuration", settings(report["configuration"]), "words narrow"),
        "<details><summary>All numbers, by the names that --threshold takes</summary>",
        _table("All numbers", [(name, number(value)) for name, value in report["numbers"].items()], "narrow"),
        "</details>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _head(report: Mapping[str, Any]) -> str:
    started = report["started_at"]
    if started:
        started = f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M:%S} UTC"
    lasted = f"{report['numbers']['elapsed_s']:,.1f} s of load"
    is_limited = (report.get("limits") or {}).get("limited_by", "nothing") != "nothing"
    kind = "bad" if not report["passed"] else "late" if is_slow(report) or is_behind(report) or is_limited else "good"
    return (
        f"<header class={kind}><h1>{html.escape(report['verdict'])}</h1>"
        f"<p class=dim>{html.escape(', '.join(part for part in (started, lasted) if part))}</p></header>"
        f"<pre>{words(report['command'])}</pre>"
    )


def words(command: Sequence[str]) -> str:
    """A command line (its words are quoted for a shell), broken between its words where there is room for it."""
    return " ".join(f"<span>{html.escape(word)}</span>" for word in command)


def _tiles(numbers: Mapping[str, float | None]) -> str:
    tiles = []
    for name, label, form in TILES:
        if name.startswith("latency_") and of_accepted_only(numbers):
            label += " (acknowledged events only)"
        value = numbers.get(name)
        if value is not None:
            tiles.append(f"<div><dt>{html.escape(label)}</dt><dd>{_tile(value, form)}</dd></div>")
    return f"<dl>{''.join(tiles)}</dl>"


def _tile(value: float, form: str) -> str:
    """Few are not none: a share that would read as 0.0 % is said to be below the smallest one."""
    return "&lt;0.1%" if form == SHARE and 0 < value < SHARE_MIN else form.format(value)


def _pair(title: str, parts: Sequence[str]) -> str:
    """Beside each other where there is room."""
    found = [f"<div>{part}</div>" for part in parts if part]
    heading = f"<h2>{html.escape(title)}</h2>" if title else ""
    return f"{heading}<div class=pair>{''.join(found)}</div>" if found else ""


def _ledger(report: Mapping[str, Any]) -> str:
    rows = []
    for row in ledger_rows(report):
        kind = " class=bad" if row.wrong else " class=total" if row.total else ""
        indent = f" class=in{row.depth}" if row.depth else ""
        rows.append(f"<tr{kind}><td{indent}>{html.escape(row.label)}<td>{row.shown}")
    return f"<h2>Ledger, in events</h2><table>{''.join(rows)}</table>"


def _limits(report: Mapping[str, Any]) -> str:
    said = limit_sentences(report)
    sentences = "".join(f"<p class=note>{html.escape(sentence)}</p>" for sentence in said)
    return f"<h2>What limited it</h2>{sentences}" if said else ""


def _capacity(report: Mapping[str, Any]) -> str:
    if not limit_sentences(report):
        return ""
    known = [(name, value) for name, value in report["limits"]["capacity"].items() if value is not None]
    rows = [(_worded(name), f"{value:,}" if isinstance(value, int) else str(value)) for name, value in known]
    return _table("What the stack was allowed", rows)


def _worded(name: str) -> str:
    """A name of ours in words, its unit behind a comma."""
    words, unit = next(
        ((name.removesuffix(end), f", {unit}") for end, unit in UNITS.items() if name.endswith(end)), (name, "")
    )
    return words.replace("_", " ") + unit


def _thresholds(thresholds: Sequence[Mapping[str, Any]]) -> str:
    if not thresholds:
        return ""
    rows = [
        f"<tr><td>{html.escape(threshold['expression'])}<td>{number(threshold['value'])}"
        f"<td class={'good' if threshold['passed'] else 'bad'}>{'passed' if threshold['passed'] else 'FAILED'}"
        for threshold in thresholds
    ]
    return f"<h2>Thresholds</h2><table><tr><th>wanted<th>measured<th class=end>result{''.join(rows)}</table>"


def _cost(cost: Mapping[str, Any] | None) -> str:
    if not cost:
        return ""
    rows = [
        f"<tr><td>{html.escape(part['part'])}<br><span class=dim>{html.escape(part['rests_on'])}</span>"
        f"<td class=end>{_amount(part['amount'])} {html.escape(part['unit'])}<td>{_dollars(part['usd'])}"
        for part in cost["parts"]
    ]
    each = cost["usd_per_million_events"]
    said = "" if each is None else f", {_dollars(each)} per million events"
    return (
        f"<h2>Cost on AWS: {_dollars(cost['usd'])}{said}</h2><table class=narrow>{''.join(rows)}</table><p class='dim'>"
        f"List prices of {html.escape(cost['prices_of'])} in {html.escape(cost['region'])}, without free tier. "
        f"Not in it: {html.escape('; '.join(cost['left_out']))}.</p>"
    )


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.{_places(value, 3)}f}"


def _dollars(value: float) -> str:
    return f"${value:,.{2 if value >= 1 or value <= 0 else _places(value, 2)}f}"


def _places(value: float, digits: int) -> int:
    """Behind the point, so that so many digits say something: no exponents for people."""
    return min(PLACES_MAX, max(0, digits - 1 - math.floor(math.log10(abs(value) or 1.0))))


def settings(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values for people; what is not set is none."""
    return [(name, "none" if value is None else str(value)) for name, value in values.items()]


def _is_unseen(report: Mapping[str, Any]) -> bool:
    """Nothing came from the target's own sources, and nothing says why."""
    limits = report.get("limits") or {}
    return not limits.get("missing") and all(one["source"] == SENDER for one in limits.get("series") or ())


def _throttles(numbers: Mapping[str, float | None]) -> str:
    """All four, also when there were none: that is worth as much. What was not observed is no zero."""
    rows = [(label, numbers.get(name)) for name, label in THROTTLES]
    return _table(
        "Throttled, by source",
        [(label, "not known" if value is None else f"{value:,.10g}") for label, value in rows],
        "narrow",
    )


def _counts(title: str, counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return _table(
        title, [(name, f"{count:,} ({count / total:.1%})") for name, count in counts.items() if count], "narrow"
    )


def _table(title: str, rows: Sequence[tuple[str, str]], kind: str = "") -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(value)}" for name, value in rows)
    style = f" class='{kind}'" if kind else ""
    return f"<h2>{html.escape(title)}</h2><table{style}>{cells}</table>"
