"""PURE: two loads beside each other: what was set differently, what was measured, and whether that is better."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from loadgen.showing.headline import accepted_share, offered_per_s
from loadgen.showing.report import number
from loadgen.showing.summary import wrapped

# Beginnings of the names whose lower (higher) values are better; of all others nobody can say.
LOWER_IS_BETTER = (
    "latency_", "commit_latency_", "late_", "events_late", "events_failed", "events_uncertain", "failed_",
    "records_failed", "throttled_", "lost", "not_yet_found", "duplicates_applied", "drain_s", "read_throttles",
    "lambda_throttles", "table_throttles", "function_errors", "batch_item_failures", "redelivered_", "iterator_age_",
    "event_age_", "lines_unreadable", "cost_",
)  # fmt: skip
HIGHER_IS_BETTER = (
    "accepted_share", "acknowledged_events_per_s", "acknowledged_bytes_per_s", "processed_events_per_s",
    "drain_events_per_s",
)  # fmt: skip
FIRST = (
    "events_offered", "offered_events_per_s", "acknowledged_events_per_s", "accepted_share",
    "processed_events_per_s", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_p999_ms",
    "latency_max_ms", "commit_latency_p50_ms", "commit_latency_p90_ms",
    "commit_latency_p99_ms", "commit_latency_p999_ms", "commit_latency_max_ms", "late_share", "events_failed",
    "throttled_attempts", "read_throttles", "lambda_throttles", "table_throttles", "batch_item_failures",
    "redelivered_records", "function_errors", "iterator_age_max_ms", "event_age_max_ms", "concurrency_max",
    "cold_starts", "write_units", "cost_usd_per_million_events", "drain_s", "lost", "duplicates_applied",
)  # fmt: skip
SAME = 0.005  # a change of less than half a percent is none
ALIKE = ("rate", "duration", "profile", "speed")  # what was asked for; else more is not better, nor less
OWN = ("run_id", "event_time", "out", "endpoint_url")  # differ between any two loads, and explain nothing


class Compared(NamedTuple):
    """A number of both loads. `change`: of the second one, as a share of the first; None where that has no meaning."""

    name: str
    first: float | int | None
    second: float | int | None
    change: float | None
    judgement: str  # better, worse, same or ""

    def cells(self) -> tuple[str, str, str, str, str]:
        """For people."""
        change = "" if self.change is None else f"{self.change:+.1%}"
        return self.name, number(self.first), number(self.second), change, self.judgement


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Compared]:
    """Every number that both reports or one of them have; the telling ones come first."""
    a, b = _numbers(first), _numbers(second)
    is_graded = not unlike(first, second)
    names = [name for name in FIRST if name in a or name in b]
    names += [name for name in (*a, *(name for name in b if name not in a)) if name not in FIRST]
    return [_compared(name, a.get(name), b.get(name), is_graded=is_graded) for name in names]


def unlike(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Why neither is better: they were not asked for the same, or one did not reach its end. None: one may be."""
    which = [name for name, report in (("A", first), ("B", second)) if report.get("partial")]
    found = [f"{' and '.join(which)} did not reach {'their' if len(which) > 1 else 'its'} end"] if which else []
    return found + [f"{name} {a} and {b}" for name, a, b in settings(first, second) if name in ALIKE]


def _numbers(report: Mapping[str, Any]) -> dict[str, float | int | None]:
    """The report's, and how much of what was offered per second was accepted; of a load that ended by itself."""
    numbers = dict(report["numbers"])
    if not report.get("partial") and (offered := offered_per_s(report)) is not None:
        numbers |= {"offered_events_per_s": offered, "accepted_share": accepted_share(report)}
    return numbers


def _compared(name: str, first: float | None, second: float | None, *, is_graded: bool) -> Compared:
    if first is None or second is None:
        return Compared(name, first, second, None, "")
    change = (second - first) / abs(first) if first else None
    is_same = first == second or (change is not None and abs(change) < SAME)
    wanted = (
        0
        if not is_graded
        else -1
        if name.startswith(LOWER_IS_BETTER)
        else 1
        if name.startswith(HIGHER_IS_BETTER)
        else 0
    )
    if is_same:
        return Compared(name, first, second, change, "same")
    return Compared(name, first, second, change, ("worse", "", "better")[1 + wanted * (1 if second > first else -1)])


def settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Options and capacities that differ: name, of the first load, of the second; "-": it has none."""
    found = []
    for a, b in zip(_parts(first), _parts(second), strict=True):
        found += [
            (name, _shown(a.get(name)), _shown(b.get(name)))
            for name in (*a, *(name for name in b if name not in a))
            if name not in OWN and a.get(name) != b.get(name)
        ]
    return found


def _parts(report: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return report["configuration"], (report.get("limits") or {}).get("capacity") or {}


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def limited(report: Mapping[str, Any]) -> str:
    limits = report.get("limits")
    return str(limits["limited_by"]) if limits else "not known"


def sentences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What to read first. Two single runs prove no difference; that is said."""
    rows = compare(first, second)
    worse = [row.name for row in rows if row.judgement == "worse" and row.name in FIRST]
    better = [row.name for row in rows if row.judgement == "better" and row.name in FIRST]
    said = []
    for which, report in (("A", first), ("B", second)):
        at = report["started_at"]
        started = f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC" if at else "at an unknown time"
        said.append(f"{which}, {started}: limited by {limited(report)}. {report['verdict']}")
    if reasons := unlike(first, second):
        said.append(
            f"Neither is graded, for they are not alike: {'; '.join(reasons)}. Compare the shares of what was offered."
        )
        return said
    counted = f"B is better in {len(better)} and worse in {len(worse)} of the telling numbers"
    differ = "" if settings(first, second) else ", with the same settings: what differs is the run"
    said.append(f"{counted}{differ}. Each is one run: repeat both before a small difference means anything.")
    return said


def lines(
    names: Sequence[str], first: Mapping[str, Any], second: Mapping[str, Any], width: int | None = None
) -> Iterator[str]:
    """For a terminal of `width` characters (None: it is none). `names`: the two folders."""
    yield from (f"{which}  {name}" for which, name in zip("AB", names, strict=True))
    changed = settings(first, second)
    yield ""
    yield from _table((("set differently", "A", "B"), *changed) if changed else (("the settings are the same",),))
    yield ""
    measured = [
        row.cells() for row in compare(first, second) if row.name in FIRST and (row.first, row.second) != (None, None)
    ]
    yield from _table((("measured", "A", "B", "change", ""), *measured))
    for sentence in sentences(first, second):
        yield f"\n{wrapped(sentence, width)}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        head, *rest = row
        cells = [head.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        yield ("  " + "  ".join(cells)).rstrip()
