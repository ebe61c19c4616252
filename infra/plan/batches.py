"""PURE: a lane's batches by arithmetic: how many events a full one has, what it writes, how long it takes."""

from infra.plan.load import Wish, events_per_record, keys_of, record_bytes, spread
from infra.plan.quotas import batch_records_max
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup

TOTALS_S = 3600.0  # the template's WindowSeconds
EVEN_SKEW = 0.5  # below it a lane with many events is one with many keys


def batch_events_max(wish: Wish, setup: Setup) -> float:
    """Events of a full batch."""
    each = events_per_record(wish, setup.outer_lanes)
    return batch_records_max(setup.batch_size, record_bytes(wish, each)) * each


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


def steady_batch_s(wish: Wish, setup: Setup, times: ServiceTimes) -> float:
    """Rough time of the busiest lane's batches once each holds what came during the one before it."""
    share = spread(wish, setup.shards, setup.factor, setup.outer_lanes).hottest_lane_share
    batch_s = wish.pause_s + times.seconds(0, 0, setup.memory_mb)
    for _ in range(12):
        events = min(wish.rate * share * max(setup.window_s, batch_s), batch_events_max(wish, setup))
        batch_s = wish.pause_s + times.seconds(events, pages_of(events, wish, setup, share), setup.memory_mb)
    return batch_s


def environments(wish: Wish, setup: Setup, times: ServiceTimes) -> int:
    """Rough number of environments that all shards keep busy."""
    cycle_s = max(1.0, setup.window_s)
    events = min(wish.rate / setup.lanes * cycle_s, batch_events_max(wish, setup))
    batch_s = wish.pause_s + times.seconds(events, pages_of(events, wish, setup), setup.memory_mb)
    return max(min(2, setup.lanes), round(setup.lanes * min(1.0, batch_s / cycle_s)))
