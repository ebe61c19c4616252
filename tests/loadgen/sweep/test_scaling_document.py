"""The scaling study: its parts are sweeps that the command line takes, and its tables go into the document."""

import re
from pathlib import Path

import pytest

from loadgen.cli import parser
from loadgen.scaling_study import publish
from loadgen.sweep.grid import AXES, POINTS_MAX, values
from loadgen.sweep.quotas import Point
from loadgen.sweep.resharding import tour
from loadgen.sweep.scaling_document import BEGIN, COLUMNS, END, PARTS, Part, insert, markdown, row
from loadgen.sweeping.told import write
from tests.loadgen.sweep.test_page import study
from tests.support.sweep_points import measured, sweep

TEMPLATES_SHARDS = 2
STUDY = (Path(__file__).parents[3] / "docs" / "scaling-study.md").read_text()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_part_is_a_command_as_a_user_types_it(part: Part) -> None:
    arguments = parser().parse_args(["sweep", *part.options.split()])
    points = 1
    for name, axis in AXES.items():
        text = getattr(arguments, name)
        points *= len(values(axis, text)) if text is not None else 1
    assert points <= POINTS_MAX
    tour(TEMPLATES_SHARDS, [count or 0 for count in values(AXES["shards"], arguments.shards)])  # a day allows it


def test_the_lanes_are_those_of_one_to_eight_shards_with_factor_one_to_ten() -> None:
    arguments = parser().parse_args(["sweep", *PARTS[0].options.split()])
    assert values(AXES["shards"], arguments.shards) == [1, 2, 4, 8]
    factors = values(AXES["parallelization_factor"], arguments.parallelization_factor)
    assert (factors[0], factors[-1]) == (1, 10)


def test_every_point_has_a_row_with_its_named_limit() -> None:
    text = markdown({"lanes": study()}, "pictures")
    rows = [line for line in text.splitlines() if line.startswith("| lanes ")]
    assert len(rows) == 16
    assert all(line.count(" | ") == len(COLUMNS) - 1 for line in rows)
    assert all("function time" in line for line in rows)
    assert re.findall(r"\]\(([^)]+)\)", text) == [
        "pictures/lanes-scaling-1.svg",
        "pictures/lanes-scaling-1-per-lane.svg",
    ]
    assert "Scaling curve over 16 points" in text


def test_what_is_open_or_partial_is_said() -> None:
    broken = sweep(measured(Point(1, 1, 5), 5.0, is_closed=False), problem="interrupted")
    assert "Not complete: interrupted" in markdown({"records": broken}, "pictures")
    assert "not closed" in row("records", broken["points"][0])[4]


def test_the_document_keeps_what_is_around_its_marks(tmp_path: Path) -> None:
    assert insert(f"a\n{BEGIN}\nold\n{END}\nb\n", "new") == f"a\n{BEGIN}\n\nnew\n\n{END}\nb\n"
    with pytest.raises(ValueError, match="measured: begin"):
        insert("a", "new")
    assert insert(STUDY, "new") != STUDY  # it has them


def test_results_go_into_the_document_with_their_pictures(tmp_path: Path) -> None:
    out, into = tmp_path / "out", tmp_path / "study.md"
    (out / "lanes").mkdir(parents=True)
    write(out / "lanes", study())
    into.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    publish(out, into)
    text = into.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    for picture in re.findall(r"\]\(([^)]+)\)", text):
        assert (tmp_path / picture).exists()
    assert (out / "study.md").read_text().strip() in text
