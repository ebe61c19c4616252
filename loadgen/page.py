"""PURE: report.html: one file that asks for nothing else, light and dark; the verdict is what is read first."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from loadgen.account import ledger_rows
from loadgen.chart import Line, chart, mean
from loadgen.observed_charts import observed_charts
from loadgen.report import limit_sentences, notes, number

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;--line:#d9dde3;--paper:#fff;--box:#f5f6f8;
--a:#0b62c4;--b:#c2410c;--good:#157f3b;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--dim:#a3adba;--line:#363e4a;--paper:#14181d;--box:#1d232a;
--a:#6cb0ff;--b:#ff9d5c;--good:#5fd38a;--bad:#ff8080}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:820px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.3rem;line-height:1.35;margin:0 0 .6rem}h2{font-size:1.05rem;margin:2.2rem 0 .5rem}
p{margin:.5rem 0}.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}
header{border-left:6px solid;padding:.1rem 0 .1rem 1rem}header>*{color:var(--ink)}header .dim{color:var(--dim)}
.note{background:var(--box);border-radius:6px;padding:.6rem .9rem}
pre{background:var(--box);border-radius:6px;padding:.6rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;
font:13px/1.5 ui-monospace,monospace}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:.6rem;margin:1.4rem 0}
dl div{background:var(--box);border-radius:6px;padding:.6rem .9rem;display:flex;flex-direction:column-reverse;
justify-content:flex-end}
dt{color:var(--dim);font-size:13px;line-height:1.35}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line)}
td:last-child{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.words td:last-child{white-space:normal;overflow-wrap:anywhere}
td.in1{padding-left:1.8rem}td.in2{padding-left:3rem}tr.total td{font-weight:600;border-bottom-width:2px}
.narrow{font-size:13px}.narrow td{padding:.12rem .6rem}
figure{margin:0}figure>svg{width:100%;height:auto;display:block}figcaption{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem}
figcaption svg{width:24px;height:8px}svg line{stroke:var(--line)}svg text{fill:var(--dim);font-size:12px}
path{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
path.d{stroke:var(--good)}path.e{stroke:var(--bad);stroke-dasharray:2 4}
path.a{stroke:var(--a);stroke-dasharray:6 5}path.b{stroke:var(--b)}path.c{stroke:var(--a)}
"""
TILES = (
    ("acknowledged_events_per_s", "events/s acknowledged by the stream", "{:,.0f}"),
    ("processed_events_per_s", "events/s until all was in the tables", "{:,.0f}"),
    ("latency_p50_ms", "latency p50, due to acknowledged", "{:,.1f} ms"),
    ("latency_p99_ms", "latency p99, due to acknowledged", "{:,.1f} ms"),
    ("late_share", "of the events left late", "{:.1%}"),
    ("commit_latency_p50_ms", "latency p50, due to committed", "{:,.0f} ms"),
    ("commit_latency_p99_ms", "latency p99, due to committed", "{:,.0f} ms"),
    ("throttled_attempts", "throttled attempts", "{:,}"),
)
RATES = (Line("offered", "offered", "a", mean), Line("acknowledged", "acknowledged", "b", mean))
LATENCIES = (Line("latency_p50_ms", "p50", "c", mean), Line("latency_p99_ms", "p99", "b", max))


def page(report: Mapping[str, Any]) -> str:
    """The whole page. Everything from the report is escaped."""
    timeline = report["timeline"]
    whole_seconds = timeline[: int(report["numbers"]["elapsed_s"])]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{'Passed' if report['passed'] else 'NOT passed'}: loadgen report</title><style>{STYLE}</style>",
        _head(report),
        *(f"<p class=note>{html.escape(note)}</p>" for note in notes(report)),
        _tiles(report["numbers"]),
        _ledger(report),
        _thresholds(report["thresholds"]),
        _limits(report),
        chart("Events per second (without the last second if it is incomplete)", whole_seconds, RATES),
        chart("Latency by second of acknowledgement, ms", timeline, LATENCIES),
        *observed_charts(report),
        _counts("In quarantine, by reason", report["ledger"]["found_reasons"]),
        _table(
            "Lines of the file that could not be read (the first ones)",
            [(line["why"], f"line {line['line']:,}") for line in report["unreadable"]],
        ),
        _counts("Failed attempts to put a Kinesis record, by error", report["errors"]),
        _counts("Events given up, by reason", report["failures"]),
        _counts("Events per shard", report["events_per_shard"]),
        _table(
            "All numbers, by the names that --threshold takes",
            [(name, number(value)) for name, value in report["numbers"].items()],
            "narrow",
        ),
        _table("Configuration", [(name, str(value)) for name, value in report["configuration"].items()], "words"),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _head(report: Mapping[str, Any]) -> str:
    started = report["started_at"]
    if started:
        started = f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M:%S} UTC"
    lasted = f"{report['numbers']['elapsed_s']:,.1f} s of load"
    return (
        f"<header class={'good' if report['passed'] else 'bad'}><h1>{html.escape(report['verdict'])}</h1>"
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


def _ledger(report: Mapping[str, Any]) -> str:
    rows = []
    for row in ledger_rows(report):
        kind = " class=bad" if row.wrong else " class=total" if row.total else ""
        indent = f" class=in{row.depth}" if row.depth else ""
        rows.append(f"<tr{kind}><td{indent}>{html.escape(row.label)}<td>{row.amount:,}")
    return f"<h2>Ledger, in events</h2><table>{''.join(rows)}</table>"


def _limits(report: Mapping[str, Any]) -> str:
    said = limit_sentences(report)
    if not said:
        return ""
    known = [(name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in _capacity(report)]
    sentences = "".join(f"<p class=note>{html.escape(sentence)}</p>" for sentence in said)
    return f"<h2>What limited it</h2>{sentences}" + _table("What the stack was allowed", known, "narrow")


def _capacity(report: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in report["limits"]["capacity"].items() if value is not None]


def _thresholds(thresholds: Sequence[Mapping[str, Any]]) -> str:
    if not thresholds:
        return ""
    rows = [
        f"<tr><td>{html.escape(threshold['expression'])}<td>{number(threshold['value'])}"
        f"<td class={'good' if threshold['passed'] else 'bad'}>{'passed' if threshold['passed'] else 'FAILED'}"
        for threshold in thresholds
    ]
    return f"<h2>Thresholds</h2><table><tr><th>wanted<th>measured<th>{''.join(rows)}</table>"


def _counts(title: str, counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return _table(
        title, [(name, f"{count:,} ({count / total:.1%})") for name, count in counts.items() if count], "narrow"
    )


def _table(title: str, rows: Sequence[tuple[str, str]], kind: str = "") -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(value)}" for name, value in rows)
    return f"<h2>{html.escape(title)}</h2><table{kind and f' class={kind}'}>{cells}</table>"
