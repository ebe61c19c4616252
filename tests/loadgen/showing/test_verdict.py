"""One truth: whatever makes the exit status another than 0 is named in the verdict, and nothing else is."""

import html
from dataclasses import replace
from typing import Any

import pytest

from loadgen.outcome.account import ledger_rows
from loadgen.outcome.ledger import Expectations, Findings, Ledger, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult
from loadgen.showing import report
from loadgen.showing.page import page
from loadgen.showing.thresholds import Checked, Threshold, check, in_force

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


def test_what_no_table_can_show_is_said_although_the_ledger_balances() -> None:
    verdict = made(replace(BALANCED, stored=5, without_effect=4, superseded=2))["verdict"]
    assert verdict.startswith("The ledger balances")
    assert "for 4 of them the rules ask for nothing" in verdict
    assert "of 2 only the newer values" in verdict


def test_what_nobody_expected_in_quarantine_is_said_with_its_reasons_and_what_may_be_others_is_no_fault() -> None:
    document = made(replace(BALANCED, unexpected={"not_json": 2, "digest": 1}, quarantined_others=4))
    assert not document["passed"]
    assert "3 in quarantine that nobody expected there (2 not_json, 1 digest)" in document["verdict"]
    rows = {row.label: row for row in ledger_rows(document)}
    assert rows["in quarantine and not expected there"].wrong
    assert not rows["in quarantine meanwhile, not known as this load's"].wrong
    assert made(replace(BALANCED, quarantined_others=4))["passed"]


def test_events_that_were_given_up_fail_a_load_whose_ledger_balances_and_the_verdict_says_how_many() -> None:
    metrics = Metrics(0)
    metrics.add(PutResult("k", (0, 0), None, 9, 1, 9, 0, 0, None, None, ("T",), "T", uncertain=False))
    document = made(metrics=metrics, checked=tuple(check(in_force([]), metrics.named())))
    assert not document["passed"]
    assert "1 threshold failed: events_failed==0 (measured: 2)" in document["verdict"]
    tolerated = check(in_force([Threshold("failed_share", "<=", 1.0)]), metrics.named())
    assert made(metrics=metrics, checked=tuple(tolerated))["passed"]


def test_a_report_of_before_these_terms_has_its_words_all_the_same() -> None:
    document = made(replace(BALANCED, stored=8, lost=1))
    added = ("unexpected", "quarantined_others", "broken", "windows_not_read")
    for term in ("elsewhere", "without_effect", "superseded", "items", "items_different", *added):
        del document["ledger"][term]
    assert report.verdict(document) == document["verdict"]
    assert "1 lost" in page(document)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (made(), True),
        (made(replace(BALANCED, stored=2, not_yet_found=7), "interrupted"), False),
        (made(replace(BALANCED, stored=8, lost=1)), False),
    ],
)
def test_only_a_whole_load_is_said_to_have_been_processed_as_it_was_offered(
    document: dict[str, Any], said: bool
) -> None:
    assert ("as it was offered" in document["limits"]["reason"]) == said


def test_what_the_target_did_not_give_any_more_is_not_read_and_never_0() -> None:
    gone = replace(BALANCED, stored=0, not_yet_found=9, windows=3, windows_not_read=3)
    document = made(gone, "no answer")
    rows = {row.label: row.shown for row in ledger_rows(document)}
    unread = {label for label, shown in rows.items() if shown == "not read"}
    assert unread == {
        "stored in the results table", "in quarantine", "expired to the on-failure destination", "duplicates applied",
        "windows with different sums (of 3)",
    }  # fmt: skip
    assert rows["windows that were not read: the target was gone"] == "3"
    assert "<td class=in1>stored in the results table<td>not read" in page(document)
    in_part = {row.label: row.shown for row in ledger_rows(made(replace(gone, stored=4, windows_not_read=1), "gone"))}
    assert (in_part["stored in the results table"], in_part["in quarantine"]) == ("4", "not read")
    assert made(replace(gone, stored=4, not_yet_found=5, windows_not_read=1), "gone")["numbers"]["stored"] == 4


