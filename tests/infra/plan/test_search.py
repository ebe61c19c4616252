"""The choice: quotas are never exceeded, more load never needs fewer shards, and what cannot be is said."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.plan import candidates, extent, search
from infra.plan.allowances import quotas_of
from infra.plan.basis import Basis
from infra.plan.candidates import Aims, Unreachable, fitting, shard_counts, smallest
from infra.plan.costs import monthly_usd
from infra.plan.document import document
from infra.plan.expect import expect
from infra.plan.load import Wish
from infra.plan.search import Choice, choose
from infra.plan.setup import Seen, Setup
from infra.plan.show import plan_lines
from infra.plan.steady import Steady, steady
from tests.infra.plan.support import AIMS, PRICES, TIMES

BASIS = Basis(TIMES, PRICES, {})


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    """A tenth of the events in virtual time: what is chosen is to be sound, not precise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extent, "EVENTS_MAX", 2_000)
        patch.setattr(extent, "RECORDS_MAX", 800)
        patch.setattr(candidates, "BATCH_SIZES", (500, 100, 20, 5, 1))
        patch.setattr(candidates, "SHARDS_MAX", 600)
        yield
    chosen.cache_clear()


@cache
def chosen(wish: Wish, aims: Aims = AIMS) -> Choice:
    """The same wish is planned once for all tests here, and with short runs."""
    return choose(wish, TIMES, aims, PRICES)


@settings(max_examples=10, deadline=None)
@given(
    st.floats(0.5, 9_000), st.floats(1.0, 10.0), st.sampled_from([1, 50, 600]), st.sampled_from([0.0, 0.6]),
    st.sampled_from([1, 100]), st.integers(98, 4000), st.sampled_from([0.0, 0.4]),
)  # fmt: skip
def test_more_load_never_needs_fewer_shards(
    rate: float, more: float, keys: int, skew: float, aggregate: int, event_bytes: int, pause_s: float
) -> None:
    def least(rate: float) -> float:
        try:
            wish = Wish(rate, event_bytes, keys, skew, aggregate, pause_s=pause_s)
            return smallest(wish, TIMES, replace(AIMS, utilisation=0.8)) if rate / keys < 3000 else float("inf")
        except Unreachable:
            return float("inf")

    small = least(rate)
    assert small == float("inf") or least(rate * more) >= small


@settings(max_examples=3, deadline=None)
@given(
    st.floats(1, 3_000), st.integers(100, 3000), st.sampled_from([40, 2000]), st.sampled_from([1, 100]),
    st.floats(0.3, 1.0),
)  # fmt: skip
def test_no_quota_that_cannot_be_raised_is_exceeded(
    rate: float, event_bytes: int, keys: int, aggregate: int, utilisation: float
) -> None:
    wish = Wish(rate, event_bytes, keys, 0.3, aggregate)
    try:
        choice = chosen(wish, replace(AIMS, utilisation=utilisation))
    except Unreachable:
        return
    for quota in quotas_of(wish, choice, BASIS):
        assert quota.can_be_raised or quota.utilisation <= 1.0, quota
        if quota.name in ("shard write bytes", "shard write records") or (
            choice.meets and quota.name == "function time"
        ):
            assert quota.utilisation <= utilisation + 1e-9
        at = quota.at_rate(rate)
        assert at is None or quota.utilisation > 1.0 or at >= rate * (1 - 1e-6), quota
    setup = choice.setup
    assert 1 <= setup.factor <= 10
    assert 1 <= setup.batch_size <= 10_000
    assert 0 <= setup.window_s <= 300
    setup.mapping()


def test_the_wished_latency_decides_the_window_and_costs() -> None:
    wish = Wish(500, keys=2000, skew=0)
    quick, slow = (chosen(wish, replace(AIMS, p99_s=p99_s)) for p99_s in (2.0, 9.0))
    assert quick.meets
    assert slow.meets
    assert quick.expectation.p99_s <= 2.0 < slow.expectation.p99_s <= 9.0
    assert quick.setup.window_s < slow.setup.window_s
    assert quick.expectation.writes > slow.expectation.writes


