"""PURE: what was measured as report.json (docs/loadgen-report.md), and the sentences and lines that show it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from loadgen.ledger import Expectations, Findings, Ledger, settle
from loadgen.metrics import Metrics
from loadgen.observation import Observation, limits
from loadgen.observation import numbers as observed_numbers
from loadgen.thresholds import Checked

SCHEMA = "loadgen-report/2"
FIELDS = {
    "schema", "verdict", "passed", "command", "started_at", "partial", "problem", "configuration", "ledger", "numbers",
    "thresholds", "unreadable", "errors", "failures", "events_per_shard", "timeline", "limits",
}  # fmt: skip
ADDED = {"limits"}  # not in every report of this schema
UNREADABLE_SHOWN = 5


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
    drained: int = 0,
    checked: Sequence[Checked],
    unread: Unread,
    observed: Observation | None = None,
) -> dict[str, Any]:
    """The whole report as plain data. `drain_s`: from the last acknowledgement (of a backlog: from enabling the
    mapping) until everything was found; `drained`: distinct events found in that time.

    `problem`: why the run did not reach its end, or what it left could not be read (it is `partial`); else None.
    """
    observed = observed or Observation()
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
        "numbers": numbers(metrics, ledger, drain_s, unread, drained, observed),
        "thresholds": [
            {"expression": str(check.threshold), "value": check.value, "passed": check.passed} for check in checked
        ],
        "unreadable": [{"line": line, "why": why} for line, why in unread.first],
        "errors": dict(metrics.errors),
        "failures": dict(metrics.failures),
        "events_per_shard": dict(sorted(metrics.shards.items())),
        "timeline": metrics.timeline(),
        "limits": limits(observed, metrics, None if ledger.not_yet_found else drain_s),
    }
    return {**found, "verdict": verdict(found), "passed": not shortcomings(found)}


def numbers(
    metrics: Metrics,
    ledger: Ledger,
    drain_s: float,
    unread: Unread,
    drained: int = 0,
    observed: Observation | None = None,
) -> dict[str, float | int | None]:
    """Every named number (docs/loadgen-report.md)."""
    return {
        **metrics.named(),
        **ledger_numbers(ledger, metrics, drain_s, drained),
        **observed_numbers(observed or Observation(), scheduled=metrics.late_after_us is not None),
        "lines_unreadable": unread.lines,
    }


def ledger_numbers(ledger: Ledger, metrics: Metrics, drain_s: float, drained: int) -> dict[str, float | int | None]:
    """The ledger's part of the named numbers. `processed_events_per_s` counts until everything was found.

    Neither is known when the tables were not waited for. When an event that was there before is processed again is not
    to be seen: with such events there is no such rate.
    """
    is_drained = not ledger.not_yet_found
    has_news = not ledger.stored_before or ledger.stored_before < ledger.stored + ledger.quarantined
    whole_s = metrics.latest_us / 1e6 + drain_s
    processed = metrics.acknowledged - ledger.lost
    return {
        "sent": ledger.sent,
        "stored": ledger.stored,
        "stored_before": ledger.stored_before,
        "quarantined": ledger.quarantined,
        "expired": ledger.expired,
        "lost": ledger.lost,
        "not_yet_found": ledger.not_yet_found,
        "duplicates_applied": ledger.duplicates_applied,
        "drain_s": round(drain_s, 3) if is_drained and has_news else None,
        "drained_events": drained if is_drained and has_news else None,
        "drain_events_per_s": drained / drain_s if drained and drain_s and is_drained and has_news else None,
        "processed_events_per_s": processed / whole_s if whole_s and is_drained and not ledger.stored_before else None,
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
        is_interrupted = report["problem"] == "interrupted"
        wrong.append("it was interrupted" if is_interrupted else f"it did not reach its end ({report['problem']})")
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
            f"{counted(late, 'event')} ({numbers['late_share']:.1%}) left late, at worst "
            f"{numbers['late_max_ms']:,.0f} ms after the schedule: this machine or the target did not keep up for a "
            "moment. Latencies include that wait; the ledger is not touched by it. To measure the target alone, use "
            "a lower --rate, or run loadgen on a machine that does nothing else."
        )
    if numbers["events_late"] is None:
        said.append("With --speed max there is no schedule: latency and lateness mean nothing here.")
    if report["ledger"]["stored_before"]:
        said.append(
            "When an event that was there before is processed again cannot be seen in the tables; that it changes "
            "nothing was watched for until --settle was over."
        )
    if (failed := numbers["events_failed"]) and not report["partial"]:
        said.append(
            f"{counted(failed, 'event')} never reached the stream as far as is known; that fails a load only with "
            "--threshold 'events_failed==0'."
        )
    return said


def limit_sentences(report: Mapping[str, Any]) -> list[str]:
    """What limited the load, and what else was seen of limits; none for a report without that."""
    limits = report.get("limits")
    if not limits or not report["numbers"]["events_offered"]:
        return []
    said = [f"Limited by {limits['reason']}." if limits["limited_by"] != "nothing" else f"Limits: {limits['reason']}."]
    said += [f"Also seen: {also['reason']}." for also in limits["also"]]
    return said + [f"Not observed: {missing}." for missing in limits["missing"]]


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


class Row(NamedTuple):
    """A line of the account. `depth`: a part of the line above it. `wrong`: it keeps the ledger from balancing."""

    label: str
    amount: int
    depth: int = 0
    wrong: bool = False
    total: bool = False


def ledger_rows(report: Mapping[str, Any]) -> list[Row]:
    """The ledger as lines of an account; what is 0 and always should be is left out when it explains nothing."""
    ledger = report["ledger"]
    before, misfiled, refused = ledger["stored_before"], ledger["misfiled"].values(), ledger["refused"].values()
    waited = [Row("lost", ledger["lost"], wrong=ledger["lost"] > 0)]
    unwaited = [Row("not yet found, not waited for", ledger["not_yet_found"])]
    return [
        Row("sent (distinct events acknowledged by the stream)", ledger["sent"], total=True),
        Row("stored in the results table", ledger["stored"], 1),
        *_if(before, Row("already there before this load", before, 2)),
        *_if(before, Row("applied by this load", ledger["stored"] - before, 2)),
        Row("in quarantine", ledger["quarantined"], 1),
        *_if(sum(misfiled), Row("for another reason than expected", sum(misfiled), 2, wrong=True)),
        *_if(sum(refused), Row("well-formed, refused by the rules", sum(refused), 2, wrong=True)),
        Row("expired to the on-failure destination", ledger["expired"], 1),
        *(unwaited if ledger["not_yet_found"] else waited),
        Row("deliberate duplicates sent on top", ledger["copies"]),
        Row("duplicates applied", ledger["duplicates_applied"], wrong=ledger["duplicates_applied"] > 0),
        Row(
            f"windows with different sums (of {ledger['windows']:,})",
            ledger["sums_different"],
            wrong=ledger["sums_different"] > 0,
        ),
        *_if(
            ledger["foreign"], Row("come into the same windows, not sent by this load", ledger["foreign"], wrong=True)
        ),
        *_if(
            ledger["foreign_before"],
            Row("in the same windows before, not sent by this load", ledger["foreign_before"]),
        ),
        *_if(ledger["sums_not_checked"], Row("windows whose sums could not be compared", ledger["sums_not_checked"])),
        *_if(ledger["unknown"], Row("answers lost: in the stream or not", ledger["unknown"])),
        *_if(ledger["unknown"], Row("of those found stored", ledger["unknown_stored"], 1)),
    ]


def _if(shown: int, row: Row) -> list[Row]:
    return [row] if shown else []


def number(value: float | None) -> str:
    """A number for people; None was not measured."""
    if value is None:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
