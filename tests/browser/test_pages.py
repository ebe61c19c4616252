"""The pages in a browser: nothing is fetched, cut off, too faint, too small or on top of something else, on a wide
screen, a phone and paper, in light and dark."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest

from loadgen.showing.comparison_page import comparison_page
from loadgen.showing.page import page
from loadgen.sweep.page import figures
from loadgen.sweep.page import page as sweep_page
from loadgen.sweep.quotas import Point
from tests.browser.chromium import Chromium
from tests.browser.looking import wrong
from tests.support.sweep_points import measured, sweep

pytestmark = [pytest.mark.slow, pytest.mark.integration]
HOURS_S = 3 * 3600


@pytest.mark.parametrize("name", ["throttled", "short", "interrupted", "compared", "sweep"])
def test_the_page_of_a_real_load_is_whole_and_readable(name: str, browser: Chromium, made: dict[str, Path]) -> None:
    assert wrong(browser, made[name]) == []


def test_the_page_of_a_throttled_load_shows_each_part_of_it(
    browser: Chromium, made: dict[str, Path], throttled: dict[str, Any]
) -> None:
    browser.open(made["throttled"])
    browser.show(1280)
    text = browser.evaluate("document.body.innerText")
    first = text.split("\n", 1)[0]
    assert first.startswith("NOT passed")
    assert first == throttled["verdict"]
    parts = ("What limited it", "Thresholds", "Ledger, in events", "Second by second", "Throttled, by source",
             "In quarantine, by reason", "Cost on AWS", "Configuration")  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert " ".join(throttled["command"]) in " ".join(text.split())
    drawn = {"Events per second", "Invocations at the same time", "Throttled, per second"}
    assert drawn <= set(browser.images())


def test_a_load_of_hours_with_huge_numbers_long_names_and_every_failure_is_readable(
    browser: Chromium, throttled: dict[str, Any], tmp_path: Path
) -> None:
    made = tmp_path / "report.html"
    made.write_text(page(stretched(throttled)))
    assert wrong(browser, made) == []


def test_two_loads_that_are_not_alike_are_readable_beside_each_other(
    browser: Chromium, throttled: dict[str, Any], tmp_path: Path
) -> None:
    made = tmp_path / "compared.html"
    made.write_text(comparison_page(("out/" + "a" * 90, "b"), throttled, stretched(throttled)))
    assert wrong(browser, made) == []


@pytest.mark.parametrize("each", [0.7, 49.0, 12_345.6, 2_000_000.0])
@pytest.mark.parametrize("shards", [(1, 2), (1, 2, 4, 8, 16, 32), (100, 500)])
def test_a_sweep_is_readable_whatever_its_scale(
    each: float, shards: tuple[int, ...], browser: Chromium, tmp_path: Path
) -> None:
    points = [Point(number, factor, 5, None, None, 1000) for number in shards for factor in (1, 2, 5, 10)]
    document = sweep(*(measured(one, each * one.lanes / (1 + 0.002 * (one.lanes - 1))) for one in points))
    made = tmp_path / "sweep.html"
    made.write_text(sweep_page(document))
    assert wrong(browser, made) == []


def test_the_curves_are_readable_as_files_of_their_own(browser: Chromium, tmp_path: Path) -> None:
    points = [Point(number, factor, 5, None, None, 1000) for number in (1, 2, 4, 8) for factor in (1, 2, 5, 10)]
    drawn = figures(sweep(*(measured(one, 4.9 * one.lanes, is_closed=one.shards < 8) for one in points)))
    assert len(drawn) == 2
    for name, text in drawn.items():
        (tmp_path / name).write_text(text)
        found = wrong(browser, tmp_path / name)
        # A drawing that fills a phone is small; in a document it is as wide as the document makes it.
        assert [one for one in found if not one.startswith(("phone", "paper"))] == []


def stretched(report: dict[str, Any]) -> dict[str, Any]:
    """The same load as if it had lasted hours, on many shards, with numbers a hundred thousand times as large."""
    made = copy.deepcopy(report)
    made["timeline"] = [dict(made["timeline"][second % 5], second=second) for second in range(HOURS_S)]
    for row in made["timeline"]:
        for name in row.keys() - {"second"}:
            row[name] = row[name] and row[name] * 100_000
    made["numbers"] = {name: value and value * 100_000 for name, value in made["numbers"].items()} | {
        "elapsed_s": HOURS_S - 7.0, "late_share": 0.0004, "failed_share": 1.0,
    }  # fmt: skip
    for name, value in made["ledger"].items():
        if isinstance(value, int) and not isinstance(value, bool):
            made["ledger"][name] = 1_234_567_890
    shards = [f"shardId-{number:012d}" for number in range(40)]
    made["events_per_shard"] = {shard: 10**9 + number for number, shard in enumerate(shards)}
    made["unreadable"] = [{"line": 10**9, "why": "word " * 40 + "x" * 200}]
    made["errors"] = {"InternalFailureOfSomeServiceWithALongName" * 3: 10**9}
    made["failures"] = {"DeadlineExceeded": 10**9, "Interrupted": 1}
    made["configuration"] |= {"file": "/some/where/" + "long" * 40, "speed": None}
    made["command"] = [*made["command"], "--out", "'" + "out/" * 40 + "'"]
    made["verdict"] = f"NOT passed: {'commit_latency_p999_ms<100 ' * 6}{'x' * 80}"
    made["limits"]["missing"] = ["it covers only a part " * 9]
    made["limits"]["capacity"]["table_write_units_per_s"] = 40_000
    points = [[second, 3_000_000 * (1 + math.sin(second / 900))] for second in range(HOURS_S)]
    template = {"unit": "records", "statistic": "sum", "source": "s", "resolution_s": 1, "partial": False}
    made["limits"]["series"] = [
        *(one for one in made["limits"]["series"] if not one["name"].startswith("write_throttles")),
        *({**template, "name": f"write_throttles {shard}", "points": points[::40]} for shard in shards),
        {**template, "name": "lambda_throttles", "resolution_s": 60, "partial": True, "points": points[:3600:60]},
    ]
    return made
