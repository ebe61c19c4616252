"""PURE: the cheapest configuration that fits the quotas and meets the wished latency.

Shards first: the smallest number at which some factor, memory and number of the publisher's lanes keeps every quota and
the busiest lane below the wished utilisation. Each of these checks only gets harder with the rate, and the numbers of
shards are tried in one fixed order, so more load never needs fewer shards. Then, with that number, factor, memory and
window by estimated cost, and the first whose run in virtual time meets the latency.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10

from infra.plan.batches import batch_events_max, pages_of
from infra.plan.costs import Usage, monthly_usd
from infra.plan.expect import Expectation, expect
from infra.plan.load import Spread, Wish, WishError, events_per_record, keys_of, outer_lanes_for, record_bytes, spread
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
TRIED_MAX, TRIED_MORE_MAX = 8, 3  # runs in virtual time: with the least number of shards, with each larger one
SHARDS_TIMES = (1.0, 1.25, 1.5, 2.0, 3.0)  # of the least number of shards, if that does not meet the latency
LESS = (1.0, 0.98, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)


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
class Choice:
    """`tried`: what was run in virtual time before, with what kept it from being chosen. `meets`: the latency."""

    setup: Setup
    expectation: Expectation
    spread: Spread
    meets: bool
    tried: tuple[str, ...]


def shard_counts() -> Iterator[int]:
    """Every number up to 64, then steps of 2 %."""
    count = 1
    while count <= SHARDS_MAX:
        yield count
        count += max(1, count // 50)


def choose(wish: Wish, times: ServiceTimes, aims: Aims, prices: Prices) -> Choice:
    """Raises Unreachable."""
    _check_pause(wish)
    least = _least(wish, times, aims)
    tried: list[str] = []
    best: Choice | None = None
    for shards in dict.fromkeys(ceil(least * times_as_many) for times_as_many in SHARDS_TIMES):
        for setup in _promising(wish, times, aims, prices, shards, is_least=shards == least):
            expectation = expect(wish, setup, times)
            spread_ = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
            keeps_up = expectation.sustained * aims.utilisation >= wish.rate
            meets = expectation.p99_s <= aims.p99_s and keeps_up
            found = Choice(setup, expectation, spread_, meets, tuple(tried))
            if meets:
                return found
            tried.append(_why_not(setup, expectation, keeps_up=keeps_up))
            if best is None or expectation.p99_s < best.expectation.p99_s:
                best = found
    assert best is not None
    return Choice(best.setup, best.expectation, best.spread, False, tuple(tried))


def _promising(
    wish: Wish, times: ServiceTimes, aims: Aims, prices: Prices, shards: int, *, is_least: bool
) -> Iterator[Setup]:
    """What is worth a run in virtual time, the cheapest first, and the quickest by estimate."""
    candidates = sorted(_candidates(wish, times, aims, prices, shards), key=lambda found: found[0])
    hopeful = [setup for _, guess_s, setup in candidates if guess_s <= aims.p99_s * 1.25]
    yield from hopeful[: TRIED_MAX if is_least else TRIED_MORE_MAX]
    yield from (found[2] for found in sorted(candidates, key=lambda found: found[1])[: 2 if is_least else 1])


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


def _why_not(setup: Setup, expectation: Expectation, *, keeps_up: bool) -> str:
    what = f"{setup.shards:,} x {setup.factor}, window {setup.window_s} s, {setup.memory_mb} MB"
    if not keeps_up:
        return f"{what}: its busiest lane sustains {expectation.sustained:,.0f} events/s"
    return f"{what}: p99 {expectation.p99_s:.1f} s"


def _hottest_key(wish: Wish, aims: Aims) -> tuple[float, float]:
    """Events per second of one key that a shard takes, and the rate of the whole load at which the hottest has them."""
    share = keys_of(wish.keys, wish.skew).weights[0]
    each = events_per_record(wish, 1) if wish.aggregate > 1 else 1.0
    size = record_bytes(wish, each) / each
    allowed = SHARD_WRITE_BYTES_PER_S * aims.utilisation / size
    if wish.aggregate == 1:
        allowed = min(allowed, SHARD_WRITE_RECORDS_PER_S * aims.utilisation)
    return allowed, allowed / share


def _check_hottest_key(wish: Wish, aims: Aims) -> None:
    """A key is in one shard and in one batch at a time, whatever else is configured."""
    allowed, most = _hottest_key(wish, aims)
    if wish.rate > most:
        raise Unreachable(
            f"the hottest of the {wish.keys:,} keys has {wish.rate / most * allowed:,.0f} events/s, and a key is in "
            f"one shard, which takes {allowed:,.0f} events/s of this size at {aims.utilisation:.0%}: no number of "
            f"shards helps. Split that key, make events smaller{', aggregate them' if wish.aggregate == 1 else ''}"
        )


def _check_pause(wish: Wish) -> None:
    if wish.pause_s >= TEMPLATE_TIMEOUT_S * TIMEOUT_SHARE:
        raise Unreachable(
            f"a pause of {wish.pause_s:g} s in every batch is above {TIMEOUT_SHARE:.0%} of the function's timeout of "
            f"{TEMPLATE_TIMEOUT_S} s, and slow days come: do that work elsewhere"
        )


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
    for memory_mb in memories_mb:
        least = 1
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
    return events, wish.pause_s + times.seconds(events, pages_of(events, wish, setup, busiest), setup.memory_mb)


def _fits_evenly(wish: Wish, times: ServiceTimes, aims: Aims, setup: Setup) -> bool:
    """Whether it would if all lanes had the same: a quick look."""
    events, seconds = _full_batch(wish, times, setup)
    return wish.rate / setup.lanes <= aims.utilisation * events / seconds


def _fits(wish: Wish, times: ServiceTimes, aims: Aims, setup: Setup, spread_: Spread) -> bool:
    if _writes(wish, spread_, setup.outer_lanes) > aims.utilisation:
        return False
    events, seconds = _full_batch(wish, times, setup, spread_.hottest_lane_share)
    return wish.rate * spread_.hottest_lane_share <= aims.utilisation * events / seconds


def _candidates(
    wish: Wish, times: ServiceTimes, aims: Aims, prices: Prices, shards: int
) -> Iterator[tuple[float, float, Setup]]:
    """(estimated dollars per month, estimated p99 in seconds, setup) for every memory and window."""
    for fits in fitting(wish, times, aims, shards):
        for window_s in WINDOWS_S:
            setup = replace(fits, window_s=window_s)
            usage, p99_s = _estimate(wish, times, setup)
            yield monthly_usd(usage, prices), p99_s, setup


def _estimate(wish: Wish, times: ServiceTimes, setup: Setup) -> tuple[Usage, float]:
    """By an average lane's cycle: the window, or the time of its batch, or the poll, whichever is longest."""
    each = events_per_record(wish, setup.outer_lanes)
    rate = wish.rate / setup.lanes
    poll_s = 0.25 if setup.read_on_put else 1.0
    cycle_s, events, batch_s = max(setup.window_s, poll_s, each / rate), 0.0, 0.0
    for _ in range(8):
        events = min(rate * cycle_s, batch_events_max(wish, setup))
        pages = pages_of(events, wish, setup)
        batch_s = wish.pause_s + times.seconds(events, pages, setup.memory_mb)
        cycle_s = max(setup.window_s + setup.invoke_s, batch_s + setup.invoke_s, poll_s, each / rate)
    invocations = setup.lanes / cycle_s
    usage = Usage(
        shards=setup.shards,
        memory_mb=setup.memory_mb,
        rate=wish.rate,
        records=wish.rate / each,
        record_bytes=record_bytes(wish, each),
        invocations=invocations,
        busy=invocations * batch_s,
        writes=invocations * pages,
        new_pages=0.0,
        malformed=0.0,
    )
    linger_s = wish.linger_s if wish.aggregate > 1 else 0.0
    return usage, linger_s + poll_s + setup.window_s + 2 * batch_s + setup.put_s + setup.read_s + setup.invoke_s
