"""PURE: what is run in virtual time for a configuration: how much of the load, for how long, with which function.

Where the whole load is too many events for a run, the hottest shard stands for all, for the others are not slower.
"""

from infra.plan.batches import TOTALS_S, cycle, environments
from infra.plan.function import Before, Function, Pages, Table
from infra.plan.load import Spread, Wish, events_per_record, keys_of
from infra.plan.machine import Shared
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup

EVENTS_MAX, RECORDS_MAX = 40_000, 8_000  # in one run


def events_max(wish: Wish, setup: Setup) -> float:
    """Of one run: what takes about a second."""
    return min(EVENTS_MAX, RECORDS_MAX * events_per_record(wish, setup.outer_lanes))


def chosen_shards(events: float, wish: Wish, setup: Setup, spread_: Spread) -> list[int]:
    """All, if that many events can be run, or else the hottest."""
    all_of_them = setup.shards == 1 or events <= events_max(wish, setup)
    return list(range(setup.shards)) if all_of_them else [spread_.hottest]


def before(wish: Wish, setup: Setup, times: ServiceTimes) -> Before:
    keys = keys_of(wish.keys, wish.skew)
    in_window = wish.rate * (1.0 - wish.malformed) * TOTALS_S
    rest = keys.rest / keys.rest_count * in_window if keys.rest_count else 0.0
    batches = TOTALS_S / cycle(wish, setup, times, 1 / setup.lanes).cycle_s
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
    return Function(times, setup.memory_mb, wish.pause_s, pages, Table(table_units_per_s), machine, wish.malformed)
