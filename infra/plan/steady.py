"""PURE: the load as it is wished in virtual time, for latency, batches and writes, scaled to all shards.

Where the hottest shard stands for all, an average one is run beside it for batches and writes if that has much less to
do.
"""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from infra.plan.batches import cycle, environments
from infra.plan.costs import PUT_UNIT_BYTES
from infra.plan.extent import chosen_shards, events_max, function
from infra.plan.load import Spread, Wish, aggregate_wait_s, spread
from infra.plan.packing import pack
from infra.plan.service import ServiceTimes
from infra.plan.setup import Seen, Setup
from infra.plan.slice import Slice

STEADY_S, STEADY_S_MIN, SETTLING_S, STEADY_EVENTS_MIN, STEADY_S_MAX = 20.0, 8.0, 3.0, 500, 300.0
SETTLING_BATCHES = 5.0
CYCLES = 3.0  # of the busiest lane, at least: latencies are a saw's teeth
UNEVEN = 1.1  # the hottest shard's load over the average from which on another one is run beside it


@dataclass(frozen=True, slots=True)
class Steady:
    """What was seen of a load that goes on. `invocations`, `work` (seconds of the function), `writes`: per second, of
    all shards. `writes_peak`: the highest second; where one shard stood for n, its peaks above the average count
    1 / sqrt(n), for the others peak at other times. `hottest`: of the shards that were run first.
    """

    p50_s: float
    p90_s: float
    p99_s: float
    invocations: float
    work: float
    writes: float
    writes_peak: float
    batch_max_s: float
    hottest: "ForEachEvent"
    put_units: float | None
    lambda_throttles: int
    shards: int
    events: int


class ForEachEvent(NamedTuple):
    """What one event costs on average: batches, seconds of the function, pages written."""

    batches: float
    seconds: float
    writes: float