def test_a_latency_that_nothing_meets_is_said_and_the_quickest_shown() -> None:
    wish, aims = Wish(100, keys=100, pause_s=3.0), replace(AIMS, p99_s=1.0)
    choice = chosen(wish, aims)
    assert not choice.meets
    plan = document(wish, aims, choice, BASIS)
    assert plan["meets_latency"] is False
    assert any("pause for less than 3 s" in lever for lever in plan["levers"])
    assert "NOT MET" in "\n".join(plan_lines(plan))


@pytest.mark.parametrize("wish", [Wish(3_000, skew=0, pause_s=10.0), Wish(1_700, 98, 20_000, pause_s=14.0)])
def test_a_function_that_pauses_for_longer_than_the_wished_latency_never_meets_it(wish: Wish) -> None:
    choice = chosen(wish, replace(AIMS, p99_s=wish.pause_s / 2))
    assert not choice.meets
    assert choice.expectation.p50_s > wish.pause_s


def test_the_wait_for_an_aggregate_is_in_the_latency() -> None:
    setup = Setup(1, 1, 10_000, 0, 1769)
    seen = expect(Wish(100, keys=1000, skew=0, aggregate=10_000, linger_s=20.0), setup, TIMES)
    assert 8.0 < seen.p50_s < 14.0
    assert 18.0 < seen.p99_s < 24.0


def test_without_any_event_there_is_no_latency_that_a_wish_could_be_met_by() -> None:
    assert Seen().quantiles((0.5, 0.99)) == [float("inf")] * 2


def test_what_cannot_be_raised_and_is_too_little_is_the_first_limit_below_the_wished_rate() -> None:
    wish = Wish(500, keys=2000, skew=0)
    choice = chosen(wish)
    slow = replace(choice, meets=False, expectation=replace(choice.expectation, function_rate=400.0))
    first = document(wish, AIMS, slow, BASIS)["first_limit"]
    assert (first["name"], first["events_per_s"]) == ("function time", 400.0)


def test_the_first_limit_is_the_lowest_of_all_and_what_cannot_be_raised_is_named_beside() -> None:
    wish = Wish(500, keys=2000, skew=0)
    choice = chosen(wish)
    many = replace(choice, expectation=replace(choice.expectation, writes_peak=80_000.0, function_rate=1e6))
    plan = document(wish, AIMS, many, BASIS)
    assert (plan["first_limit"]["name"], plan["first_limit"]["events_per_s"]) == ("table write units", 250.0)
    rates = {quota["name"]: quota["used_up_at_events_per_s"] for quota in plan["quotas"] if not quota["can_be_raised"]}
    assert plan["first_fixed_limit"]["events_per_s"] == min(at for at in rates.values() if at is not None) > 500
    assert "Below this load already, table write units is used up first, at 250 events/s." in " ".join(
        line.strip() for line in plan_lines(plan)
    )


def test_a_key_that_no_shard_holds_is_named_with_what_would_fit() -> None:
    with pytest.raises(Unreachable, match=r"hottest of the 10 keys .* no number of shards helps") as told:
        chosen(Wish(100_000, keys=10, skew=0))
    fits = float(str(told.value).split("plan at most ")[1].split(" ")[0].replace(",", ""))
    assert chosen(Wish(fits, keys=10, skew=0)).setup.shards >= 3


@pytest.mark.parametrize("wish", [Wish(20_000, keys=1), Wish(19_704), Wish(20_000, keys=300, aggregate=1)])
def test_a_rate_that_is_advised_is_one_that_can_be_planned(wish: Wish) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Unreachable, match="plan at most") as told:
        patch.setattr(candidates, "SHARDS_MAX", 80)
        choose(wish, TIMES, AIMS, PRICES)
    fits = float(str(told.value).split("plan at most ")[1].split(" ")[0].replace(",", ""))
    assert 0.01 * wish.rate < fits < wish.rate
    assert smallest(replace(wish, rate=fits), TIMES, AIMS) >= 1


