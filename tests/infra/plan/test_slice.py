"""Shards in virtual time: everything is committed once, the quotas hold, and the figures are those of arithmetic."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.plan import extent
from infra.plan import steady as steady_module
from infra.plan.expect import expect
from infra.plan.extent import function
from infra.plan.function import Before, Pages, Table
from infra.plan.load import Wish
from infra.plan.packing import pack
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup
from infra.plan.slice import Slice
from infra.plan.steady import steady
from processor.core.chain import SEALED_AT
from tests.infra.plan.support import TIMES

FIXED = ServiceTimes(0.0, 0.0, 0.0, 0.0, 1, 1, 1, 1769, "no time at all beside the pause")


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extent, "EVENTS_MAX", 3_000)
        yield


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 7, 1000]), st.sampled_from([0, 1]),
    st.sampled_from([1, 20]), st.booleans(),
)  # fmt: skip
def test_every_event_is_committed_exactly_once_after_it_was_due(
    shards: int, factor: int, batch_size: int, window_s: int, aggregate: int, backlog: bool
) -> None:
    wish = Wish(200, keys=50, skew=0.5, aggregate=aggregate)
    setup = Setup(shards, factor, batch_size, window_s, 1769)
    records, _ = pack(wish, 200, 2.0, list(range(shards)), shards, 16, "test")
    seen = Slice(setup, shards, records, function(wish, setup, TIMES, None), backlog=backlog).run()
    assert len(seen.latencies) == sum(commit[1] for commit in seen.commits) == 400
    assert backlog or min(seen.latencies) >= setup.put_s + setup.invoke_s
    assert seen.running_max <= shards * factor
    assert sum(commit[3] for commit in seen.commits) <= 800  # refused ones are writes too


def test_lanes_that_only_wait_sustain_batches_over_the_pause() -> None:
    wish = Wish(100, keys=4000, skew=0, aggregate=1, pause_s=0.5)
    setup = Setup(1, 4, 50, 1, 1769, read_on_put=True, put_s=0, read_s=0, invoke_s=0)
    expected = expect(wish, setup, FIXED)
    assert expected.sustained == pytest.approx(4 * 50 / 0.5, rel=0.08)
    assert expect(wish, replace(setup, factor=1), FIXED).sustained == pytest.approx(50 / 0.5, rel=0.08)


def test_reserved_concurrency_below_the_lanes_costs_what_is_missing() -> None:
    wish = Wish(50, keys=4000, skew=0, aggregate=1, pause_s=0.5)
    setup = Setup(1, 2, 50, 1, 1769, concurrency=1, read_on_put=True, put_s=0, read_s=0, invoke_s=0)
    expected = expect(wish, setup, FIXED)
    assert 0.7 * 100 <= expected.sustained <= 100 * 1.03
    assert expected.lambda_throttles > 0


def test_what_the_function_does_not_limit_is_limited_by_the_reads() -> None:
    wish = Wish(500, event_bytes=1000, keys=100, skew=0, aggregate=100)
    expected = expect(wish, Setup(1, 10, 10_000, 0, 1769, read_s=0.001), FIXED)
    assert expected.sustained * expected.bytes / wish.rate == pytest.approx(2 * 1024 * 1024, rel=0.35)


@pytest.mark.parametrize("wish", [Wish(3_000), Wish(5_000, keys=20_000, aggregate=1), Wish(4_000, keys=9_000, skew=0)])
def test_batches_multiply_up_to_the_load_and_to_the_executions_that_are_busy(wish: Wish) -> None:
    setup = Setup(8, 1, 10_000, 2, 1769)
    expected = expect(wish, setup, TIMES)
    assert expected.simulated_shards < setup.shards
    assert expected.invocations * expected.events_per_batch == pytest.approx(wish.rate)
    assert expected.invocations * expected.batch_s == pytest.approx(expected.busy)


def test_of_an_uneven_load_counts_are_those_of_all_its_shards() -> None:
    """The hottest shard and an average one, scaled, agree with all shards run together."""
    wish, setup = Wish(3_000, keys=500, aggregate=1), Setup(6, 1, 10_000, 1, 1769)
    records, _ = pack(wish, wish.rate, 12.0, list(range(6)), 6, 16, "whole")
    whole = Slice(setup, 6, records, function(wish, setup, TIMES, None, long_running=True)).run()
    inside = [commit for commit in whole.commits if commit[0] >= 4.0]
    events = sum(commit[1] for commit in inside)
    expected = expect(wish, setup, TIMES)
    assert expected.simulated_shards == 2
    assert expected.writes / wish.rate == pytest.approx(sum(commit[3] for commit in inside) / events, rel=0.15)
    assert expected.invocations / wish.rate == pytest.approx(len(inside) / events, rel=0.15)
    assert expected.busy / wish.rate == pytest.approx(sum(commit[2] for commit in inside) / events, rel=0.15)
    assert expected.hottest_events_per_batch > 1.5 * expected.events_per_batch


def test_a_lane_that_is_never_idle_is_looked_at_when_its_batches_have_grown() -> None:
    """A run that is twice as long says the same."""
    wish, setup = Wish(5_000, keys=50_000, skew=0), Setup(4, 1, 10_000, 0, 1769)
    slow = replace(TIMES, event_s=1e-4)
    once = expect(wish, setup, slow)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steady_module, "STEADY_S", 60.0)
        patch.setattr(steady_module, "STEADY_S_MIN", 50.0)
        twice = expect(wish, setup, slow)
    assert twice.simulated_events > once.simulated_events
    assert once.p50_s == pytest.approx(twice.p50_s, rel=0.1)
    assert once.invocations == pytest.approx(twice.invocations, rel=0.1)


def test_a_longer_window_is_later_where_batches_are_long_and_a_run_is_only_some_of_them() -> None:
    """A run that ended within one batch once gave 4 seconds for what takes 8, and none at all for longer windows."""
    wish = Wish(6_000, keys=30_000, skew=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extent, "EVENTS_MAX", 2_000)
        seen = [steady(wish, Setup(8, 1, 10_000, window_s, 1769), TIMES) for window_s in (0, 2, 5)]
    for window_s, one in zip((0, 2, 5), seen, strict=True):
        batch_s = one.hottest.seconds / one.hottest.batches
        assert one.p99_s == pytest.approx(1.0 + window_s + 2 * batch_s, rel=0.25)
        assert one.p50_s < 0.8 * one.p99_s
    assert seen[0].p99_s < seen[1].p99_s < seen[2].p99_s


def test_a_drain_is_never_faster_than_the_reads_and_the_function_is_told_apart_from_them() -> None:
    wish = Wish(500, event_bytes=1000, keys=100, skew=0, aggregate=100)
    expected = expect(wish, Setup(1, 10, 10_000, 0, 1769, read_s=0.001), FIXED)
    assert expected.sustained * expected.bytes / wish.rate == pytest.approx(2 * 1024 * 1024)
    assert expected.function_rate > 1.5 * expected.sustained


def test_a_table_with_fewer_write_units_is_what_limits() -> None:
    wish = Wish(100, keys=10_000, skew=0, aggregate=1)
    setup = Setup(1, 2, 1000, 1, 1769, read_on_put=True)
    expected = expect(wish, setup, FIXED, table_units_per_s=150)
    assert expected.sustained == pytest.approx(150, rel=0.15)


def test_the_window_is_waited_for() -> None:
    wish = Wish(100, keys=100, skew=0, aggregate=1)
    latencies = [
        expect(wish, Setup(1, 1, 10_000, window_s, 1769, read_on_put=True), FIXED).p50_s for window_s in (0, 1, 5)
    ]
    assert latencies[0] < 0.3
    assert latencies[1] == pytest.approx(0.5, abs=0.3)
    assert latencies[2] == pytest.approx(2.5, abs=0.5)


def test_a_quarter_second_less_of_polling_is_seen_in_the_latency() -> None:
    """Facts 2.12, 2.17: without a window a batch goes as soon as it is read, and an idle shard is read each second."""
    wish = Wish(20, keys=100, skew=0, aggregate=1)
    polled, at_once = (
        expect(wish, Setup(1, 1, 100, 0, 1769, read_on_put=read_on_put), FIXED).p50_s for read_on_put in (False, True)
    )
    assert polled == pytest.approx(0.5, abs=0.15)
    assert at_once < 0.25


def test_the_same_wish_gives_the_same_figures() -> None:
    wish, setup = Wish(700, keys=300, skew=1.0), Setup(3, 2, 500, 1, 512)
    assert expect(wish, setup, TIMES) == expect(wish, setup, TIMES)


def test_one_shard_stands_for_hundreds() -> None:
    """The hottest shard alone, scaled, agrees with all shards run together."""
    wish = Wish(4000, event_bytes=200, keys=3000, skew=0, aggregate=50)
    setup = Setup(4, 1, 5000, 1, 1769)
    records, _ = pack(wish, wish.rate, 10.0, [0, 1, 2, 3], 4, 16, "whole")
    whole = Slice(setup, 4, records, function(wish, setup, TIMES, None)).run()
    expected = expect(wish, setup, TIMES)
    assert expected.simulated_shards == 1
    assert expected.p50_s == pytest.approx(whole.quantiles((0.5,), from_s=4.0)[0], rel=0.15)
    writes = sum(commit[3] for commit in whole.commits) / sum(commit[1] for commit in whole.commits)
    assert expected.writes / wish.rate == pytest.approx(writes, rel=0.15)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=120), min_size=1, max_size=10))
def test_a_batch_writes_a_page_for_every_key_and_a_new_one_when_it_is_sealed(batches: list[list[int]]) -> None:
    pages, held = Pages(), 0
    for keys in batches:
        made = pages.writes(keys)
        assert len(set(keys)) <= made <= len(set(keys)) + len(keys) // SEALED_AT
        held += made
    assert held <= sum(len(keys) for keys in batches)


def test_an_environment_that_does_not_know_the_open_page_pays_for_a_refused_write() -> None:
    """Fact 10.2."""
    pages = Pages()
    assert pages.writes([1, 1, 2], environment=0) == 2
    assert pages.writes([1, 2], environment=0) == 2
    assert pages.writes([1, 2], environment=1) == 4
    assert pages.writes([1, 2], environment=1) == 2
    assert pages.writes([1] * SEALED_AT, environment=0) == 1
    assert pages.writes([1], environment=0) == 1
    assert pages.writes([1], environment=1) == 2


@pytest.mark.parametrize(("rates", "lowest", "highest"), [([0.01] * 500, 500, 515), ([500.0] * 500, 750, 1000)])
def test_a_load_that_goes_on_for_long_finds_its_pages_there(rates: list[float], lowest: int, highest: int) -> None:
    pages = Pages(Before(rates, 0.0, 50, 3600.0))
    assert lowest <= pages.writes(range(500)) <= highest
    alone = Pages(Before(rates, 0.0, 1, 3600.0))
    assert alone.writes(range(500)) == 500


@given(st.floats(1, 1000), st.lists(st.floats(0.1, 50), min_size=1, max_size=30))
def test_a_table_gives_no_more_than_its_units(rate: float, writes: list[float]) -> None:
    table, now_s, given_units = Table(rate), 0.0, 0.0
    for units in writes:
        given_units += units
        now_s += table.wait_s(units, now_s)
        assert given_units <= rate * (now_s + 1.0) + 1e-6
    assert Table(None).wait_s(1e9, 0.0) == 0.0
