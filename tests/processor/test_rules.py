"""Usage metering, the rules that come with the processor."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor import rules
from processor.core.effects import Add
from processor.core.errors import Reason
from processor.core.events import parse
from processor.core.numbers import is_measure, total
from processor.core.plan import plan
from processor.core.rule_api import MEASURES_MAX, RuleSettings, window_start
from tests.processor.core.kpl import encoded, kinesis

SETTINGS = RuleSettings(("bytes", "quantity"), 3600)


def test_an_event_is_counted_with_its_measures_in_the_window_of_its_own_time() -> None:
    event = parse(encoded(type="api.call", subject="customer-1", time="2026-11-23T09:59:59.999Z"))
    assert list(rules.effects(event, SETTINGS)) == [
        Add("api.call#customer-1", "2026-11-23T09:00:00Z", {"sum_bytes": 100, "sum_quantity": 2})
    ]


@pytest.mark.parametrize("value", ["12", True, False, None, [], {}, [1]])
def test_what_is_no_number_adds_nothing_and_the_event_still_counts(value: Any) -> None:
    (effect,) = rules.effects(parse(encoded(data={"bytes": value, "quantity": 1})), SETTINGS)
    assert effect == Add("api.call#customer-1", "2026-11-23T09:00:00Z", {"sum_quantity": 1})


def test_an_event_without_measures_still_counts() -> None:
    (effect,) = rules.effects(parse(encoded(data={"other": 1})), SETTINGS)
    assert effect == Add("api.call#customer-1", "2026-11-23T09:00:00Z", {})


@pytest.mark.parametrize("number", ["1" + "0" * 20, "-1e20", "1e-16", "0.1234567890123456", "123456789012345678901.5"])
def test_a_measure_whose_sums_would_not_be_exact_is_malformed(number: str) -> None:
    data = encoded(data={"bytes": "N"}).replace(b'"N"', number.encode())
    result = plan([kinesis(data)], lambda event: rules.effects(event, SETTINGS), systemic_share=0.5)
    (bad,) = result.quarantined
    assert bad.reason is Reason.BAD_NUMBER
    assert "data.bytes" in bad.detail
    assert not result.adds


@given(
    st.lists(
        st.decimals(-(10**20) + 1, 10**20 - 1, places=15) | st.integers(-(10**20) + 1, 10**20 - 1),
        min_size=1,
        max_size=100,
    )
)
def test_the_sum_of_a_full_page_of_measures_is_exact(measures: list[Decimal | int]) -> None:
    assert all(map(is_measure, measures))
    found: Decimal | int = 0
    for measure in measures:
        found = total(found, measure)
    assert Fraction(found) == sum(map(Fraction, measures))


@given(st.integers(0, 7_258_118_399), st.integers(1, 366 * 86_400))
def test_windows_lie_side_by_side_from_the_epoch(time_s: int, window_s: int) -> None:
    start_s = parse(encoded(time=window_start(time_s, window_s))).time_s
    assert start_s <= time_s < start_s + window_s
    assert start_s % window_s == 0


def test_windows_of_seven_days_begin_on_thursdays() -> None:
    assert window_start(parse(encoded(time="2026-11-23T09:00:00Z")).time_s, 7 * 86_400) == "2026-11-19T00:00:00Z"


@pytest.mark.parametrize(
    ("measures", "window_s"),
    [
        (("",), 60),
        (("a b",), 60),
        (('a"',), 60),
        (("x" * 61,), 60),
        (("a", "a"), 60),
        (tuple(f"m{n}" for n in range(MEASURES_MAX + 1)), 60),
        (("a",), 0),
        (("a",), -1),
        (("a",), 367 * 86_400),
    ],
)
def test_settings_that_no_rule_could_use_are_refused(measures: tuple[str, ...], window_s: int) -> None:
    with pytest.raises(ValueError, match=r"Measures|WindowSeconds"):
        RuleSettings(measures, window_s)


def test_the_longest_measure_names_fill_a_legal_add() -> None:
    names = tuple(f"{n}".rjust(60, "x") for n in range(MEASURES_MAX))
    settings = RuleSettings(names, 60)
    data = encoded(data=dict.fromkeys(names, 1))
    assert plan([kinesis(data)], lambda event: rules.effects(event, settings), systemic_share=1).quarantined == ()
