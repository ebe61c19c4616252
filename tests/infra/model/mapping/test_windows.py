"""Tumbling windows: which window a batch is of, what becomes of the state, how a window ends."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.model.function import FunctionError, InvokeOutcome, Succeeded, Throttled
from infra.model.mapping import Checkpoint, Invoke, Pace
from infra.model.mapping.positions import AfterSequenceNumber
from infra.model.mapping.windows import open_windows, state_of
from tests.support.mapping_windows import WindowWorld, counting, state_in
from tests.support.mapping_witness import ScriptedShard
from tests.support.mapping_world import EPOCH_S, FIRST, ONE, STREAM, raised

QUEUE = "arn:aws:sqs:us-east-1:111111111111:failures"
BUCKET = "arn:aws:s3:::failures"
CHILD = "shardId-000000000001"
MIB = 1024 * 1024
# EPOCH_S is 2026-09-19T08:53:20Z: a window of ten seconds begins there.


def answering(*payloads: bytes | None) -> Callable[[Invoke], InvokeOutcome]:
    """These answers, then counting; None raises."""
    left = list(payloads)

    def answer(invoke: Invoke) -> InvokeOutcome:
        if not left:
            return counting(invoke)
        payload = left.pop(0)
        return raised(invoke) if payload is None else Succeeded(invoke.request_id, payload)

    return answer


def windowed(**settings: Any) -> WindowWorld:
    return WindowWorld(**{"tumbling_window_s": 10, **settings})


# The event


def test_the_event_has_window_state_and_shard_as_recorded_from_aws() -> None:
    """Facts 1.11, 7.1: key order as recorded; whole seconds; the window follows from the arrival time."""
    world = windowed()
    world.put("a", age_s=0.5)
    world.start().run(1)
    [(_, invoke)] = world.invokes
    event = invoke.event()
    assert list(json.loads(event)) == [
        "Records",
        "shardId",
        "eventSourceARN",
        "window",
        "state",
        "isFinalInvokeForWindow",
        "isWindowTerminatedEarly",
    ]
    assert event.endswith(
        f'],"shardId":"{ONE}","eventSourceARN":"{STREAM}",'
        '"window":{"start":"2026-09-19T08:53:10Z","end":"2026-09-19T08:53:20Z"},"state":{},'
        '"isFinalInvokeForWindow":false,"isWindowTerminatedEarly":false}'.encode()
    )


def test_without_windows_the_event_has_records_only() -> None:
    """Fact 1.1."""
    world = WindowWorld()
    world.put("a")
    world.start().run(1)
    assert list(json.loads(world.invokes[0][1].event())) == ["Records"]


@pytest.mark.parametrize(
    ("length_s", "age_s", "expected"),
    [
        (10, 0.0, ("08:53:20", "08:53:30")),
        (10, 0.001, ("08:53:10", "08:53:20")),
        (60, 0.0, ("08:53:00", "08:54:00")),
        (900, 0.0, ("08:45:00", "09:00:00")),
        (1, 3.2, ("08:53:16", "08:53:17")),
    ],
)
def test_boundaries_follow_from_arrival_times(length_s: int, age_s: float, expected: tuple[str, str]) -> None:
    """Fact 7.1: 1 to 900 s, on a fixed grid."""
    world = windowed(tumbling_window_s=length_s)
    world.put("a", age_s=age_s)
    world.start().run(1)
    window = json.loads(world.invokes[0][1].event())["window"]
    assert (window["start"], window["end"]) == tuple(f"2026-09-19T{time}Z" for time in expected)


# State


def test_the_state_begins_empty_and_is_handed_on_within_the_window_of_a_shard() -> None:
    """Facts 7.1, 7.2: one state per shard."""
    world = windowed(shards=2, batch_size=2)
    world.put(*"aaaaa")
    world.put("a", "a", shard_id=CHILD)
    world.start().run(1)
    assert [state_in(invoke) for invoke in world.of(ONE)] == [{}, {"records": 2}, {"records": 4}]
    assert [state_in(invoke) for invoke in world.of(CHILD)] == [{}]


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"",
        b"{}",
        b"[]",
        b'""',
        b'{"batchItemFailures":[]}',
        b'{"state":null}',
        b'{"state":"x"}',
        b'{"state":[1]}',
        b'{"State":{}}',
        b'{"state":{"n":NaN}}',
        b'{"state":{"n":-Infinity}}',
        b'{"state":{},"other":Infinity}',
        b'{"state":{"n":"\xed\xa0\x80"}}',
        b'{"state":{},"state":1}',
        b'{"state":{}',
        b'"state"',
    ],
)
@pytest.mark.parametrize("reports", [False, True])
def test_an_answer_without_a_state_is_a_failed_invocation(payload: bytes, reports: bool) -> None:
    """Fact 7.2: retried unchanged, with the state as it was, until the budget is used up."""
    world = windowed(
        report_batch_item_failures=reports, retry_attempts_max=1, on_failure_destination_arn=QUEUE, batch_size=1
    )
    world.answer = answering(b'{"state":{"n":1}}', payload, payload)
    world.put("a", "a", "a")
    world.start().run(5)
    assert world.sent == [[0], [1], [1], [2]]
    assert [state_in(invoke) for _, invoke in world.invokes] == [{}, {"n": 1}, {"n": 1}, {"n": 1}]
    assert world.request_ids[1] == world.request_ids[2]
    assert world.discarded == [[1]]
    document = json.loads(world.documents[0][1].body())
    assert document["responseContext"]["functionError"] is None


def test_a_state_is_handed_on_as_it_is() -> None:
    """Fact 7.2: nested, not ASCII, of every type."""
    state = {"é": [1, 2.5, None, True, {"x": "😀"}], "big": 10**30, "": {}}
    world = windowed(batch_size=1)
    world.answer = answering(json.dumps({"state": state, "other": 1}).encode())
    world.put("a", "a")
    world.start().run(1)
    assert state_in(world.invokes[1][1]) == state


@pytest.mark.parametrize(
    "state",
    [
        '{"n":1e400}',
        '{"n":-1E-400}',
        '{"n":12345678901234567890.123456789012345678}',
        '{"n":1E2}',
        '{"n":-0}',
        '{"n":1.10}',
        '{"n":' + "7" * 5_000 + "}",
        '{ "n" : [ {}, "}" ] }',
        '{"a":1,"a":2}',
        r'{"\ud83d":"\u00e9","é":"\"state\""}',
    ],
)
def test_the_text_of_a_state_comes_back_as_the_function_wrote_it(state: str) -> None:
    """Fact 7.2: no number is rounded, none becomes what is not JSON."""
    answer = f' {{ "other" : {{"state":{{"n":0}}}} , "state":{{}},\n"state" : {state} , "last":[1,"{{"] }} '
    assert state_of(answer.encode()) == state.encode()
    world = windowed(batch_size=1)
    world.answer = answering(answer.encode(), answer.encode())
    world.put("a", "a")
    world.start().run(1)
    assert f',"state":{state},'.encode() in world.invokes[1][1].event()


def test_function_errors_and_throttles_leave_the_state_as_it_was() -> None:
    """Facts 7.2, 4.3."""
    world = windowed(batch_size=1)
    outcomes: list[InvokeOutcome | None] = [None, FunctionError("x", "E", b"{}"), Throttled("x"), None, None]
    world.answer = lambda invoke: (outcomes.pop(0) if outcomes else None) or counting(invoke)
    world.put("a", "a", "a")
    world.start().run(5)
    assert world.sent == [[0], [1], [1], [1], [2]]
    assert [state_in(invoke).get("records", 0) for _, invoke in world.invokes] == [0, 1, 1, 1, 2]


def test_failed_records_may_come_with_a_state() -> None:
    """Fact 7.8: it stands for those before the failed one, and goes to the batch of the rest."""
    world = windowed(report_batch_item_failures=True)
    failure = {"batchItemFailures": [{"itemIdentifier": str(FIRST + 2)}], "state": {"records": 2}}
    world.answer = answering(json.dumps(failure).encode())
    world.put(*"aaaa")
    world.start().run(2)
    assert world.sent == [[0, 1, 2, 3], [2, 3]]
    assert [state_in(invoke) for _, invoke in world.invokes] == [{}, {"records": 2}]


def test_an_answer_without_progress_leaves_the_state_as_it_was() -> None:
    """Facts 7.8, 4.7: an unchanged retry is the same event."""
    world = windowed(report_batch_item_failures=True)
    failure = {"batchItemFailures": [{"itemIdentifier": str(FIRST)}], "state": {"records": 99}}
    world.answer = answering(json.dumps(failure).encode())
    world.put(*"aa")
    world.start().run(2)
    assert world.sent == [[0, 1], [0, 1]]
    assert world.invokes[0][1].event() == world.invokes[1][1].event()


def test_with_bisect_the_right_half_gets_the_state_of_the_left_one() -> None:
    """Fact 4.20, with windows."""
    world = windowed(bisect_batch_on_function_error=True, retry_attempts_max=0)
    world.answer = lambda invoke: (
        raised(invoke) if FIRST + 1 in [each.sequence_number for each in invoke.records] else counting(invoke)
    )
    world.put(*"aaaa")
    world.start().run(2)
    assert world.sent == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3]]
    assert [state_in(invoke).get("records", 0) for _, invoke in world.invokes] == [0, 0, 0, 1, 1]


# The end of a window


def test_a_record_of_a_later_window_ends_the_open_one_first() -> None:
    """Fact 7.5: an invocation without records, final, with the state; the next window begins with {}."""
    world = windowed(batch_size=2)
    world.put(*"aaa", age_s=5)
    world.put("a", age_s=0)
    world.start().run(1)
    assert world.sent == [[0, 1], [2], [], [3]]
    assert [state_in(invoke) for _, invoke in world.invokes] == [{}, {"records": 2}, {"records": 3}, {}]
    final = json.loads(world.invokes[2][1].event())
    assert final["Records"] == []
    assert (final["isFinalInvokeForWindow"], final["isWindowTerminatedEarly"]) == (True, False)
    assert final["window"] == {"start": "2026-09-19T08:53:10Z", "end": "2026-09-19T08:53:20Z"}
    assert len(set(world.request_ids)) == 4
    assert [json.loads(invoke.event())["isFinalInvokeForWindow"] for _, invoke in world.invokes].count(True) == 1


def test_a_batch_is_of_one_window_and_does_not_wait_for_more_of_it_when_the_next_one_has_begun() -> None:
    """Facts 7.1, 2.11: neither for the batch size nor for the batching window."""
    world = windowed(batching_window_s=300, batch_size=100)
    world.put(*"aa", age_s=15)
    world.put(*"aaa", age_s=5)
    world.put("a")
    world.start().run(1)
    assert world.sent == [[0, 1], [], [2, 3, 4], []]
    assert world.run(300).sent[4:] == [[5], []]


def test_a_record_of_an_earlier_window_is_counted_into_the_open_one() -> None:
    """Arrival times can fall (fact 9.8): a window that has ended does not begin again."""
    world = windowed(batch_size=10)
    world.put("a", age_s=15)
    world.put("a", age_s=5)
    world.put("a", age_s=15)
    world.start().run(1)
    assert world.sent == [[0], [], [1, 2]]


def test_an_idle_window_is_closed_two_minutes_after_its_end() -> None:
    """Fact 7.6: by the first read thereafter that finds nothing."""
    world = windowed()
    world.put("a")
    world.start().run(10 + 119)
    assert world.sent == [[0]]
    world.run(2.5)
    assert world.sent == [[0], []]
    assert state_in(world.invokes[1][1]) == {"records": 1}
    closed_s = world.invokes[1][0] - (EPOCH_S + 10)
    assert 120 <= closed_s <= 121.5
    assert world.run(600).sent == [[0], []]


def test_with_fan_out_an_idle_window_is_closed_by_an_event_without_records() -> None:
    """Facts 7.6, 2.18: a subscription says from time to time that there is nothing."""
    world = windowed(event_source_arn=STREAM + "/consumer/quick:1789808973")
    world.put("a")
    world.start()
    for _ in range(25):
        world.run(5)
        world.tell_subscribers()
    assert world.sent == [[0]]
    world.run(5)
    world.tell_subscribers()
    assert world.run(1).sent == [[0], []]


def test_a_window_is_not_idle_while_the_shard_cannot_be_read() -> None:
    """Fact 7.6: more of its records may be there."""
    world = windowed(pace=Pace(window_idle_close_s=0.0))
    world.put("a")
    world.start().run(0.5)
    for fault in ("throttled", "AccessDeniedException"):
        world.read_fault = lambda _, fault=fault: fault  # type: ignore[misc] # mypy cannot type the default
        assert world.run(50).sent == [[0]]
    world.read_fault = lambda _: None
    assert world.run(2).sent == [[0], []]


def test_a_backlog_of_one_window_is_one_window_over_many_reads() -> None:
    """Fact 7.6: that its end is long past ends it only when the shard was read to its tip."""
    world = windowed(batch_size=10_000, pace=Pace(window_idle_close_s=0.0, read_on_put=False))
    world.put(*"a" * 25_000, age_s=600)
    world.start().run(5)
    assert [len(batch) for batch in world.sent] == [10_000, 10_000, 5_000, 0]
    assert [state_in(invoke).get("records", 0) for _, invoke in world.invokes] == [0, 10_000, 20_000, 25_000]


def test_the_end_of_the_shard_ends_the_window_and_the_state_does_not_survive_it() -> None:
    """Facts 7.7, 2.26: the shard is completed after its last invocation."""
    world = windowed()
    world.duration_s = lambda _: 1.0
    world.put("a")
    world.close()
    world.add_shard(CHILD, ONE)
    world.put("a", shard_id=CHILD)
    world.start().run(1.5)
    assert world.sent == [[0], []]
    assert world.completed == []
    world.run(2)
    assert world.completed == [ONE]
    assert world.sent == [[0], [], [1]]
    assert state_in(world.invokes[2][1]) == {}


# A last invocation that fails


def test_a_failing_last_invocation_is_retried_like_a_batch_and_blocks_the_shard() -> None:
    """Facts 7.5, 4.5, 4.7."""
    world = windowed(retry_attempts_max=2, event_count_metrics=True)
    world.answer = lambda invoke: counting(invoke) if invoke.records else raised(invoke)
    world.put("a", age_s=10)
    world.put("a")
    world.start().run(0.5)
    assert world.sent == [[0], [], []]
    assert world.checkpoints[-1].position != AfterSequenceNumber(FIRST + 1)
    world.run(5)
    assert world.sent == [[0], [], [], [], [1]]
    assert len(set(world.request_ids[1:4])) == 1
    assert world.gaps_s == [0.0, 0.2, 0.4, 0.0]
    assert state_in(world.invokes[-1][1]) == {}
    assert world.total("DroppedEventCount") == 0
    assert [name for name, _ in world.metrics].count("IteratorAge") == 2  # there is no record whose age it could be


def test_a_last_invocation_needs_a_state_in_its_answer() -> None:
    """Fact 7.2."""
    world = windowed(retry_attempts_max=0, on_failure_destination_arn=QUEUE)
    world.answer = lambda invoke: counting(invoke) if invoke.records else Succeeded(invoke.request_id, b"null")
    world.put("a", age_s=10)
    world.put("a")
    world.start().run(1)
    assert world.discarded == [[]]


def test_the_document_of_a_last_invocation_is_as_recorded_from_aws() -> None:
    """Facts 5.12, 5.10: no sequence numbers and no batch size, but the window; the payload is the whole event."""
    world = windowed(retry_attempts_max=0, on_failure_destination_arn=BUCKET)
    world.answer = lambda invoke: counting(invoke) if invoke.records else raised(invoke)
    world.put("a", age_s=10)
    world.put("a")
    world.start().run(1)
    document = json.loads(world.documents[0][1].body())
    assert list(document) == [
        "requestContext",
        "responseContext",
        "version",
        "payload",
        "timestamp",
        "KinesisBatchInfo",
        "timeWindowInfo",
    ]
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["requestContext"]["approximateInvokeCount"] == 1
    assert document["responseContext"]["functionError"] == "Unhandled"
    assert document["KinesisBatchInfo"] == {"shardId": ONE, "streamArn": STREAM}
    assert document["timeWindowInfo"] == {
        "window": {"start": "2026-09-19T08:53:10Z", "end": "2026-09-19T08:53:20Z"},
        "isFinalInvokeForWindow": True,
        "isWindowTerminatedEarly": False,
    }
    assert document["payload"].encode() == world.invokes[1][1].event()
    assert json.loads(document["payload"])["Records"] == []


def test_the_document_of_a_failed_batch_names_its_window() -> None:
    """Fact 5.12."""
    world = windowed(retry_attempts_max=0, on_failure_destination_arn=QUEUE, batch_size=2)
    world.answer = answering(None)
    world.put(*"aa")
    world.start().run(1)
    document = json.loads(world.documents[0][1].body())
    assert document["KinesisBatchInfo"]["batchSize"] == 2
    assert document["timeWindowInfo"]["isFinalInvokeForWindow"] is False
    assert "payload" not in document


def test_a_last_invocation_that_fails_for_too_long_is_given_up() -> None:
    """Facts 7.5, 4.25: its age counts from when it was due, however long ago its window was."""
    world = windowed(record_age_s_max=60, on_failure_destination_arn=QUEUE)
    world.answer = lambda invoke: counting(invoke) if invoke.records else raised(invoke)
    world.put("a")
    world.start().run(10 + 130)
    assert world.sent[:2] == [[0], []]
    assert world.documents == []
    world.run(100)
    [(at_s, deliver)] = world.documents
    document = json.loads(deliver.body())
    assert document["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in document
    assert at_s - world.invokes[1][0] > 60
    world.answer = counting
    world.put("a")
    assert state_in(world.run(2).invokes[-1][1]) == {}


# Too much state


def grown(size: int) -> bytes:
    """A state of exactly this many bytes."""
    return b'{"state":{"x":"' + b"X" * (size - len('{"x":""}')) + b'"}}'


def test_a_state_above_one_mebibyte_ends_the_window_early() -> None:
    """Facts 7.3, 7.4: recorded: no records, both flags, the full state; and after that it is empty."""
    world = windowed(batch_size=1)
    world.answer = answering(grown(1_048_640))
    world.put("a")
    world.start().run(1)
    assert world.sent == [[0], []]
    event = json.loads(world.invokes[1][1].event())
    assert (event["isFinalInvokeForWindow"], event["isWindowTerminatedEarly"]) == (True, True)
    assert len(event["state"]["x"]) == 1_048_640 - 8
    assert event["window"] == json.loads(world.invokes[0][1].event())["window"]
    world.put("a")
    world.run(2)
    assert world.sent == [[0], [], [1]]
    again = json.loads(world.invokes[2][1].event())
    assert again["state"] == {}
    assert again["window"] == event["window"]
    assert (again["isFinalInvokeForWindow"], again["isWindowTerminatedEarly"]) == (False, False)


def test_a_window_that_ended_early_has_no_second_end_if_nothing_more_comes() -> None:
    """Fact 7.4."""
    world = windowed()
    world.answer = answering(grown(MIB + 1))
    world.put("a")
    assert world.start().run(400).sent == [[0], []]


def test_one_mebibyte_of_state_is_not_too_much() -> None:
    """Fact 7.3."""
    world = windowed(batch_size=1)
    world.answer = answering(grown(MIB), grown(MIB))
    world.put(*"aa")
    assert world.start().run(1).sent == [[0], [1]]


def test_too_much_state_beside_failed_records_ends_the_window_before_these() -> None:
    """Facts 7.4, 7.8."""
    world = windowed(report_batch_item_failures=True)
    failures = b'{"batchItemFailures":[{"itemIdentifier":"%d"}],' % (FIRST + 1)
    world.answer = answering(failures + grown(MIB + 1)[1:])
    world.put(*"aaa")
    world.start().run(1)
    assert world.sent == [[0, 1, 2], [], [1, 2]]
    assert json.loads(world.invokes[1][1].event())["isWindowTerminatedEarly"] is True
    assert state_in(world.invokes[2][1]) == {}
    assert world.checkpoints[-1] == Checkpoint(ONE, AfterSequenceNumber(FIRST + 2))


def test_the_state_counts_toward_the_payload_quota() -> None:
    """Facts 1.12, 1.13: also when it has grown since the batch was formed."""
    sized = windowed(pace=Pace(event_bytes_max=100_000))
    sized.put(*"aa", data=bytes(3_000))
    event_bytes = len(sized.start().run(1).invokes[0][1].event())
    for limit, expected in [(event_bytes, [[0, 1]]), (event_bytes - 1, [[0], [1]])]:
        world = windowed(pace=Pace(event_bytes_max=limit))
        world.put(*"aa", data=bytes(3_000))
        assert world.start().run(1).sent == expected
    growing = windowed(pace=Pace(event_bytes_max=10_000), report_batch_item_failures=True)
    failure = b'{"batchItemFailures":[{"itemIdentifier":"%d"}],' % (FIRST + 1)
    growing.answer = answering(failure + grown(3_000)[1:])
    growing.put(*"aaaa", data=bytes(1_300))
    growing.start().run(1)
    assert growing.sent == [[0, 1, 2, 3], [1, 2], [3]]
    assert all(len(invoke.event()) <= 10_000 for _, invoke in growing.invokes)


def test_a_record_that_is_too_large_beside_the_state_uses_the_retry_quota() -> None:
    """Fact 1.14."""
    world = windowed(
        batch_size=1, retry_attempts_max=1, on_failure_destination_arn=QUEUE, pace=Pace(event_bytes_max=10_000)
    )
    world.answer = answering(grown(4_000))
    world.put("a")
    world.put("a", data=bytes(5_000))
    world.start().run(2)
    assert world.sent == [[0]]
    assert world.discarded == [[1]]
    assert "responseContext" not in json.loads(world.documents[0][1].body())


# Restart and change


def test_a_restart_carries_the_state_of_the_open_window() -> None:
    """Snapshot and checkpoint agree: what was counted is not counted again, and nothing is forgotten."""
    world = windowed(batch_size=1)
    world.duration_s = lambda _: 1.0
    world.put(*"aaa")
    world.start().run(1.5)  # one is settled, the second is under way
    again = world.restarted()
    again.start().run(5)
    assert again.sent == [[1], [2]]
    assert [state_in(invoke) for _, invoke in again.invokes] == [{"records": 1}, {"records": 2}]
    again.run(200)
    assert state_in(again.invokes[-1][1]) == {"records": 3}
    assert again.sent[-1] == []
    assert again.machine.snapshot()["windows"] == {}


def test_a_restart_before_the_last_invocation_makes_up_for_it() -> None:
    world = windowed()
    world.put("a")
    world.close()
    world.duration_s = lambda invoke: 0.0 if invoke.records else 50.0
    world.start().run(1)
    assert world.sent == [[0], []]
    again = world.restarted()
    again.start().run(3)
    assert again.sent == [[]]
    assert state_in(again.invokes[0][1]) == {"records": 1}
    assert again.completed == [ONE]


def test_the_end_of_a_window_is_a_checkpoint() -> None:
    """Although it does not move: whoever keeps snapshots is to keep one without the window now."""
    world = windowed(pace=Pace(window_idle_close_s=0.0))
    world.put("a")
    world.start().run(5)
    before = len(world.checkpoints)
    kept: list[Any] = []
    world.duration_s = lambda _: kept.append(world.machine.snapshot()["windows"]) or 0.0  # type: ignore[func-returns-value] # a list's append
    world.run(10)
    assert world.sent == [[0], []]
    assert list(kept[0]) == [ONE]
    assert world.checkpoints[before:] == [Checkpoint(ONE, AfterSequenceNumber(FIRST))]
    again = windowed(
        shards=0, snapshot={**world.machine.snapshot(), "windows": kept[0]}, pace=Pace(window_idle_close_s=0.0)
    )
    again.shards.update(world.shards)
    again.windows.open = {ONE: (open_windows(kept[0])[ONE].window, {"records": 1})}
    again.now = world.now
    again.start().run(1)
    assert again.sent == [[]]
    assert again.checkpoints == [Checkpoint(ONE, AfterSequenceNumber(FIRST))]


def test_disabling_keeps_the_open_window() -> None:
    world = windowed()
    world.put("a")
    world.start().run(1)
    world.update(enabled=False).run(60)
    world.update(enabled=True)
    world.put("a", age_s=60)
    world.run(1)
    assert world.sent == [[0], [1]]
    assert state_in(world.invokes[1][1]) == {"records": 1}


def test_another_length_holds_from_the_next_window_on() -> None:
    world = windowed()
    world.put("a")
    world.start().run(1)
    world.update(tumbling_window_s=60)
    world.put("a")
    world.run(15)
    world.put("a")
    world.run(2)
    assert world.sent == [[0], [1], [], [2]]
    windows = [json.loads(invoke.event())["window"] for _, invoke in world.invokes]
    assert windows[0] == windows[1] == windows[2] == {"start": "2026-09-19T08:53:20Z", "end": "2026-09-19T08:53:30Z"}
    assert windows[3] == {"start": "2026-09-19T08:53:00Z", "end": "2026-09-19T08:54:00Z"}


def test_an_update_that_takes_the_windows_away_drops_the_open_one() -> None:
    world = windowed()
    world.put("a")
    world.start().run(1)
    world.update(tumbling_window_s=0)
    world.put("a")
    world.close()
    world.run(3)
    assert world.sent == [[0], [1]]
    assert world.invokes[1][1].window is None
    assert world.completed == [ONE]
    assert world.machine.snapshot()["windows"] == {}


def test_a_record_too_large_to_be_sent_opens_no_window() -> None:
    """Facts 1.14, 7.5: the function never saw the window, so there is none to be ended; that record is in a document."""
    world = windowed(
        batch_size=1, retry_attempts_max=0, on_failure_destination_arn=QUEUE, pace=Pace(event_bytes_max=1_500)
    )
    world.put("a", data=bytes(2_000))
    world.start().run(20)
    world.put("b")
    world.run(200)
    assert world.discarded == [[0]]
    assert [[record.partition_key for record in invoke.records] for invoke in world.of(ONE)] == [["b"], []]


def test_a_window_of_a_stream_that_is_gone_is_not_open_on_the_next_one_of_its_name() -> None:
    """Fact 7.2: neither its state nor its last invocation is the new stream's."""
    world = windowed()
    world.put("a")
    world.start().run(1)
    assert state_in(world.invokes[0][1]) == {}
    assert list(world.machine.snapshot()["windows"]) == [ONE]
    world.shards[ONE] = ScriptedShard(ONE, starting_sequence_number=7)
    world.run(20)
    assert world.machine.snapshot()["windows"] == {}
    assert len(world.invokes) == 1
