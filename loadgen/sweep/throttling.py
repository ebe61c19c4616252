"""PURE: the four limits that a load can be driven into on purpose, and whether its report shows the right one.

Each case says how the stack is set, what is offered, which limit the report must name, and which of its numbers must
have counted the refusals. The one that refuses reads comes last: CloudWatch's periods would show its refusals in the
load after it, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadgen.sweep.quotas import Point
from loadgen.target.limits import LATE

SCHEMA = "loadgen-throttling/1"
FACTOR, BATCH_SIZE = 4, 100
COMMON = ("--aggregate", "off", "--skew", "0", "--seed", "1")


class Case(NamedTuple):
    """`allowed`, `offered`: in words. `load`: options of `loadgen run`. `number`: the report's count of refusals.

    `is_read_by_another`: a second consumer reads the stream as fast as it can meanwhile.
    """

    limit: str
    point: Point
    allowed: str
    offered: str
    load: Sequence[str]
    number: str
    is_read_by_another: bool = False


CASES: Sequence[Case] = (
    Case(
        "shard write quota",
        Point(1, FACTOR, BATCH_SIZE, aggregate=None),
        "1 shard: 1,000 records/s",
        "1,500 records/s, not aggregated",
        (*COMMON, "--rate", "1500", "--duration", "10", "--keys", "100"),
        "throttled_attempts",
    ),
    Case(
        "reserved concurrency",
        Point(1, FACTOR, BATCH_SIZE, reserved_concurrency=1, aggregate=None, function_latency_ms=500),
        "1 execution",
        f"{FACTOR} lanes before a function of 500 ms",
        (*COMMON, "--rate", "100", "--duration", "12", "--keys", "100"),
        "lambda_throttles",
    ),
    Case(
        "table write capacity",
        Point(1, FACTOR, BATCH_SIZE, aggregate=None, table_write_units=40),
        "40 write units/s",
        "100 events/s of 1,000 subjects: about a write unit each",
        (*COMMON, "--rate", "100", "--duration", "12", "--keys", "1000"),
        "table_throttles",
    ),
    Case(
        "shard read quota",
        Point(1, FACTOR, BATCH_SIZE, aggregate=None),
        "1 shard: 5 GetRecords calls/s for all its consumers",
        "a second consumer that calls GetRecords 20 times/s",
        (*COMMON, "--rate", "100", "--duration", "12", "--keys", "100"),
        "read_throttles",
        is_read_by_another=True,
    ),
)


class Outcome(NamedTuple):
    """`problems`: why it does not show what it should; none: it does."""

    case: Case
    report: Mapping[str, Any] | None
    problems: Sequence[str]

    @property
    def passed(self) -> bool:
        return not self.problems

    @property
    def is_late(self) -> bool:
        """The sender was too slow: what the report names is this machine."""
        return self.report is not None and (self.report.get("limits") or {}).get("limited_by") == LATE


def judge(case: Case, report: Mapping[str, Any] | None, status: int) -> Outcome:
    """Hold a load's report.json (None: there is none) and exit status against the case."""
    if report is None:
        return Outcome(case, None, [f"loadgen run ended with status {status} and left no report"])
    ledger, numbers, limits = report["ledger"], report["numbers"], report.get("limits") or {}
    problems = []
    if status:
        problems.append(f"loadgen run ended with status {status}: {report['verdict']}")
    if limits.get("limited_by") != case.limit:
        problems.append(f"limited by {limits.get('limited_by')!r}, not {case.limit!r}")
    if not numbers.get(case.number):
        problems.append(f"{case.number} is {numbers.get(case.number)}: nothing was throttled")
    wrong = ("lost", "not_yet_found", "duplicates_applied")
    problems += [f"{name}: {ledger[name]:,}" for name in wrong if ledger[name]]
    if numbers["events_failed"]:
        problems.append(f"{numbers['events_failed']:,} events never reached the stream")
    if not ledger["balanced"]:
        problems.append("the ledger does not balance")
    return Outcome(case, report, problems)


def document(outcomes: Sequence[Outcome], command: Sequence[str], started_at: str) -> dict[str, Any]:
    """throttling.json."""
    return {
        "schema": SCHEMA,
        "command": list(command),
        "started_at": started_at,
        "passed": all(outcome.passed for outcome in outcomes),
        "cases": [_as_json(outcome) for outcome in outcomes],
    }


def _as_json(outcome: Outcome) -> dict[str, Any]:
    case, report = outcome.case, outcome.report
    found: dict[str, Any] = {
        "limit": case.limit,
        "point": case.point.as_json(),
        "allowed": case.allowed,
        "offered": case.offered,
        "passed": outcome.passed,
        "problems": list(outcome.problems),
    }
    if report is not None:
        ledger, numbers = report["ledger"], report["numbers"]
        found |= {
            "command": report["command"],
            "limited_by": report["limits"]["limited_by"],
            "reason": report["limits"]["reason"],
            "throttles": {case.number: numbers[case.number]},
            "ledger": {name: ledger[name] for name in ("sent", "stored", "lost", "duplicates_applied", "balanced")},
            "commit_latency_p99_ms": numbers["commit_latency_p99_ms"],
            "drain_s": numbers["drain_s"],
        }
    return found


COLUMNS = ("driven into", "allowed", "offered", "the report names", "throttled", "sent", "stored", "lost", "twice")


def row(outcome: Outcome) -> tuple[str, ...]:
    """One line of the table."""
    case, report = outcome.case, outcome.report
    if report is None:
        return (case.limit, case.allowed, case.offered, "no report", *["-"] * 5)
    ledger = report["ledger"]
    counts = (ledger[name] for name in ("sent", "stored", "lost", "duplicates_applied"))
    return (
        case.limit,
        case.allowed,
        case.offered,
        report["limits"]["limited_by"],
        f"{report['numbers'][case.number] or 0:,.0f} ({case.number})",
        *(f"{count:,}" for count in counts),
    )


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table, and below it the sentence of each report."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(row(outcome) for outcome in outcomes)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    said = [f"- {outcome.report['limits']['reason']}" for outcome in outcomes if outcome.report is not None]
    return "\n".join((table, "", *said)) + "\n"