@pytest.mark.parametrize(("failed", "said"), [(1, False), (50, True)])
def test_latencies_of_a_load_of_which_many_events_were_given_up_are_said_to_be_of_the_others(
    failed: int, said: bool
) -> None:
    metrics = Metrics(10_000)
    for number in range(200):
        why = "DeadlineExceeded" if number < failed else None
        metrics.add(PutResult("k", (0,), 0, 5, 1, 9, 0, 0, "s", str(number), (), why, False))
    document = made(metrics=metrics)
    assert any("are of the acknowledged events only: 25.0%" in note for note in report.notes(document)) == said
    assert ("from due to accepted (acknowledged events only)" in page(document)) == said


def test_one_event_is_one_and_a_sentence_ends_once() -> None:
    said = made(replace(BALANCED, sent=1, stored=1))["verdict"]
    assert said == "The ledger balances: the one event is accounted for, and was not applied twice."
    assert "(not found)." in made(problem="not found.")["verdict"]
    document = made(metrics=of_one_event(0))
    document["limits"]["missing"] = ["the function is not found."]
    assert report.limit_sentences(document)[-1] == "Not observed: the function is not found."


def test_a_stream_that_was_resharded_during_the_load_is_said() -> None:
    document = made(metrics=of_one_event(0))
    document["limits"]["capacity"]["shards"] = 2
    document["events_per_shard"] = {"a": 1, "b": 1, "unknown": 3}
    assert not any("resharded" in note for note in report.notes(document))
    document["events_per_shard"]["c"] = 1
    assert (
        "The stream was resharded during the load: 3 shards took events, and it ended with 2 open shards. Capacity and "
        "cost are those of its end."
    ) in report.notes(document)


@pytest.mark.parametrize(("profile", "said"), [("constant", "as it was offered;"), ("backlog", "enabled again;")])
def test_a_backlog_is_not_processed_as_it_was_offered(profile: str, said: str) -> None:
    document = report.document(
        command=[], started_at="", problem=None, configuration={"profile": profile}, metrics=Metrics(0),
        ledger=BALANCED, drain_s=0.0, checked=(), unread=report.Unread(),
    )  # fmt: skip
    assert said in document["limits"]["reason"]


@pytest.mark.parametrize(
    ("late", "of", "said"),
    [(1, 100, "fell behind for a moment"), (20, 100, "did not always keep up"), (96, 100, "did not keep up with the")],
)
def test_the_words_for_late_events_fit_how_many_they_were(late: int, of: int, said: str) -> None:
    metrics = Metrics(10_000)
    for number in range(of):
        put_us = 500_000 if number < late else 0
        metrics.add(PutResult("k", (0,), put_us, put_us + 5, 1, 9, 0, 0, "s", str(number), (), None, False))
    (note,) = report.notes(made(metrics=metrics))
    assert said in note


def test_late_events_that_limited_the_load_are_told_once() -> None:
    document = made(metrics=of_one_event(15_000_000))
    said = " ".join((*report.limit_sentences(document), *report.notes(document)))
    assert document["limits"]["limited_by"] == "sender: late"
    assert said.count("15,000 ms") == 1
    assert "moment" not in said
    held_up = made(metrics=of_one_event(250_000))
    assert " ".join((*report.limit_sentences(held_up), *report.notes(held_up))).count("250 ms") == 1


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (made(replace(BALANCED, stored=8, lost=1)), "1 lost"),
        (made(replace(BALANCED, duplicates_applied=2)), "2 applied again"),
        (made(replace(BALANCED, sums_different=1)), "wrong sums in 1 window"),
        (made(replace(BALANCED, foreign=3)), "3 come into the same windows"),
        (made(replace(BALANCED, misfiled={"a instead of b": 4})), "4 in quarantine for another reason"),
        (made(replace(BALANCED, refused={"rules_error": 5})), "5 well-formed but in quarantine"),
        (
            made(replace(BALANCED, stored=7, elsewhere=2)),
            "2 in the table, but not where the rules of this checkout put them",
        ),
        (made(replace(BALANCED, stored=7, elsewhere=2)), "the deployed rules are not those of this checkout"),
        (made(replace(BALANCED, items=3, items_different=1)), "other contents in 1 item"),
        (made(replace(BALANCED, sums_different=1)), "the deployed rules may not be those of this checkout"),
        (made(replace(BALANCED, stored=0, lost=9)), "the deployed rules may not be those of this checkout"),
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
