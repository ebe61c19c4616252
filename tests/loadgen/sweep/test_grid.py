"""The grid of a sweep, and its document."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sweep.grid import (
    AXES,
    COLUMNS,
    POINTS_MAX,
    GridError,
    Measured,
    document,
    grid,
    row,
    scaling,
    sentences,
    shard_steps,
    values,
)
from loadgen.sweep.quotas import MACHINE, Cost, Point, name_limit, quotas
from loadgen.sweep.search import Bracket

STUDY = (Path(__file__).parents[3] / "docs" / "scaling-study.md").read_text()
ONE: dict[str, Sequence[int | None]] = {
    "shards": [2],
    "parallelization_factor": [4],
    "batch_size": [1000],
    "reserved_concurrency": [None],
    "aggregate": [None],
    "function_latency_ms": [0],
    "table_write_units": [None],
}


def measured(point: Point, low: float) -> Measured:
    cost = Cost(1.0, 290.0, 100.0, 0.1, 0.5)
    known = quotas(point, cost)
    limit = name_limit(("nothing", ""), known, low, 0.5)
    return Measured(point, Bracket(low, low * 1.03, 5, True, "found"), [], limit, known, cost, 1000.0, 0.5)


def test_lists_are_read_in_order_and_each_value_once() -> None:
    assert values(AXES["shards"], "4, 1,2,4") == [4, 1, 2]
    assert values(AXES["aggregate"], "off,100") == [None, 100]
    assert values(AXES["reserved_concurrency"], "2,none") == [2, None]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shards", "0"),
        ("shards", "1,,2"),
        ("shards", "off"),
        ("shards", "1.5"),
        ("parallelization_factor", "11"),
        ("batch_size", "10001"),
        ("aggregate", "none"),
        ("function_latency_ms", "-1"),
        ("shards", "²"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_its_option(name: str, text: str) -> None:
    with pytest.raises(GridError, match=AXES[name].option):
        values(AXES[name], text)


def test_the_grid_is_every_combination_and_shards_change_least_often() -> None:
    points = grid({**ONE, "shards": [1, 2], "parallelization_factor": [1, 4], "aggregate": [None, 100]})
    assert len(set(points)) == 8
    assert [point.shards for point in points] == [1] * 4 + [2] * 4


def test_a_grid_that_nobody_would_wait_for_is_refused() -> None:
    with pytest.raises(GridError, match=str(POINTS_MAX)):
        grid({**ONE, "shards": list(range(1, 300))})


@given(st.integers(1, 500), st.integers(1, 500))
def test_shards_are_at_most_doubled_and_at_least_halved_at_a_time(count: int, wanted: int) -> None:
    steps = [count, *shard_steps(count, wanted)]
    assert steps[-1] == wanted
    assert all((a + 1) // 2 <= b <= 2 * a for a, b in pairwise(steps))
    assert len(steps) <= 11


def test_the_document_has_everything_as_json_and_a_curve_where_there_are_points_for_it() -> None:
    points = [Point(shards, 1, 1000, aggregate=None) for shards in (1, 2, 4)]
    made = document(
        command=["loadgen", "sweep"],
        started_at="2026-11-23T14:00:00.000Z",
        configuration={},
        original={},
        restored=True,
        problem=None,
        measured=[measured(point, 950.0 * point.shards) for point in points],
        points=3,
    )
    assert json.loads(json.dumps(made))["schema"] == "loadgen-sweep/1"
    assert made["partial"] is False
    first = made["points"][0]
    assert first["point"]["lanes"] == 1
    assert first["difference_to_quota"] == -0.05
    assert first["next_bottleneck"]["name"] != first["limited_by"]
    law = made["scaling"][0]["law"]
    assert law["rate_per_lane"] == pytest.approx(950)
    assert "950 events/s per lane" in sentences(made["scaling"])[0]


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
    made = document(
        command=[], started_at="", configuration={}, original={}, restored=True, problem=None,
        measured=[measured(point, 500.0) for point in points], points=4,
    )  # fmt: skip
    assert [len(group["points"]) for group in made["scaling"]] == [2, 1]
    assert all(group["law"] is None for group in made["scaling"])
    assert made["partial"] is True


def test_what_the_machine_limits_is_not_put_on_the_curve() -> None:
    """It would say how many cores there are, and nothing of lanes."""
    fine = [measured(Point(shards, 1, 5, None, None, 1000), 4.9 * shards) for shards in (1, 2, 4)]
    busy = measured(Point(8, 1, 5, None, None, 1000), 20.0)
    busy = busy._replace(limit=busy.limit._replace(name=MACHINE))
    (group,) = scaling([*fine, busy])
    assert (len(group["points"]), group["left_out"]) == (3, 1)
    assert "1 left out, which the machine's CPU limited" in sentences([group])[0]


def test_a_row_has_a_cell_for_every_column() -> None:
    assert len(row(measured(Point(1, 1, 1000), 500.0))) == len(COLUMNS)


def test_the_documentation_names_every_field_and_every_option() -> None:
    points = [Point(shards, 1, 1000, aggregate=None) for shards in (1, 2, 4)]
    made = document(
        command=[], started_at="", configuration={}, original={}, restored=True, problem=None,
        measured=[measured(point, 950.0 * point.shards) for point in points], points=3,
    )  # fmt: skip
    first = made["points"][0]
    law = [name for name in made["scaling"][0]["law"] if not name.endswith("_error")]
    names = [*made, *first, *first["quota"], *first["cost"], *law, "lanes", "concurrency", "why_not"]
    assert [name for name in names if f"`{name}`" not in STUDY] == []
    assert [axis.option for axis in AXES.values() if axis.option not in STUDY] == []
