"""PURE: what was measured as report.json (schema `loadgen-report/2`, docs/loadgen-report.md), page and summary."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadgen.ledger import Expectations, Findings, Ledger, settle
from loadgen.metrics import Metrics
from loadgen.thresholds import Checked

SCHEMA = "loadgen-report/2"
FIELDS = {
    "schema", "verdict", "passed", "command", "started_at", "partial", "problem", "configuration", "ledger", "numbers",
    "thresholds", "unreadable", "errors", "failures", "events_per_shard", "timeline",
}  # fmt: skip
UNREADABLE_SHOWN = 5
CHART_WIDTH, CHART_HEIGHT = 720, 160

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#667;--line:#d6dae0;--paper:#fff;
--a:#0b62c4;--b:#c2410c;--good:#157f3b;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--dim:#9aa4b2;--line:#394150;--paper:#14181d;
--a:#6cb0ff;--b:#ff9d5c;
--good:#5fd38a;--bad:#ff7b7b}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--paper);max-width:780px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:2rem 0 .4rem}.dim{color:var(--dim)}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line)}
td:last-child,th:last-child{
text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad)}
code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
svg{width:100%;height:auto}text{fill:var(--dim);font-size:11px}
"""


@dataclass(slots=True)
class Unread:
    """What of a recording could not be sent: how many `lines`, the `first` of them with why, and `broken`: why the file
    could not be read to its end."""

    lines: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)
    broken: str | None = None

    def clear(self) -> None:
        self.lines, self.first, self.broken = 0, [], None

    def add(self, line: int, why: str) -> None:
        self.lines += 1
        if len(self.first) < UNREADABLE_SHOWN:
            self.first.append((line, why))


def document(
    *,
    command: Sequence[str],
    started_at: str,
    problem: str | None,
    configuration: Mapping[str, Any],
    metrics: Metrics,
    ledger: Ledger,
    drain_s: float,
    checked: Sequence[Checked],
    unread: Unread,
) -> dict[str, Any]:
    """The whole report as plain data. `drain_s`: from the last acknowledgement until everything was found.

    `problem`: why the run did not reach its end, or what it left could not be read (it is `partial`); else None.
    """
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": "",
        "passed": False,
        "command": list(command),
        "started_at": started_at,
        "partial": problem is not None,
        "problem": problem,
        "configuration": dict(configuration),
        "ledger": {**asdict(ledger), "balanced": ledger.balanced},
        "numbers": numbers(metrics, ledger, drain_s, unread),
        "thresholds": [
            {"expression": str(check.threshold), "value": check.value, "passed": check.passed} for check in checked
        ],
        "unreadable": [{"line": line, "why": why} for line, why in unread.first],
        "errors": dict(metrics.errors),
        "failures": dict(metrics.failures),
        "events_per_shard": dict(sorted(metrics.shards.items())),
        "timeline": metrics.timeline(),
    }
    return {**found, "verdict": verdict(found), "passed": not shortcomings(found)}


def numbers(metrics: Metrics, ledger: Ledger, drain_s: float, unread: Unread) -> dict[str, float | int | None]:
    """Every named number (docs/loadgen-report.md)."""
    return {**metrics.named(), **ledger_numbers(ledger, metrics, drain_s), "lines_unreadable": unread.lines}


def ledger_numbers(ledger: Ledger, metrics: Metrics, drain_s: float) -> dict[str, float | int | None]:
    """The ledger's part of the named numbers. `processed_events_per_s` counts until everything was found.

    When an event that was there before is processed again is not to be seen: with such events there is no such rate.
    """
    nothing_new = ledger.stored_before and ledger.stored_before == ledger.stored + ledger.quarantined
    whole_s = metrics.latest_us / 1e6 + drain_s
    processed = metrics.acknowledged - ledger.lost - ledger.not_yet_found
    return {
        "sent": ledger.sent,
        "stored": ledger.stored,
        "stored_before": ledger.stored_before,
        "quarantined": ledger.quarantined,
        "expired": ledger.expired,
        "lost": ledger.lost,
        "not_yet_found": ledger.not_yet_found,
        "duplicates_applied": ledger.duplicates_applied,
        "drain_s": None if nothing_new else round(drain_s, 3),
        "processed_events_per_s": processed / whole_s if whole_s and not ledger.stored_before else None,
    }


def known_numbers() -> list[str]:
    """Every name that a threshold may use."""
    return list(numbers(Metrics(0), settle(Expectations(()), Findings()), 0.0, Unread()))


