"""PURE: the numbers of a run, added up from its results one by one; the same from a live run and from results.jsonl.

Latency of an event: from when it was *due* to when its Kinesis record was acknowledged. An event that a slow target or
a late sender kept waiting has waited, and it shows (no coordinated omission). A load without a schedule, as fast as it
is taken, has no such latency and nothing late.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loadgen.outcome.histogram import Histogram
from loadgen.outcome.results import PutResult

# A second's own histogram is coarser: percentiles within 1.6 %, so that an hour of seconds is a few megabytes.
SECOND_BITS = 6
SCHEDULED_ONLY = ("events_late", "late_max_ms", "late_share", "latency_", "commit_latency_")  # beginnings of the names
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
SUMS = (
    "offered", "acknowledged", "failed", "uncertain", "late", "copies", "malformed", "records", "records_failed",
    "attempts", "size", "throttled_records",
)  # fmt: skip
THROTTLED = "ProvisionedThroughputExceededException"
SLOW_CALL_US = 1_000_000  # calls that were answered so late are kept one by one: a second has few of them


class Turn(NamedTuple):
    """How far a load is. `waiting`: events queued or in flight; `failed`: given up; `latency`: of the events that were
    acknowledged in the latest whole second."""

    acknowledged: int = 0
    late: int = 0
    failed_attempts: int = 0
    throttled: int = 0
    waiting: int = 0
    failed: int = 0
    latency: Histogram | None = None

    @property
    def offered(self) -> int:
        """Events that were due until now."""
        return self.acknowledged + self.failed + self.waiting


def together(turns: Iterable[Turn]) -> Turn:
    """Several senders' turns as one."""
    latency = Histogram(SECOND_BITS)
    whole = Turn(latency=latency)
    for turn in turns:
        counts = {name: getattr(whole, name) + getattr(turn, name) for name in Turn._fields if name != "latency"}
        whole = whole._replace(**counts)
        if turn.latency is not None:
            latency.merge(turn.latency)
    return whole


@dataclass(slots=True)
class Second:
    """What happened during one second of the run."""

    offered: int = 0
    acknowledged: int = 0
    failed: int = 0
    errors: int = 0
    throttled: Counter[str] = field(default_factory=Counter)  # by shard, attempts; "unknown" when the answer names none
    latency: Histogram = field(default_factory=lambda: Histogram(SECOND_BITS))

    def merge(self, other: "Second") -> None:
        self.offered += other.offered
        self.acknowledged += other.acknowledged
        self.failed += other.failed
        self.errors += other.errors
        self.throttled.update(other.throttled)
        self.latency.merge(other.latency)


