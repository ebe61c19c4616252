"""A batch from the Kinesis event to the tables, over the wire, with every fault there is on the way."""

import json
import threading
from fractions import Fraction
from typing import Any

import pytest

from processor.batches import RESERVE_S, BatchProcessor
from processor.core.commit import RetryPolicy
from processor.core.statements import RETRIABLE
from tests.support.faults import (
    Action,
    Crash,
    FaultyWire,
    answer_lost,
    crash_after,
    crash_before,
    each_refused,
    error_after_effect,
    first_time,
    on_table,
    refused,
    unreachable,
)
from tests.support.stage import ManualClock, Stage, from_reported, kinesis_event, model, usage

MINUTE_MS = 60_000
DONE: dict[str, list[Any]] = {"batchItemFailures": []}


def mixed(first: int = 0, count: int = 130) -> list[bytes]:
    """Events on one hot and some other keys, two of them malformed."""
    payloads = [usage(number, "hot" if number % 4 else f"c{number % 7}") for number in range(first, first + count)]
    payloads[5] = b"{not json"
    payloads[20] = usage(first + 20, source=None)
    return payloads


def deliver(processor: BatchProcessor, event: dict[str, Any], remaining_ms: int = MINUTE_MS) -> int:
    """Deliver as Lambda does, from the reported record on, until nothing is reported; return how often it took."""
    rest: dict[str, Any] | None = event
    for times in range(1, 30):
        assert rest is not None
        rest = from_reported(rest, processor.handle(rest, remaining_ms))
        if rest is None:
            return times
    raise AssertionError("the batch does not get done")


def check(stage: Stage, *events: dict[str, Any], malformed: int) -> None:
    assert stage.totals() == model(*events)
    kept = stage.kept()
    assert len(kept) == kept.total() == malformed


CALL_FAULTS: dict[str, Action] = {
    "ProvisionedThroughputExceeded": refused("ProvisionedThroughputExceededException"),
    "Throttling": refused("ThrottlingException"),
    "RequestLimitExceeded": refused("RequestLimitExceeded"),
    "InternalServerError": refused("InternalServerError", 500),
    "ServiceUnavailable": refused("ServiceUnavailable", 503),
    "a proxy's 502": refused("BadGateway", 502),
    "no answer, no effect": unreachable,
    "no answer after the effect": answer_lost,
    "500 after the effect": error_after_effect,
}


@pytest.mark.parametrize("fault", CALL_FAULTS)
def test_every_call_failing_once_as_a_whole_changes_nothing(stage: Stage, fault: str) -> None:
    wire = FaultyWire(first_time(CALL_FAULTS[fault]))
    event = kinesis_event(mixed())
    assert stage.processor(wire).handle(event, MINUTE_MS) == DONE
    check(stage, event, malformed=2)
    assert len(wire.calls) > 4


@pytest.mark.parametrize("code", sorted(RETRIABLE - {"Timeout", "Connection"}))
def test_every_second_statement_failing_once_changes_nothing(stage: Stage, code: str) -> None:
    event = kinesis_event(mixed())
    assert stage.processor(FaultyWire(first_time(each_refused(code)))).handle(event, MINUTE_MS) == DONE
    check(stage, event, malformed=2)


