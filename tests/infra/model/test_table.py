"""A table gives what its capacity allows, never more in any span of time; what is refused costs nothing."""

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.table import Decision, TableCapacity, TableLimits, item_size, read_units, throttling, write_units
from infra.model.table_on_demand import OnDemandRate

UNLIMITED_PARTITIONS: dict[str, Any] = {"partition_write_units_per_s": None, "partition_read_units_per_s": None}


def test_unused_capacity_of_300_seconds_may_be_used_at_once_and_not_a_unit_more() -> None:
    """fact 10.4"""
    table = TableCapacity(TableLimits(write_units_per_s=10, **UNLIMITED_PARTITIONS))
    assert all(table.write("a", 100, 0.0) is Decision.ALLOWED for _ in range(30))
    assert table.write("a", 1, 0.0) is Decision.TABLE_THROTTLED
    assert table.write("a", 10, 1.0) is Decision.ALLOWED
    assert table.write("a", 1, 1.0) is Decision.TABLE_THROTTLED


def test_one_partition_key_gives_1000_write_units_a_second_while_others_go_on() -> None:
    """fact 10.3"""
    table = TableCapacity(TableLimits())
    assert all(table.write("hot", 1, 0.0) is Decision.ALLOWED for _ in range(1000))
    assert table.write("hot", 1, 0.0) is Decision.PARTITION_THROTTLED
    assert table.write("cold", 1, 0.0) is Decision.ALLOWED
    assert table.write("hot", 500, 0.5) is Decision.ALLOWED


def test_reads_and_writes_do_not_share_capacity() -> None:
    table = TableCapacity(TableLimits(write_units_per_s=1, read_units_per_s=1, burst_s=1))
    assert table.write("a", 1, 0.0) is Decision.ALLOWED
    assert table.read("a", 1, 0.0) is Decision.ALLOWED
    assert table.read("a", 1, 0.0) is Decision.TABLE_THROTTLED


def test_a_write_that_the_table_refuses_costs_the_partition_nothing() -> None:
    table = TableCapacity(TableLimits(write_units_per_s=1, partition_write_units_per_s=2, burst_s=1))
    assert table.write("a", 1, 0.0) is Decision.ALLOWED
    assert all(table.write("a", 1, 0.0) is Decision.TABLE_THROTTLED for _ in range(10))
    assert table.write("a", 1, 1.0) is Decision.ALLOWED


@given(
    rate=st.integers(1, 50),
    burst_s=st.integers(1, 20),
    requests=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 20)), max_size=80),
)
def test_no_span_of_time_gets_more_than_its_burst_and_its_rate(
    rate: int, burst_s: int, requests: list[tuple[int, int]]
) -> None:
    """fact 10.4"""
    table = TableCapacity(TableLimits(write_units_per_s=rate, burst_s=burst_s, **UNLIMITED_PARTITIONS))
    served: list[tuple[float, int]] = []
    for at_ms, units in sorted(requests):
        if table.write("a", units, at_ms / 1000) is Decision.ALLOWED:
            served.append((at_ms / 1000, units))
    for first, (start_s, _) in enumerate(served):
        for last in range(first, len(served)):
            units = sum(units for _, units in served[first : last + 1])
            # One request above the bucket's size is let through by a full bucket; it owes the rest.
            overdraft = max(units for _, units in served[first : last + 1])
            allowed = rate * burst_s + (served[last][0] - start_s) * rate
            assert units <= max(allowed, rate * burst_s) + max(0, overdraft - rate * burst_s) + 0.001


def test_a_burst_that_is_not_there_in_the_beginning_is_saved_up_like_any_other() -> None:
    """fact 10.4"""
    table = TableCapacity(TableLimits(write_units_per_s=10, burst_s=3, burst_at_start_s=0))
    assert table.write("a", 1, 0.0) is Decision.TABLE_THROTTLED
    assert table.write("a", 10, 1.0) is Decision.ALLOWED
    assert table.write("a", 30, 10.0) is Decision.ALLOWED
    assert table.write("a", 1, 10.0) is Decision.TABLE_THROTTLED


