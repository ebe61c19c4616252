"""PURE: report.html: one file that asks for nothing else, light and dark; the verdict is what is read first."""

import html
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from loadgen.outcome.account import ledger_rows
from loadgen.showing.headline import is_slow
from loadgen.showing.report import limit_sentences, notes, number
from loadgen.showing.timelines import timelines

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;--line:#d9dde3;--paper:#fff;--box:#f5f6f8;
--a:#0b62c4;--b:#c2410c;--good:#157f3b;--slow:#9a6700;--bad:#b91c1c;--f:#7c3aed;--g:#0e7490}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--dim:#a3adba;--line:#363e4a;--paper:#14181d;--box:#1d232a;
--a:#6cb0ff;--b:#ff9d5c;--good:#5fd38a;--slow:#e3b341;--bad:#ff8080;--f:#c4a7ff;--g:#5fd0e0}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1120px;margin:2rem auto;
padding:0 1.2rem}
h1{font-size:1.35rem;line-height:1.35;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2.6rem 0 .8rem}
h3{font-size:.95rem;margin:0 0 .3rem}
p{margin:.5rem 0}.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}
header.late{color:var(--slow)}
header{border-left:6px solid;padding:.1rem 0 .1rem 1rem}header>*{color:var(--ink)}header .dim{color:var(--dim)}
header b{display:inline-block;color:var(--paper);border-radius:4px;padding:0 .5rem;font-size:13px;letter-spacing:.03em}
.good b{background:var(--good)}.bad b{background:var(--bad)}
.note{background:var(--box);border-radius:6px;padding:.6rem .9rem;max-width:86ch}
pre{background:var(--box);border-radius:6px;padding:.6rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;
font:13px/1.5 ui-monospace,monospace}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:.6rem;margin:1.4rem 0}
dl div{background:var(--box);border-radius:6px;padding:.6rem .9rem;display:flex;flex-direction:column-reverse;
justify-content:flex-end}
dt{color:var(--dim);font-size:13px;line-height:1.35}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
.pair{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));gap:0 2.4rem;align-items:start}
.pair figure{margin:.4rem 0 1.2rem}.pair h2:first-child{margin-top:2.2rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td:last-child{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.end{text-align:right;white-space:nowrap}.words td:last-child{white-space:normal;overflow-wrap:anywhere}
td.in1{padding-left:1.8rem}td.in2{padding-left:3rem}tr.total td{font-weight:600;border-bottom-width:2px}
.narrow{font-size:13px}.narrow td{padding:.12rem .6rem}
summary{cursor:pointer;font-size:1.15rem;font-weight:700;margin:2.6rem 0 .8rem}details h2{display:none}
figure{margin:0}figure>svg{width:100%;height:auto;display:block}figcaption{display:flex;flex-wrap:wrap;gap:0 1.1rem;
font-size:13px;color:var(--dim)}figcaption b{font-weight:600;color:var(--ink);font-variant-numeric:tabular-nums}
figcaption svg{width:24px;height:8px}svg line{stroke:var(--line)}svg text{fill:var(--dim);font-size:12px}
svg line.mark{stroke:var(--dim);stroke-dasharray:3 3}
path{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
path.d{stroke:var(--good)}path.e{stroke:var(--bad);stroke-dasharray:2 4}
path.a{stroke:var(--a);stroke-dasharray:6 5}path.b{stroke:var(--b)}path.c{stroke:var(--a)}
path.dot{stroke-width:5;stroke-dasharray:none}
path.f{stroke:var(--f)}path.g{stroke:var(--g)}
@media(max-width:600px){body{margin:1rem auto;padding:0 .8rem}svg text{font-size:14px}
dl{grid-template-columns:repeat(2,1fr)}dd{font-size:1.1rem}}
@media print{body{max-width:none;margin:0}figure,dl div,tr{break-inside:avoid}}
"""
TILES = (
    ("acknowledged_events_per_s", "events/s accepted by the stream", "{:,.0f}"),
    ("processed_events_per_s", "events/s until all was in the tables", "{:,.0f}"),
    ("latency_p50_ms", "p50, from due to accepted", "{:,.1f} ms"),
    ("latency_p99_ms", "p99, from due to accepted", "{:,.1f} ms"),
    ("commit_latency_p50_ms", "p50, from due to committed", "{:,.0f} ms"),
    ("commit_latency_p99_ms", "p99, from due to committed", "{:,.0f} ms"),
    ("late_share", "of the events left late", "{:.1%}"),
    ("throttled_attempts", "throttled attempts", "{:,}"),
)
PLACES_MAX = 12
UNITS = {"_units_per_s": "units per s", "_s": "s", "_mb": "MB"}
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
        _pair(
            "",
            [
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
        _table(
            "Configuration", [(name, str(value)) for name, value in report["configuration"].items()], "words narrow"
        ),
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
    kind = "bad" if not report["passed"] else "late" if is_slow(report) else "good"
    return (
        f"<header class={kind}><h1>{html.escape(report['verdict'])}</h1>"
        f"<p class=dim>{html.escape(', '.join(part for part in (started, lasted) if part))}</p></header>"
        f"<pre>{html.escape(' '.join(report['command']))}</pre>"
    )


def _tiles(numbers: Mapping[str, float | None]) -> str:
    tiles = []
    for name, label, form in TILES:
        value = numbers.get(name)
        if value is not None:
            tiles.append(f"<div><dt>{html.escape(label)}</dt><dd>{form.format(value)}</dd></div>")
    return f"<dl>{''.join(tiles)}</dl>"


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
        rows.append(f"<tr{kind}><td{indent}>{html.escape(row.label)}<td>{row.amount:,}")
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
    return f"<h2>Thresholds</h2><table><tr><th>wanted<th>measured<th>{''.join(rows)}</table>"


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
