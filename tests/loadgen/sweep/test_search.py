"""The search finds a hidden capacity in a bounded number of probes, and is not led astray by noise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sweep.scaling import Slope
from loadgen.sweep.search import Bracket, Search, SearchSettings, Verdict, verdict

MANY = 60


def run(
    capacity: float, settings: SearchSettings, lies: frozenset[int] = frozenset(), hint_error: float = 1.0
) -> Bracket:
    """Offers what the search asks for to a target of this capacity. `lies`: steps at which it grows all the same."""
    search = Search(settings)
    for step in range(settings.steps_max + 1):
        rate = search.next_rate()
        if rate is None:
            break
        assert settings.rate_min <= rate <= settings.rate_max
        grows = rate > capacity or step in lies
        search.tell(Verdict.GROWS if grows else Verdict.HOLDS, rate - capacity, min(rate, capacity) * hint_error)
    assert search.next_rate() is None
    return search.bracket


capacities = st.floats(2, 500_000)
firsts = st.floats(1, 1_000_000)


@given(capacities, firsts, st.sampled_from([0.02, 0.04, 0.1]))
def test_a_hidden_capacity_is_found_within_the_tolerance(capacity: float, first: float, tolerance: float) -> None:
    settings = SearchSettings(first, tolerance=tolerance, steps_max=MANY)
    found = run(capacity, settings)
    assert found.ended == "found"
    assert found.is_closed
    assert found.high is not None
    assert found.low <= capacity < found.high <= found.low * (1 + tolerance) * (1 + 1e-6)
    assert found.steps <= abs(math.log2(capacity / first)) + 8


@given(capacities, firsts, st.floats(0.3, 1.7))
def test_a_misleading_hint_costs_a_bounded_number_of_probes(capacity: float, first: float, error: float) -> None:
    settings = SearchSettings(first, steps_max=MANY)
    found = run(capacity, settings, hint_error=error)
    assert found.is_closed
    assert found.low <= capacity < (found.high or 0.0)
    assert found.steps <= 3 * (abs(math.log2(capacity / first)) + 7)


@given(capacities, firsts, st.integers(0, 12))
def test_one_probe_disturbed_by_the_machine_does_not_change_what_is_found(
    capacity: float, first: float, lie: int
) -> None:
    settings = SearchSettings(first, steps_max=MANY)
    found = run(capacity, settings, frozenset({lie}))
    assert found.is_closed
    assert found.low <= capacity
    assert found.low * (1 + settings.tolerance) ** 2 >= capacity or found.low == 0


@given(capacities, firsts, st.integers(1, 12), st.sets(st.integers(0, 12)))
def test_it_always_ends_and_never_calls_a_rate_sustained_that_was_not(
    capacity: float, first: float, steps_max: int, lies: set[int]
) -> None:
    found = run(capacity, SearchSettings(first, steps_max=steps_max), frozenset(lies))
    assert found.steps <= steps_max
    assert found.low <= capacity
    assert found.ended


def test_with_a_right_first_guess_four_probes_are_enough() -> None:
    assert run(1000.0, SearchSettings(1250.0)).steps == 4


def test_a_target_without_a_limit_ends_at_the_highest_rate() -> None:
    found = run(math.inf, SearchSettings(100, rate_max=1000))
    assert (found.low, found.high, found.ended) == (1000, None, "even the highest rate is sustained")
    assert not found.is_closed


def test_a_target_that_takes_nothing_ends_at_the_lowest_rate() -> None:
    found = run(0.0, SearchSettings(100, rate_min=10))
    assert (found.low, found.high, found.ended) == (0.0, 10, "even the lowest rate is too high")


def test_what_is_unclear_is_measured_again_and_then_decided_by_both() -> None:
    search = Search(SearchSettings(100))
    assert search.next_rate() == 100
    search.tell(Verdict.UNCLEAR, 3.0, 97.0)
    assert search.next_rate() == 100
    search.tell(Verdict.UNCLEAR, 2.0, 98.0)
    assert search.high == 100
    assert search.steps == 2


@pytest.mark.parametrize(("margins", "high"), [((3.0, 20.0), 100), ((20.0, 3.0), None)])
def test_of_two_unclear_slopes_the_one_that_is_known_better_decides(
    margins: tuple[float, float], high: float | None
) -> None:
    search = Search(SearchSettings(100.0))
    for slope, margin in zip((2.0, -1.5), margins, strict=True):
        assert search.next_rate() == 100
        search.tell(Verdict.UNCLEAR, slope, 98.0, margin)
    assert search.high == high


@pytest.mark.parametrize(
    ("low", "value", "high", "expected"),
    [
        (1.0, 20.0, 40.0, Verdict.GROWS),
        (1.0, 5.0, 9.0, Verdict.HOLDS),
        (-3.0, 1.0, 5.0, Verdict.HOLDS),
        (-30.0, 1.0, 50.0, Verdict.UNCLEAR),
        (-300.0, -200.0, -100.0, Verdict.HOLDS),
    ],
)
def test_growth_must_be_beyond_doubt_and_more_than_negligible(
    low: float, value: float, high: float, expected: Verdict
) -> None:
    assert verdict(Slope(value, low, high, 20), rate=1000.0, tolerance=0.04) is expected


@pytest.mark.parametrize(
    "wrong", [{"first_rate": 0.0}, {"first_rate": 2e6}, {"tolerance": 0.0}, {"stride": 1.0}, {"steps_max": 0}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"hold|must be"):
        SearchSettings(**{"first_rate": 100.0, **wrong})  # type: ignore[arg-type]  # deliberately wrong ones