def verdict(report: Mapping[str, Any]) -> str:
    """The first thing to read. Whatever makes the exit status another than 0 is in it."""
    sent = report["ledger"]["sent"]
    wrong = shortcomings(report)
    if not wrong:
        known = report["ledger"]["stored_before"]
        before = f" ({known:,} of them were there before this load)" if known else ""
        every = f"every one of {counted(sent, 'event')} is accounted for, none was applied twice"
        return f"The ledger balances: {every}{before}."
    if report["ledger"]["balanced"] and not report["partial"]:
        return f"NOT passed, although the ledger balances for {counted(sent, 'event')}: {'; '.join(wrong)}."
    return f"NOT passed: {'; '.join(wrong)}."


def shortcomings(report: Mapping[str, Any]) -> list[str]:
    """All reasons why the load did not pass, as clauses; none: it passed."""
    ledger = report["ledger"]
    wrong = []
    if report["partial"]:
        wrong.append(f"it did not reach its end ({report['problem']})")
    if ledger["not_yet_found"]:
        wrong.append(
            f"{ledger['not_yet_found']:,} of {counted(ledger['sent'], 'event')} were not yet found in the tables "
            "and not waited for"
        )
    if imbalances := _imbalances(ledger):
        wrong.append(f"the ledger does not balance for {counted(ledger['sent'], 'event')}: {', '.join(imbalances)}")
    if lines := report["numbers"]["lines_unreadable"]:
        first = report["unreadable"][0]
        wrong.append(
            f"{counted(lines, 'line')} of the file could not be read and {'was' if lines == 1 else 'were'} not sent "
            f"({'the first is ' if lines > 1 else ''}line {first['line']}: {first['why']})"
        )
    failed = [
        f"{threshold['expression']} (measured: {number(threshold['value'])})"
        for threshold in report["thresholds"]
        if not threshold["passed"]
    ]
    if failed:
        wrong.append(f"{counted(len(failed), 'threshold')} failed: {', '.join(failed)}")
    return wrong


def notes(report: Mapping[str, Any]) -> list[str]:
    """What explains the numbers, and what to do: sentences that change no verdict."""
    numbers, said = report["numbers"], []
    if late := numbers["events_late"]:
        said.append(
            f"{counted(late, 'event')} ({100 * numbers['late_share']:.1f} %) left late, at worst "
            f"{numbers['late_max_ms']:,.0f} ms after the schedule: this machine or the target did not keep up for a "
            "moment. Latencies include that wait; the ledger is not touched by it. To measure the target alone, use "
            "a lower --rate, or run loadgen on a machine that does nothing else."
        )
    if report["ledger"]["stored_before"]:
        said.append(
            "When an event that was there before is processed again cannot be seen in the tables; that it changes "
            "nothing was watched for until --settle was over."
        )
    if failed := numbers["events_failed"]:
        said.append(
            f"{counted(failed, 'event')} never reached the stream as far as is known; that fails a load only with "
            "--threshold 'events_failed==0'."
        )
    return said


def _imbalances(ledger: Mapping[str, Any]) -> list[str]:
    found = (
        (ledger["lost"], "lost"),
        (ledger["duplicates_applied"], "applied again"),
        (ledger["foreign"], "come into the same windows and not sent by this load"),
        (sum(ledger["misfiled"].values()), "in quarantine for another reason than expected"),
        (sum(ledger["refused"].values()), "well-formed but in quarantine"),
    )
    named = [f"{count:,} {what}" for count, what in found if count]
    if ledger["sums_different"]:
        named.append(f"wrong sums in {counted(ledger['sums_different'], 'window')}")
    return named


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def ledger_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The ledger as lines of an account."""
    ledger, partial = report["ledger"], report["partial"]
    total = ledger["stored"] + ledger["quarantined"] + ledger["expired"]
    known = [
        ("    already there before this load", f"{ledger['stored_before']:,}"),
        ("    applied by this load", f"{ledger['stored'] - ledger['stored_before']:,}"),
    ]
    rows = [
        ("sent (distinct events acknowledged by the stream)", f"{ledger['sent']:,}"),
        ("  stored in the results table", f"{ledger['stored']:,}"),
        *(known if ledger["stored_before"] else []),
        ("  in quarantine, with the expected reason", f"{ledger['quarantined']:,}"),
        ("  expired to the on-failure destination", f"{ledger['expired']:,}"),
        ("stored + quarantined + expired", f"{total:,}"),
        ("not yet found, not waited for", f"{ledger['not_yet_found']:,}")
        if partial
        else ("lost", f"{ledger['lost']:,}"),
        ("deliberate duplicates sent on top", f"{ledger['copies']:,}"),
        ("duplicates applied", f"{ledger['duplicates_applied']:,}"),
        (f"windows with different sums (of {ledger['windows']:,})", f"{ledger['sums_different']:,}"),
    ]
    if ledger["foreign"]:
        rows.append(("come into the same windows, not sent by this load", f"{ledger['foreign']:,}"))
    if ledger["foreign_before"]:
        rows.append(("in the same windows before, not sent by this load", f"{ledger['foreign_before']:,}"))
    if ledger["sums_not_checked"]:
        rows.append(("windows whose sums could not be compared", f"{ledger['sums_not_checked']:,}"))
    if ledger["unknown"]:
        rows.append(("answers lost: in the stream or not", f"{ledger['unknown']:,}"))
        rows.append(("  of those found stored", f"{ledger['unknown_stored']:,}"))
    return rows


def number_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The measured numbers by their documented names."""
    return [(name, number(value)) for name, value in report["numbers"].items()]


