"""PURE: what was measured as report.json (docs/loadgen-report.md), and the sentences and lines that show it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadgen.outcome.account import UNREAD, counted, imbalances_of, percent, unverified, was_not_read, whose_rules
from loadgen.outcome.ledger import Expectations, Findings, Ledger, settle
from loadgen.outcome.metrics import Metrics
from loadgen.showing.headline import of_accepted_only, pace, processing
from loadgen.showing.thresholds import Checked
from loadgen.target.lateness import Circumstances, who
from loadgen.target.limits import ENDPOINT, LATE, LATE_MS
from loadgen.target.observation import CONSUMED, Observation, limits
from loadgen.target.observation import numbers as observed_numbers

SCHEMA = "loadgen-report/2"
FIELDS = {
    "schema", "verdict", "passed", "command", "started_at", "partial", "problem", "configuration", "ledger", "numbers",
    "thresholds", "unreadable", "errors", "failures", "events_per_shard", "timeline", "limits", "cost",
}  # fmt: skip
ADDED = {"limits", "cost"}  # not in every report of this schema
UNREADABLE_SHOWN = 5
AS_OFFERED = "the load was taken and processed as it was offered"  # a limit's sentence (loadgen/target/limits.py)
AS_BACKLOG = "the load was taken as it was offered, and processed when the mapping was enabled again"
LATE_FEW, LATE_MOST = 0.1, 0.5


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
    drained: int | None = None,
    checked: Sequence[Checked],
    unread: Unread,
    observed: Observation | None = None,
) -> dict[str, Any]:
    """The whole report as plain data. `drain_s`: from the last acknowledgement (of a backlog: from enabling the
    mapping) until everything was there; `drained`: distinct events that came in that time, None: not known.

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
        "limits": limits(
            observed,
            metrics,
            None if ledger.not_yet_found else drain_s,
            is_complete=problem is None and not ledger.not_yet_found and not ledger.lost and not metrics.failed,
        ),
        "cost": observed.cost.as_json() if observed.cost else None,
    }
    if configuration.get("profile") == "backlog":
        found["limits"]["reason"] = found["limits"]["reason"].replace(AS_OFFERED, AS_BACKLOG)
    return {**found, "verdict": verdict(found), "passed": not shortcomings(found)}


def numbers(
    metrics: Metrics,
    ledger: Ledger,
    drain_s: float,
    unread: Unread,
    drained: int | None = None,
    observed: Observation | None = None,
) -> dict[str, float | int | None]:
    """Every named number (docs/loadgen-report.md)."""
    return {
        **metrics.named(),
        **ledger_numbers(ledger, metrics, drain_s, drained),
        **observed_numbers(observed or Observation(), scheduled=metrics.late_after_us is not None),
        "lines_unreadable": unread.lines,
    }


