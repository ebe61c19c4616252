"""Lanes with work are the batches that were in work at the same moment, never more and never fewer."""

from hypothesis import given
from hypothesis import strategies as st

from loadgen.target.function_log import Invocation
from loadgen.target.lanes import at_once

SPANS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 3_000)), max_size=12)


def ran(begin_ms: int, lasted_ms: float) -> Invocation:
    return Invocation(round(begin_ms + lasted_ms), lasted_ms, None, None, timed_out=False)


def test_batches_one_after_the_other_are_one_lane_and_overlapping_ones_are_several() -> None:
    (series,) = at_once([ran(0, 500), ran(500, 400), ran(2_000, 1_500), ran(2_200, 100), ran(2_250, 2_000)], 0.0)
    assert series.points == ((0, 1), (2, 3), (3, 2), (4, 1))
    assert (series.name, series.statistic, series.resolution_s) == ("lanes_with_work", "max", 1)


def test_batches_that_overlap_by_the_rounding_of_their_ends_came_one_after_the_other() -> None:
    touching = [ran(0, 500), Invocation(900, 401.3, None, None, timed_out=False), ran(899, 100)]
    (series,) = at_once(touching, 0.0)
    assert series.points == ((0, 1),)
    (series,) = at_once([ran(100, 1), ran(200, 0.5)], 0.0)  # however short, it ran
    assert series.points == ((0, 1),)


def test_seconds_count_from_the_start_of_the_load_and_what_was_before_it_is_left_out() -> None:
    (series,) = at_once([ran(98_500, 1_000), ran(101_100, 200)], 100.0)
    assert series.points == ((1, 1),)
    assert at_once([], 0.0) == []


@given(SPANS)
def test_it_is_the_most_that_any_moment_of_the_second_saw(spans: list[tuple[int, int]]) -> None:
    found = dict(at_once([ran(*span) for span in spans], 0.0)[0].points) if spans else {}
    ends = [(begin, begin + lasted - min(2, lasted / 2)) for begin, lasted in spans]
    for second in range(9):
        moments = [at for at in (second * 1_000, *(begin for begin, _ in spans)) if at // 1_000 == second]
        most = max(sum(begin <= at < end for begin, end in ends) for at in moments)
        assert found.get(second, 0) == most
