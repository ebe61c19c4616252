"""A report that cannot be true is refused, with the name of what contradicts what; a load's own never is."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import cli
from loadgen.outcome.expectations import Expectations
from loadgen.outcome.ledger import Findings, Ledger, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult, encode
from loadgen.showing import contradictions, report, report_shape
from loadgen.showing.thresholds import check, parse

RESULTS = [
    PutResult("a", (0, 500_000), 510_000, 1_200_000, 1, 512, 0, 0, "s", "49", (), None, False),
    PutResult("a", (700_000,), 710_000, 1_500_000, 1, 512, 0, 0, "s", "50", (), None, False),
]
BALANCED = Ledger(3, 2, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, {}, {}, {"not_json": 1}, {"not_json": 1})


def made(ledger: Ledger = BALANCED, problem: str | None = None, unread: Sequence[str] = ()) -> dict[str, Any]:
    metrics, lines = Metrics(110_000), report.Unread()
    for result in RESULTS:
        metrics.add(result)
    for why in unread:
        lines.add(1, why)
    known = report.known_numbers()
    wanted = [parse(text, known) for text in ("lost==0", "events_failed==0", "latency_p99_ms<5000", "drain_s<1")]
    document = report.document(
        command=["loadgen", "run"],
        started_at="2026-11-23T09:00:00.000+00:00",
        problem=problem,
        configuration={"late_after_us": 110_000},
        metrics=metrics,
        ledger=ledger,
        drain_s=0.5,
        unread=lines,
        checked=check(wanted, report.numbers(metrics, ledger, 0.5, lines)),
    )
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found


def finished(folder: Path, document: dict[str, Any], lines: Sequence[PutResult] = RESULTS) -> None:
    (folder / "report.json").write_text(json.dumps(document))
    (folder / "results.jsonl").write_text("".join(encode(line) + "\n" for line in lines))


CHANGES: list[tuple[str, str, Any, str]] = [
    ("ledger", "lost", 5, "ledger.sent is 3, but its terms"),
    ("ledger", "stored", 0, "ledger.sent is 3, but its terms"),
    ("ledger", "sent", 4, "ledger.sent is 4, but its terms"),
    ("ledger", "balanced", False, "ledger.balanced is false, but its terms say true"),
    ("ledger", "duplicates_applied", 2, "ledger.balanced is true, but its terms say false"),
    ("ledger", "stored_before", 3, "ledger.stored_before is 3, but ledger.stored only 2"),
    ("ledger", "found_reasons", {}, "ledger.quarantined is 1, but its reasons add up to 0"),
    ("numbers", "lost", 5, "ledger.lost is 0, but numbers.lost 5"),
    ("numbers", "lines_unreadable", 5, "numbers.lines_unreadable is 5"),
    ("numbers", "events_failed", 5, "thresholds[1].value is 0, but numbers.events_failed 5"),
]


@pytest.mark.parametrize(("part", "name", "value", "said"), CHANGES, ids=[f"{c[0]}.{c[1]}" for c in CHANGES])
def test_a_changed_term_is_refused_with_what_it_contradicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, name: str, value: Any, said: str
) -> None:
    document = made()
    document[part][name] = value
    finished(tmp_path, document)
    assert cli.main(["report", str(tmp_path)]) == 2
    assert f"report.json: it contradicts itself: {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passed": False}, "passed is false, but nothing is wrong"),
        ({"partial": True}, "partial is true, but there is no problem"),
        ({"partial": True, "problem": "it ended"}, "passed is true, but it did not reach its end (it ended)"),
        ({"problem": "it ended"}, "partial is false, but there is a problem"),
        ({"verdict": "NOT passed"}, "passed is true, but the verdict says something else"),
    ],
)
def test_a_changed_verdict_is_refused_with_what_it_contradicts(changes: dict[str, Any], said: str) -> None:
    assert contradictions.first({**made(), **changes}) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passed": False}, "thresholds[0].passed is false, but lost==0 of 0 says something else"),
        ({"value": 9}, "thresholds[0].value is 9, but numbers.lost 0"),
        ({"expression": "lost=0"}, "thresholds[0].expression is none"),
        ({"expression": "lost==1"}, "thresholds[0].passed is true, but lost==1 of 0 says something else"),
        (
            {"expression": "lost==9", "value": 9, "passed": False},
            "thresholds[0].value is 9, but numbers.lost 0",
        ),
    ],
)
def test_a_changed_threshold_is_refused_with_what_it_contradicts(changes: dict[str, Any], said: str) -> None:
    document = made()
    document["thresholds"][0].update(changes)
    assert contradictions.first(document) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (RESULTS[1]._replace(done_us=700_000), "line 2: it ended before it was sent"),
        (RESULTS[1]._replace(put_us=None), "line 2: it was acknowledged and never sent"),
        (RESULTS[1]._replace(done_us=9 * 86_400 * 10**6), "line 2: it ended 777,600.0 s after the start, the load"),
    ],
)
def test_a_line_that_cannot_be_is_refused_with_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: PutResult, said: str
) -> None:
    finished(tmp_path, made(), [RESULTS[0], line])
    assert cli.main(["report", str(tmp_path)]) == 2
    assert f"results.jsonl: {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "document",
    [
        made(),
        made(problem="interrupted"),
        made(unread=["not JSON"] * 9),
        made(settle(Expectations(("bytes",)), Findings())),
    ],
    ids=["passed", "interrupted", "lines unread", "nothing sent"],
)
def test_a_report_as_a_load_makes_it_is_taken(document: dict[str, Any]) -> None:
    report_shape.check(document)
    assert contradictions.first(document) is None


def test_a_report_of_a_version_without_the_newer_terms_is_taken() -> None:
    document = copy.deepcopy(made())
    for name in report_shape.LEDGER_ADDED:
        del document["ledger"][name]
    assert contradictions.first(document) is None


@given(
    sent=st.lists(st.integers(0, 3), min_size=5, max_size=5),
    wrong=st.lists(st.integers(0, 2), min_size=3, max_size=3),
    problem=st.none() | st.just("interrupted"),
)
def test_whatever_a_load_came_to_its_report_does_not_contradict_itself(
    sent: list[int], wrong: list[int], problem: str | None
) -> None:
    stored, quarantined, expired, lost, later = sent
    twice, sums, foreign = wrong
    reasons = {"not_json": quarantined} if quarantined else {}
    ledger = Ledger(
        sum(sent), stored, 0, quarantined, expired, lost, later, twice, sums, 0, 9, foreign, 0, 0, 0, 0, {}, {},
        reasons, reasons,
    )  # fmt: skip
    assert contradictions.first(made(ledger, problem)) is None
