"""A table gives what its capacity allows, never more in any span of time; what is refused costs nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.table import Decision, TableCapacity, TableLimits, item_size, read_units, write_units

UNLIMITED_PARTITIONS: dict[str, Any] = {"partition_write_units_per_s": None, "partition_read_units_per_s": None}


def test_unused_capacity_of_300_seconds_may_be_used_at_once_and_not_a_unit_more() -> None:
    table = TableCapacity(TableLimits(write_units_per_s=10, **UNLIMITED_PARTITIONS))
    assert all(table.write("a", 100, 0.0) is Decision.ALLOWED for _ in range(30))
    assert table.write("a", 1, 0.0) is Decision.TABLE_THROTTLED
    assert table.write("a", 10, 1.0) is Decision.ALLOWED
    assert table.write("a", 1, 1.0) is Decision.TABLE_THROTTLED


def test_one_partition_key_gives_1000_write_units_a_second_while_others_go_on() -> None:
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


@pytest.mark.parametrize(
    ("before", "after", "units"), [(0, 0, 1), (0, 1024, 1), (0, 1025, 2), (3000, 10, 3), (10, 3000, 3)]
)
def test_a_write_costs_the_larger_of_the_item_before_and_after_in_whole_kib(
    before: int, after: int, units: int
) -> None:
    assert write_units(before, after) == units


@pytest.mark.parametrize(
    ("size", "consistent", "units"), [(0, True, 1), (4096, True, 1), (4097, True, 2), (4097, False, 1), (1, False, 0.5)]
)
def test_a_read_costs_whole_units_of_4_kib_and_half_when_eventually_consistent(
    size: int, consistent: bool, units: float
) -> None:
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
