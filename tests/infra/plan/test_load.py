"""The wished load: who is hot, how aggregates fill, where keys go."""

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.plan.load import (
    EVENT_BYTES_MIN,
    Keys,
    Wish,
    WishError,
    events_per_record,
    outer_lanes_for,
    record_bytes,
    spread,
)
from infra.plan.packing import pack
from processor.core.events import parse
from processor.core.packing import Packer, PackingSettings

SHARDS, FACTORS = st.integers(1, 12), st.integers(1, 10)


@settings(max_examples=40)
@given(SHARDS, FACTORS, st.sampled_from([1, 100]), st.sampled_from([1, 7, 500]), st.sampled_from([0.0, 0.7, 1.0, 2.5]))
def test_every_event_goes_to_one_shard_and_one_lane(
    shards: int, factor: int, aggregate: int, keys: int, skew: float
) -> None:
    wish = Wish(100, keys=keys, skew=skew, aggregate=aggregate)
    lanes = outer_lanes_for(shards, factor)
    assert lanes is not None
    found = spread(wish, shards, factor, lanes)
    assert sum(found.shards) == pytest.approx(1.0)
    assert [sum(row) for row in found.lanes] == pytest.approx(found.shards)
    assert found.hottest_share >= 1 / shards - 1e-9
    assert found.hottest_lane_share <= found.hottest_share + 1e-12


@pytest.mark.parametrize(("keys", "skew"), [(100_000, 0.0), (100_000, 1.0), (200_000, 0.5), (50_000, 2.0)])
def test_the_keys_that_are_not_hashed_one_by_one_weigh_what_they_should(keys: int, skew: float) -> None:
    found = Keys(keys, skew)
    whole = sum((k + 1) ** -skew for k in range(keys))
    assert found.weights[0] == pytest.approx(1 / whole, rel=1e-3)
    assert sum(found.weights) + found.rest == pytest.approx(1.0)


@pytest.mark.parametrize(("keys", "skew"), [(1, 0.0), (300, 0.0), (5_000, 1.0), (50_000, 0.7)])
def test_different_keys_are_counted_as_if_one_by_one(keys: int, skew: float) -> None:
    found = Keys(keys, skew)
    weights = [(k + 1) ** -skew for k in range(keys)]
    whole = sum(weights)
    for events in (1, 50, 5_000):
        exact = sum(1 - exp(-events * weight / whole) for weight in weights)
        assert found.different(events) == pytest.approx(exact, rel=0.03)


def test_the_smallest_event_that_is_planned_for_is_the_smallest_that_is_one() -> None:
    least = b'{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"k","time":"2026-11-23T09:00:00Z"}'
    assert parse(least).subject == "k"
    assert len(least) == EVENT_BYTES_MIN


@given(st.floats(0.1, 1e6), st.floats(1.0, 4.0), st.integers(1, 500))
def test_more_load_fills_aggregates_and_puts_more_records(rate: float, more: float, lanes: int) -> None:
    wish = Wish(1.0, producers=1)
    low, high = events_per_record(wish, lanes, rate), events_per_record(wish, lanes, rate * more)
    assert 1.0 <= low <= high <= wish.aggregate
    assert rate * more / high >= rate / low * (1 - 1e-9)


def test_an_aggregate_is_about_as_large_as_the_publisher_makes_it() -> None:
    wish = Wish(1000, event_bytes=256, keys=10_000, skew=0)
    packer: Packer[None] = Packer(PackingSettings(aggregate=50, lanes=1, record_bytes=1024 * 1024))
    made = []
    for number in range(50):
        made += packer.add(f"run-0000000000-000000/key-{number:06d}", bytes(256), None, 0.0)
    assert made[0].size == pytest.approx(record_bytes(wish, 50), rel=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.sampled_from([1, 20]), st.sampled_from([1, 30, 40_000]), st.sampled_from([1, 3]))
def test_packed_are_all_events_of_the_slice_each_once(shards: int, aggregate: int, keys: int, producers: int) -> None:
    wish = Wish(300, keys=keys, skew=0.5, aggregate=aggregate, producers=producers)
    whole, rate = pack(wish, 300, 2.0, list(range(shards)), shards, 40, "test")
    assert rate == pytest.approx(300)
    assert sum(len(record.due_s) for record in whole) == 600
    assert [record.at_s for record in whole] == sorted(record.at_s for record in whole)
    for record in whole:
        assert 1 <= len(record.keys) == len(record.due_s) <= aggregate
        assert max(record.due_s) <= record.at_s + 1e-9 <= min(record.due_s) + wish.linger_s + 1e-6
    part, part_rate = pack(wish, 300, 2.0, [0], shards, 40, "test")
    assert {record.shard for record in part} <= {0}
    assert len([event for record in part for event in record.keys]) == int(part_rate * 2.0 + 1e-9)


@pytest.mark.parametrize(
    ("given_", "named"),
    [({"rate": 0}, "--rate is 0"), ({"rate": 2e6}, "--rate"), ({"keys": 0}, "--keys"), ({"skew": -1}, "--skew"),
     ({"event_bytes": 97}, "--event-bytes"), ({"aggregate": 0}, "--aggregate"), ({"producers": 0}, "--producers"),
     ({"rate": float("nan")}, "--rate"), ({"linger_s": -1}, "--linger")],
)  # fmt: skip
def test_a_wish_that_makes_no_sense_names_its_option(given_: dict[str, float], named: str) -> None:
    with pytest.raises(WishError, match=named):
        Wish(**{"rate": 1.0, **given_})  # type: ignore[arg-type]  # numbers of the wrong size on purpose