def test_a_throttled_results_table_is_reported_and_the_redelivery_heals_it(stage: Stage) -> None:
    clock = ManualClock()
    event = kinesis_event(mixed())
    wire = FaultyWire(on_table(stage.results, refused("ProvisionedThroughputExceededException")))
    processor = stage.processor(wire, clock=clock)
    assert processor.handle(event, MINUTE_MS) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert stage.totals() == {}
    assert stage.kept().total() == 2
    # the throttled statements go out together, so each wait is waited once
    assert len(clock.slept_s) == RetryPolicy().attempts_max - 1
    wire.choose = lambda _number, _operation, _body: None
    assert deliver(processor, event) == 1
    check(stage, event, malformed=2)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_refusing_results_table_fails_at_once_and_by_name(
    stage: Stage, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock()
    processor = stage.processor(FaultyWire(on_table(stage.results, refused(code))), clock=clock)
    assert processor.handle(kinesis_event(mixed()), MINUTE_MS)["batchItemFailures"] == [{"itemIdentifier": "1"}]
    assert clock.slept_s == []
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    errors = [line for line in logged if line.get("level") == "ERROR"]
    assert [set(line["codes"]) for line in errors] == [{code.removesuffix("Exception")}]


def test_a_slow_table_makes_the_handler_stop_before_its_deadline(stage: Stage) -> None:
    clock = ManualClock()

    def slow(_number: int, _operation: str, _body: dict[str, Any]) -> None:
        clock.now_s += 3.0

    processor = stage.processor(FaultyWire(slow), clock=clock)
    event = kinesis_event([usage(number, f"c{number}") for number in range(200)])
    response = processor.handle(event, 20_000)
    assert clock.now_s <= 20.0 - RESERVE_S + 3.0
    # five calls of 25 fit in; what was written is not reported
    assert response == {"batchItemFailures": [{"itemIdentifier": "126"}]}
    assert len(stage.items(stage.results)) == 125
    assert deliver(processor, event, 20_000) == 1
    check(stage, event, malformed=0)


def test_no_time_at_all_writes_nothing_and_reports_the_whole_batch(stage: Stage) -> None:
    wire = FaultyWire()
    response = stage.processor(wire).handle(kinesis_event(mixed(), first=41), 1_000)
    assert response == {"batchItemFailures": [{"itemIdentifier": "41"}]}
    assert wire.calls == []


def test_a_throttled_quarantine_reports_the_malformed_record_and_writes_all_the_others(stage: Stage) -> None:
    wire = FaultyWire(on_table(stage.quarantine, refused("ThrottlingException")))
    processor = stage.processor(wire)
    event = kinesis_event(mixed(), first=1000)
    assert processor.handle(event, MINUTE_MS) == {"batchItemFailures": [{"itemIdentifier": "1005"}]}
    assert stage.totals() == model(event)
    wire.choose = lambda _number, _operation, _body: None
    deliver(processor, event)
    check(stage, event, malformed=2)


def test_a_bucket_that_refuses_reports_the_record_with_the_large_payload(stage: Stage) -> None:
    large = b"x" * 100_000
    event = kinesis_event([usage(1), large, usage(2)])
    nowhere = stage.processor()
    nowhere.quarantine = type(nowhere.quarantine)("no-such-bucket-anywhere", 30, lambda: stage.s3)
    assert nowhere.handle(event, MINUTE_MS) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert stage.kept().total() == 0
    deliver(stage.processor(), event)
    check(stage, event, malformed=1)


def test_two_environments_with_the_same_batch_at_the_same_time_count_it_once(stage: Stage) -> None:
    for turn in range(3):
        event = kinesis_event(mixed(turn * 1000), first=turn * 1000 + 1)
        barrier = threading.Barrier(2, timeout=10)
        done: list[int] = []

        def run(processor: BatchProcessor, event: Any = event, barrier: Any = barrier, done: Any = done) -> None:
            barrier.wait()
            done.append(deliver(processor, event))

        threads = [threading.Thread(target=run, args=(stage.processor(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(done) == 2
    check(stage, *(kinesis_event(mixed(turn * 1000), first=turn * 1000 + 1) for turn in range(3)), malformed=6)


def test_an_event_resent_by_its_producer_under_a_new_sequence_number_counts_once(stage: Stage) -> None:
    processor = stage.processor()
    first = kinesis_event([usage(number) for number in range(40)])
    again = kinesis_event([usage(number) for number in range(20, 60)], first=500)
    for event in (first, again):
        assert processor.handle(event, MINUTE_MS) == DONE
    assert stage.processor().handle(again, MINUTE_MS) == DONE
    check(stage, first, again, malformed=0)


@pytest.mark.parametrize("crash", [crash_before, crash_after])
def test_a_crash_at_any_call_and_redelivery_end_in_the_results_of_the_plain_model(stage: Stage, crash: Action) -> None:
    """First on a new window, then on one whose last page is open: the calls of both are crashed one after the other."""
    events, completed = [], 0
    for number in range(18):
        event = kinesis_event(mixed(number * 1000, (45, 130, 22)[number % 3]), first=number * 1000 + 1)
        events.append(event)
        wire = FaultyWire(lambda n, _operation, _body, at=number // 3: crash if n == at else None)  # type: ignore[misc]
        try:
            stage.processor(wire).handle(event, MINUTE_MS)
        except Crash:
            deliver(stage.processor(), event)
        else:
            completed += 1
            assert len(wire.calls) <= number // 3
    assert completed
    check(stage, *events, malformed=2 * len(events))


def test_each_malformed_record_is_kept_once_with_its_reason_and_payload(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    large = usage(3, data={"pad": "x" * 300_000})
    payloads = [usage(0), b"", b"\xff\xfe", b"[]", large, bytes.fromhex("f3899ac2") + b"y" * 30, usage(1)]
    event = kinesis_event(payloads, first=10)
    for processor in (stage.processor(), stage.processor()):
        assert processor.handle(event, MINUTE_MS) == DONE
    items = {item["pk"]["S"].rpartition(":")[2]: item for item in stage.items(stage.quarantine)}
    assert {number: item["reason"]["S"] for number, item in items.items()} == {
        "11": "empty",
        "12": "not_utf8",
        "13": "not_object",
        "14": "too_large",
        "15": "digest",
    }
    assert {item["sk"]["S"] for item in items.values()} == {"000000", "whole"}
    assert items["12"]["payload"]["B"] == b"\xff\xfe"
    assert items["14"]["payload_s3"]["S"] == (
        f"s3://{stage.bucket}/quarantine/stage-events/shardId-000000000000/14/000000"
    )
    body = stage.s3.get_object(Bucket=stage.bucket, Key="quarantine/stage-events/shardId-000000000000/14/000000")
    assert body["Body"].read() == large
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_reason = [(line["reason"], line["EventsQuarantined"]) for line in lines if "_aws" in line and "reason" in line]
    assert sorted(by_reason) == [
        ("digest", [1.0]),
        ("empty", [1.0]),
        ("not_object", [1.0]),
        ("not_utf8", [1.0]),
        ("too_large", [1.0]),
    ]


def test_numbers_keep_every_digit_through_the_table(stage: Stage) -> None:
    huge = 10**20 - 1
    fraction = "0.000000000000001"
    payloads = [
        usage(1, data=None).replace(b"null", b'{"bytes": %d, "quantity": %s}' % (huge, fraction.encode())),
        usage(2, data=None).replace(b"null", b'{"bytes": %d, "quantity": 1e3}' % huge),
        usage(3, data=None).replace(b"null", b'{"bytes": -1, "quantity": 99999999999999999999.999999999999999}'),
    ]
    first, second = kinesis_event(payloads[:2]), kinesis_event(payloads[2:], first=9)
    processor = stage.processor()
    for event in (first, second):
        assert processor.handle(event, MINUTE_MS) == DONE
    assert stage.totals() == model(first, second)
    ((_, sums),) = stage.totals().items()
    assert sums["sum_quantity"] == Fraction("100000000000000001000")  # ...999.999999999999999 and ...0.000000000000001
    assert sums["sum_bytes"] == 2 * huge - 1


def test_a_poison_event_takes_no_neighbour_along(stage: Stage) -> None:
    """An aggregate with one bad user record: the others count, the bad one is kept under its place."""
    from hashlib import md5

    from processor.core.aggregate_format import MAGIC, AggregatedRecord

    message = AggregatedRecord(partition_key_table=["k"])
    for payload in (usage(1), b"poison", usage(2)):
        message.records.add(partition_key_index=0, data=payload)
    body = message.SerializeToString()
    event = kinesis_event([MAGIC + body + md5(body, usedforsecurity=False).digest()], first=77)
    assert stage.processor().handle(event, MINUTE_MS) == DONE
    assert stage.totals() == model(event)
    assert dict(stage.kept()) == {("stage-events/shardId-000000000000:77", "000001"): 1}
