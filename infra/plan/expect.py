"""PURE: what to expect of one configuration under one load: two runs in virtual time, scaled to all shards.

*Steady*: the load as it is wished, for latency, batches, writes. *Backlog*: far more than can be processed is there
when the mapping begins, for the highest rate that the function and its lanes sustain. Where the whole load is too
many events for a run, the hottest shard stands for all, for the others are not slower; beside it an average one is run
for batches and writes if that has much less to do.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from infra.plan.costs import PUT_UNIT_BYTES
from infra.plan.function import Before, Function, Pages, Table
from infra.plan.load import Spread, Wish, aggregate_wait_s, events_per_record, keys_of, record_bytes, spread
from infra.plan.machine import Shared
from infra.plan.packing import Packed, pack
from infra.plan.quotas import SHARD_READ_BYTES_PER_S, batch_records_max
from infra.plan.service import ServiceTimes
from infra.plan.setup import Seen, Setup
from infra.plan.slice import Slice

EVENTS_MAX, RECORDS_MAX = 40_000, 8_000  # in one run
STEADY_S, STEADY_S_MIN, SETTLING_S, STEADY_EVENTS_MIN, STEADY_S_MAX = 20.0, 8.0, 3.0, 500, 300.0
SETTLING_BATCHES = 5.0
UNEVEN = 1.1  # the hottest shard's load over the average from which on another one is run beside it
BACKLOG_S, BACKLOG_BATCHES = 20.0, 6  # of work for the hottest lane, at least
HOUR_S = 3600.0
TOTALS_S = 3600.0  # the template's WindowSeconds
EVEN_SKEW = 0.5  # below it a lane with many events is one with many keys


@dataclass(frozen=True, slots=True)
class Expectation:
    """Rates are of the whole load, per second; `invocations` x `events_per_batch` is the load, x `batch_s` is `busy`.

    `function_rate`: what the function does with full batches; `sustained`: it or the reads, whichever is less, whatever
    may be written. `hottest_*`: of the hottest shard alone.

    `drain_s`: of a backlog of one hour while the load goes on; None: it does not drain. `writes_peak`: the highest
    second; where one shard stood for n, its peaks above the average count 1 / sqrt(n), for the others peak at other
    times. `put_units`: payload units of a record, on average. `simulated_shards`, `simulated_events`: what stood for
    the whole.
    """

    p50_s: float
    p90_s: float
    p99_s: float
    invocations: float
    events_per_batch: float
    batch_s: float
    batch_max_s: float
    busy: float
    hottest_events_per_batch: float
    hottest_batch_s: float
    writes: float
    writes_peak: float
    records: float
    bytes: float
    record_bytes: float
    put_units: float
    function_rate: float
    sustained: float
    drain_s: float | None
    lambda_throttles: int
    simulated_shards: int
    simulated_events: int


def steady_seconds(wish: Wish, setup: Setup, times: ServiceTimes) -> tuple[float, float]:
    """How long a run lasts, and how much of its beginning does not count: until batches have the size that keeps up."""
    idle_s, wait_s = wish.pause_s + times.seconds(0, 0, setup.memory_mb), aggregate_wait_s(wish, setup.outer_lanes)
    batch_s = steady_batch_s(wish, setup, times)
    settling_s = max(
        SETTLING_S, 2.0 * setup.window_s + 2.0 * idle_s + SETTLING_BATCHES * (batch_s - idle_s), 2.0 * wait_s
    )
    seconds = max(STEADY_S, 6.0 * setup.window_s, 6.0 * batch_s, 3.0 * wait_s, STEADY_EVENTS_MIN / wish.rate)
    return settling_s + min(seconds, max(STEADY_S_MAX, 6.0 * setup.window_s)), settling_s


def steady_batch_s(wish: Wish, setup: Setup, times: ServiceTimes) -> float:
    """Rough time of the busiest lane's batches once each holds what came during the one before it."""
    share = spread(wish, setup.shards, setup.factor, setup.outer_lanes).hottest_lane_share
    batch_s = wish.pause_s + times.seconds(0, 0, setup.memory_mb)
    for _ in range(12):
        events = min(wish.rate * share * max(setup.window_s, batch_s), batch_events_max(wish, setup))
        batch_s = wish.pause_s + times.seconds(events, pages_of(events, wish, setup, share), setup.memory_mb)
    return batch_s


def events_max(wish: Wish, setup: Setup) -> float:
    """Of one run: what takes about a second."""
    return min(EVENTS_MAX, RECORDS_MAX * events_per_record(wish, setup.outer_lanes))


def chosen_shards(events: float, wish: Wish, setup: Setup, spread_: Spread) -> list[int]:
    """All, if that many events can be run, or else the hottest."""
    all_of_them = setup.shards == 1 or events <= events_max(wish, setup)
    return list(range(setup.shards)) if all_of_them else [spread_.hottest]


