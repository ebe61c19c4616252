"""What the handler says: its answer to Lambda, its logs and metrics, and never a word of a payload."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from processor import batches
from processor.batches import EventError, ProcessorFaultError, read_event
from processor.core.effects import Add, Effect, Latest, Record
from processor.core.errors import Refused
from processor.core.events import Event
from tests.support.faults import FaultyWire, on_table, refused
from tests.support.stage import STREAM_ARN, Stage, kinesis_event, usage

MINUTE_MS = 60_000
DONE: dict[str, list[Any]] = {"batchItemFailures": []}
CANARY = "canary-7f3a"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_lowest_sequence_number_is_the_lowest_number_not_the_first_text(stage: Stage) -> None:
    wire = FaultyWire(on_table(stage.results, refused("AccessDeniedException")))
    event = kinesis_event([usage(number) for number in range(4)], first=8)
    event["Records"].reverse()
    assert stage.processor(wire).handle(event, MINUTE_MS) == {"batchItemFailures": [{"itemIdentifier": "8"}]}


def test_an_empty_batch_is_done(stage: Stage) -> None:
    assert stage.processor().handle({"Records": []}, MINUTE_MS) == DONE


@pytest.mark.parametrize(
    "event",
    [None, [], "text", {}, {"Records": None}, {"Records": {}}, {"Records": [1]}, {"Records": [{}]}, {"detail": "cron"}],
    ids=str,
)
def test_anything_else_than_a_kinesis_batch_is_a_clear_error(stage: Stage, event: object) -> None:
    with pytest.raises(EventError, match=r"Records"):
        stage.processor().handle(event, MINUTE_MS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kinesis", "sequenceNumber"), ""),
        (("kinesis", "sequenceNumber"), None),
        (("kinesis", "sequenceNumber"), CANARY),
        (("kinesis", "data"), "abc"),
        (("kinesis", "data"), None),
        (("kinesis", "approximateArrivalTimestamp"), "soon"),
        (("kinesis",), CANARY),
        (("eventID",), CANARY),
        (("eventSourceARN",), None),
    ],
    ids=str,
)
def test_a_record_of_a_wrong_shape_is_named_by_its_place_without_its_content(path: tuple[str, ...], value: Any) -> None:
    event = kinesis_event([usage(1)])
    target = event["Records"][0]
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    with pytest.raises(EventError, match=r"Records\[0\]") as wrong:
        read_event(event)
    assert CANARY not in str(wrong.value)


def test_metrics_say_what_became_of_the_batch(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    payloads = [usage(number, f"c{number % 5}") for number in range(20)]
    processor = stage.processor()
    event = kinesis_event([*payloads, payloads[0], b"{"])
    assert processor.handle(event, MINUTE_MS) == DONE
    metrics, by_reason = (line for line in lines(capsys) if "_aws" in line)
    expected = {
        "EventsIn": 22,
        "EventsApplied": 20,
        "EventsDuplicate": 1,
        "EventsQuarantined": 1,
        "RecordsFailed": 0,
        "ItemsWritten": 6,
        "BatchSize": 22,
        "EffectiveParallelism": 1,
    }
    assert {name: metrics[name][0] for name in expected} == expected
    (declared,) = metrics["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "StreamProcessor"
    assert declared["Dimensions"] == [["service"]]
    units = {metric["Name"]: metric["Unit"] for metric in declared["Metrics"]}
    assert units["CommitLatency"] == units["EventAge"] == "Milliseconds"
    assert units["WriteUnits"] == "Count"
    assert set(units) == {*expected, "WriteUnits", "CommitLatency", "EventAge"}
    assert metrics["EventAge"] == [500.0] * 10
    sent = [record["kinesis"]["sequenceNumber"] for record in event["Records"]]
    assert metrics["Committed"] == [sent[n * 21 // 9] for n in range(10)]
    assert metrics["service"] == stage.service
    assert by_reason["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service", "reason"]]
    assert (by_reason["reason"], by_reason["EventsQuarantined"]) == ("not_json", [1.0])
    assert processor.handle(event, MINUTE_MS) == DONE
    again, *others = (line for line in lines(capsys) if "_aws" in line)
    assert others == []
    assert (again["EventsApplied"][0], again["EventsDuplicate"][0], again["EventsQuarantined"][0]) == (0, 21, 0)


def test_a_failure_is_logged_once_with_its_place_and_code(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    wire = FaultyWire(on_table(stage.results, refused("AccessDeniedException")))
    stage.processor(wire).handle(kinesis_event([usage(1), usage(2)], first=5), MINUTE_MS)
    (error,) = (line for line in lines(capsys) if line.get("level") == "ERROR")
    assert error["event_source_arn"] == STREAM_ARN
    assert error["sequence_number"] == "5"
    assert (error["records_failed"], error["codes"]) == (2, {"AccessDenied": 2})


def breaking(event: Event) -> Iterable[Effect]:
    raise LookupError(f"{CANARY} {event.subject}")


def test_broken_rules_stop_the_line_and_write_nothing(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    processor = stage.processor(effects=breaking)
    event = kinesis_event([usage(number, CANARY) for number in range(30)], first=300)
    assert processor.handle(event, MINUTE_MS) == {"batchItemFailures": [{"itemIdentifier": "300"}]}
    assert stage.totals() == {}
    assert stage.kept().total() == 0
    logged = lines(capsys)
    (error,) = (line for line in logged if line.get("level") == "ERROR")
    assert "test_batches_reporting.py" in error["rules_traceback"]
    assert "LookupError" in error["rules_traceback"]
    assert (error["raised"], error["events"]) == (30, 30)
    (metrics,) = (line for line in logged if "_aws" in line)
    assert metrics["RecordsFailed"] == [30.0]
    assert CANARY not in json.dumps(logged)


def some_of_everything(event: Event) -> Iterable[Effect]:
    """Rules as an adopter could write them, wrong for some events."""
    number = int(event.id)
    if number % 10 == 3:
        raise ValueError(event.subject)
    if number % 10 == 4:
        raise Refused("not ours")
    return [
        Add(pk=f"total#{event.subject}", window="2026-11-23", amounts={"sum_bytes": event.data["bytes"]}),
        Record(pk=f"event#{event.digest}", sk="v1", attributes={"subject": event.subject, "number": number}),
        Latest(pk=f"latest#{event.subject}", sk="v1", attributes={"number": number}, version=number),
    ]


def test_no_word_of_a_payload_is_ever_logged(
    stage: Stage, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = [
        usage(number, f"{CANARY}-subject-{number % 3}", data={"bytes": number, "note": f"{CANARY}-note"})
        for number in range(40)
    ]
    payloads += [
        f'{{"{CANARY}": '.encode(),
        usage(90, source=f"{CANARY}\n"),
        usage(91, time=CANARY),
        usage(92, specversion=CANARY),
        usage(93, data={"bytes": CANARY}),
        usage(94, data=CANARY),
    ]
    event = kinesis_event(payloads, partition_key=f"{CANARY}-key")
    codes = ["ValidationException", "ThrottlingException", "AccessDeniedException", "InternalServerError"]
    for code in codes:
        for table in (stage.results, stage.quarantine):
            failing = stage.processor(FaultyWire(on_table(table, refused(code))), effects=some_of_everything)
            assert failing.handle(event, MINUTE_MS) != DONE
    assert stage.processor(effects=some_of_everything).handle(event, MINUTE_MS) == DONE
    assert len(stage.items(stage.quarantine)) >= 12

    def fault(*_: object, **__: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr(batches, "plan", fault)
    with pytest.raises(ProcessorFaultError, match="KeyError") as raised:
        stage.processor().handle(event, MINUTE_MS)
    assert CANARY not in str(raised.value)
    said = capfd.readouterr()
    assert "fault_traceback" in said.out
    assert CANARY not in said.out + said.err


def test_records_and_latest_values_end_the_same_under_redelivery_and_reversal(stage: Stage) -> None:
    """Records and latest values beside totals, over the wire, in both orders and again."""
    payloads = [usage(number, f"c{number % 3}") for number in range(40)]
    forward, backward = kinesis_event(payloads), kinesis_event(payloads[::-1], first=100)
    processor = stage.processor(effects=some_of_everything)
    results = []
    for event in (forward, backward, forward):
        assert processor.handle(event, MINUTE_MS) == DONE
        results.append(sorted(json.dumps(_sets_sorted(item), sort_keys=True) for item in stage.items(stage.results)))
    assert results[0] == results[1] == results[2]
    latest = {item["pk"]["S"]: item for item in stage.items(stage.results) if item["pk"]["S"].startswith("latest#")}
    assert {pk: item["number"]["N"] for pk, item in latest.items()} == {
        "latest#c0": "39",
        "latest#c1": "37",
        "latest#c2": "38",
    }
    assert sum(item["pk"]["S"].startswith("event#") for item in stage.items(stage.results)) == 32


def _sets_sorted(item: dict[str, Any]) -> dict[str, Any]:
    return {name: {"SS": sorted(value["SS"])} if "SS" in value else value for name, value in item.items()}
