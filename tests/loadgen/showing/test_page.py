"""report.html and its charts: what is measured is drawn where it belongs, and what is not is not drawn."""

import html
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
from loadgen.target.observation import Observation
from loadgen.target.series import Series
from tests.loadgen.showing.test_limits_shown import made as observed_report
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


def figure(shown: str, title: str) -> str:
    """The drawing of one chart, without its legend."""
    assert f"<h3>{title}" in shown
    return shown.partition(f"<h3>{title}")[2].partition("</figcaption>")[2].partition("</figure>")[0]


def of_table(*points: tuple[int, float], is_partial: bool) -> dict[str, Any]:
    """A load of four seconds whose table was throttled, as CloudWatch tells."""
    series = Series("table_write_throttles", "accesses", "sum", "CloudWatch", 1, points, is_partial)
    return observed_report(Observation(series=[series]))


def test_where_a_metric_lacks_a_part_of_the_load_there_is_a_gap_and_no_zero() -> None:
    points = ((0, 5.0), (1, 5.0), (3, 7.0))
    (whole,) = re.findall(r"<path class=e d='([^']+)'", figure(page(of_table(*points, is_partial=False)), "Throttled"))
    (lacking,) = re.findall(r"<path class=e d='([^']+)'", figure(page(of_table(*points, is_partial=True)), "Throttled"))
    floor = f" {HEIGHT - BOTTOM}.0"
    assert (whole.count("M"), whole.count(floor)) == (1, 1)
    assert (lacking.count("M"), lacking.count(floor)) == (2, 0)


@pytest.mark.parametrize("is_partial", [False, True])
def test_where_a_whole_log_has_no_invocation_none_ran(is_partial: bool) -> None:
    series = Series("concurrency", "invocations", "mean", "log", 1, ((0, 1.0), (3, 2.0)), is_partial)
    drawn = figure(page(observed_report(Observation(series=[series]))), "Invocations at the same time")
    (line,) = re.findall(r"<path class=b d='([^']+)'", drawn)
    assert line.count("M") == (2 if is_partial else 1)


@pytest.mark.parametrize("ended_us", [300_000, 950_000])
def test_a_load_of_less_than_a_second_is_drawn_with_what_was_offered_and_accepted(ended_us: int) -> None:
    metrics = Metrics(0)
    metrics.add(PutResult("k", (0,) * 7, 9, ended_us, 1, 9, 0, 0, "s", "1", (), None, False))
    series = Series("processed", "events", "sum", "log", 1, ((0, 3.0), (1, 4.0)))
    document = observed_report(Observation(series=[series])) | {"timeline": metrics.timeline()}
    document["numbers"] |= {"elapsed_s": ended_us / 1e6}
    legend = page(document).partition("<h3>Events per second")[2].partition("</figcaption>")[0]
    assert "offered <b>7</b>" in legend
    assert "accepted <b>7</b>" in legend


def test_throttles_are_told_by_source_also_when_there_were_none_and_what_is_not_known_is_no_zero() -> None:
    assert "<td>Kinesis: puts of records<td>0<tr><td>Kinesis: GetRecords calls<td>not known" in page(made())
    document = made()
    document["numbers"] |= dict.fromkeys(("read_throttles", "lambda_throttles", "table_throttles"), 0)
    document["numbers"]["lambda_throttles"] = 1234
    shown = page(document)
    assert "<td>Kinesis: GetRecords calls<td>0<tr><td>Lambda: invocations<td>1,234<tr>" in shown
    assert "<td>DynamoDB: accesses to the tables<td>0</table>" in shown


def test_a_target_of_which_nothing_was_seen_is_said() -> None:
    assert "Of the target nothing was observed" in page(made())
    assert "Of the target nothing was observed" not in page(of_table((0, 1.0), is_partial=False))
    assert "Of the target nothing was observed" not in page(observed_report(Observation(missing=["the log: no"])))


def test_the_command_is_there_word_by_word_as_it_can_be_pasted() -> None:
    words = ["loadgen", "run", "--threshold", "'latency_p99_ms<5'", "--out", "'a b'"]
    (shown,) = re.findall(r"<pre>(.*?)</pre>", page(made() | {"command": words}), flags=re.DOTALL)
    assert html.unescape(re.sub(r"</?span>", "", shown)) == " ".join(words)


@pytest.mark.parametrize(("share", "said"), [(0.0, "0.0%"), (0.0004, "&lt;0.1%"), (0.002, "0.2%"), (1.0, "100.0%")])
def test_few_late_events_are_not_said_to_be_none(share: float, said: str) -> None:
    document = made()
    document["numbers"]["late_share"] = share
    assert f"<dt>of the events left late</dt><dd>{said}</dd>" in page(document)


@pytest.mark.parametrize(
    ("seconds", "last"),
    [
        (2, "1 s"),
        (61, "60 s"),
        (601, "10 min"),
        (7_201, "100 min"),
        (7_300, "120 min"),
        (20_000, "5 h"),
        (90_000, "24 h"),
        (300_000, "72 h"),
    ],
)
def test_the_seconds_are_told_in_units_of_which_there_are_few(seconds: int, last: str) -> None:
    drawn = chart("t", [{"one": float(second), "two": 1.0} for second in range(seconds)], LINES)
    told = re.findall(r"text-anchor=middle>([^<]+)</text>", drawn)
    assert 2 <= len(told) <= 7
    assert told[-1] == last
    assert len(set(told)) == len(told)


@given(st.floats(1e-6, 1e12))
def test_no_label_of_the_values_is_wider_than_its_room(highest: float) -> None:
    told = re.findall(r"text-anchor=end>([^<]+)</text>", chart("t", rows([(0, 0), (highest, 0)]), LINES))
    assert len(told) == 5
    assert max(map(len, told)) <= 7
    assert len(set(told)) == 5
