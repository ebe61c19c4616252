"""PURE: which configurations fit a load by arithmetic: every quota and the busiest lane below the wished utilisation.

Each of these checks only gets harder with the rate, and the numbers of shards are tried in one fixed order, so more
load never needs fewer shards. For every one that fits, what it costs and how long its events take, roughly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from infra.plan.batches import POLL_ON_PUT_S, POLL_S, batch_events_max, batch_seconds, cycle, environments
from infra.plan.costs import Usage, monthly_usd
from infra.plan.load import Spread, Wish, aggregate_wait_s, events_per_record, outer_lanes_for, record_bytes, spread
from infra.plan.prices import Prices
from infra.plan.quotas import (
    BATCH_SIZE_MAX,
    FACTOR_MAX,
    SHARD_WRITE_BYTES_PER_S,
    SHARD_WRITE_RECORDS_PER_S,
    TEMPLATE_TIMEOUT_S,
)
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup

MEMORIES_MB = (256, 512, 1024, 1769)
WINDOWS_S = (0, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300)
BATCH_SIZES = (10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1)
EACH = (1, 2, 4, 8, 16)  # of the publisher's lanes for every batch at a time: more are more even, and fill more slowly
TIMEOUT_SHARE = 0.25  # of the timeout that a full batch may take: the rest is for slow days
SHARDS_MAX = 5_000
UTILISATION_RANGE, P99_MS_RANGE = (0.05, 1.0), (1.0, 3_600_000.0)  # that one may ask for


class Unreachable(Exception):  # noqa: N818  # not a fault: an answer
    """No configuration does it; the text says why and what would."""


@dataclass(frozen=True, slots=True)
class Aims:
    """`utilisation`: of every quota and lane, at most. `p99_s`: from when an event is due until it is in the table.

    `surroundings`: how it is read and called; its sizes do not count.
    """

    utilisation: float
    p99_s: float
    surroundings: Setup


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setup with estimates: `usd` per month; seconds from due to committed, 99 of 100, of which the busiest lane's
    batches are `batch_s` twice.
    """

    setup: Setup
    usd: float
    p99_s: float
    batch_s: float


