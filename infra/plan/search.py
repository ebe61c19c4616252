"""PURE: the cheapest configuration that fits the quotas and meets the wished latency.

What fits is known by arithmetic (`infra.plan.candidates`), with estimates of cost and latency that are rough. The next
one to be run in virtual time is always the cheapest of those that promise to meet the latency, and what every run has
shown corrects the estimates of those like it; so it goes on until nothing promises to be cheaper than the best that met
it, first with the fewest shards that fit, then with more of them: they cost little beside a table that longer windows
spare.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, inf, log2, log10

from infra.plan.backlog import sustained as sustained_rate
from infra.plan.candidates import TIMEOUT_SHARE, Aims, Candidate, Unreachable, candidates, smallest, usage
from infra.plan.costs import monthly_usd
from infra.plan.expect import Expectation, expect
from infra.plan.load import Spread, Wish, WishError, events_per_record, keys_of, record_bytes, spread
from infra.plan.prices import Prices
from infra.plan.quotas import (
    PARTITION_WRITE_UNITS_PER_S,
    SHARD_WRITE_BYTES_PER_S,
    SHARD_WRITE_RECORDS_PER_S,
    TEMPLATE_TIMEOUT_S,
)
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup
from infra.plan.steady import Steady, steady

RUNS_MAX, RUNS_MORE_MAX = 12, 5  # in virtual time: with the least number of shards, with each larger one
QUICKEST_MAX = 2  # of them while nothing promises to meet the latency
SHARDS_TIMES = (1.0, 1.25, 1.5, 2.0, 3.0)  # of the least number of shards
HOPE = 1.1  # an estimate above the wished latency by so much is looked at, before any was corrected
FAR = 1.3  # what is above it by so much, by what is known of others, is not run to see whether it meets it after all
EVENTS_ENOUGH = 400_000  # in virtual time, once something meets the latency: beyond it a plan takes too long
WORTH = 0.98  # of the best one's cost: what promises no more than that is not looked at
ALIKE = 1.05  # of the quickest one's latency: where none meets the wish, the cheapest of these is shown
LESS = (1.0, 0.98, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)


@dataclass(frozen=True, slots=True)
class Choice:
    """`tried`: what else was run in virtual time, with what kept it from being chosen. `meets`: the latency.

    `least_shards`: with fewer the load does not fit.
    """

    setup: Setup
    expectation: Expectation
    spread: Spread
    meets: bool
    tried: tuple[str, ...]
    least_shards: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """A candidate in virtual time. `usd`: a month, by what was seen. `why_not`: what keeps it from being chosen."""

    candidate: Candidate
    seen: Steady
    usd: float
    why_not: str
    meets: bool
    keeps_up: bool = True

    def beside(self, chosen: "Run") -> str:
        """What it is and why it was not taken, as one sentence."""
        setup = self.candidate.setup
        dearer = f", costs {self.usd / chosen.usd - 1.0:.1%} more" if self.meets else ""
        what = f"{setup.shards:,} x {setup.factor}, window {setup.window_s} s, {setup.memory_mb} MB"
        return f"{what}: {self.why_not}{dearer}"


def choose(wish: Wish, times: ServiceTimes, aims: Aims, prices: Prices) -> Choice:
    """Raises Unreachable."""
    _check_pause(wish)
    _check_quarantine(wish, aims)
    least = _least(wish, times, aims)
    search = Search(wish, times, aims, prices)
    for shards in dict.fromkeys(ceil(least * times_as_many) for times_as_many in SHARDS_TIMES):
        search.among(candidates(wish, times, aims, prices, shards), RUNS_MAX if shards == least else RUNS_MORE_MAX)
    best = search.best()
    setup = best.candidate.setup
    found = expect(wish, setup, times, seen=best.seen)
    placed = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
    tried = tuple(run.beside(best) for run in search.runs if run is not best)
    return Choice(setup, found, placed, best.meets, tried, least)


class Search:
    """What was run so far, and what that says of the others."""

    def __init__(self, wish: Wish, times: ServiceTimes, aims: Aims, prices: Prices) -> None:
        self._wish, self._times, self._aims, self._prices = wish, times, aims, prices
        self.runs: list[Run] = []

    def among(self, pool: Sequence[Candidate], runs_max: int) -> None:
        """Runs some of them, each time the most promising."""
        left, quickest = list(pool), QUICKEST_MAX
        for _ in range(runs_max):
            left = [candidate for candidate in left if not self._is_too_slow(candidate)]
            limit = WORTH * min((run.usd for run in self.runs if run.meets), default=inf)
            if limit < inf and sum(run.seen.events for run in self.runs) > EVENTS_ENOUGH:
                break
            late_s = self._aims.p99_s * (1.0 if self.runs else HOPE)
            hopeful = [one for one in left if self.p99_s(one) <= late_s and self.usd(one) < limit]
            if hopeful:
                chosen = min(hopeful, key=self.usd)
            elif left and limit == inf and quickest:
                chosen, quickest = min(left, key=self.p99_s), quickest - 1
                if self.runs and self.p99_s(chosen) > FAR * self._aims.p99_s:
                    break
            else:
                break
            left.remove(chosen)
            self.runs.append(self._run(chosen))

    def best(self) -> Run:
        """The cheapest that meets the latency; else the quickest that keeps up, or a cheaper one about as quick."""
        met = [run for run in self.runs if run.meets]
        if met:
            return min(met, key=lambda run: run.usd)
        by_latency = sorted(self.runs, key=lambda run: run.seen.p99_s)
        quickest = next((run for run in by_latency if self._keeps_up(run)), by_latency[0])
        alike = [run for run in by_latency if run.seen.p99_s <= ALIKE * quickest.seen.p99_s and run.usd < quickest.usd]
        return next((run for run in sorted(alike, key=lambda run: run.usd) if self._keeps_up(run)), quickest)

    def p99_s(self, candidate: Candidate) -> float:
        """The estimate, corrected by what the one most like it was off by."""
        like = self._like(candidate)
        if like is None:
            return candidate.p99_s
        larger = min(4.0, max(0.25, candidate.batch_s / max(1e-9, like.candidate.batch_s)))
        return candidate.p99_s + larger * (like.seen.p99_s - like.candidate.p99_s)

    def usd(self, candidate: Candidate) -> float:
        like = self._like(candidate)
        return candidate.usd if like is None else candidate.usd * like.usd / like.candidate.usd

    def _like(self, candidate: Candidate) -> Run | None:
        return min(self.runs, key=lambda run: _distance(run.candidate.setup, candidate.setup), default=None)

    def _is_too_slow(self, candidate: Candidate) -> bool:
        """What has no more lanes and memory than one whose busiest lane has no time left."""
        setup = candidate.setup
        return any(
            not run.keeps_up
            and run.candidate.setup.shards == setup.shards
            and run.candidate.setup.factor >= setup.factor
            and run.candidate.setup.memory_mb >= setup.memory_mb
            for run in self.runs
        )

    def _run(self, candidate: Candidate) -> Run:
        wish, setup = self._wish, candidate.setup
        seen = steady(wish, setup, self._times)
        usd = monthly_usd(usage(wish, setup, seen.invocations, min(setup.lanes, seen.work), seen.writes), self._prices)
        run = Run(candidate, seen, usd, f"p99 {seen.p99_s:,.2f} s", meets=False)
        if seen.p99_s > self._aims.p99_s:
            return run
        sustained, _ = sustained_rate(wish, setup, self._times, None)
        if sustained * self._aims.utilisation < wish.rate:
            return replace(run, why_not=f"its busiest lane sustains {sustained:,.0f} events/s", keeps_up=False)
        busy = machine_busy(wish, setup, seen.invocations, seen.writes)
        if busy > self._aims.utilisation:
            return replace(run, why_not=f"uses {busy:.0%} of the CPU that this machine has for it")
        return replace(run, meets=True)

    def _keeps_up(self, run: Run) -> bool:
        sustained, _ = sustained_rate(self._wish, run.candidate.setup, self._times, None)
        return sustained * self._aims.utilisation >= self._wish.rate


def machine_busy(wish: Wish, setup: Setup, invocations: float, writes: float) -> float:
    """The share that is used of what the local stack's executions have in common; 0 on AWS."""
    if setup.machine is None:
        return 0.0
    stack, every = setup.machine.busy(invocations, wish.rate, writes + wish.rate * wish.malformed)
    return max(stack / setup.machine.stack_share, every / setup.machine.cores)


