"""The scaling curves of a sweep, and what they say."""

import pytest

from loadgen.sweep.curves import scaling, sentences
from loadgen.sweep.quotas import MACHINE, Point
from tests.support.sweep_points import measured

LAW = {"rate_per_lane": 5.0, "contention": 0.001, "coherency": 0.0, "unexplained": 0.01, "best_concurrency": None,
       "rate_per_lane_error": 0.1, "contention_error": 0.0009, "coherency_error": None,
       "ceiling_events_per_s": 5000.0}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said", "not_said"),
    [
        ({}, "with 80 lanes each of them does 93% of one alone, and no ceiling is near", "highest"),
        ({}, "contention 0.001 +- 0.0009 (not told from 0)", "5,000"),
        ({"contention_error": 0.0001}, "contention 0.001 +- 0.0001,", "+- 0.0001 (not told"),
        ({"coherency": 1e-4, "best_concurrency": 100.0}, "highest, 5,000 events/s, at 100 lanes", "no ceiling"),
        ({"coherency": 1e-8, "best_concurrency": 9995.0}, "no ceiling is near", "9995"),
    ],
)
def test_a_law_is_not_trusted_beyond_what_was_measured(changed: dict[str, float], said: str, not_said: str) -> None:
    (sentence,) = sentences([{"law": {**LAW, **changed}, "points": [(1.0, 5.0), (80.0, 370.0)]}])
    assert said in sentence
    assert not_said not in sentence


def test_points_of_different_kinds_are_not_put_on_one_curve() -> None:
    points = [Point(1, 1, 1000, None, None), Point(2, 1, 1000, None, None), Point(4, 1, 100, None, None)]
    made = scaling([measured(point, 500.0) for point in points])
    assert [len(group["points"]) for group in made] == [2, 1]
    assert all(group["law"] is None for group in made)


def test_what_the_machine_limits_is_not_put_on_the_curve() -> None:
    """It would say how many cores there are, and nothing of lanes."""
    fine = [measured(Point(shards, 1, 5, None, None, 1000), 4.9 * shards) for shards in (1, 2, 4)]
    busy = measured(Point(8, 1, 5, None, None, 1000), 20.0)
    busy = busy._replace(limit=busy.limit._replace(name=MACHINE))
    (group,) = scaling([*fine, busy])
    assert (len(group["points"]), group["left_out"]) == (3, 1)
    assert "1 left out, which the machine's CPU limited" in sentences([group])[0]
