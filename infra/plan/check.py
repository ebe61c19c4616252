"""PURE: predictions beside what was measured: for each run the p50 latency, the rate, and how far off they are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from infra.plan.backlog import sustained
from infra.plan.extent import function
from infra.plan.load import Wish, events_per_record, record_bytes, spread
from infra.plan.measured import Run
from infra.plan.packing import pack
from infra.plan.quotas import SHARD_WRITE_BYTES_PER_S, SHARD_WRITE_RECORDS_PER_S
from infra.plan.service import ServiceTimes
from infra.plan.setup import Seen
from infra.plan.slice import Slice

TOLERANCE = 0.2


class Compared(NamedTuple):
    """One figure of one run. With `too_much`, or `is_bracket` and none, `measured` is the highest rate that was
    sustained and `too_much` the lowest that was not: what is possible lies between them.

    `doubts`: why it may not count; with any it is not in a summary.
    """

    run: str
    what: str
    unit: str
    predicted: float
    measured: float
    doubts: tuple[str, ...] = ()
    is_bracket: bool = False
    too_much: float | None = None

    @property
    def off(self) -> float:
        """predicted / measured - 1. Of a bracket: 0 inside, else of the end that is nearer."""
        if not self.is_bracket:
            return self.predicted / self.measured - 1.0
        if self.predicted < self.measured:
            return self.predicted / self.measured - 1.0
        return max(0.0, self.predicted / self.too_much - 1.0) if self.too_much else 0.0

    @property
    def is_within(self) -> bool:
        return abs(self.off) <= TOLERANCE

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "what": self.what,
            "unit": self.unit,
            "predicted": round(self.predicted, 3),
            "measured": round(self.measured, 3),
            "is_bracket": self.is_bracket,
            "too_much": None if self.too_much is None else round(self.too_much, 3),
            "off": round(self.off, 4),
            "within_tolerance": self.is_within,
            "counts": not self.doubts,
            "doubts": list(self.doubts),
        }


def compare(run: Run, times: ServiceTimes) -> list[Compared]:
    """Every figure that the run has, predicted from its configuration and load alone."""
    found: list[Compared] = []
    if run.is_backlog:
        if run.drained:
            seen = simulated(run, times, backlog=True)
            begin_s = 0.0 if run.setup.machine is None else run.setup.machine.begin_s
            predicted = len(seen.latencies) / (begin_s + max(commit[0] for commit in seen.commits))
            found.append(Compared(run.name, "backlog drained", "events/s", predicted, run.drained, run.doubts))
        return found
    if run.p50_s:
        seen = simulated(run, times, backlog=False)
        (p50_s,) = seen.quantiles((0.5,))
        found.append(Compared(run.name, "p50 latency", "ms", p50_s * 1000, run.p50_s * 1000, run.doubts))
    if run.sustained is not None:
        held, too_much = run.sustained
        rate = sustainable(run, times)
        found.append(Compared(run.name, "sustained rate", "events/s", rate, held, run.doubts, True, too_much))
    return found


def simulated(run: Run, times: ServiceTimes, *, backlog: bool) -> Seen:
    """The run's own load on all of its shards."""
    setup, wish = run.setup, run.wish
    shards = list(range(setup.shards))
    records, _ = pack(wish, wish.rate, run.duration_s, shards, setup.shards, setup.outer_lanes, run.name)
    if backlog:
        records = [record._replace(at_s=0.0) for record in records]
    does = function(wish, setup, times, run.table_units_per_s)
    return Slice(setup, setup.shards, records, does, backlog=backlog).run()


def sustainable(run: Run, times: ServiceTimes) -> float:
    """What the quota of writes and the function allow, whichever is less."""
    setup, wish = run.setup, run.wish
    spread_ = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
    rate, _ = sustained(wish, setup, times, run.table_units_per_s)
    return min(rate, writable(wish, spread_.hottest_share, setup.outer_lanes))


def writable(wish: Wish, hottest_share: float, outer_lanes: int) -> float:
    """Events per second of the whole load at which the hottest shard's write quota is used up."""
    return min(
        used_up_at(wish, hottest_share, outer_lanes, records=SHARD_WRITE_RECORDS_PER_S),
        used_up_at(wish, hottest_share, outer_lanes, size=SHARD_WRITE_BYTES_PER_S),
    )


def used_up_at(
    wish: Wish, hottest_share: float, outer_lanes: int, *, records: float | None = None, size: float | None = None
) -> float:
    """The rate at which a shard gets so many records or bytes per second: more load fills aggregates better."""
    low, high = 0.0, 1e9
    for _ in range(80):
        rate = (low + high) / 2
        each = events_per_record(wish, outer_lanes, rate)
        put = rate * hottest_share / each
        is_too_much = (records is not None and put > records) or (
            size is not None and put * record_bytes(wish, each) > size
        )
        low, high = (low, rate) if is_too_much else (rate, high)
    return low


def summary(compared: Sequence[Compared]) -> dict[str, Any]:
    """Median and highest error of each kind of figure, of those without a doubt; null if there is none."""
    return {what: _of_kind([one for one in compared if one.what == what]) for what in _kinds(compared)}


def _kinds(compared: Sequence[Compared]) -> list[str]:
    return list(dict.fromkeys(one.what for one in compared))


def _of_kind(compared: Sequence[Compared]) -> dict[str, Any]:
    errors = sorted(abs(one.off) for one in compared if not one.doubts)
    return {
        "runs": len(errors),
        "median_off": round(errors[len(errors) // 2], 4) if errors else None,
        "max_off": round(errors[-1], 4) if errors else None,
        "within_tolerance": sum(error <= TOLERANCE for error in errors),
        "in_doubt": len(compared) - len(errors),
    }