def _distance(one: Setup, other: Setup) -> tuple[float, float]:
    """How unlike two configurations are: in lanes and CPU, then in the window."""
    apart = (
        abs(log2(one.shards / other.shards))
        + abs(log2(one.factor / other.factor))
        + abs(log2(one.memory_mb / other.memory_mb))
    )
    return apart, abs(one.window_s - other.window_s)


def _least(wish: Wish, times: ServiceTimes, aims: Aims) -> int:
    """The smallest number of shards that fits. Raises Unreachable, with a rate for which there is one."""
    try:
        _check_hottest_key(wish, aims)
        return smallest(wish, times, aims)
    except Unreachable as error:
        most = _most(wish, times, aims)
        raise Unreachable(f"{error}{f', or plan at most {most:,.10g} events/s' if most else ''}") from error


def _most(wish: Wish, times: ServiceTimes, aims: Aims) -> float | None:
    """A rate of three digits that has been seen to fit, not far below the highest one."""
    highest = min(wish.rate, _hottest_key(wish, aims)[1])
    for share in LESS:
        unit = 10.0 ** (floor(log10(highest * share)) - 2)
        rate = round(floor(highest * share / unit) * unit, 6)
        try:
            slower = replace(wish, rate=rate)
            _check_hottest_key(slower, aims)
            smallest(slower, times, aims)
        except (Unreachable, WishError):
            continue
        return rate
    return None


