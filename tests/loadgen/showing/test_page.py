"""report.html and its charts: what is measured is drawn where it belongs, and what is not is not drawn."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult
from loadgen.showing.chart import BOTTOM, HEIGHT, LEFT, POINTS_MAX, RIGHT, TOP, WIDTH, Line, Mark, chart, mean, nice
from loadgen.showing.page import page
from tests.loadgen.showing.test_verdict import made

LINES = (Line("one", "One", "a", mean), Line("two", "Two", "b", max))
VALUES = st.none() | st.floats(0, 1e9)


def rows(values: list[tuple[float | None, float | None]]) -> list[dict[str, Any]]:
    return [{"one": one, "two": two} for one, two in values]


@given(st.floats(1e-9, 1e12))
def test_the_top_of_the_axis_is_a_round_number_just_above(value: float) -> None:
    assert value <= nice(value) <= 2.5 * value


@given(st.lists(st.tuples(VALUES, VALUES), max_size=12), st.integers(1, 100))
def test_every_point_is_inside_the_axes_and_long_loads_stay_small(
    values: list[tuple[float | None, float | None]], times: int
) -> None:
    drawn = chart("t", rows(values * times), LINES)
    points = re.findall(r"[ML]([0-9.]+) (-?[0-9.]+)", drawn.partition("</figcaption>")[2])
    assert len(points) <= 4 * POINTS_MAX
    for x, y in points:
        assert LEFT <= float(x) <= WIDTH - RIGHT
        assert TOP - 0.1 <= float(y) <= HEIGHT - BOTTOM


def test_the_highest_value_is_the_highest_point_and_labels_say_its_scale() -> None:
    drawn = chart("t", rows([(0, 100), (50, 200), (100, 0)]), LINES)
    assert f"M{LEFT}.0 {HEIGHT - BOTTOM}.0" in drawn
    assert f"L{LEFT + (WIDTH - LEFT - RIGHT) / 2:.1f} {TOP}.0" in drawn
    assert ">200</text>" in drawn
    assert ">2 s</text>" in drawn


def test_a_missing_value_breaks_its_line() -> None:
    drawn = chart("t", rows([(1, 1), (None, 1), (1, 1)]), LINES)
    one, two = re.findall(r"<path class=. d='(M[^']+)'", drawn.partition("</figcaption>")[2])
    assert (one.count("M"), two.count("M")) == (2, 1)


def test_a_value_that_stands_alone_is_a_dot() -> None:
    drawn = chart("t", rows([(5, 1), (None, 1), (5, 1), (5, 1)]), LINES)
    (dots,) = re.findall(r"<path class='a dot' d='([^']+)'", drawn)
    assert dots.count("M") == 1
    assert "b dot" not in drawn


def test_several_seconds_in_a_point_are_combined_as_the_line_says() -> None:
    drawn = chart("t", rows([(0.0, 0.0), (100.0, 100.0)] * POINTS_MAX), LINES)
    one, two = re.findall(r"<path class=. d='([^']+)'", drawn.partition("</figcaption>")[2])
    half = (TOP + HEIGHT - BOTTOM) / 2
    assert {y for _, y in re.findall(r"[ML](\S+) ([0-9.]+)", one)} == {f"{half:.1f}"}
    assert {y for _, y in re.findall(r"[ML](\S+) ([0-9.]+)", two)} == {f"{TOP}.0"}
    assert "each point is 2 s" in drawn


@pytest.mark.parametrize("values", [[], [(1, 1)], [(0, 0), (0, 0)], [(None, None)] * 9])
def test_nothing_to_draw_is_no_chart(values: list[tuple[float | None, float | None]]) -> None:
    assert chart("t", rows(values), LINES) == ""


def test_the_last_second_is_drawn_only_when_it_was_a_whole_one() -> None:
    metrics = Metrics(0)
    for second in range(4):
        at_us = second * 1_000_000 + 500_000
        metrics.add(PutResult("k", (at_us,), at_us, at_us + 9, 1, 9, 0, 0, "s", "1", (), None, False))
    shown = page(made(metrics=metrics)).partition("<h3>Events per second")[2].partition("<h3>Latency")[0]
    (offered, accepted) = re.findall(r"<path class=. d='([^']+)'", shown.partition("</figcaption>")[2])
    for drawn in (offered, accepted):
        assert len(re.findall("[ML]", drawn)) == 1 + 3
    assert "3 s</text>" in shown


def test_a_moment_is_marked_where_it_was() -> None:
    drawn = chart("t", rows([(1, 1), (2, 2), (1, 1), (0, 0), (1, 1)]), LINES, [Mark(2.0, "<then>")])
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    assert f"<line class=mark x1={middle:.1f} " in drawn
    assert ">&lt;then&gt;</text>" in drawn


@pytest.mark.parametrize(
    ("highest", "said"), [(2_529.4, "2,529"), (206.85, "207"), (5.163, "5.16"), (8, "8"), (0.0012, "0.0012")]
)
def test_the_legend_names_the_highest_value_as_people_say_it(highest: float, said: str) -> None:
    assert f"One <b>max {said}</b>" in chart("t", rows([(0, 0), (highest, 0)]), LINES)


def test_the_drawings_are_well_formed_and_the_verdict_comes_first() -> None:
    metrics = Metrics(0)
    for at_us in (5, 1_000_005, 3_000_000):
        metrics.add(PutResult("k", (0,), at_us, at_us, 1, 9, 0, 0, "s", "1", (), None, False))
    shown = page(made(metrics=metrics))
    drawings = re.findall(r"<svg.*?</svg>", shown, flags=re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        ElementTree.fromstring(re.sub(r"=([a-z0-9.-]+)", r"='\1'", drawing))
    body = re.sub(r"<(style|title)>.*?</\1>", "", shown, flags=re.DOTALL)
    assert re.sub(r"<[^>]+>", "", body).strip().startswith("1.0 of 3.0 offered events/s were accepted")
