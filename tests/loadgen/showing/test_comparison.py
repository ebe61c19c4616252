"""Two loads beside each other: what differs is named, better and worse are never mixed up, and nothing is decided."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import cli
from loadgen.showing import comparison, report
from loadgen.showing.comparison_page import comparison_page
from loadgen.target.observation import Observation
from tests.loadgen.showing.test_limits_shown import made as observed_report
from tests.loadgen.showing.test_limits_shown import observed
from tests.loadgen.test_cli import finished

FLIPPED = {"better": "worse", "worse": "better", "same": "same", "": ""}
NUMBERS = st.dictionaries(
    st.sampled_from(report.known_numbers()), st.none() | st.integers(0, 1000) | st.floats(0, 1e9, allow_nan=False)
)


def with_numbers(**numbers: float | int | None) -> dict[str, Any]:
    return {"numbers": numbers, "configuration": {}, "started_at": "", "verdict": "v", "command": [], "timeline": []}


def judged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, str]:
    return {row.name: row.judgement for row in comparison.compare(first, second)}


def test_lower_latencies_and_higher_rates_are_better_and_what_has_no_good_direction_is_not_judged() -> None:
    first = with_numbers(latency_p99_ms=100.0, processed_events_per_s=1000.0, events_offered=10, lost=0)
    second = with_numbers(latency_p99_ms=150.0, processed_events_per_s=1200.0, events_offered=20, lost=3)
    assert judged(first, second) == {
        "latency_p99_ms": "worse", "processed_events_per_s": "better", "events_offered": "", "lost": "worse",
    }  # fmt: skip


def test_a_change_of_less_than_half_a_percent_is_none() -> None:
    assert judged(with_numbers(latency_p99_ms=1000.0), with_numbers(latency_p99_ms=1004.0))["latency_p99_ms"] == "same"
    assert judged(with_numbers(latency_p99_ms=1000.0), with_numbers(latency_p99_ms=1006.0))["latency_p99_ms"] == "worse"


def test_what_only_one_of_them_measured_is_shown_and_not_judged() -> None:
    (row,) = comparison.compare(with_numbers(cold_starts=None), with_numbers(cold_starts=7))
    assert row.cells() == ("cold_starts", "n/a", "7", "", "")
    assert judged(with_numbers(), with_numbers(cold_starts=7)) == {"cold_starts": ""}


@given(NUMBERS, NUMBERS)
def test_the_other_way_round_better_is_worse(a: dict[str, Any], b: dict[str, Any]) -> None:
    first, second = with_numbers(**a), with_numbers(**b)
    there, back = judged(first, second), judged(second, first)
    for row in comparison.compare(first, second):
        edge = row.change is not None and 0.004 < abs(row.change) < 0.006  # a share of the other one differs a little
        assert edge or back[row.name] == FLIPPED[there[row.name]]
    assert set(judged(first, first).values()) <= {"same", ""}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"configuration": {"rate": "1200"}}, "rate 200 and 1200"),
        ({"configuration": {"rate": "200", "duration": "9"}}, "duration - and 9"),
        ({"partial": True}, "B did not reach its end"),
    ],
)
def test_loads_that_were_not_asked_for_the_same_or_did_not_end_are_not_graded(
    changed: dict[str, Any], why: str
) -> None:
    first = observed_report(observed()) | {"configuration": {"rate": "200"}}
    second = observed_report(observed()) | {"configuration": {"rate": "200"}} | changed
    second["numbers"] = {**second["numbers"], "latency_p99_ms": 9e9}
    assert set(judged(first, second).values()) <= {"same", ""}
    said = comparison.sentences(first, second)[-1]
    assert said.startswith("Neither is graded")
    assert why in said
    assert "better" not in said


def test_what_was_accepted_is_compared_as_a_share_of_what_was_offered() -> None:
    rows = {row.name: row for row in comparison.compare(observed_report(observed()), observed_report(observed()))}
    assert rows["offered_events_per_s"].first == 1.0
    assert rows["accepted_share"].first == 1.0


def test_cold_starts_have_no_good_direction() -> None:
    assert judged(with_numbers(cold_starts=8), with_numbers(cold_starts=0)) == {"cold_starts": ""}


def test_settings_that_differ_are_listed_and_what_always_differs_is_not() -> None:
    first, second = observed_report(observed()), observed_report(observed())
    first["configuration"] = {"rate": "100", "run_id": "a", "processes": "1"}
    second["configuration"] = {"rate": "200", "run_id": "b", "processes": "1"}
    second["limits"]["capacity"]["shards"] = 4
    assert comparison.settings(first, second) == [("rate", "100", "200"), ("shards", "2", "4")]
    assert "with the same settings" not in " ".join(comparison.sentences(first, second))
    assert "with the same settings" in " ".join(comparison.sentences(first, first))


def test_the_page_draws_both_into_one_chart_and_escapes_what_it_shows() -> None:
    first, second = observed_report(observed()), observed_report(observed())
    first["configuration"], second["configuration"] = {"keys": "<one>"}, {"keys": "<two>"}
    shown = comparison_page(("out/<a>", "out/b"), first, second)
    assert "&lt;two&gt;" in shown
    assert "out/&lt;a&gt;" in shown
    assert "<script" not in shown
    assert "http" not in shown
    processed = shown.partition("<h3>Processed, events per second")[2].partition("</figure>")[0]
    assert processed.count("<path class=") == 4  # two samples in the legend, two lines


def test_the_page_begins_with_whether_the_second_is_better_and_names_in_what() -> None:
    first, second = observed_report(observed()), observed_report(observed())
    second["numbers"] = {**second["numbers"], "latency_p99_ms": 9e9, "lost": 3, "drain_s": 0.0}
    first["numbers"]["drain_s"] = 4.0
    shown = comparison_page(("a", "b"), first, second)
    body = re.sub(r"<(style|title)>.*?</\1>", "", shown, flags=re.DOTALL)
    assert re.sub(r"<[^>]+>", "", body).strip().startswith("B is better in 1 and worse in 2 of the telling numbers")
    assert "B is worse in latency_p99_ms +" in shown
    assert "B is better in drain_s -100.0%." in shown


def test_what_one_of_them_does_not_know_is_said_in_the_legend() -> None:
    first, second = observed_report(Observation()), observed_report(observed())
    processed = comparison_page(("a", "b"), first, second).partition("<h3>Processed, events per second")[2]
    assert "A <b>not known</b>" in processed.partition("</figcaption>")[0]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()
        finished(folder)
    lines = (folders[1] / "results.jsonl").read_text()
    (folders[1] / "results.jsonl").write_text(lines.replace('"acknowledged_us":1200000', '"acknowledged_us":2400000'))
    made = json.loads((folders[1] / "report.json").read_text())
    made["numbers"]["elapsed_s"] = 2.4
    (folders[1] / "report.json").write_text(json.dumps(made))
    return folders


def test_the_command_compares_and_changes_neither(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = [(folder / "report.json").read_text() for folder in two]
    page = two[0].parent / "page.html"
    assert cli.main(["report", *map(str, two), "--html", str(page)]) == 0
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.strip().startswith("latency_p99_ms")]
    assert line.split()[-2:] == ["+100.0%", "worse"], "added up again from results.jsonl"
    assert page.read_text().startswith("<!doctype html>")
    assert [(folder / "report.json").read_text() for folder in two] == before
    assert not (two[0] / "report.html").exists()


def test_a_page_that_cannot_be_written_is_said(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", *map(str, two), "--html", str(two[0] / "no" / "page.html")]) == 1
    assert "No such file" in capsys.readouterr().err
