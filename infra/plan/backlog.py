"""PURE: the highest rate that a configuration sustains: a backlog in virtual time, and the quota of the reads.

Far more than can be processed is there when the mapping begins: every batch is full, and the busiest lane decides.
"""

from dataclasses import replace
from functools import lru_cache

from infra.plan.batches import batch_events_max, batch_seconds
from infra.plan.extent import chosen_shards, events_max, function
from infra.plan.load import Spread, Wish, events_per_record, record_bytes, spread
from infra.plan.packing import Packed, pack
from infra.plan.quotas import SHARD_READ_BYTES_PER_S
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup
from infra.plan.slice import Slice

BACKLOG_S, BACKLOG_BATCHES = 20.0, 6  # of work for the hottest lane, at least


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


def _at_once(record: Packed) -> Packed:
    return record._replace(at_s=0.0, due_s=[0.0] * len(record.due_s))


def full_rate(wish: Wish, setup: Setup, times: ServiceTimes, spread_: Spread) -> float:
    """Rough events per second with every batch full: lanes or reads, whichever is less."""
    events = batch_events_max(wish, setup)
    batch_s = max(1e-6, batch_seconds(events, wish, setup, times, spread_.hottest_lane_share)[0])
    lanes = setup.lanes if setup.concurrency is None else min(setup.lanes, setup.concurrency)
    by_lane = events / batch_s / spread_.hottest_lane_share * lanes / setup.lanes
    return min(by_lane, reads_rate(wish, setup), 5e6)
