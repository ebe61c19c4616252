"""Thresholds: what is meant is what is compared, and what means nothing is refused by name."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.showing.report import known_numbers
from loadgen.showing.thresholds import COMPARISONS, ThresholdError, check, in_force, parse

WORDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}


@given(st.sampled_from(sorted(WORDS)), st.integers(-5, 5), st.integers(-5, 5))
def test_a_threshold_passes_exactly_when_its_comparison_holds(comparison: str, value: int, limit: int) -> None:
    (checked,) = check([parse(f"lost {comparison} {limit}", ["lost"])], {"lost": value})
    assert checked.passed == WORDS[comparison](value, limit)
    assert checked.value == value


@pytest.mark.parametrize("comparison", sorted(COMPARISONS))
def test_a_number_that_was_not_measured_passes_nothing(comparison: str) -> None:
    threshold = parse(f"latency_p99_ms{comparison}1", known_numbers())
    assert not check([threshold], {"latency_p99_ms": None})[0].passed
    assert not check([threshold], {})[0].passed


@pytest.mark.parametrize(
    ("expression", "limit"), [("lost<1.5", 1.5), (" lost < 1e3 ", 1000), ("lost<-2", -2), ("lost<1e-3", 0.001)]
)
def test_limits_may_be_written_as_people_write_numbers(expression: str, limit: float) -> None:
    assert parse(expression, ["lost"]).limit == limit


@given(st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9))
def test_a_threshold_is_shown_with_the_very_limit_that_it_has(limit: float) -> None:
    threshold = parse(f"lost<{limit}", ["lost"])
    assert parse(str(threshold), ["lost"]) == threshold
    assert threshold.limit == limit


def test_whole_limits_are_shown_as_whole_numbers() -> None:
    assert str(parse("events_acknowledged>=1234567", ["events_acknowledged"])) == "events_acknowledged>=1234567"


@pytest.mark.parametrize("expression", ["lost<1e400", "lost>-1e999"])
def test_a_limit_beyond_every_number_is_refused_for_it_would_always_hold(expression: str) -> None:
    with pytest.raises(ThresholdError, match="beyond every number"):
        parse(expression, ["lost"])


@pytest.mark.parametrize("expression", ["", "lost", "lost<", "<1", "lost<x", "lost=1", "lost<1ms", "lost<1 or 1"])
def test_an_expression_that_means_nothing_says_what_would(expression: str) -> None:
    with pytest.raises(ThresholdError, match="latency_p99_ms<1000"):
        parse(expression, ["lost"])


def test_an_unknown_name_is_refused_with_every_known_one() -> None:
    with pytest.raises(ThresholdError) as caught:
        parse("latency_p98_ms<1", known_numbers())
    assert all(name in str(caught.value) for name in known_numbers())


def test_every_known_number_can_have_a_threshold() -> None:
    for name in known_numbers():
        assert str(parse(f"{name}>=0", known_numbers())) == f"{name}>=0"


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([], ["events_failed==0"]),
        (["latency_p99_ms<1000"], ["latency_p99_ms<1000", "events_failed==0"]),
        (["events_failed<10"], ["events_failed<10"]),
        (["failed_share<=0.01", "lost==0"], ["failed_share<=0.01", "lost==0"]),
    ],
)
def test_no_event_may_be_given_up_unless_it_is_said_how_many(given_: list[str], expected: list[str]) -> None:
    names = ["events_failed", "failed_share", "latency_p99_ms", "lost"]
    assert list(map(str, in_force([parse(expression, names) for expression in given_]))) == expected