def before(wish: Wish, setup: Setup, times: ServiceTimes) -> Before:
    keys = keys_of(wish.keys, wish.skew)
    in_window = wish.rate * TOTALS_S
    rest = keys.rest / keys.rest_count * in_window if keys.rest_count else 0.0
    batches = TOTALS_S / max(1.0, setup.window_s)
    return Before([weight * in_window for weight in keys.weights], rest, environments(wish, setup, times), batches)


def function(
    wish: Wish,
    setup: Setup,
    times: ServiceTimes,
    table_units_per_s: float | None,
    *,
    long_running: bool = False,
    share: float = 1.0,
) -> Function:
    """`long_running`: the table is as a load leaves it that has gone on for long; else it knows none of the keys.
    `share`: of the load, that is run.
    """
    pages = Pages(before(wish, setup, times) if long_running else None)
    machine = None if setup.machine is None else Shared(setup.machine, share)
    return Function(times, setup.memory_mb, wish.pause_s, pages, Table(table_units_per_s), machine)


def steady(
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


def sustained(wish: Wish, setup: Setup, times: ServiceTimes, table_units_per_s: float | None) -> tuple[float, int]:
    """Events per second of the whole load at which the busiest lane has no time left or the hottest shard's reads are
    used up, and the events it took to see.
    """
    rate, events = function_rate(wish, setup, times, table_units_per_s)
    return min(rate, reads_rate(wish, setup)), events


def function_rate(wish: Wish, setup: Setup, times: ServiceTimes, table_units_per_s: float | None) -> tuple[float, int]:
    """The same, of the lanes alone. The window has no part in it: with a backlog every batch is full."""
    return _sustained(wish, replace(setup, window_s=0), times, table_units_per_s)


def reads_rate(wish: Wish, setup: Setup) -> float:
    """Events per second of the whole load, packed as at its rate, at which the hottest shard's reads are used up."""
    each = events_per_record(wish, setup.outer_lanes)
    hottest = spread(wish, setup.shards, setup.factor, setup.outer_lanes).hottest_share
    return SHARD_READ_BYTES_PER_S / (record_bytes(wish, each) / each) / hottest


@lru_cache(maxsize=64)
def _sustained(wish: Wish, setup: Setup, times: ServiceTimes, table_units_per_s: float | None) -> tuple[float, int]:
    """Everything there is lies in the stream when the mapping begins, each lane with its share: the last one to
    finish is the one that would fall behind first.
    """
    spread_ = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
    rate = max(1e-9, full_rate(wish, setup, times, spread_))
    shards = chosen_shards(rate * BACKLOG_S, wish, setup, spread_)
    share = sum(spread_.shards[shard] for shard in shards)
    events_each = batch_events_max(wish, setup)
    lanes = len(shards) * setup.factor
    seconds = max(BACKLOG_S, BACKLOG_BATCHES * lanes * events_each / (rate * share))
    seconds = min(seconds, max(2.0 * events_max(wish, setup), 2.0 * lanes * events_each) / (rate * share))
    # Packed as at the wished rate: a backlog's records are those that were put.
    records, part = pack(
        wish, wish.rate, seconds * rate / wish.rate, shards, setup.shards, setup.outer_lanes, "backlog"
    )
    if not records:
        return rate, 0
    limit = None if table_units_per_s is None else table_units_per_s * part / wish.rate
    ready = [_at_once(record) for record in records]
    fleet = setup.lanes if len(shards) < setup.shards else 0
    does = function(wish, setup, times, limit, long_running=True, share=part / wish.rate)
    seen = Slice(setup, len(shards), ready, does, backlog=True, fleet=fleet, reads=False).run()
    events = sum(commit[1] for commit in seen.commits)
    finished_s = max(commit[0] for commit in seen.commits)
    return events / finished_s / (part / wish.rate), events


def environments(wish: Wish, setup: Setup, times: ServiceTimes) -> int:
    """Rough number of environments that all shards keep busy."""
    cycle_s = max(1.0, setup.window_s)
    events = min(wish.rate / setup.lanes * cycle_s, batch_events_max(wish, setup))
    batch_s = wish.pause_s + times.seconds(events, pages_of(events, wish, setup), setup.memory_mb)
    return max(min(2, setup.lanes), round(setup.lanes * min(1.0, batch_s / cycle_s)))


def _at_once(record: Packed) -> Packed:
    return record._replace(at_s=0.0, due_s=[0.0] * len(record.due_s))


def batch_events_max(wish: Wish, setup: Setup) -> float:
    """Events of a full batch."""
    each = events_per_record(wish, setup.outer_lanes)
    return batch_records_max(setup.batch_size, record_bytes(wish, each)) * each


def full_rate(wish: Wish, setup: Setup, times: ServiceTimes, spread_: Spread) -> float:
    """Rough events per second with every batch full: lanes or reads, whichever is less."""
    events = batch_events_max(wish, setup)
    pages = pages_of(events, wish, setup, spread_.hottest_lane_share)
    batch_s = max(1e-6, wish.pause_s + times.seconds(events, pages, setup.memory_mb))
    lanes = setup.lanes if setup.concurrency is None else min(setup.lanes, setup.concurrency)
    by_lane = events / batch_s / spread_.hottest_lane_share * lanes / setup.lanes
    return min(by_lane, reads_rate(wish, setup), 5e6)


def pages_of(events: float, wish: Wish, setup: Setup, busiest: float = 0.0) -> float:
    """Rough number of writes of a batch of so many events of one lane: its different keys, full pages, refused ones.

    `busiest`: the lane's share of all events, if it is not an average one.
    """
    # A lane that is busy because a few keys are hot has no more keys than others.
    share = max(busiest, 1 / setup.lanes) if wish.skew < EVEN_SKEW else 1 / setup.lanes
    different = max(min(1.0, events), share * keys_of(wish.keys, wish.skew).different(events / share))
    each = max(1.0, wish.rate * TOTALS_S / wish.keys)  # events of a key in a window of the totals
    page = min(each, 48.0) * different / max(1.0, events)  # batches with a key while a page of it is open
    refused = different * min(1.0, max(0.0, setup.lanes - 1.0) / max(1.0, page)) * (1.0 - 1.0 / each)
    return min(events, different + events / 64.0) + refused


def expect(wish: Wish, setup: Setup, times: ServiceTimes, *, table_units_per_s: float | None = None) -> Expectation:
    """The same arguments give the same figures."""
    spread_ = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
    seconds, settling_s = steady_seconds(wish, setup, times)
    shards = chosen_shards(wish.rate * seconds, wish, setup, spread_)
    part_rate = wish.rate * sum(spread_.shards[shard] for shard in shards)
    if part_rate * seconds > events_max(wish, setup):
        wait_s = max(wish.pause_s, aggregate_wait_s(wish, setup.outer_lanes))
        batches_s = 4.0 * steady_batch_s(wish, setup, times)
        least_s = settling_s + max(STEADY_S_MIN, 2.0 * setup.window_s, 3.0 * wait_s, batches_s)
        seconds = min(seconds, max(least_s, events_max(wish, setup) / part_rate))
    seen, share = steady(wish, setup, times, shards, seconds, table_units_per_s)
    p50_s, p90_s, p99_s = seen.quantiles((0.5, 0.9, 0.99), from_s=settling_s, to_s=seconds - settling_s / 2)
    inside = _inside(seen, settling_s, seconds)
    hottest = _for_each_event(inside)
    other, others_seen = hottest, 0
    beside = _beside(spread_, shards)
    if beside is not None:
        again, _ = steady(wish, setup, times, [beside], seconds, table_units_per_s)
        others_seen = len(again.latencies)
        other = _for_each_event(_inside(again, settling_s, seconds)) if again.commits else hottest
    rest = 1.0 - share
    invocations, work, writes = (
        wish.rate * (share * one + rest * another) for one, another in zip(hottest, other, strict=True)
    )
    busy = min(setup.lanes, work)
    function_max, backlog_events = function_rate(wish, setup, times, table_units_per_s)
    rate_max = min(function_max, reads_rate(wish, setup))
    each = events_per_record(wish, setup.outer_lanes)
    size = record_bytes(wish, each)
    drain_s = HOUR_S * wish.rate / (rate_max - wish.rate) if rate_max > wish.rate * 1.001 else None
    peak = max(0.0, _peak(inside) / share - hottest.writes * wish.rate)
    return Expectation(
        p50_s=p50_s,
        p90_s=p90_s,
        p99_s=p99_s,
        invocations=invocations,
        events_per_batch=wish.rate / invocations,
        batch_s=busy / invocations,
        batch_max_s=max((commit[2] for commit in seen.commits), default=0.0),
        busy=busy,
        hottest_events_per_batch=1.0 / hottest.batches,
        hottest_batch_s=hottest.seconds / hottest.batches,
        writes=writes,
        writes_peak=writes + peak * (len(shards) / setup.shards) ** 0.5,
        records=wish.rate / each,
        bytes=wish.rate / each * size,
        record_bytes=size,
        put_units=seen.put_units / seen.records if seen.records else ceil(size / PUT_UNIT_BYTES),
        function_rate=function_max,
        sustained=rate_max,
        drain_s=drain_s,
        lambda_throttles=seen.lambda_throttles,
        simulated_shards=len(shards) + (others_seen > 0),
        simulated_events=len(seen.latencies) + others_seen + backlog_events,
    )


class _ForEachEvent(NamedTuple):
    """What one event costs on average: batches, seconds of the function, pages written."""

    batches: float
    seconds: float
    writes: float


def _for_each_event(commits: list[tuple[float, int, float, int]]) -> _ForEachEvent:
    """By event and not by second: in a steady state as many are committed as come, wherever the run was cut."""
    events = sum(commit[1] for commit in commits) or 1
    return _ForEachEvent(
        max(1, len(commits)) / events,
        sum(commit[2] for commit in commits) / events,
        sum(commit[3] for commit in commits) / events,
    )


def _inside(seen: Seen, from_s: float, to_s: float) -> list[tuple[float, int, float, int]]:
    return [commit for commit in seen.commits if from_s <= commit[0] < to_s] or seen.commits


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