def _hottest_key(wish: Wish, aims: Aims) -> tuple[float, float]:
    """Events per second of one key that a shard takes, and the rate of the whole load at which the hottest has them."""
    share = keys_of(wish.keys, wish.skew).weights[0]
    each = events_per_record(wish, 1) if wish.aggregate > 1 else 1.0
    size = record_bytes(wish, each) / each
    allowed = SHARD_WRITE_BYTES_PER_S * aims.utilisation / size
    if wish.aggregate == 1:
        allowed = min(allowed, SHARD_WRITE_RECORDS_PER_S * aims.utilisation)
    return allowed, allowed / share


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def _check_hottest_key(wish: Wish, aims: Aims) -> None:
    """A key is in one shard and in one batch at a time, whatever else is configured."""
    allowed, most = _hottest_key(wish, aims)
    if wish.rate > most:
        raise Unreachable(
            f"the hottest of the {wish.keys:,} keys has {_digits(wish.rate / most * allowed)} events/s, and a key is "
            f"in one shard, which takes {_digits(allowed)} events/s of this size at {aims.utilisation:.0%}: no number "
            f"of shards helps. Split that key, make events smaller{', aggregate them' if wish.aggregate == 1 else ''}"
        )


def _check_quarantine(wish: Wish, aims: Aims) -> None:
    """They may all be malformed for one reason, which is the index's partition key."""
    allowed = PARTITION_WRITE_UNITS_PER_S * aims.utilisation
    malformed = wish.rate * wish.malformed
    if malformed > allowed:
        raise Unreachable(
            f"{malformed:,.0f} malformed events/s go to quarantine, and if all have one reason they are one partition "
            f"of its index, which takes {allowed:,.0f} writes/s at {aims.utilisation:.0%}: no number of shards helps. "
            f"Mend what sends them, or plan at most {allowed / wish.malformed:,.0f} events/s"
        )


def _check_pause(wish: Wish) -> None:
    if wish.pause_s >= TEMPLATE_TIMEOUT_S * TIMEOUT_SHARE:
        raise Unreachable(
            f"a pause of {wish.pause_s:g} s in every batch is above {TIMEOUT_SHARE:.0%} of the function's timeout of "
            f"{TEMPLATE_TIMEOUT_S} s, and slow days come: do that work elsewhere"
        )
