"""The token bucket: never more than capacity plus rate times time, and `ready_at` tells the truth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.bucket import Bucket


def test_a_new_bucket_holds_its_capacity_and_not_one_token_more() -> None:
    bucket = Bucket(rate_per_s=1_000, capacity=1_000)
    assert all(bucket.take(1, 50.0) for _ in range(1_000))
    assert not bucket.take(1, 50.0)


def test_a_refused_take_spends_nothing() -> None:
    bucket = Bucket(10, 10)
    assert bucket.take(8, 0.0)
    assert not bucket.take(3, 0.0)
    assert bucket.take(2, 0.0)


def test_it_refills_at_its_rate_and_not_above_its_capacity() -> None:
    bucket = Bucket(5, 5)
    assert bucket.take(5, 0.0)
    assert not bucket.take(1, 0.19)
    assert bucket.take(1, 0.2)
    assert bucket.level(1_000.0) == 5


def test_a_clock_set_back_neither_refills_nor_drains() -> None:
    bucket = Bucket(5, 5)
    assert bucket.take(5, 100.0)
    assert bucket.level(40.0) == 0
    assert bucket.level(100.0) == 0
    assert bucket.level(100.4) == pytest.approx(2)


def test_more_than_the_capacity_needs_a_full_bucket_and_is_paid_back() -> None:
    bucket = Bucket(10, 10)
    assert bucket.take(1, 0.0)
    assert not bucket.take(25, 0.0)
    assert bucket.take(25, 0.1)
    assert bucket.level(0.1) == pytest.approx(-15)
    assert not bucket.take(1, 1.6)
    assert bucket.take(1, 1.7)


@pytest.mark.parametrize(("rate", "capacity"), [(0, 1), (1, 0), (-1, 5)])
def test_a_bucket_without_rate_or_capacity_is_refused(rate: float, capacity: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Bucket(rate, capacity)


STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=60)


@given(steps=STEPS, rate=st.integers(1, 50), capacity=st.integers(40, 100), start=st.sampled_from([0.0, 1.7e9]))
def test_what_is_taken_never_exceeds_capacity_plus_refill(
    steps: list[tuple[float, int]], rate: int, capacity: int, start: float
) -> None:
    bucket, now, taken = Bucket(rate, capacity), start, 0
    for pause_s, n in steps:
        now += pause_s
        taken += n * bucket.take(n, now)
        assert taken <= capacity + rate * (now - start) + 0.01


@given(steps=STEPS, rate=st.integers(1, 50), capacity=st.integers(1, 100), start=st.sampled_from([0.0, 1.7e9]))
def test_a_take_at_ready_at_succeeds_and_one_clearly_before_it_does_not(
    steps: list[tuple[float, int]], rate: int, capacity: int, start: float
) -> None:
    bucket, now = Bucket(rate, capacity), start
    for pause_s, n in steps:
        now += pause_s
        ready_at = bucket.ready_at(n, now)
        assert ready_at >= now
        if ready_at > now + 0.001:
            assert not bucket.can_take(n, ready_at - 0.001)
        now = ready_at
        assert bucket.take(n, now)