class Metrics:
    """Adds up results. `late_after_us`: an event is late when it was first put this long after it was due; None: the
    load has no schedule. `schedule_s`: how long that is, as far as it went; 0: no longer than until the last answer."""

    def __init__(self, late_after_us: int | None, schedule_s: float = 0.0) -> None:
        self.late_after_us = late_after_us
        self.schedule_s = schedule_s
        self.latency = Histogram()
        self.seconds: defaultdict[int, Second] = defaultdict(Second)
        self.errors: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.shards: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.throttled_records = 0
        self.offered = self.acknowledged = self.failed = self.uncertain = self.late = 0
        self.copies = self.malformed = 0
        self.records = self.records_failed = self.attempts = self.size = 0
        self.latest_us = self.late_us_max = 0
        self.slow_calls: set[tuple[int, int]] = set()  # of records taken at the first attempt: handed over, answered
        self._second = 0  # the latest one in which a record ended

    def add(self, result: PutResult, due_us: npt.NDArray[np.int64] | None = None) -> None:
        """Take in one Kinesis record's end. `due_us`: the result's as an array, where there is one already."""
        events = len(result.due_us)
        self.offered += events
        self.attempts += result.attempts
        self.latest_us = max(self.latest_us, result.done_us)
        if result.errors:
            self.errors.update(result.errors)
            self._attempts_failed(result)
        if self.late_after_us is not None:
            self._lateness(result, self.late_after_us)
        if events and min(result.due_us) // 1_000_000 == max(result.due_us) // 1_000_000:
            self.seconds[result.due_us[0] // 1_000_000].offered += events
        else:
            for number, due in Counter([due_us // 1_000_000 for due_us in result.due_us]).items():
                self.seconds[number].offered += due
        number = result.done_us // 1_000_000
        second = self.seconds[number]
        if number > self._second:
            if self._second in self.seconds:
                self.seconds[self._second].latency.pack()
            self._second = number
        if result.failed is not None:
            self.failed += events
            self.records_failed += 1
            self.failures[result.failed] += events
            self.uncertain += events if result.uncertain else 0
            second.failed += events
            return
        if result.attempts == 1 and result.put_us is not None and result.done_us - result.put_us >= SLOW_CALL_US:
            self.slow_calls.add((result.put_us, result.done_us))
        self.records += 1
        self.acknowledged += events
        self.size += result.size
        self.copies += result.copies
        self.malformed += result.malformed
        self.shards[result.shard_id or "unknown"] += events
        second.acknowledged += events
        if self.late_after_us is not None:
            done_us = result.done_us
            if events == 1:
                self.latency.add(done_us - result.due_us[0])
                second.latency.add(done_us - result.due_us[0])
                return
            latencies_us = done_us - (np.array(result.due_us, np.int64) if due_us is None else due_us)
            self.latency.add_all(latencies_us)
            second.latency.add_all(latencies_us)

    def _attempts_failed(self, result: PutResult) -> None:
        """Each failed attempt in the second of its answer, and a throttled one at its shard where that is known."""
        known = result.failed_attempts or [(result.done_us, None)] * len(result.errors)
        for code, (at_us, shard_id) in zip(result.errors, known, strict=True):
            second = self.seconds[at_us // 1_000_000]
            second.errors += 1
            if code == THROTTLED:
                second.throttled[shard_id or "unknown"] += 1
                self.throttled[shard_id or "unknown"] += 1
        self.throttled_records += THROTTLED in result.errors

    def merge(self, other: "Metrics") -> None:
        """Take in another sender's numbers of the same load: as if all results had been added here."""
        self.latency.merge(other.latency)
        for number, second in other.seconds.items():
            self.seconds[number].merge(second)
        for name in ("errors", "failures", "shards", "throttled"):
            getattr(self, name).update(getattr(other, name))
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latest_us = max(self.latest_us, other.latest_us)
        self.late_us_max = max(self.late_us_max, other.late_us_max)
        self.slow_calls |= other.slow_calls

    def _lateness(self, result: PutResult, late_after_us: int) -> None:
        sent_us = result.done_us if result.put_us is None else result.put_us
        if sent_us - min(result.due_us, default=sent_us) <= late_after_us:
            return
        late_us = [sent_us - due_us for due_us in result.due_us if sent_us - due_us > late_after_us]
        self.late += len(late_us)
        self.late_us_max = max(self.late_us_max, *late_us)

    def turn(self, waiting: int) -> Turn:
        second = self.seconds.get(self.latest_us // 1_000_000 - 1)
        latency = None if second is None else second.latency
        if latency is not None:
            latency.pack()  # nothing in it waits to be counted: it may be read in another thread
        throttled = self.errors[THROTTLED]
        return Turn(self.acknowledged, self.late, self.errors.total(), throttled, waiting, self.failed, latency)

    def named(self) -> dict[str, float | int | None]:
        """The flat, documented names (docs/loadgen-report.md). None: there was nothing to measure."""
        elapsed_s = self.latest_us / 1e6
        lasted_s = max(self.schedule_s, elapsed_s)  # the last event is due before a schedule's end
        named: dict[str, float | int | None] = {
            "events_offered": self.offered,
            "events_acknowledged": self.acknowledged,
            "events_failed": self.failed,
            "events_uncertain": self.uncertain,
            "events_late": self.late,
            "late_max_ms": self.late_us_max / 1000,
            "failed_share": self.failed / self.offered if self.offered else None,
            "late_share": self.late / self.offered if self.offered else None,
            "copies_acknowledged": self.copies,
            "malformed_acknowledged": self.malformed,
            "records_acknowledged": self.records,
            "records_failed": self.records_failed,
            "events_per_record": self.acknowledged / self.records if self.records else None,
            "attempts": self.attempts,
            "failed_attempts": self.errors.total(),
            "throttled_attempts": self.errors[THROTTLED],
            "throttled_records": self.throttled_records,
            "bytes_acknowledged": self.size,
            "elapsed_s": elapsed_s,
            "schedule_s": self.schedule_s or None,
            "acknowledged_events_per_s": self.acknowledged / lasted_s if lasted_s else None,
            "acknowledged_bytes_per_s": self.size / lasted_s if lasted_s else None,
            "latency_mean_ms": milliseconds(self.latency.mean_us),
            "latency_max_ms": milliseconds(self.latency.highest if self.latency.count else None),
        }
        for name, share in PERCENTILES.items():
            named[f"latency_{name}_ms"] = milliseconds(self.latency.quantile_us(share))
        if self.late_after_us is None:
            named.update({name: None for name in named if name.startswith(SCHEDULED_ONLY)})
        return named

    def timeline(self) -> list[Mapping[str, float | int | None]]:
        """One row per second of the run, without gaps."""
        rows: list[Mapping[str, float | int | None]] = []
        for number in range(max(self.seconds, default=-1) + 1):
            second = self.seconds.get(number) or Second()
            rows.append(
                {
                    "second": number,
                    "offered": second.offered,
                    "acknowledged": second.acknowledged,
                    "failed": second.failed,
                    "failed_attempts": second.errors,
                    "throttled_attempts": second.throttled.total(),
                    "latency_p50_ms": milliseconds(second.latency.quantile_us(0.5)),
                    "latency_p99_ms": milliseconds(second.latency.quantile_us(0.99)),
                }
            )
        return rows


def milliseconds(value_us: float | None) -> float | None:
    return None if value_us is None else round(value_us / 1000, 3)