def test_adaptive_capacity_gives_one_key_all_that_the_table_has_up_to_a_partitions_limit() -> None:
    """facts 10.3, 10.4"""
    table = TableCapacity(TableLimits(write_units_per_s=800, burst_s=1))
    assert table.write("hot", 800, 0.0) is Decision.ALLOWED
    assert table.write("cold", 1, 0.0) is Decision.TABLE_THROTTLED
    large = TableCapacity(TableLimits(write_units_per_s=5_000, read_units_per_s=9_000, burst_s=1))
    assert large.write("hot", 1_000, 0.0) is Decision.ALLOWED
    assert large.write("hot", 1, 0.0) is Decision.PARTITION_THROTTLED
    assert large.read("hot", 3_000, 0.0) is Decision.ALLOWED
    assert large.read("hot", 1, 0.0) is Decision.PARTITION_THROTTLED
    assert large.write("cold", 1_000, 0.0) is Decision.ALLOWED


class PlainTable:
    """The same rules said the slow way: what may be served follows from everything that was served before."""

    def __init__(self, rate: int, burst_s: int, partition_rate: int) -> None:
        self.rate, self.size, self.partition_rate = rate, rate * burst_s, partition_rate
        self.served: list[tuple[Fraction, str, int]] = []

    def left(self, now: Fraction, rate: int, size: int, key: str | None) -> Fraction:
        level, seen = Fraction(size), Fraction(0)
        for at, whose, units in self.served:
            if key in (None, whose):
                level, seen = min(Fraction(size), level + (at - seen) * rate) - units, at
        return min(Fraction(size), level + (now - seen) * rate)

    def write(self, key: str, units: int, now: Fraction) -> Decision:
        if self.left(now, self.partition_rate, self.partition_rate, key) < min(units, self.partition_rate):
            return Decision.PARTITION_THROTTLED
        if self.left(now, self.rate, self.size, None) < min(units, self.size):
            return Decision.TABLE_THROTTLED
        self.served.append((now, key, units))
        return Decision.ALLOWED


@given(
    rate=st.integers(1, 30),
    burst_s=st.integers(1, 10),
    partition_rate=st.integers(1, 20),
    requests=st.lists(st.tuples(st.integers(0, 64), st.sampled_from("ab"), st.integers(1, 12)), max_size=40),
)
def test_every_decision_is_that_of_a_model_that_looks_back_at_everything(
    rate: int, burst_s: int, partition_rate: int, requests: list[tuple[int, str, int]]
) -> None:
    """facts 10.3, 10.4"""
    limits = TableLimits(write_units_per_s=rate, burst_s=burst_s, partition_write_units_per_s=partition_rate)
    table, plain = TableCapacity(limits), PlainTable(rate, burst_s, partition_rate)
    for eighths, key, units in sorted(requests):  # eighths of a second are exact in a float
        assert table.write(key, units, eighths / 8) is plain.write(key, units, Fraction(eighths, 8))


def test_a_new_on_demand_table_serves_4000_writes_and_12000_reads_a_second() -> None:
    """fact 10.5"""
    table = TableCapacity(TableLimits(on_demand=True, **UNLIMITED_PARTITIONS))
    assert all(table.write("a", 1, 0.5) is Decision.ALLOWED for _ in range(4_000))
    assert table.write("a", 1, 0.9) is Decision.TABLE_THROTTLED
    assert table.read("a", 12_000, 0.9) is Decision.ALLOWED
    assert table.read("a", 0.5, 0.9) is Decision.TABLE_THROTTLED
    assert table.write("a", 4_000, 1.0) is Decision.ALLOWED


def test_an_on_demand_table_gives_double_its_earlier_peak_and_not_more_within_half_an_hour() -> None:
    """fact 10.5"""
    rate = OnDemandRate(4_000)
    assert rate.take(4_000, 0.0)
    assert not rate.take(1, 0.5)
    assert rate.units_per_s(1_799.0) == 4_000
    assert rate.units_per_s(1_800.0) == 8_000
    assert rate.take(8_000, 1_800.0)
    assert rate.units_per_s(3_599.0) == 8_000
    assert rate.units_per_s(3_600.0) == 16_000
    assert rate.units_per_s(10_000_000.0) == 16_000