def number(value: float | None) -> str:
    """A number for people; None was not measured."""
    if value is None:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def page(report: Mapping[str, Any]) -> str:
    """report.html: one file, no external requests, light and dark."""
    escape = html.escape
    good = "good" if report["passed"] else "bad"
    thresholds = [
        (threshold["expression"], f"{number(threshold['value'])} {'passed' if threshold['passed'] else 'FAILED'}")
        for threshold in report["thresholds"]
    ]
    configuration = [(name, str(value)) for name, value in report["configuration"].items()]
    timeline = report["timeline"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>loadgen report</title><style>{STYLE}</style>",
        f"<h1 class={good}>{escape(report['verdict'])}</h1><p class=dim>{escape(report['started_at'])}</p>",
        *(f"<p>{escape(note)}</p>" for note in notes(report)),
        f"<p><code>{escape(' '.join(report['command']))}</code></p>",
        _table("Ledger", ledger_rows(report)),
        _table("Thresholds", thresholds),
        _chart("Events per second", timeline, ("offered", "acknowledged")),
        _chart(
            "Latency from the scheduled time to the acknowledgement, ms", timeline, ("latency_p50_ms", "latency_p99_ms")
        ),
        _table("Numbers", number_rows(report)),
        _table("In quarantine, by reason", [(k, f"{v:,}") for k, v in report["ledger"]["found_reasons"].items()]),
        _table(
            "Lines of the file that could not be read (the first ones)",
            [(line["why"], f"line {line['line']:,}") for line in report["unreadable"]],
        ),
        _table("Errors of single attempts", [(k, f"{v:,}") for k, v in report["errors"].items()]),
        _table("Events given up, by reason", [(k, f"{v:,}") for k, v in report["failures"].items()]),
        _table("Events per shard", [(k, f"{v:,}") for k, v in report["events_per_shard"].items()]),
        _table("Configuration", configuration),
    ]
    return "\n".join(part for part in parts if part)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(value)}" for name, value in rows)
    return f"<h2>{html.escape(title)}</h2><table>{cells}</table>"


def _chart(title: str, timeline: Sequence[Mapping[str, Any]], names: tuple[str, str]) -> str:
    """Two lines over the seconds of the run, as inline SVG. A second without a value breaks the line."""
    highest = max((row[name] or 0 for row in timeline for name in names), default=0)
    if len(timeline) < 2 or not highest:
        return ""
    width, height = CHART_WIDTH, CHART_HEIGHT
    lines = []
    for name, colour in zip(names, ("--a", "--b"), strict=True):
        points, drawing = [], False
        for number, row in enumerate(timeline):
            if row[name] is None:
                drawing = False
                continue
            x, y = number * width / (len(timeline) - 1), height - row[name] * (height - 20) / highest
            points.append(f"{'L' if drawing else 'M'}{x:.1f} {y:.1f}")
            drawing = True
        lines.append(f"<path d='{' '.join(points)}' fill=none stroke='var({colour})' stroke-width=2 />")
    legend = " and ".join(
        f"<span style='color:var({colour})'>{name.replace('_', ' ')}</span>"
        for name, colour in zip(names, ("--a", "--b"), strict=True)
    )
    return (
        f"<h2>{html.escape(title)}</h2><svg viewBox='0 0 {width} {height + 16}' role=img>"
        f"<line x1=0 y1={height} x2={width} y2={height} stroke='var(--line)' />{''.join(lines)}"
        f"<text x=0 y=12>{highest:,.0f}</text><text x=0 y={height + 14}>0 s</text>"
        f"<text x={width} y={height + 14} text-anchor=end>{len(timeline) - 1} s</text></svg><p class=dim>{legend}</p>"
    )
