"""One truth: whatever makes the exit status another than 0 is named in the verdict, and nothing else is."""

import html
from dataclasses import replace
from typing import Any

import pytest

from loadgen import report
from loadgen.ledger import Expectations, Findings, Ledger, settle
from loadgen.metrics import Metrics
from loadgen.page import page
from loadgen.results import PutResult
from loadgen.thresholds import Checked, Threshold

BALANCED = replace(settle(Expectations(()), Findings()), sent=9, stored=9)
THRESHOLD = Threshold("lost", "<", 1.0)


def made(
    ledger: Ledger = BALANCED,
    problem: str | None = None,
    checked: tuple[Checked, ...] = (),
    unreadable: int = 0,
    metrics: Metrics | None = None,
) -> dict[str, Any]:
    unread = report.Unread()
    for line in range(unreadable):
        unread.add(line + 7, "why so")
    return report.document(
        command=[],
        started_at="",
        problem=problem,
        configuration={},
        metrics=metrics or Metrics(0),
        ledger=ledger,
        drain_s=0.0,
        checked=checked,
        unread=unread,
    )


def test_a_load_that_passed_says_so_and_nothing_else() -> None:
    document = made(checked=(Checked(THRESHOLD, 0, passed=True),))
    assert document["passed"]
    assert document["verdict"] == (
        "The ledger balances: every one of 9 events is accounted for, none was applied twice."
    )


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (made(replace(BALANCED, stored=8, lost=1)), "1 lost"),
        (made(replace(BALANCED, duplicates_applied=2)), "2 applied again"),
        (made(replace(BALANCED, sums_different=1)), "wrong sums in 1 window"),
        (made(replace(BALANCED, foreign=3)), "3 come into the same windows"),
        (made(replace(BALANCED, misfiled={"a instead of b": 4})), "4 in quarantine for another reason"),
        (made(replace(BALANCED, refused={"rules_error": 5})), "5 well-formed but in quarantine"),
        (made(problem="interrupted"), "interrupted"),
        (made(replace(BALANCED, stored=2, not_yet_found=7), "interrupted"), "7 of 9 events were not yet found"),
        (made(checked=(Checked(THRESHOLD, 2.5, passed=False),)), "1 threshold failed: lost<1 (measured: 2.500)"),
        (made(checked=(Checked(THRESHOLD, None, passed=False),)), "lost<1 (measured: n/a)"),
        (made(unreadable=1), "1 line of the file could not be read and was not sent (line 7: why so)"),
        (made(unreadable=6), "6 lines of the file could not be read and were not sent (the first is line 7: why so)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_fails_a_load_is_named(document: dict[str, Any], named: str) -> None:
    assert not document["passed"]
    assert document["verdict"].startswith("NOT passed")
    assert named in document["verdict"]
    assert named.replace("<", "&lt;") in page(document)


def test_several_shortcomings_are_all_named() -> None:
    verdict = made(replace(BALANCED, stored=8, lost=1), None, (Checked(THRESHOLD, 1, passed=False),), unreadable=2)[
        "verdict"
    ]
    assert all(part in verdict for part in ("1 lost", "lost<1", "2 lines of the file"))


def of_one_event(put_us: int, failed: str | None = None, late_after_us: int | None = 10_000) -> Metrics:
    metrics = Metrics(late_after_us)
    metrics.add(PutResult("k", (0,), put_us, put_us + 5, 1, 9, 0, 0, "s", "1", (), failed, False))
    return metrics


def test_late_events_come_with_what_they_mean_and_what_to_do() -> None:
    (note,) = report.notes(made(metrics=of_one_event(250_000)))
    assert "1 event (100.0%) left late, at worst 250 ms" in note
    assert "--rate" in note
    assert note in html.unescape(page(made(metrics=of_one_event(250_000))))


@pytest.mark.parametrize("metrics", [Metrics(0), of_one_event(10_000)])
def test_what_needs_no_explanation_has_none(metrics: Metrics) -> None:
    assert report.notes(made(metrics=metrics)) == []


def test_a_load_without_a_schedule_says_why_there_is_no_latency() -> None:
    (note,) = report.notes(made(metrics=of_one_event(9**9, None, None)))
    assert "no schedule" in note


def test_events_that_were_there_before_come_with_the_limit_of_what_can_be_seen() -> None:
    (note,) = report.notes(made(replace(BALANCED, stored_before=9)))
    assert "--settle" in note


def test_events_given_up_come_with_the_threshold_that_would_fail_the_load() -> None:
    (note,) = report.notes(made(metrics=of_one_event(0, "DeadlineExceeded")))
    assert note.startswith("1 event never reached the stream")


@pytest.mark.parametrize(
    ("ledger", "drain_s", "is_rated"),
    [
        (BALANCED, 0.0, True),
        (replace(BALANCED, stored_before=9), None, False),
        (replace(BALANCED, stored_before=8), 0.0, False),
        (replace(BALANCED, stored=2, not_yet_found=7), None, False),
    ],
)
def test_a_rate_until_all_is_processed_is_named_only_when_that_was_seen(
    ledger: Ledger, drain_s: float | None, is_rated: bool
) -> None:
    numbers = made(ledger, metrics=of_one_event(1))["numbers"]
    assert numbers["drain_s"] == drain_s
    assert (numbers["processed_events_per_s"] is not None) == is_rated
