"""PURE: why a plan has these numbers and no others, as sentences."""

from collections.abc import Iterator
from math import ceil

from infra.plan.batches import batch_events_max, batch_seconds
from infra.plan.candidates import BATCH_SIZES, TIMEOUT_SHARE, Aims, fitting
from infra.plan.load import Wish, events_per_record
from infra.plan.quotas import TEMPLATE_TIMEOUT_S, batch_records_max
from infra.plan.search import Choice
from infra.plan.service import ServiceTimes

UNEVEN = 1.5  # the hottest shard's load over the average that is worth a sentence
EMPTY = 1.5  # events of a record below which packing brings next to nothing


def reasons(wish: Wish, times: ServiceTimes, aims: Aims, choice: Choice) -> list[str]:
    """For shards, factor, batch size, window and memory, and what of the load decides them."""
    return [*_shards(wish, aims, choice), *_lanes(wish, times, aims, choice), *_batches(wish, times, choice)]


def _shards(wish: Wish, aims: Aims, choice: Choice) -> Iterator[str]:
    setup, least = choice.setup, choice.least_shards
    below = f"keep the hottest one's bytes and records and the busiest lane below {aims.utilisation:.0%}"
    if setup.shards == least:
        yield f"Shards: {least:,} {'is' if least == 1 else 'are'} the fewest that {below}."
    else:
        yield f"Shards: {least:,} would {below}; {setup.shards:,} are quicker, or allow for a longer window."
    uneven = choice.spread.hottest_share * setup.shards
    if uneven >= UNEVEN:
        yield (
            f"The hottest shard has {uneven:.1f} times the average, for keys are spread by their hashes; if all had "
            f"the same, {ceil(least / uneven):,} would do: more keys, or none that is as hot."
        )
    each = events_per_record(wish, setup.outer_lanes)
    if wish.aggregate > 1 and each < EMPTY:
        yield (
            f"Aggregates hold {each:.2f} events: they wait for company that does not come, and their lanes spread the "
            "keys less evenly. Compare with --aggregate off."
        )


def _lanes(wish: Wish, times: ServiceTimes, aims: Aims, choice: Choice) -> Iterator[str]:
    setup = choice.setup
    fits = fitting(wish, times, aims, setup.shards, (setup.memory_mb,))
    least = min((found.factor for found in fits), default=setup.factor)
    if setup.factor <= least:
        yield f"Factor: {setup.factor} is the least with which {setup.memory_mb:,} MB keep up; more cost more."
    else:
        yield (
            f"Factor: {least} would keep up; with {setup.factor} batches are shorter, and the window that the wished "
            "latency allows for is longer or costs less."
        )
    if not choice.meets:
        return
    yield (
        f"Window and memory: of what was run and meets the latency, {setup.window_s} s and {setup.memory_mb:,} MB cost "
        "least: a longer window writes fewer pages, more memory makes batches shorter."
    )


def _batches(wish: Wish, times: ServiceTimes, choice: Choice) -> Iterator[str]:
    setup = choice.setup
    full = batch_events_max(wish, setup)
    seconds, _ = batch_seconds(full, wish, setup, times)
    records = batch_records_max(setup.batch_size, choice.expectation.record_bytes)
    cut = f", cut to {records:,} records by the 6 MB of an invocation" if records < setup.batch_size else ""
    largest = " the largest there is" if setup.batch_size == BATCH_SIZES[0] else " the largest"
    yield (
        f"Batch size: {setup.batch_size:,} records,{largest} that is done within {TIMEOUT_SHARE:.0%} of the timeout of "
        f"{TEMPLATE_TIMEOUT_S} s: a full batch is {full:,.0f} events{cut}, and takes {seconds:,.2f} s."
    )
    yield f"Reserved concurrency: {setup.lanes:,}, one execution for each of {setup.shards:,} x {setup.factor} lanes."
