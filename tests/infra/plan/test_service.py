"""Service times: what a batch takes, and how its parts are found again in measured batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.plan.service import Sample, ServiceTimes, deviation, fit, from_plain, to_plain
from tests.infra.plan.support import TIMES

COEFFICIENT = st.floats(1e-3, 0.1)


@given(COEFFICIENT, COEFFICIENT, COEFFICIENT)
def test_loads_of_different_kinds_tell_the_three_parts_of_a_batch_apart(
    batch: float, event: float, write: float
) -> None:
    shapes = [(1, 1, 1), (1, 1000, 10), (1, 1000, 900), (10, 10, 10), (4, 2000, 4), (1, 30, 30), (5, 800, 300)]
    samples = [Sample(n, e, w, n * batch + e * event + w * write) for n, e, w in shapes]
    found = fit(samples, 0.003, TIMES, memory_mb=1769, source="test")
    assert deviation(found, samples) < 0.1
    assert min(found.batch_s, found.event_s, found.write_s) >= 0
    assert found.outside_s == 0.003


@given(st.floats(0.05, 50.0))
def test_one_kind_of_load_scales_what_was_known_before(factor: float) -> None:
    slower = ServiceTimes(
        TIMES.batch_s * factor, TIMES.event_s * factor, TIMES.write_s * factor, 0, 1, 1, 0.4, 1769, ""
    )
    samples = [Sample(2, 200, 50, slower.inside_s(200, 50, 1769) + slower.batch_s)] * 5
    found = fit(samples, 0.0, TIMES, memory_mb=1769, source="test")
    assert found.inside_s(100, 25, 1769) == pytest.approx(slower.inside_s(100, 25, 1769), rel=1e-6)
    assert found.write_s == pytest.approx(slower.write_s, rel=1e-6)


def test_without_a_batch_nothing_is_fitted() -> None:
    with pytest.raises(ValueError, match="no batch"):
        fit([Sample(0, 0, 0, 0)], 0.0, TIMES, memory_mb=512, source="test")


@given(st.floats(0, 1e5), st.floats(0, 1e4), st.sampled_from([128, 256, 512, 1024, 1769, 3008]))
def test_more_work_takes_longer_and_more_memory_never_does(events: float, writes: float, memory_mb: int) -> None:
    seconds = TIMES.seconds(events, writes, memory_mb)
    assert TIMES.seconds(events + 1, writes, memory_mb) > seconds
    assert TIMES.seconds(events, writes + 1, memory_mb) > seconds
    assert TIMES.seconds(events, writes, memory_mb * 2) <= seconds
    assert TIMES.inside_s(events, writes, memory_mb) < seconds


def test_only_the_cpu_part_grows_with_less_memory() -> None:
    waits = ServiceTimes(0, 0, 0.01, 0, 1, 1, 0.0, 1769, "")
    assert waits.inside_s(0, 5, 128) == waits.inside_s(0, 5, 1769) == pytest.approx(0.05)
    computes = ServiceTimes(0, 0.01, 0, 0, 1, 1, 0.0, 1769, "")
    assert computes.inside_s(5, 0, 885) == pytest.approx(0.05 * 1769 / 885)


def test_plain_and_back_is_the_same() -> None:
    assert to_plain(from_plain(to_plain(TIMES))) == to_plain(TIMES)
