"""A load that was not taken when it was due says so in its first sentence, whatever its ledger says."""

from dataclasses import replace
from typing import Any

import pytest

from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult
from loadgen.showing import report
from loadgen.showing.headline import accepted_share, offered_per_s, pace
from loadgen.showing.page import page
from loadgen.showing.thresholds import Checked, Threshold
from tests.loadgen.showing.test_verdict import BALANCED, made


def of_seconds(late: int, of: int = 20, failed: int = 0) -> Metrics:
    """100 events due in each of `of` seconds; those of the last `late` seconds left 5 s late."""
    metrics = Metrics(10_000)
    for second in range(of):
        due_us = second * 1_000_000
        put_us = due_us + (5_000_000 if second >= of - late else 0)
        why = "DeadlineExceeded" if second < failed else None
        metrics.add(
            PutResult("k", (due_us,) * 100, put_us, put_us + 5_000, 1, 9, 0, 0, "s", str(second), (), why, False)
        )
    return metrics


def test_a_late_load_whose_ledger_balances_says_first_what_was_offered_accepted_and_late() -> None:
    document = made(metrics=of_seconds(late=10))
    assert accepted_share(document) == pytest.approx(2000 / 24.005 / 100)
    assert document["passed"], "how fast it was fails a load only with a threshold"
    assert document["verdict"].startswith(
        "83 of 100 offered events/s were accepted, 50.0% of the events left late, by up to 5,000 ms. "
        "The ledger balances: every one of 9 events"
    )
    assert "<header class=late><h1>83 of 100 offered" in page(document)


def test_a_load_that_did_not_pass_says_its_pace_behind_what_is_wrong() -> None:
    verdict = made(replace(BALANCED, stored=8, lost=1), metrics=of_seconds(late=10))["verdict"]
    assert verdict.startswith("NOT passed")
    assert verdict.endswith(
        "83 of 100 offered events/s were accepted, 50.0% of the events left late, by up to 5,000 ms."
    )


def test_events_given_up_are_in_the_headline() -> None:
    assert "10.0% of the events were given up. The ledger balances" in made(metrics=of_seconds(0, failed=2))["verdict"]


def test_a_load_that_was_taken_when_it_was_due_has_no_pace_in_its_headline() -> None:
    document = made(metrics=of_seconds(late=0))
    assert document["verdict"].startswith("The ledger balances")
    assert "<header class=good>" in page(document)


@pytest.mark.parametrize(
    ("duration", "rate"), [("20", 100), ("19.5", 2000 / 19.5), ("60", 100), ("x", 100), ("nan", 100), (None, 100)]
)
def test_what_was_offered_is_by_the_schedules_seconds_and_of_a_stopped_load_by_those_it_had(
    duration: str | None, rate: float
) -> None:
    document: dict[str, Any] = made(metrics=of_seconds(0))
    document["configuration"] = {} if duration is None else {"duration": duration}
    assert offered_per_s(document) == pytest.approx(rate)


def test_what_was_offered_is_over_the_length_of_the_schedule_where_the_report_has_it() -> None:
    metrics = of_seconds(0, of=3)
    metrics.schedule_s = 7.5
    document = made(metrics=metrics)
    assert offered_per_s(document) == pytest.approx(40)
    assert accepted_share(document) == 1.0
    assert document["numbers"]["processed_events_per_s"] == pytest.approx(40)


def test_a_load_without_a_schedule_or_without_events_has_no_pace() -> None:
    metrics = Metrics(None)
    metrics.add(PutResult("k", (0,), 9**9, 9**9 + 5, 1, 9, 0, 0, "s", "1", (), None, False))
    for document in (made(metrics=metrics), made()):
        assert (offered_per_s(document), accepted_share(document), pace(document)) == (None, None, "")
    assert report.verdict(made(metrics=metrics)).startswith("The ledger balances")


def test_a_stalled_endpoint_is_not_cured_by_another_machine_for_the_sender() -> None:
    metrics = Metrics(10_000)
    for number in range(10):
        put_us = number if number < 4 else 4_000_000
        metrics.add(
            PutResult("k", (number,), put_us, 4_000_000 + number, 1, 9, 0, 0, "s", str(number), (), None, False)
        )
    document = made(metrics=metrics)
    assert document["limits"]["limited_by"] == "the stream's endpoint"
    said = " ".join((*report.limit_sentences(document), *report.notes(document)))
    assert "Latencies include that wait" in said
    assert "machine that does nothing else" not in said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("table_read_units", "publishes it only for a table with limits"),
        ("table_write_units", "as when nothing was consumed"),
        ("lost", None),
    ],
)
def test_a_threshold_over_what_the_target_does_not_publish_says_why_it_has_no_value(name: str, why: str | None) -> None:
    verdict = made(checked=(Checked(Threshold(name, "<", 1000.0), None, passed=False),))["verdict"]
    assert f"{name}<1000 (measured: n/a" in verdict
    assert ("DynamoDB's metrics have no such figure" in verdict) == (why is not None)
    assert why is None or why in verdict


def test_no_more_was_accepted_than_offered_however_early_the_last_event_was() -> None:
    document: dict[str, Any] = made(metrics=of_seconds(late=10))
    document["configuration"] = {"duration": "20"}
    document["numbers"]["acknowledged_events_per_s"] = 102.0
    assert pace(document).startswith("100 of 100 offered events/s were accepted")


def test_a_load_that_was_stopped_offered_until_it_was() -> None:
    document: dict[str, Any] = made(metrics=of_seconds(0))
    document["numbers"]["elapsed_s"], document["partial"] = 16.0, True
    assert offered_per_s(document) == pytest.approx(2000 / 16)
