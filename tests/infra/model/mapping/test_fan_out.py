"""A mapping whose source is a consumer: subscriptions instead of reads, user records instead of aggregates."""

import json
from itertools import pairwise
from typing import Any

import pytest

from infra.model.function import FunctionError, Succeeded
from infra.model.mapping import AfterSequenceNumber, EventSourceMapping, Pace, RequestIds, StartingPosition
from infra.model.mapping.commands import Checkpoint, Command, CompleteShard, Deliver, Invoke, Subscribe, Unsubscribe
from infra.model.mapping.lifecycle import Delays
from infra.model.sequence import HASH_KEYS
from infra.model.stream import StreamRecord
from tests.support.kpl_format import aggregate
from tests.support.mapping_witness import ScriptedShard
from tests.support.mapping_world import EPOCH_S, FIRST, ONE, STREAM, World, config

CONSUMER = STREAM + "/consumer/quick:1789808973"
QUEUE = "arn:aws:sqs:us-east-1:111111111111:failures"


def world(**settings: Any) -> World:
    return World(**{"event_source_arn": CONSUMER, **settings})


def events(made: World) -> list[list[dict[str, Any]]]:
    return [json.loads(invoke.event())["Records"] for _, invoke in made.invokes]


def machine(**settings: Any) -> EventSourceMapping:
    return EventSourceMapping(config(event_source_arn=CONSUMER, **settings), RequestIds("seed"))


def of(kind: type[Command], commands: list[Command]) -> list[Any]:
    return [command for command in commands if isinstance(command, kind)]


def listed(made: EventSourceMapping, now: float) -> list[Command]:
    made.start(now)
    return made.shards_listed(now, [ScriptedShard(ONE)])


def test_records_are_pushed_without_any_read() -> None:
    """Fact 2.18."""
    made = world().start().run(1)
    made.put("a", "b")
    made.run(1)
    assert made.sent == [[0, 1]]
    assert made.reads == []
    assert [subscribe.position for _, subscribe in made.subscriptions] == [StartingPosition("TRIM_HORIZON")]
    assert made.checkpoints[-1].position == AfterSequenceNumber(FIRST + 1)


def test_a_subscription_is_renewed_after_five_minutes_where_it_ended() -> None:
    """Fact 9.10."""
    made = world().start()
    made.put("a")
    made.run(301)
    made.put("b")
    made.run(1)
    assert made.sent == [[0], [1]]
    (_, first), (at, second) = made.subscriptions
    assert first.position == StartingPosition("TRIM_HORIZON")
    assert (at, second.position) == (EPOCH_S + 300, AfterSequenceNumber(FIRST))


def test_a_refused_subscription_is_tried_again_after_five_seconds_and_shown() -> None:
    """Fact 9.10: earlier than that it would be refused."""
    made = world().start().run(1)
    made.cut_off(ONE, "ResourceInUseException: Another active subscription exists for this consumer")
    made.run(1)
    assert made.machine.last_processing_result.startswith("PROBLEM: ResourceInUse")
    made.run(10)
    assert [at - EPOCH_S for at, _ in made.subscriptions] == [0, 5]


def test_an_aggregate_is_delivered_as_its_user_records_under_one_event_id() -> None:
    """Facts 3.9, 1.8: whoever takes the eventID for an identity loses all but one of them."""
    made = world().start()
    made.put("outer", data=aggregate(("a", b"1"), ("b", b"2"), ("a", b"3")))
    made.run(1)
    [records] = events(made)
    assert [record["kinesis"]["partitionKey"] for record in records] == ["a", "b", "a"]
    assert [record["kinesis"]["data"] for record in records] == ["MQ==", "Mg==", "Mw=="]
    assert {record["eventID"] for record in records} == {f"{ONE}:{FIRST}"}
    assert {record["eventSourceARN"] for record in records} == {CONSUMER}
    assert made.checkpoints[-1].position == AfterSequenceNumber(FIRST)


def test_a_standard_mapping_delivers_an_aggregate_as_one_record_in_the_lane_of_its_outer_key() -> None:
    """Facts 3.8, 3.11: so a parallelization factor does nothing for aggregates under one outer key."""
    made = World(parallelization_factor=10, batch_size=1).start()
    made.duration_s = lambda _: 5.0
    for _ in range(3):
        made.put("outer", data=aggregate(*((str(n), b"x") for n in range(20))))
    made.run(4)
    assert made.sent == [[0]]
    made.run(11)
    assert made.sent == [[0], [1], [2]]
    assert events(made)[0][0]["kinesis"]["partitionKey"] == "outer"


def test_with_fan_out_the_lanes_are_those_of_the_inner_keys() -> None:
    """Facts 3.2, 3.9."""
    made = world(parallelization_factor=10).start()
    made.duration_s = lambda _: 5.0
    made.put("outer", data=aggregate(*((str(n), b"x") for n in range(40))))
    made.run(1)
    assert len(made.invokes) > 5
    assert sum(len(records) for records in events(made)) == 40


