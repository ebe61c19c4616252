"""The throttling study: what a report must show, and, slowly, that four loads show it."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadgen.sweep.throttling import CASES, COLUMNS, Case, Outcome, document, judge, markdown, row

NOTHING_WRONG = {"sent": 100, "stored": 100, "lost": 0, "not_yet_found": 0, "duplicates_applied": 0, "balanced": True}


def report(case: Case, **ledger: Any) -> dict[str, Any]:
    return {
        "verdict": "The ledger balances.",
        "command": ["loadgen", "run"],
        "ledger": {**NOTHING_WRONG, **ledger},
        "numbers": {case.number: 7, "events_failed": 0, "commit_latency_p99_ms": 1.0, "drain_s": 1.0},
        "limits": {"limited_by": case.limit, "reason": f"{case.limit}: it was"},
    }


def outcome(case: Case, **ledger: Any) -> Outcome:
    return judge(case, report(case, **ledger), 0)


def test_the_four_limits_are_four_different_ones() -> None:
    limits = ["shard write quota", "reserved concurrency", "table write capacity", "shard read quota"]
    assert [case.limit for case in CASES] == limits
    assert len({case.number for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.limit)
def test_a_load_that_names_its_limit_and_lost_nothing_passes(case: Case) -> None:
    found = outcome(case)
    assert found.passed
    assert len(row(found)) == len(COLUMNS)
    assert "7 (" in row(found)[4]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"limits": {"limited_by": "nothing", "reason": ""}}, "limited by 'nothing'"),
        ({"numbers": {"throttled_attempts": 0, "events_failed": 0}}, "nothing was throttled"),
        ({"numbers": {"throttled_attempts": 7, "events_failed": 3}}, "3 events never reached"),
        ({"ledger": {**NOTHING_WRONG, "lost": 2}}, "lost: 2"),
        ({"ledger": {**NOTHING_WRONG, "duplicates_applied": 1}}, "duplicates_applied: 1"),
        ({"ledger": {**NOTHING_WRONG, "not_yet_found": 4}}, "not_yet_found: 4"),
        ({"ledger": {**NOTHING_WRONG, "balanced": False}}, "does not balance"),
    ],
)
def test_whatever_a_report_does_not_show_is_a_problem(changed: dict[str, Any], said: str) -> None:
    whole = {**copy.deepcopy(report(CASES[0])), **changed}
    (problem,) = judge(CASES[0], whole, 0).problems
    assert said in problem


def test_a_late_sender_is_told_apart_from_a_limit_that_was_not_met() -> None:
    late = {**report(CASES[0]), "limits": {"limited_by": "sender: late", "reason": ""}}
    assert judge(CASES[0], late, 0).is_late
    assert not judge(CASES[0], late, 0).passed
    assert not outcome(CASES[0], lost=1).is_late
    assert not judge(CASES[0], None, 3).is_late


def test_a_load_that_fails_or_leaves_no_report_does_not_pass() -> None:
    assert not judge(CASES[0], None, 3).passed
    assert not judge(CASES[0], report(CASES[0]), 1).passed
    assert row(judge(CASES[0], None, 3))[3] == "no report"


def test_the_document_passes_only_as_a_whole_and_says_why_not() -> None:
    good, bad = outcome(CASES[0]), outcome(CASES[1], lost=1)
    assert document([good], ["x"], "")["passed"]
    found = document([good, bad], ["x"], "")
    assert not found["passed"]
    assert found["cases"][1]["problems"] == ["lost: 1"]
    assert len(markdown([good, bad]).splitlines()) == 2 + 2 + 1 + 2


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(600)
def test_each_of_the_four_limits_is_driven_into_throttling_and_nothing_is_lost(tmp_path: Path) -> None:
    """Kinesis's write and read throttles, Lambda's, the table's: the reports name them, and the ledgers balance."""
    command = [sys.executable, "-m", "loadgen.throttle_study", "--out", str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "out" / "throttling.json").read_text())
    assert found["passed"]
    assert [case["limited_by"] for case in found["cases"]] == [case.limit for case in CASES]
    for case in found["cases"]:
        assert all(case["throttles"].values())
        assert case["ledger"]["sent"] == case["ledger"]["stored"] > 0
        assert (case["ledger"]["lost"], case["ledger"]["duplicates_applied"], case["ledger"]["balanced"]) == (
            0,
            0,
            True,
        )