@pytest.mark.slow
def test_more_shards_are_tried_before_a_latency_is_given_up() -> None:
    wish = Wish(300_000, keys=30_000, skew=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SHARDS_TIMES", (1.0,))
        quickest = chosen(wish, replace(AIMS, p99_s=0.3))
    assert not quickest.meets
    found = chosen(wish, replace(AIMS, p99_s=0.9 * quickest.expectation.p99_s))
    assert found.meets
    assert quickest.setup.shards < found.setup.shards <= 3 * quickest.setup.shards


LOCAL = Setup(1, 1, 1, 1, 512, read_on_put=True, put_s=0.004, read_s=0.001, invoke_s=0.001)


@pytest.mark.parametrize(
    ("wish", "p99_s", "around"),
    [
        (Wish(200), 5.0, LOCAL),  # eight runs that were alike were once too late, and the quickest of all was taken
        (Wish(60, keys=1200, skew=0, aggregate=1), 4.2, AIMS.surroundings),
    ],
)
def test_nothing_that_costs_much_less_would_have_met_the_latency(wish: Wish, p99_s: float, around: Setup) -> None:
    """With as many shards, factors up to 4 are run with the least memory and the most and the windows around."""
    aims = replace(AIMS, p99_s=p99_s, surroundings=around)
    choice = chosen(wish, aims)
    assert choice.meets
    pool = candidates.candidates(wish, TIMES, aims, PRICES, choice.least_shards)
    pool = [one for one in pool if one.setup.window_s in (2, 3, 5) and one.setup.memory_mb in (256, 1769)]
    pool = [one for one in pool if one.setup.factor <= 4]
    runs = [(one.setup, steady(wish, one.setup, TIMES)) for one in pool]
    able = [cost(wish, setup, seen) for setup, seen in runs if seen.p99_s <= p99_s]
    assert cost(wish, choice.setup, steady(wish, choice.setup, TIMES)) <= 1.05 * min(able)


def cost(wish: Wish, setup: Setup, seen: Steady) -> float:
    return monthly_usd(candidates.usage(wish, setup, seen.invocations, seen.work, seen.writes), PRICES)


def test_a_load_that_one_lane_takes_gets_one_lane_locally_too() -> None:
    choice = chosen(Wish(200), replace(AIMS, surroundings=LOCAL))
    assert (choice.setup.shards, choice.setup.factor) == (1, 1)


@pytest.mark.parametrize(
    "wish", [Wish(3_000, keys=20_000, skew=0), pytest.param(Wish(60_000, keys=60_000, skew=0), marks=pytest.mark.slow)]
)
def test_what_a_run_cost_and_took_was_estimated_about_right(wish: Wish) -> None:
    shards = smallest(wish, TIMES, AIMS)
    pool = candidates.candidates(wish, TIMES, AIMS, PRICES, shards)
    for one in [each for each in pool if each.setup.memory_mb > 1024 and each.setup.window_s in (0, 3)][:4]:
        seen = steady(wish, one.setup, TIMES)
        assert one.p99_s == pytest.approx(seen.p99_s, rel=0.4), one
        assert one.usd == pytest.approx(cost(wish, one.setup, seen), rel=0.4), one


def test_what_would_help_is_said_when_nothing_meets_the_latency_and_one_process_that_sends_too_much_always() -> None:
    wish, aims = Wish(50_000, keys=5_000, skew=0, producers=40), replace(AIMS, p99_s=0.3)
    plan = document(wish, aims, chosen(wish, aims), BASIS)
    assert any("fewer --producers" in lever for lever in plan["levers"])
    assert any("polled once per second" in lever for lever in plan["levers"])
    alone = replace(wish, producers=1)
    found = document(alone, AIMS, chosen(alone), BASIS)
    assert any("has to send 50,000 events/s" in sentence for sentence in found["assumptions"])
    assert found["meets_latency"]
    assert found["levers"] == []


def test_a_slow_function_gets_more_lanes() -> None:
    few, many = (
        next(fitting(Wish(900, event_bytes=600, keys=500, skew=0, pause_s=pause_s), TIMES, AIMS, 1, (1769,))).lanes
        for pause_s in (0.0, 10.0)
    )
    assert many > few == 1


def test_a_pause_that_comes_near_the_timeout_is_refused() -> None:
    with pytest.raises(Unreachable, match="timeout of 60 s"):
        chosen(Wish(10, pause_s=20.0))


@pytest.mark.slow
def test_a_million_events_per_second_is_planned_in_seconds() -> None:
    choice = chosen(Wish(1_000_000, keys=100_000, skew=0))
    assert 326 <= choice.least_shards <= 600
    assert choice.expectation.simulated_shards <= 2


def test_the_numbers_of_shards_that_are_tried_are_one_fixed_rising_list() -> None:
    counts = list(shard_counts())
    assert counts == sorted(set(counts))
    assert counts[:64] == list(range(1, 65))


def test_malformed_events_take_time_and_quarantine_and_write_no_page() -> None:
    good, bad = (chosen(Wish(150, keys=2000, skew=0, malformed=share)) for share in (0.0, 0.5))
    assert bad.expectation.writes < 0.75 * good.expectation.writes
    setup = replace(good.setup, window_s=3)
    every, half = (steady(Wish(150, keys=2000, skew=0, malformed=share), setup, TIMES) for share in (0.0, 0.5))
    assert half.writes < every.writes
    assert half.work > 0.9 * every.work
    quotas = quotas_of(replace(Wish(150, keys=2000, skew=0), malformed=0.5), bad, BASIS)
    (index,) = [quota for quota in quotas if quota.name == "quarantine index's partition"]
    assert (index.used, index.allowed) == (75.0, 1000)


def test_more_malformed_events_than_one_partition_takes_are_refused_with_a_rate_that_is_not() -> None:
    with pytest.raises(Unreachable, match="malformed events/s go to quarantine") as told:
        chosen(Wish(9_000, keys=5000, skew=0, malformed=0.1))
    fits = float(str(told.value).split("plan at most ")[1].split(" ")[0].replace(",", ""))
    assert fits == 7_500
    assert smallest(Wish(fits, keys=5000, skew=0, malformed=0.1), TIMES, AIMS) >= 1


def test_the_table_is_used_up_at_a_rate_that_the_function_can_reach() -> None:
    """One write in one second of an event a minute is a peak, but no hundredth of a table's quota."""
    wish = Wish(0.02)
    plan = document(wish, AIMS, chosen(wish), BASIS)
    (table,) = [quota for quota in plan["quotas"] if quota["name"] == "table write units"]
    assert table["used_up_at_events_per_s"] == pytest.approx(40_000, rel=0.2)
    assert plan["first_limit"]["name"] != "table write units"


def test_figures_multiply_up_at_an_event_a_minute_too() -> None:
    wish = Wish(0.02)
    expected = document(wish, AIMS, chosen(wish), BASIS)["expected"]
    assert expected["invocations_per_s"] * expected["events_per_batch"] == pytest.approx(0.02, rel=1e-3)
    assert expected["invocations_per_s"] * expected["batch_ms"] / 1000 == pytest.approx(
        expected["executions_busy"], rel=1e-3
    )


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(100, event_bytes=100_000, keys=100, skew=0), "times the average"),
        (Wish(100, event_bytes=100_000, keys=100, skew=0), "Aggregates hold 1.00 events"),
        (Wish(100, event_bytes=100_000, keys=100, skew=0), "the 6 MB of an invocation"),
        (Wish(500, keys=2000, skew=0), "Factor: 1 is the least"),
    ],
)
def test_a_plan_says_why_it_has_these_numbers(wish: Wish, said: str) -> None:
    plan = document(wish, AIMS, chosen(wish), BASIS)
    assert any(said in sentence for sentence in plan["reasons"]), plan["reasons"]
    text = " ".join(line.strip() for line in plan_lines(plan))
    assert all(sentence in text for sentence in plan["tried"])


def test_the_local_stack_is_not_planned_with_memories_that_change_nothing() -> None:
    waits = replace(TIMES, batch_cpu=0.0, event_cpu=0.0, write_cpu=0.0)
    assert {setup.memory_mb for setup in fitting(Wish(200), waits, AIMS, 1)} == {256}
    assert len({setup.memory_mb for setup in fitting(Wish(200), TIMES, AIMS, 1)}) == 4
