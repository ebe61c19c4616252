"""sweep.html and the curves' files: what was measured is drawn where it belongs, and nothing is fetched."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sweep.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, Place, per_lane, throughput
from loadgen.sweep.page import figures, page, verdict
from loadgen.sweep.quotas import Point
from tests.support.sweep_points import measured, sweep

RATES = st.floats(0.1, 1e7)


def study() -> dict[str, Any]:
    points = [Point(shards, factor, 5, None, None, 1000) for shards in (1, 2, 4, 8) for factor in (1, 2, 5, 10)]
    return sweep(*(measured(point, 4.9 * point.lanes / (1 + 0.001 * (point.lanes - 1))) for point in points))


def test_the_result_is_read_first_with_its_limit_and_command() -> None:
    made = page(study())
    head = made[: made.index("</pre>")]
    assert "At most 363 events/s are sustained, with 8 shards x factor 10; 16 points; limit: function time" in head
    assert re.sub(r"</?span>", "", head).endswith("<pre>loadgen sweep --shards 1")
    assert "class=good" in head


def test_the_page_asks_for_nothing_and_is_readable_in_light_and_dark() -> None:
    made = page(study())
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]|<script", made)
    assert "prefers-color-scheme:dark" in made
    assert set(re.findall(r"https?://[^'\"\s)]+", made)) == set()


def test_every_point_is_in_the_table_with_its_quota_and_what_comes_next() -> None:
    made = page(sweep(measured(Point(1, 4, 20, 2, None, 1000), 39.6, batch_s=1.02), measured(Point(1, 1, 20), 900)))
    assert "<b>reserved concurrency</b>" in made
    assert "2 reserved executions x 20 events per batch / 1,020 ms" in made
    assert "next: shard write quota: records at 1,000/s" in made
    assert "<th>reserved" in made
    assert "<th>shards" not in made  # the same everywhere: it is in the configuration


def test_what_is_open_or_partial_is_said() -> None:
    one = measured(Point(1, 1, 5), 5.0, is_closed=False)
    made = page(sweep(one, problem="interrupted"))
    assert "NOT complete: interrupted" in made
    assert "class=bad>open" in made
    assert "1 of 1 searches did not close" in made
    assert "At least 5.0 events/s are sustained (the search did not close: 5.2 were too much), with 1 shard x" in made
    assert "<header class=late>" in page(sweep(one))
    assert verdict(sweep(problem="it does not answer")) == "No point was measured: it does not answer."


def test_everything_from_outside_is_escaped() -> None:
    made = page(sweep(measured(Point(1, 1, 5), 5.0), problem="<script>1", command="<script>2"))
    assert "<script" not in made


def test_the_curves_are_files_of_their_own_that_any_viewer_reads() -> None:
    made = figures(study())
    assert set(made) == {"scaling-1.svg", "scaling-1-per-lane.svg"}
    for text in made.values():
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert len([each for each in root.iter() if each.tag.endswith("title")]) == 1 + 16
        assert "prefers-color-scheme:dark" in text
    assert figures(sweep(measured(Point(1, 1, 5), 5.0))) == {}


@given(st.lists(st.tuples(st.integers(1, 5000), RATES, st.none() | st.floats(1.0, 3.0), RATES), min_size=2, max_size=9))
def test_every_point_is_drawn_inside_the_axes(found: list[tuple[int, float, float | None, float]]) -> None:
    places = [Place(float(n), low, over and low * over, quota, "1 x 1", over is None) for n, low, over, quota in found]
    curve = [Curve(float(n), low, low * 0.9, low * 1.1) for n, low, _, _ in found]
    for drawn in (throughput(places, curve), per_lane(places, curve, alone=True)):
        dots = re.findall(r"cx='([0-9.]+)' cy='([0-9.]+)'", drawn.partition("<g ")[0])
        assert len(dots) == len(places)
        for x, y in dots:
            assert LEFT <= float(x) <= WIDTH - RIGHT
            assert TOP - 0.1 <= float(y) <= HEIGHT - BOTTOM + 0.1
        ElementTree.fromstring(drawn)


@pytest.mark.parametrize(("lanes", "is_log"), [((1, 80), True), ((1, 4), False)])
def test_axes_are_logarithmic_where_lanes_are_many_times_apart(lanes: tuple[int, int], is_log: bool) -> None:
    """What scales without loss is a straight line on both."""
    places = [Place(float(n), 5.0 * n, None, 5.0 * n, "", True) for n in (lanes[0], 2, lanes[1])]
    (a, b, c) = ((float(x), float(y)) for x, y in re.findall(r"cx='([0-9.]+)' cy='([0-9.]+)'", throughput(places, [])))
    assert (b[1] - a[1]) / (b[0] - a[0]) == pytest.approx((c[1] - a[1]) / (c[0] - a[0]), rel=0.02)
    middle = (b[0] - a[0]) / (c[0] - a[0])
    assert (middle < 0.2) is is_log