def test_traffic_below_half_of_the_start_lets_a_table_not_grow() -> None:
    rate = OnDemandRate(4_000)
    for second in range(100):
        assert rate.take(2_000, float(second))
    assert rate.units_per_s(5_000.0) == 4_000


@given(
    start=st.integers(1, 10),
    requests=st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 30)), max_size=60),
)
def test_no_second_gets_more_than_double_the_highest_second_that_is_half_an_hour_back(
    start: int, requests: list[tuple[int, int]]
) -> None:
    """fact 10.5, against a model that looks back at every second"""
    rate = OnDemandRate(start)
    served: Counter[int] = Counter()
    for second, units in sorted(requests):
        earlier = max((used for at, used in served.items() if at + 1_800 <= second), default=0)
        allowed = max(start, 2 * earlier)
        assert rate.units_per_s(float(second)) == allowed
        fits = served[second] + units <= allowed or served[second] == 0
        assert rate.take(units, second + 0.5) == fits
        served[second] += units * fits


def test_a_refusal_names_the_limit_that_was_met() -> None:
    """fact 10.3"""
    provisioned, on_demand = TableLimits(write_units_per_s=1), TableLimits(on_demand=True)
    seen = {
        (how.code, how.statement_code, how.reason)
        for limits in (provisioned, on_demand)
        for decision in (Decision.TABLE_THROTTLED, Decision.PARTITION_THROTTLED)
        for is_write in (True, False)
        for how in (throttling(decision, limits, is_write=is_write),)
    }
    provisioned_codes = ("ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded")
    assert seen == {
        (*provisioned_codes, "TableWriteProvisionedThroughputExceeded"),
        (*provisioned_codes, "TableReadProvisionedThroughputExceeded"),
        (*provisioned_codes, "TableWriteKeyRangeThroughputExceeded"),
        (*provisioned_codes, "TableReadKeyRangeThroughputExceeded"),
        ("ThrottlingException", "ThrottlingError", "TableWriteKeyRangeThroughputExceeded"),
        ("ThrottlingException", "ThrottlingError", "TableReadKeyRangeThroughputExceeded"),
    }


@pytest.mark.parametrize(
    ("before", "after", "units"), [(0, 0, 1), (0, 1024, 1), (0, 1025, 2), (3000, 10, 3), (10, 3000, 3)]
)
def test_a_write_costs_the_larger_of_the_item_before_and_after_in_whole_kib(
    before: int, after: int, units: int
) -> None:
    """facts 10.1, 10.2"""
    assert write_units(before, after) == units


@pytest.mark.parametrize(
    ("size", "consistent", "units"), [(0, True, 1), (4096, True, 1), (4097, True, 2), (4097, False, 1), (1, False, 0.5)]
)
def test_a_read_costs_whole_units_of_4_kib_and_half_when_eventually_consistent(
    size: int, consistent: bool, units: float
) -> None:
    """fact 10.1"""
    assert read_units(size, consistent=consistent) == units


def test_an_items_size_is_its_names_and_values() -> None:
    assert item_size({"pk": {"S": "é"}}) == 4
    assert item_size({"a": {"SS": ["12345678901"] * 3}}) == 34
    assert item_size({"a": {"B": "AAECAw=="}}) == 5
    assert item_size({"a": {"BOOL": True}, "b": {"NULL": True}}) == 4
    assert item_size({"a": {"L": [{"S": "xy"}]}}) == 1 + 3 + 1 + 2
    assert item_size({"a": {"M": {"k": {"S": "xy"}}}}) == 1 + 3 + 1 + 1 + 2
    assert item_size({"n": {"N": "12345"}}) == 1 + 4
    assert item_size({"n": {"N": "-0.5"}}) == 1 + 3


def test_an_unknown_attribute_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="QQ"):
        item_size({"a": {"QQ": 1}})
