"""PURE: a lane's batches by arithmetic: how many events a full one has, what it writes, how long it takes."""

from dataclasses import dataclass

from infra.plan.load import Wish, events_per_record, keys_of, record_bytes
from infra.plan.quotas import batch_records_max
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup

TOTALS_S = 3600.0  # the template's WindowSeconds
POLL_S, POLL_ON_PUT_S = 1.0, 0.25  # between two reads of an idle shard
ROUNDS, CLOSE = 30, 0.005  # until a batch holds what comes during the one before it
EVEN_SKEW = 0.5  # below it a lane with many events is one with many keys


def batch_events_max(wish: Wish, setup: Setup) -> float:
    """Events of a full batch."""
    each = events_per_record(wish, setup.outer_lanes)
    return batch_records_max(setup.batch_size, record_bytes(wish, each)) * each


def pages_of(events: float, wish: Wish, setup: Setup, busiest: float = 0.0, environments: float | None = None) -> float:
    """Rough number of pages written by a batch of so many events of one lane: its different keys, full pages, refused
    ones. Malformed events have none.

    `busiest`: the lane's share of all events, if it is not an average one. `environments`: that take turns; None: as
    many as lanes, and each page is found by all of them, which is more than there will be.
    """
    # A lane that is busy because a few keys are hot has no more keys than others.
    events *= 1.0 - wish.malformed
    share = max(busiest, 1 / setup.lanes) if wish.skew < EVEN_SKEW else 1 / setup.lanes
    different = max(min(1.0, events), share * keys_of(wish.keys, wish.skew).different(events / share))
    rate = wish.rate * (1.0 - wish.malformed)
    each = max(1.0, rate * TOTALS_S / wish.keys)  # events of a key in a window of the totals
    page = max(1.0, min(each, 48.0) * different / max(1.0, events))  # batches with a key while a page of it is open
    if environments is None:
        unknown = min(1.0, max(0.0, setup.lanes - 1.0) / page)
    else:
        unseen = 1.0 - 1.0 / max(1.0, environments)
        unknown = unseen * (1.0 - unseen**page) * max(1.0, environments) / page
    return min(events, different + events / 64.0) + different * unknown * (1.0 - 1.0 / each)


def batch_seconds(
    events: float,
    wish: Wish,
    setup: Setup,
    times: ServiceTimes,
    busiest: float = 0.0,
    environments: float | None = None,
) -> tuple[float, float]:
    """Rough time of a batch of so many events, and the pages it writes; a malformed event is a write in quarantine."""
    pages = pages_of(events, wish, setup, busiest, environments)
    return wish.pause_s + times.seconds(events, pages + wish.malformed * events, setup.memory_mb), pages


@dataclass(frozen=True, slots=True)
class Cycle:
    """A lane's batches once each holds what came since the one before it was cut: their events, pages written, and
    seconds; `cycle_s` from one to the next; `window_s` of it is waited for company.
    """

    cycle_s: float
    window_s: float
    events: float
    writes: float
    batch_s: float


def cycle(wish: Wish, setup: Setup, times: ServiceTimes, share: float, environments: float | None = None) -> Cycle:
    """Roughly, of a lane with that share of all events: the window begins when the batch before is done, and ends early
    when the batch is full; without one the next batch is what was read meanwhile.
    """
    rate, full = wish.rate * share, batch_events_max(wish, setup)
    window_s = min(float(setup.window_s), full / rate)
    least_s = max(POLL_ON_PUT_S if setup.read_on_put else POLL_S, events_per_record(wish, setup.outer_lanes) / rate)
    events, writes, cycle_s = 0.0, 0.0, least_s
    batch_s = wish.pause_s + times.seconds(0, 0, setup.memory_mb)
    for _ in range(ROUNDS):
        cycle_s = max(window_s + batch_s, least_s)
        before, events = events, min(rate * cycle_s, full)
        if abs(events - before) <= CLOSE * events:
            break
        batch_s, writes = batch_seconds(events, wish, setup, times, share, environments)
    return Cycle(cycle_s, window_s, events, writes, batch_s)


def environments(wish: Wish, setup: Setup, times: ServiceTimes) -> int:
    """Rough number of environments that all shards keep busy."""
    found = cycle(wish, setup, times, 1 / setup.lanes)
    return max(min(2, setup.lanes), round(setup.lanes * min(1.0, found.batch_s / found.cycle_s)))
