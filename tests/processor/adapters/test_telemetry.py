"""Metrics in EMF and logs in JSON, as CloudWatch reads them."""

import json
import uuid

import pytest

from processor.adapters.telemetry import AGES_MAX, BatchReport, Telemetry


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def telemetry() -> Telemetry:
    return Telemetry(f"service-{uuid.uuid4()}", "StreamProcessor", "INFO")


def test_reasons_have_a_dimension_set_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    report = BatchReport("arn", 2, "1", quarantined={"not_json": 2, "digest": 1})
    telemetry().batch(report)
    whole, *reasons = told(capsys)
    assert whole["EventsQuarantined"] == [3.0]
    assert {line["reason"]: line["EventsQuarantined"] for line in reasons} == {"not_json": [2.0], "digest": [1.0]}


def test_two_batches_do_not_run_together(capsys: pytest.CaptureFixture[str]) -> None:
    subject = telemetry()
    for events in (3, 4):
        subject.batch(BatchReport("arn", 2, "1", events_in=events))
    assert [line["EventsIn"] for line in told(capsys)] == [[3.0], [4.0]]


def test_ages_are_a_bounded_spread_with_the_oldest_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry().batch(BatchReport("arn", 1000, "1", event_ages_ms=[5000.0 - n for n in range(1000)]))
    (line,) = told(capsys)
    ages = line["EventAge"]
    assert isinstance(ages, list)
    assert len(ages) == AGES_MAX
    assert (ages[0], ages[-1]) == (5000.0, 4001.0)


def test_sequence_numbers_of_committed_records_are_a_bounded_spread_with_first_and_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry().batch(BatchReport("arn", 1000, "1", committed=[str(n) for n in range(1000)]))
    (line,) = told(capsys)
    numbers = line["Committed"]
    assert isinstance(numbers, list)
    assert len(numbers) == AGES_MAX
    assert (numbers[0], numbers[-1]) == ("0", "999")


def test_a_failure_says_where_why_and_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    report = BatchReport("arn:stream", 9, "4711", records_failed=3)
    telemetry().failed(report, ["Throttling", "Throttling", "ChainFull"], {"Throttling": "", "ChainFull": "what to do"})
    (line,) = told(capsys)
    assert line["level"] == "ERROR"
    assert (line["event_source_arn"], line["sequence_number"], line["batch_size"]) == ("arn:stream", "4711", 9)
    assert line["codes"] == {"Throttling": 2, "ChainFull": 1}
    assert line["problems"] == {"ChainFull": "what to do"}