def ledger_numbers(
    ledger: Ledger, metrics: Metrics, drain_s: float, drained: int | None
) -> dict[str, float | int | None]:
    """The ledger's part of the named numbers. `processed_events_per_s` counts until everything was found.

    Nothing drained when nothing was found, and it is not known when the tables were not waited for. When an event that
    was there before is processed again is not to be seen: with such events there is no such rate.
    """
    is_drained = not ledger.not_yet_found
    has_news = ledger.stored_before < ledger.stored + ledger.quarantined
    whole_s = max(metrics.schedule_s, metrics.latest_us / 1e6 + drain_s)
    processed = metrics.acknowledged - ledger.lost
    found: dict[str, float | int | None] = {
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
    return {**found, **dict.fromkeys(UNREAD)} if was_not_read(asdict(ledger)) else found


def known_numbers() -> list[str]:
    """Every name that a threshold may use."""
    return list(numbers(Metrics(0), settle(Expectations(()), Findings()), 0.0, Unread()))


def verdict(report: Mapping[str, Any]) -> str:
    """The first thing to read. Whatever makes the exit status another than 0 is in it, and how slow a slow load was."""
    said = " ".join(sentence for sentence in (processing(report), pace(report)) if sentence)
    return f"{said} {_account(report)}" if said and not shortcomings(report) else f"{_account(report)} {said}".rstrip()


def _account(report: Mapping[str, Any]) -> str:
    sent = report["ledger"]["sent"]
    wrong = shortcomings(report)
    if not wrong:
        known = report["ledger"]["stored_before"]
        before = f" ({known:,} of them were there before this load)" if known else ""
        every = f"every one of {counted(sent, 'event')} is accounted for, none was applied twice"
        if sent == 1:
            every = "the one event is accounted for, and was not applied twice"
        return f"The ledger balances: {every}{before}{unverified(report['ledger'])}."
    if report["ledger"]["balanced"] and not report["partial"]:
        return f"NOT passed, although the ledger balances for {counted(sent, 'event')}: {'; '.join(wrong)}."
    return f"NOT passed: {'; '.join(wrong)}."


def shortcomings(report: Mapping[str, Any]) -> list[str]:
    """All reasons why the load did not pass, as clauses; none: it passed."""
    ledger = report["ledger"]
    wrong = []
    if report["partial"]:
        is_interrupted = report["problem"] == "interrupted"
        wrong.append(
            "it was interrupted"
            if is_interrupted
            else f"it did not reach its end ({str(report['problem']).rstrip('.')})"
        )
    if ledger["not_yet_found"]:
        wrong.append(
            f"{ledger['not_yet_found']:,} of {counted(ledger['sent'], 'event')} were not yet found in the tables "
            f"when it ended{'' if report['partial'] else _never_processed(report['numbers'])}"
        )
    if imbalances := imbalances_of(ledger):
        wrong.append(f"the ledger does not balance for {counted(ledger['sent'], 'event')}: {', '.join(imbalances)}")
        wrong += whose_rules(ledger)
    if lines := report["numbers"]["lines_unreadable"]:
        first = report["unreadable"][0]
        wrong.append(
            f"{counted(lines, 'line')} of the file could not be read and {'was' if lines == 1 else 'were'} not sent "
            f"({'the first is ' if lines > 1 else ''}line {first['line']}: {first['why']})"
        )
    failed = [
        f"{threshold['expression']} (measured: {number(threshold['value'])}{_why_none(threshold)})"
        for threshold in report["thresholds"]
        if not threshold["passed"]
    ]
    if failed:
        wrong.append(f"{counted(len(failed), 'threshold')} failed: {', '.join(failed)}")
    return wrong


def _never_processed(numbers: Mapping[str, Any]) -> str:
    ran, refused = (number(numbers.get(name)) for name in ("invocations_observed", "lambda_throttles"))
    return f": they are still in the stream (the function ran {ran} times, Lambda refused it {refused} times)"


def _why_none(threshold: Mapping[str, Any]) -> str:
    if threshold["value"] is not None or not threshold["expression"].startswith(CONSUMED):
        return ""
    if "read" in threshold["expression"]:
        return ": DynamoDB's metrics have no such figure; the local stack publishes it only for a table with limits"
    return ": DynamoDB's metrics have no such figure, as when nothing was consumed"


def notes(report: Mapping[str, Any]) -> list[str]:
    """What explains the numbers, and what to do: sentences that change no verdict."""
    numbers, said = report["numbers"], []
    if late := numbers["events_late"]:
        limited_by = (report.get("limits") or {}).get("limited_by")
        whose = who(Circumstances.of(numbers, report["configuration"]), numbers["late_max_ms"])
        left = (
            f"{counted(late, 'event')} ({percent(numbers['late_share'])}) left late, at worst "
            f"{numbers['late_max_ms']:,.0f} ms after the schedule: {'the target' if limited_by == ENDPOINT else whose} "
            f"{_kept_up(numbers['late_share'], numbers['late_max_ms'])}. "
        )
        is_said = limited_by == LATE  # as what limited the load
        alone = (
            " To measure the target alone, use a lower --rate, or run loadgen on a machine that does nothing else."
            if limited_by != ENDPOINT
            else ""
        )
        said.append(
            f"{'' if is_said else left}Latencies include {'the wait of late events' if is_said else 'that wait'}; the "
            f"ledger is not touched by it.{alone}"
        )
    if numbers["events_late"] is None:
        said.append("With --speed max there is no schedule: latency and lateness mean nothing here.")
    if report["ledger"]["stored_before"]:
        said.append(
            "When an event that was there before is processed again cannot be seen in the tables; that it changes "
            "nothing was watched for until --settle was over."
        )
    said += _resharded(report)
    if of_accepted_only(numbers) and numbers["latency_p50_ms"] is not None:
        said.append(
            f"Latencies to the acceptance are of the acknowledged events only: {percent(numbers['failed_share'])} of "
            "the events were given up and have none."
        )
    if (failed := numbers["events_failed"]) and not report["partial"]:
        said.append(
            f"{counted(failed, 'event')} never reached the stream as far as is known; that fails a load unless a "
            "--threshold on events_failed or failed_share says how many may be given up."
        )
    return said


def _resharded(report: Mapping[str, Any]) -> list[str]:
    had = ((report.get("limits") or {}).get("capacity") or {}).get("shards")
    took = len(report["events_per_shard"].keys() - {"unknown"})
    if not had or took <= had:
        return []
    return [
        f"The stream was resharded during the load: {took:,} shards took events, and it ended with "
        f"{counted(had, 'open shard')}. Capacity and cost are those of its end."
    ]


def _kept_up(share: float, late_max_ms: float) -> str:
    """In words that fit how many events were late, and by how much."""
    if share > LATE_MOST:
        return "did not keep up with the schedule"
    return "fell behind for a moment" if share < LATE_FEW and late_max_ms < LATE_MS else "did not always keep up"


def limit_sentences(report: Mapping[str, Any]) -> list[str]:
    """What limited the load, and what else was seen of limits; none for a report without that."""
    limits = report.get("limits")
    if not limits or not report["numbers"]["events_offered"]:
        return []
    said = [f"Limited by {limits['reason']}." if limits["limited_by"] != "nothing" else f"Limits: {limits['reason']}."]
    said += [f"Also seen: {also['reason']}." for also in limits["also"] if also["limit"] != LATE]  # notes() says that
    return said + [f"Not observed: {missing.rstrip('.')}." for missing in limits["missing"]]


def number(value: float | None) -> str:
    """A number for people; None was not measured."""
    if value is None:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
