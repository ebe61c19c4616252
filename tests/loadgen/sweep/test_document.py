"""sweep.json, and the table's rows."""

from pathlib import Path
from typing import Any

import pytest

from loadgen.sweep.curves import sentences
from loadgen.sweep.grid import AXES
from loadgen.sweep.measured import COLUMNS, row
from loadgen.sweep.quotas import Point
from tests.support.sweep_points import measured, sweep

STUDY = (Path(__file__).parents[3] / "docs" / "scaling-study.md").read_text()


def three() -> dict[str, Any]:
    return sweep(*(measured(Point(shards, 1, 1000, aggregate=None), 950.0 * shards) for shards in (1, 2, 4)))


def test_the_document_has_everything_as_json_and_a_curve_where_there_are_points_for_it() -> None:
    made = three()
    assert made["schema"] == "loadgen-sweep/1"
    assert made["partial"] is False
    first = made["points"][0]
    assert first["point"]["lanes"] == 1
    assert first["difference_to_quota"] == -0.05
    assert first["next_bottleneck"]["name"] != first["limited_by"]
    law = made["scaling"][0]["law"]
    assert law["rate_per_lane"] == pytest.approx(950)
    assert "950 events/s per lane" in sentences(made["scaling"])[0]


def test_a_grid_that_was_not_measured_to_its_end_is_partial() -> None:
    assert sweep(measured(Point(1, 1, 1000), 500.0), asked=2)["partial"] is True
    assert sweep(measured(Point(1, 1, 1000), 500.0), problem="interrupted")["partial"] is True
    assert sweep(measured(Point(1, 1, 1000), 500.0))["partial"] is False


def test_a_row_has_a_cell_for_every_column() -> None:
    assert len(row(measured(Point(1, 1, 1000), 500.0))) == len(COLUMNS)


def test_the_documentation_names_every_field_and_every_option() -> None:
    made = three()
    first = made["points"][0]
    law = [name for name in made["scaling"][0]["law"] if not name.endswith("_error")]
    names = [*made, *first, *first["quota"], *first["cost"], *law, "lanes", "concurrency", "why_not"]
    assert [name for name in names if f"`{name}`" not in STUDY] == []
    assert [axis.option for axis in AXES.values() if axis.option not in STUDY] == []