def test_filters_see_the_user_records() -> None:
    """Fact 6.9: with a standard iterator nothing of an aggregate passes a filter on data."""
    users = [("k", b'{"kind":"sale"}'), ("k", b'{"kind":"visit"}'), ("k", b'{"kind":"sale"}')]
    settings: dict[str, Any] = {"filters": ('{"data":{"kind":["sale"]}}',), "event_count_metrics": True}
    fanned, standard = world(**settings).start(), World(**settings).start()
    for made in (fanned, standard):
        made.put("outer", data=aggregate(*users))
        made.run(2)
    assert [len(records) for records in events(fanned)] == [2]
    assert (fanned.total("PolledEventCount"), fanned.total("FilteredOutEventCount")) == (3, 1)
    assert events(standard) == []
    assert standard.total("FilteredOutEventCount") == 1


def test_a_rejected_aggregate_is_processed_and_not_looked_at_again() -> None:
    """Fact 3.10: nothing is delivered, and the checkpoint moves past it."""
    made = world()
    made.shards[ONE].hash_range = (0, HASH_KEYS // 2 - 1)
    made.start()
    made.put("outer", data=aggregate(("k", b"in", 0), ("k", b"out", HASH_KEYS - 1)))
    made.run(2)
    assert made.invokes == []
    assert made.checkpoints[-1].position == AfterSequenceNumber(FIRST)


def test_a_child_shard_is_subscribed_to_after_its_parent_is_processed() -> None:
    """Fact 2.26."""
    made = world().start()
    made.duration_s = lambda _: 3.0
    made.put("a")
    made.run(1)
    made.add_shard("shardId-000000000001", ONE)
    made.put("a", shard_id="shardId-000000000001")
    made.close(ONE)
    made.run(1)
    assert len(made.subscriptions) == 1
    made.run(10)
    assert made.completed == [ONE]
    assert made.sent == [[0], [1]]
    assert made.invokes[1][0] >= EPOCH_S + 3


def test_after_a_restart_the_subscription_begins_at_the_checkpoint() -> None:
    """Fact 2.24."""
    made = world().start()
    made.put("a")
    made.run(1)
    made.answer = lambda invoke: FunctionError(invoke.request_id, "E", b"{}")
    made.put("b")
    made.run(1)
    again = made.restarted().start().run(1)
    assert again.sent == [[1]]


def test_a_disabled_mapping_unsubscribes_and_an_enabled_one_goes_on_at_its_checkpoint() -> None:
    """Fact 2.24."""
    made = world(delays=Delays(transition_s=1.0)).start()
    made.put("a")
    made.run(6)
    made.update(enabled=False).run(2)
    assert made.machine.state == "Disabled"
    made.put("b")
    made.run(600)
    assert made.sent == [[0]]
    assert len(made.subscriptions) == 1
    made.update(enabled=True).run(3)
    assert made.sent == [[0], [1]]
    assert made.subscriptions[-1][1].position == AfterSequenceNumber(FIRST)


def test_a_blocked_lane_holds_no_more_than_its_bounds_and_then_everything_is_delivered() -> None:
    made = world(pace=Pace(held_records_max=30), batch_size=10).start()
    made.duration_s = lambda _: 4.0
    for _ in range(20):
        made.put(*(str(n) for n in range(10)))
        made.run(1)
    made.run(200)
    assert sorted(number for batch in made.sent for number in batch) == list(range(200))
    assert len(made.subscriptions) > 1
    times = [at for at, _ in made.subscriptions]
    assert all(later - earlier >= 5 for earlier, later in pairwise(times))


def test_discarded_user_records_are_counted_one_by_one_and_the_document_names_the_consumer() -> None:
    """Fact 5.8."""
    made = world(on_failure_destination_arn=QUEUE, retry_attempts_max=0).start()
    made.answer = lambda invoke: FunctionError(invoke.request_id, "E", b"{}")
    made.put("outer", data=aggregate(("a", b"1"), ("b", b"2")))
    made.run(3)
    [(_, deliver)] = made.documents
    batch = json.loads(deliver.body())["KinesisBatchInfo"]
    assert (batch["batchSize"], batch["streamArn"]) == (2, CONSUMER)
    assert batch["startSequenceNumber"] == batch["endSequenceNumber"] == str(FIRST)


def test_a_partial_failure_inside_an_aggregate_means_its_first_user_record() -> None:
    """Fact 4.15: the identifier is the same for all of them."""
    made = world(report_batch_item_failures=True, retry_attempts_max=1).start()
    answer = json.dumps({"batchItemFailures": [{"itemIdentifier": str(FIRST + 1)}]}).encode()
    made.answer = lambda invoke: Succeeded(invoke.request_id, answer if len(made.invokes) == 1 else b"null")
    made.shards[ONE].records += [
        StreamRecord(FIRST, "plain", b"0", round(EPOCH_S * 1000)),
        StreamRecord(FIRST + 1, "outer", aggregate(("a", b"1"), ("a", b"2"), ("a", b"3")), round(EPOCH_S * 1000)),
    ]
    made.run(3)
    assert [len(records) for records in events(made)] == [4, 3]


def test_a_latest_mapping_that_was_never_pushed_anything_goes_on_at_the_time_it_subscribed() -> None:
    """Fact 2.21."""
    made = machine(starting_position="LATEST")
    assert of(Subscribe, listed(made, 100.0)) == [Subscribe(ONE, StartingPosition("LATEST"))]
    made.records_pushed(100.5, ONE, [], 5, millis_behind_latest=0, end_of_shard=False)
    assert made.snapshot()["shards"][ONE] == {"type": "AT_TIMESTAMP", "timestamp_s": 100.0}


def test_the_end_of_a_shard_completes_it_and_the_end_of_its_subscription_is_no_news() -> None:
    made = machine()
    listed(made, 100.0)
    commands = made.records_pushed(101.0, ONE, [], None, millis_behind_latest=0, end_of_shard=True)
    assert of(CompleteShard, commands) == [CompleteShard(ONE)]
    assert made.subscription_ended(101.0, ONE) == []


def test_too_much_held_unsubscribes_once() -> None:
    made = machine(pace=Pace(held_records_max=2), batch_size=1)
    listed(made, 100.0)
    records = [StreamRecord(n, "k", b"", 99_000) for n in range(1, 6)]
    commands = made.records_pushed(101.0, ONE, records, 5, millis_behind_latest=0, end_of_shard=False)
    assert of(Unsubscribe, commands) == [Unsubscribe(ONE)]
    again = made.records_pushed(101.1, ONE, [], 5, millis_behind_latest=0, end_of_shard=False)
    assert of(Unsubscribe, again) == []
    assert of(Subscribe, made.subscription_ended(101.2, ONE)) == []
    made.invocation_finished(102.0, 1, Succeeded("", b"null"))
    for invocation in range(2, 5):
        assert of(Subscribe, made.invocation_finished(102.5, invocation, Succeeded("", b"null"))) == []
    assert of(Subscribe, made.wake_up(110.0)) == [Subscribe(ONE, AfterSequenceNumber(5))]


@pytest.mark.parametrize("kind", [Checkpoint, Deliver, Invoke])
def test_an_event_without_records_causes_nothing(kind: type[Command]) -> None:
    made = machine()
    listed(made, 100.0)
    assert of(kind, made.records_pushed(105.0, ONE, [], 7, millis_behind_latest=0, end_of_shard=False)) == []


def test_the_checkpoint_of_an_aggregate_waits_for_the_last_of_its_user_records() -> None:
    """Facts 3.5, 3.9: lanes are done with their parts of it at different times."""
    made = machine(parallelization_factor=10)
    listed(made, 100.0)
    record = StreamRecord(7, "outer", aggregate(*((str(n), b"x") for n in range(10))), 99_000)
    commands = made.records_pushed(101.0, ONE, [record], 7, millis_behind_latest=0, end_of_shard=False)
    first, *others = of(Invoke, commands)
    assert len(others) > 2
    for invoke in others:
        done = made.invocation_finished(102.0, invoke.invocation_id, Succeeded("", b"null"))
        assert AfterSequenceNumber(7) not in [checkpoint.position for checkpoint in of(Checkpoint, done)]
    last = made.invocation_finished(103.0, first.invocation_id, Succeeded("", b"null"))
    assert of(Checkpoint, last) == [Checkpoint(ONE, AfterSequenceNumber(7))]


def test_an_idle_window_ends_although_nothing_but_empty_events_are_pushed() -> None:
    """Fact 7.6."""
    made = machine(tumbling_window_s=10, pace=Pace(window_idle_close_s=20.0))
    listed(made, 100.0)
    record = StreamRecord(7, "k", b"x", 101_000)
    commands = made.records_pushed(101.0, ONE, [record], 7, millis_behind_latest=0, end_of_shard=False)
    [first] = of(Invoke, commands)
    made.invocation_finished(101.5, first.invocation_id, Succeeded("", b'{"state":{"n":1}}'))
    ended_at = []
    for second in range(105, 160, 5):
        pushed = made.records_pushed(float(second), ONE, [], 7, millis_behind_latest=0, end_of_shard=False)
        for invoke in of(Invoke, pushed):
            assert json.loads(invoke.event())["isFinalInvokeForWindow"] is True
            ended_at.append(second)
            made.invocation_finished(second + 0.1, invoke.invocation_id, Succeeded("", b'{"state":{}}'))
    assert ended_at == [130]