def steady(wish: Wish, setup: Setup, times: ServiceTimes, table_units_per_s: float | None = None) -> Steady:
    """The same arguments give the same figures."""
    spread_ = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
    whole = span(wish, setup, times, wish.rate)
    shards = chosen_shards(wish.rate * whole.seconds, wish, setup, spread_)
    during = span(wish, setup, times, wish.rate * sum(spread_.shards[shard] for shard in shards))
    seen, share = _run(wish, setup, times, shards, during.seconds, table_units_per_s)
    p50_s, p90_s, p99_s = seen.quantiles((0.5, 0.9, 0.99), from_s=during.from_s, to_s=during.to_s)
    inside = _inside(seen, during)
    hottest = _for_each_event(inside)
    other, others_seen = hottest, 0
    beside = _beside(spread_, shards)
    if beside is not None:
        again, _ = _run(wish, setup, times, [beside], during.seconds, table_units_per_s)
        others_seen = len(again.latencies)
        other = _for_each_event(_inside(again, during)) if again.commits else hottest
    invocations, work, writes = (
        wish.rate * (share * one + (1.0 - share) * another) for one, another in zip(hottest, other, strict=True)
    )
    peak = max(0.0, _peak(inside) / share - hottest.writes * wish.rate)
    return Steady(
        p50_s=p50_s,
        p90_s=p90_s,
        p99_s=p99_s,
        invocations=invocations,
        work=work,
        writes=writes,
        writes_peak=writes + peak * (len(shards) / setup.shards) ** 0.5,
        batch_max_s=max((commit[2] for commit in seen.commits), default=0.0),
        hottest=hottest,
        put_units=seen.put_units / seen.records if seen.records else None,
        lambda_throttles=seen.lambda_throttles,
        shards=len(shards) + (others_seen > 0),
        events=len(seen.latencies) + others_seen,
    )


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds of a run: what is due from `from_s` to `to_s` counts. Before it batches grow until they keep up, and what
    is due after it is processed without the company that would have come later.
    """

    from_s: float
    to_s: float
    seconds: float


def span(wish: Wish, setup: Setup, times: ServiceTimes, part_rate: float) -> Span:
    """How long the steady load is run, with `part_rate` events/s of it: for some cycles of the busiest lane, and longer
    where these are few events.
    """
    share = spread(wish, setup.shards, setup.factor, setup.outer_lanes).hottest_lane_share
    lane = cycle(wish, setup, times, share)
    idle_s, wait_s = wish.pause_s + times.seconds(0, 0, setup.memory_mb), aggregate_wait_s(wish, setup.outer_lanes)
    growing_s = SETTLING_BATCHES * max(0.0, lane.batch_s - idle_s)
    settling_s = max(SETTLING_S, 2.0 * (lane.window_s + idle_s) + growing_s, 2.0 * wait_s)
    least_s = max(STEADY_S_MIN, CYCLES * (lane.window_s + lane.batch_s), 3.0 * wait_s)
    wished_s = max(STEADY_S, 2.0 * least_s, min(STEADY_S_MAX, STEADY_EVENTS_MIN / wish.rate))
    after_s = max(SETTLING_S / 2.0, lane.window_s + lane.batch_s, wait_s)
    affordable_s = events_max(wish, setup) / part_rate - settling_s - after_s
    measured_s = max(least_s, min(wished_s, affordable_s))
    return Span(settling_s, settling_s + measured_s, settling_s + measured_s + after_s)


def _run(
    wish: Wish, setup: Setup, times: ServiceTimes, shards: list[int], seconds: float, table_units_per_s: float | None
) -> tuple[Seen, float]:
    """The load for so many seconds, and the share of it that was run."""
    records, part = pack(wish, wish.rate, seconds, shards, setup.shards, setup.outer_lanes, "steady")
    share = part / wish.rate
    limit = None if table_units_per_s is None else table_units_per_s * share
    fleet = environments(wish, setup, times) if len(shards) < setup.shards else 0
    does = function(wish, setup, times, limit, long_running=True, share=share)
    seen = Slice(setup, len(shards), records, does, fleet=fleet).run(until_s=3.0 * seconds + 60.0)
    seen.put_units = sum(ceil(record.size / PUT_UNIT_BYTES) for record in records)
    return seen, share


def _for_each_event(commits: list[tuple[float, int, float, int]]) -> ForEachEvent:
    """By event and not by second: in a steady state as many are committed as come, wherever the run was cut."""
    events = sum(commit[1] for commit in commits) or 1
    return ForEachEvent(
        max(1, len(commits)) / events,
        sum(commit[2] for commit in commits) / events,
        sum(commit[3] for commit in commits) / events,
    )


def _inside(seen: Seen, during: Span) -> list[tuple[float, int, float, int]]:
    return [commit for commit in seen.commits if during.from_s <= commit[0] < during.to_s] or seen.commits


def _beside(spread_: Spread, shards: list[int]) -> int | None:
    """The shard that stands for the others where the hottest one does not: the nearest to their average."""
    count = len(spread_.shards)
    if len(shards) == count or spread_.hottest_share * count <= UNEVEN:
        return None
    average = (1.0 - spread_.hottest_share) / (count - 1)
    others = [shard for shard in range(count) if shard not in shards and spread_.shards[shard] > 0]
    return min(others, key=lambda shard: abs(spread_.shards[shard] - average), default=None)


def _peak(commits: list[tuple[float, int, float, int]]) -> float:
    """The most pages written in one second; a batch's are spread over its time."""
    by_second: dict[int, float] = {}
    for at_s, _, seconds, writes in commits:
        begun_s = at_s - max(seconds, 1e-6)
        for second in range(int(begun_s // 1), int(at_s // 1) + 1):
            inside_s = min(at_s, second + 1.0) - max(begun_s, float(second))
            by_second[second] = by_second.get(second, 0.0) + writes * inside_s / (at_s - begun_s)
    return max(by_second.values(), default=0.0)