def shard_counts() -> Iterator[int]:
    """Every number up to 64, then steps of 2 %."""
    count = 1
    while count <= SHARDS_MAX:
        yield count
        count += max(1, count // 50)


def smallest(wish: Wish, times: ServiceTimes, aims: Aims) -> int:
    """The smallest number of shards that fits. Raises Unreachable."""
    least = wish.rate * wish.event_bytes / (SHARD_WRITE_BYTES_PER_S * aims.utilisation)
    for shards in shard_counts():
        if (
            shards >= least
            and _fits_writes(wish, aims, shards)
            and next(fitting(wish, times, aims, shards, MEMORIES_MB[-1:]), None)
        ):
            return shards
    raise Unreachable(
        f"up to {SHARDS_MAX:,} shards do not take {wish.rate:,.0f} events/s of {wish.event_bytes:,} bytes on "
        f"{wish.keys:,} keys: the hottest shard or its busiest lane has too much. More keys, more memory or "
        "a shorter function help"
    )


def _fits_writes(wish: Wish, aims: Aims, shards: int) -> bool:
    """A quick look with the fewest and the most lanes of the publisher."""
    found = (outer_lanes_for(shards, each) for each in (EACH[0], EACH[-1]))
    return any(lanes and _writes(wish, spread(wish, shards, 1, lanes), lanes) <= aims.utilisation for lanes in found)


def _writes(wish: Wish, spread_: Spread, outer_lanes: int) -> float:
    """Utilisation of the hottest shard's write quota."""
    each = events_per_record(wish, outer_lanes)
    records = spread_.hottest_share * wish.rate / each
    return max(records / SHARD_WRITE_RECORDS_PER_S, records * record_bytes(wish, each) / SHARD_WRITE_BYTES_PER_S)


def fitting(
    wish: Wish, times: ServiceTimes, aims: Aims, shards: int, memories_mb: Sequence[int] = MEMORIES_MB
) -> Iterator[Setup]:
    """For every memory the smallest factor that fits, if one does, and larger ones, which are quicker and cost more."""
    spreads: dict[tuple[int, int], Spread] = {}
    quickest_s = float("inf")
    for memory_mb in memories_mb:
        if times.seconds(1, 1, memory_mb) >= quickest_s:
            continue  # the local stack gives every environment a whole CPU
        quickest_s, least = times.seconds(1, 1, memory_mb), 1
        for factor, lanes in _lanes(wish, shards):
            if factor < least:
                continue
            setup = _sized(wish, times, aims, shards, factor, memory_mb, lanes)
            if setup is None or not _fits_evenly(wish, times, aims, setup):
                continue
            if (factor, lanes) not in spreads:
                spreads[factor, lanes] = spread(wish, shards, factor, lanes)
            if _fits(wish, times, aims, setup, spreads[factor, lanes]):
                yield setup
                least = 2 * factor


def _lanes(wish: Wish, shards: int) -> Iterator[tuple[int, int]]:
    """(factor, the publisher's lanes), what is cheaper first."""
    for factor in range(1, FACTOR_MAX + 1):
        for each in EACH if wish.aggregate > 1 else EACH[:1]:
            lanes = outer_lanes_for(shards, each * factor)
            if lanes is not None:
                yield factor, lanes


def _sized(
    wish: Wish, times: ServiceTimes, aims: Aims, shards: int, factor: int, memory_mb: int, lanes: int
) -> Setup | None:
    """With the largest batch that is done well within the timeout; None: not even one record is."""
    around = aims.surroundings
    for batch_size in BATCH_SIZES:
        setup = Setup(
            shards, factor, min(batch_size, BATCH_SIZE_MAX), 1, memory_mb, lanes, None, around.read_on_put,
            around.put_s, around.read_s, around.invoke_s, around.machine,
        )  # fmt: skip
        if _full_batch(wish, times, setup)[1] <= TEMPLATE_TIMEOUT_S * TIMEOUT_SHARE:
            return setup
    return None


def _full_batch(wish: Wish, times: ServiceTimes, setup: Setup, busiest: float = 0.0) -> tuple[float, float]:
    """Its events, its seconds."""
    events = batch_events_max(wish, setup)
    return events, batch_seconds(events, wish, setup, times, busiest)[0]


def _fits_evenly(wish: Wish, times: ServiceTimes, aims: Aims, setup: Setup) -> bool:
    """Whether it would if all lanes had the same: a quick look."""
    events, seconds = _full_batch(wish, times, setup)
    return wish.rate / setup.lanes <= aims.utilisation * events / seconds


def _fits(wish: Wish, times: ServiceTimes, aims: Aims, setup: Setup, spread_: Spread) -> bool:
    if _writes(wish, spread_, setup.outer_lanes) > aims.utilisation:
        return False
    events, seconds = _full_batch(wish, times, setup, spread_.hottest_lane_share)
    return wish.rate * spread_.hottest_lane_share <= aims.utilisation * events / seconds


def candidates(wish: Wish, times: ServiceTimes, aims: Aims, prices: Prices, shards: int) -> list[Candidate]:
    """Every factor and memory that fits, with every window."""
    made = []
    for setup in fitting(wish, times, aims, shards):
        busiest = spread(wish, setup.shards, setup.factor, setup.outer_lanes).hottest_lane_share
        made += [_estimated(wish, times, prices, replace(setup, window_s=window_s), busiest) for window_s in WINDOWS_S]
    return made


def _estimated(wish: Wish, times: ServiceTimes, prices: Prices, setup: Setup, busiest: float) -> Candidate:
    """Cost by an average lane's cycle, latency by that one or the busiest, whose windows may end earlier."""
    known_by = environments(wish, setup, times)
    lane = cycle(wish, setup, times, 1 / setup.lanes, known_by)
    invocations = setup.lanes / lane.cycle_s
    usd = monthly_usd(usage(wish, setup, invocations, invocations * lane.batch_s, invocations * lane.writes), prices)
    hot = cycle(wish, setup, times, busiest, known_by)
    still_s = aggregate_wait_s(wish, setup.outer_lanes) + (POLL_ON_PUT_S if setup.read_on_put else POLL_S)
    still_s += setup.put_s + setup.read_s + setup.invoke_s
    return Candidate(setup, usd, still_s + max(one.window_s + 2 * one.batch_s for one in (lane, hot)), hot.batch_s)


def usage(wish: Wish, setup: Setup, invocations: float, busy: float, writes: float) -> Usage:
    """Of a configuration, without what is the same for all of them."""
    each = events_per_record(wish, setup.outer_lanes)
    return Usage(
        shards=setup.shards,
        memory_mb=setup.memory_mb,
        rate=wish.rate,
        records=wish.rate / each,
        record_bytes=record_bytes(wish, each),
        invocations=invocations,
        busy=busy,
        writes=writes,
        new_pages=0.0,
        malformed=0.0,
    )
