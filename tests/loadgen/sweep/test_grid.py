"""The grid of a sweep."""

from collections.abc import Sequence

import pytest

from loadgen.sweep.grid import AXES, POINTS_MAX, GridError, grid, values

ONE: dict[str, Sequence[int | None]] = {
    "shards": [2],
    "parallelization_factor": [4],
    "batch_size": [1000],
    "reserved_concurrency": [None],
    "aggregate": [None],
    "function_latency_ms": [0],
    "table_write_units": [None],
}


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
