"""PURE: what to expect of one configuration under one load: two runs in virtual time, scaled to all shards.

*Steady* (`infra.plan.steady`): the load as it is wished, for latency, batches, writes. *Backlog*
(`infra.plan.backlog`): far more than can be processed, for the highest rate that the function and its lanes sustain.
"""

from dataclasses import dataclass
from math import ceil

from infra.plan.backlog import function_rate, reads_rate
from infra.plan.costs import PUT_UNIT_BYTES
from infra.plan.load import Wish, events_per_record, record_bytes
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup
from infra.plan.steady import Steady, steady

HOUR_S = 3600.0


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


def expect(
    wish: Wish,
    setup: Setup,
    times: ServiceTimes,
    *,
    table_units_per_s: float | None = None,
    seen: Steady | None = None,
) -> Expectation:
    """The same arguments give the same figures. `seen`: the steady run, if it is there already."""
    if seen is None:
        seen = steady(wish, setup, times, table_units_per_s)
    busy = min(setup.lanes, seen.work)
    function_max, backlog_events = function_rate(wish, setup, times, table_units_per_s)
    rate_max = min(function_max, reads_rate(wish, setup))
    each = events_per_record(wish, setup.outer_lanes)
    size = record_bytes(wish, each)
    return Expectation(
        p50_s=seen.p50_s,
        p90_s=seen.p90_s,
        p99_s=seen.p99_s,
        invocations=seen.invocations,
        events_per_batch=wish.rate / seen.invocations,
        batch_s=busy / seen.invocations,
        batch_max_s=seen.batch_max_s,
        busy=busy,
        hottest_events_per_batch=1.0 / seen.hottest.batches,
        hottest_batch_s=seen.hottest.seconds / seen.hottest.batches,
        writes=seen.writes,
        writes_peak=seen.writes_peak,
        records=wish.rate / each,
        bytes=wish.rate / each * size,
        record_bytes=size,
        put_units=ceil(size / PUT_UNIT_BYTES) if seen.put_units is None else seen.put_units,
        function_rate=function_max,
        sustained=rate_max,
        drain_s=HOUR_S * wish.rate / (rate_max - wish.rate) if rate_max > wish.rate * 1.001 else None,
        lambda_throttles=seen.lambda_throttles,
        simulated_shards=seen.shards,
        simulated_events=seen.events + backlog_events,
    )
