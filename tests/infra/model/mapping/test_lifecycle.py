"""Life of a mapping: the states it reports, and creating, changing, disabling, enabling, deleting while it runs."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.model.function import Succeeded, Throttled
from infra.model.mapping import AfterSequenceNumber, Delays, MappingInUseError, StartingPosition
from infra.model.mapping.lifecycle import State
from tests.support.mapping_world import EPOCH_S, FIRST, FUNCTION, ONE, ROLE, World, raised, succeeded

QUEUE = "arn:aws:sqs:us-east-1:111111111111:failures"
SLOWLY = Delays(transition_s=2.0, polling_lag_s=3.0)


def states(world: World, seconds: int) -> list[str]:
    """What it reports, asked once per second."""
    return [str((world if number == 0 else world.run(1)).machine.state) for number in range(seconds)]


# States


def test_the_states_are_those_of_aws() -> None:
    """Fact 2.7."""
    assert set(State) == {"Creating", "Enabling", "Enabled", "Disabling", "Disabled", "Updating", "Deleting"}


@pytest.mark.parametrize(("enabled", "then"), [(True, "Enabled"), (False, "Disabled")])
def test_a_new_mapping_is_creating_and_then_what_was_wanted(enabled: bool, then: str) -> None:
    """Fact 2.7."""
    world = World(delays=SLOWLY, enabled=enabled).create()
    assert states(world, 4) == ["Creating", "Creating", then, then]


def test_disabling_enabling_updating_and_deleting_are_reported_while_they_last() -> None:
    """Fact 2.7."""
    world = World(delays=SLOWLY).start()
    assert states(world, 1) == ["Enabled"]
    assert states(world.update(enabled=False), 3) == ["Disabling", "Disabling", "Disabled"]
    assert states(world.update(batch_size=7), 3) == ["Updating", "Updating", "Disabled"]
    assert states(world.update(enabled=True), 3) == ["Enabling", "Enabling", "Enabled"]
    assert states(world.update(batch_size=8), 3) == ["Updating", "Updating", "Enabled"]
    assert states(world.update(enabled=False, batch_size=9), 3) == ["Disabling", "Disabling", "Disabled"]
    assert states(world.delete(), 3) == ["Deleting", "Deleting", "Deleting"]
    assert world.machine.gone


def test_a_mapping_that_is_changing_takes_no_further_change() -> None:
    """Fact 2.7: the states between Enabled and Disabled are those of a change under way."""
    world = World(delays=SLOWLY).create()
    for _ in range(2):  # Creating, then Updating
        changes: list[Callable[[], object]] = [
            lambda: world.update(batch_size=5),
            lambda: world.update(enabled=False),
            world.delete,
        ]
        for refused in changes:
            with pytest.raises(MappingInUseError, match="because it is in use"):
                refused()
        world.run(2)
        world.update(batch_size=6)
    assert world.run(10).machine.config.batch_size == 6
    world.delete().run(10)
    with pytest.raises(MappingInUseError):
        world.delete()


def test_what_cannot_change_is_refused() -> None:
    world = World().start()
    with pytest.raises(ValueError, match="event_source_arn cannot be changed"):
        world.update(event_source_arn="arn:aws:kinesis:us-east-1:111111111111:stream/other")
    assert world.machine.state == "Enabled"


# Creating, enabling


def test_a_mapping_that_says_enabled_may_not_poll_yet_and_latest_misses_what_is_put_meanwhile() -> None:
    """Fact 2.22: eventually consistent; TRIM_HORIZON would not miss it."""
    for starting_position, expected in [("LATEST", [[1]]), ("TRIM_HORIZON", [[0], [1]])]:
        world = World(delays=SLOWLY, starting_position=starting_position).create().run(4)
        assert world.machine.state == "Enabled"
        assert world.reads == []
        world.put("a")
        world.run(3)
        world.put("a")
        assert world.run(5).sent == expected


def test_a_mapping_created_disabled_reads_nothing_until_it_is_enabled() -> None:
    world = World(enabled=False).create()
    world.put("a")
    world.run(60)
    assert (world.reads, world.machine.deadline) == ([], None)
    world.update(enabled=True)
    assert world.run(2).sent == [[0]]


def test_a_mapping_created_disabled_at_latest_begins_when_it_is_first_enabled() -> None:
    """Facts 2.21, 2.22: LATEST is after polling begins."""
    world = World(enabled=False, starting_position="LATEST").create()
    world.put("a")
    world.run(5).update(enabled=True).run(2)
    world.put("a")
    assert world.run(2).sent == [[1]]


# Disabling


def test_enabling_goes_on_at_the_checkpoint() -> None:
    """Fact 2.24: the starting position is used once."""
    world = World().start()
    world.put("a", "a")
    world.run(2).update(enabled=False).run(5)
    world.put("a")
    world.run(60)
    assert world.sent == [[0, 1]]
    reads = len(world.reads)
    world.update(enabled=True).run(3)
    assert world.sent == [[0, 1], [2]]
    assert world.reads[reads][1].position == AfterSequenceNumber(FIRST + 1)


def test_a_mapping_at_latest_that_has_read_nothing_does_not_miss_what_comes_while_it_is_disabled() -> None:
    """Fact 2.24: LATEST is used once, also by a mapping to which no record has come yet."""
    world = World(starting_position="LATEST")
    world.put("a")
    world.run(1).start().run(3).update(enabled=False).run(1)
    world.put("a")
    world.run(1)
    again = world.restarted()
    assert world.update(enabled=True).run(3).sent == [[1]]
    assert again.start().run(3).sent == [[1]]
    assert again.reads[0][1].position == StartingPosition("AT_TIMESTAMP", EPOCH_S + 1)


def test_disabled_is_reported_before_polling_stops() -> None:
    """Fact 2.24: a record put just after is still delivered; later ones are not."""
    world = World(delays=SLOWLY).start().run(1)
    world.update(enabled=False).run(2.5)
    assert world.machine.state == "Disabled"
    world.put("a")
    world.run(4)
    world.put("a")
    assert world.run(60).sent == [[0]]
    assert world.machine.deadline is None


def test_disabling_lets_what_is_under_way_end_and_begins_nothing() -> None:
    """Fact 2.24."""
    world = World(batch_size=2, retry_attempts_max=0, on_failure_destination_arn=QUEUE)
    world.duration_s = lambda _: 5.0
    world.delivery_s = 5.0
    world.answer = raised
    world.put(*"aaaa")
    world.start().run(1).update(enabled=False).run(60)
    assert (world.sent, world.discarded) == ([[0, 1]], [[0, 1]])
    assert world.machine.settled
    world.answer = succeeded
    world.update(enabled=True).run(10)
    assert world.sent == [[0, 1], [2, 3]]


def test_a_lane_ahead_of_the_checkpoint_sees_its_records_again_after_disabling() -> None:
    """Facts 2.16, 3.5: the checkpoint is the lowest unfinished record of all lanes."""
    world = World(batch_size=1, parallelization_factor=10)
    world.answer = lambda invoke: raised(invoke) if invoke.records[0].partition_key == "a" else succeeded(invoke)
    world.put("a", "b")
    world.start().run(1).update(enabled=False).run(60)
    world.answer = succeeded
    before = len(world.sent)
    world.update(enabled=True).run(3)
    assert sorted(world.sent[before:]) == [[0], [1]]


def test_enabled_again_before_it_came_to_rest_nothing_is_lost_or_repeated() -> None:
    world = World(batch_size=1).start()
    world.duration_s = lambda _: 5.0
    world.put(*"aaa")
    world.run(1).update(enabled=False).run(1).update(enabled=True).run(60)
    assert world.sent == [[0], [1], [2]]


def test_a_disabled_mapping_publishes_no_metric() -> None:
    """Fact 8.12."""
    world = World(event_count_metrics=True).start().run(3)
    world.update(enabled=False).run(1)
    before = len(world.metrics)
    assert before > 0
    world.put("a")
    assert len(world.run(100).metrics) == before


def test_children_of_a_reshard_while_disabled_are_read_after_their_parent() -> None:
    """Facts 2.24, 2.26, 2.27."""
    world = World(starting_position="LATEST").start().run(2)
    world.put("a")
    world.run(1).update(enabled=False).run(1)
    world.put("a")
    world.close()
    world.add_shard("shardId-000000000001", ONE)
    world.put("a", shard_id="shardId-000000000001")
    world.run(1).update(enabled=True).run(5)
    assert world.sent == [[0], [1], [2]]
    assert world.completed == [ONE]


# Changing


# When a batch that always fails has been sent within 50 s.
BLOCKED_S = (0, 0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25.4)


def blocked(**settings: Any) -> World:
    """Three records whose batch fails for ever, and waits long for its next retry."""
    world = World(on_failure_destination_arn=QUEUE, **settings).start()
    world.answer = raised
    world.put(*"aaa")
    world.run(50)
    assert [(round(at - EPOCH_S, 3), batch) for (at, _), batch in zip(world.invokes, world.sent, strict=True)] == [
        (at, [0, 1, 2]) for at in BLOCKED_S
    ]
    world.invokes.clear()
    return world


def test_a_smaller_batch_holds_for_the_records_of_a_blocked_lane() -> None:
    """Fact 4.2: a blocked lane does not wait for its next retry to be cured. A choice: batches are formed anew."""
    world = blocked()
    world.answer = succeeded
    world.update(batch_size=2)
    assert world.run(1).sent == [[0, 1], [2]]


def test_an_update_that_leaves_its_batches_as_they_are_keeps_request_id_and_retry_budget() -> None:
    """Facts 4.5, 4.7: N retries mean N + 1 calls, whatever is changed meanwhile, and the document says so."""
    changes: list[dict[str, Any]] = [
        {"batching_window_s": 3},
        {"event_count_metrics": True},
        {"on_failure_destination_arn": QUEUE + "-2"},
        {"report_batch_item_failures": True},
        {"record_age_s_max": 3600},
        {"batch_size": 100},  # as it was
    ]
    for change in changes:
        world = World(on_failure_destination_arn=QUEUE, retry_attempts_max=9).start()
        world.answer = raised
        world.put(*"aaa")
        for _ in range(8):
            world.run(3).update(**change)
        world.run(300)
        assert world.sent == [[0, 1, 2]] * 10
        assert len(set(world.request_ids)) == 1
        assert [deliver.discarded.attempts for _, deliver in world.documents] == [10]


def test_an_update_that_enables_what_is_enabled_keeps_the_retry_budget() -> None:
    """Facts 4.5, 4.7."""
    world = World(retry_attempts_max=3).start()
    world.answer = raised
    world.put("a")
    for _ in range(30):
        world.run(1).update(enabled=True)
    assert world.sent == [[0]] * 4
    assert len(set(world.request_ids)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 50},
        {"parallelization_factor": 2},
        {"function_arn": FUNCTION + ":blue"},
        {"filters": ('{"data":{"a":[1]}}',)},
        {"tumbling_window_s": 60},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_update_that_changes_what_a_batch_is_forms_them_anew(change: dict[str, Any]) -> None:
    """Fact 4.7. A choice: AWS does not say what becomes of a batch in its retries."""
    world = World(retry_attempts_max=4).start()
    world.answer = raised
    world.put("a", data=b'{"a":1}')
    world.run(0.5)
    before = world.request_ids
    assert len(before) == 2
    world.update(**change).run(60)
    after = world.request_ids[len(before) :]
    assert (len(after), len(set(after)), set(before) & set(after)) == (5, 1, set())


def test_a_retry_limit_holds_for_a_blocked_lane() -> None:
    """Facts 4.5, 4.7: what was tried counts, so a batch that has had more tries is given up at once."""
    world, tried = blocked(), len(BLOCKED_S)
    world.update(retry_attempts_max=1)
    assert world.run(1).sent == []
    assert world.discarded == [[0, 1, 2]]
    assert [deliver.discarded.attempts for _, deliver in world.documents] == [tried]


def test_a_retry_limit_above_what_was_tried_leaves_the_rest_of_it() -> None:
    """Facts 4.5, 4.7."""
    world, tried = blocked(), len(BLOCKED_S)
    world.update(retry_attempts_max=tried + 1)
    world.run(100)
    assert world.sent == [[0, 1, 2]] * 2
    assert [deliver.discarded.attempts for _, deliver in world.documents] == [tried + 2]


def test_a_batch_under_way_is_judged_by_the_settings_in_force_when_it_ends() -> None:
    """Facts 4.5, 4.7."""
    world = World(on_failure_destination_arn=QUEUE).start()
    world.answer, world.duration_s = raised, lambda _: 10.0
    world.put("a")
    world.run(5).update(retry_attempts_max=0).run(6)
    assert (world.sent, world.discarded) == ([[0]], [[0]])


def test_a_refused_batch_keeps_its_turn_and_its_id_over_an_update() -> None:
    """Facts 4.3, 4.7."""
    world = World(retry_attempts_max=0).start()
    world.answer = lambda invoke: Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
    world.put("a")
    world.run(3)
    sent = len(world.sent)
    world.update(bisect_batch_on_function_error=True)
    assert len(world.sent) == sent
    world.answer = succeeded
    world.run(3)
    assert len(set(world.request_ids)) == 1
    assert world.sent[-1] == [0]


def test_a_record_age_holds_for_a_blocked_lane() -> None:
    """Fact 4.25."""
    world = blocked()
    world.run(20).invokes.clear()
    world.update(record_age_s_max=60)
    assert world.run(1).sent == []
    assert world.discarded == [[0, 1, 2]]


def test_bisect_holds_for_a_blocked_lane() -> None:
    """Fact 4.19."""
    world = blocked()
    world.answer = lambda invoke: raised(invoke) if len(invoke.records) > 1 else succeeded(invoke)
    world.update(bisect_batch_on_function_error=True)
    assert world.run(1).sent == [[0], [1, 2], [1], [2]]


def test_a_destination_holds_for_a_blocked_lane() -> None:
    """Fact 5.1: any destination, also none."""
    for destination, documents in [("arn:aws:s3:::failures", 1), (None, 0)]:
        world = blocked()
        world.update(on_failure_destination_arn=destination, retry_attempts_max=0)
        assert len(world.run(1).documents) == documents
        assert world.checkpoints[-1].position == AfterSequenceNumber(FIRST + 2)


def test_a_batching_window_can_be_changed_while_records_wait() -> None:
    world = World(batching_window_s=300).start().run(1)
    world.put("a")
    assert world.run(100).sent == []
    assert world.update(batching_window_s=0).run(1).sent == [[0]]


def test_response_types_hold_from_the_change_on() -> None:
    """Fact 4.11."""
    world = World(batch_size=2).start()

    def second_fails(invoke: Any) -> Any:
        answer = f'{{"batchItemFailures":[{{"itemIdentifier":"{invoke.records[-1].sequence_number}"}}]}}'
        return Succeeded(invoke.request_id, answer.encode())

    world.answer = second_fails
    world.put("a", "a")
    world.run(1).update(report_batch_item_failures=True)
    world.put("a", "a")
    world.run(0.9)
    assert world.sent[:3] == [[0, 1], [2, 3], [3]]


def test_another_function_has_another_role_in_its_events() -> None:
    """Fact 1.7."""
    world = World().start().run(1)
    world.put("a")
    world.run(1)
    world.update(function_arn=FUNCTION + "-2", role_arn=ROLE + "-which-is-longer")
    world.put("a")
    world.run(1)
    assert [invoke.function_arn for _, invoke in world.invokes] == [FUNCTION, FUNCTION + "-2"]
    assert b"role/work-which-is-longer" in world.invokes[1][1].event()


def test_metrics_can_be_asked_for_while_it_runs() -> None:
    """Fact 8.10: opt-in."""
    world = World().start().run(3)
    assert world.metrics == []
    assert ("PolledEventCount", 0) in world.update(event_count_metrics=True).run(3).metrics


def test_an_update_of_a_disabled_mapping_holds_when_it_is_enabled() -> None:
    world = World(enabled=False).create()
    world.put(*"aaa")
    world.update(batch_size=1).update(enabled=True)
    assert world.run(3).sent == [[0], [1], [2]]


# Parallelization factor


def test_lanes_drain_before_a_new_factor_holds_so_a_key_is_never_in_two() -> None:
    """Facts 3.2, 3.6: what is under way ends first; then as many lanes as wanted run at once."""
    world = World(batch_size=1, parallelization_factor=1).start()
    world.duration_s = lambda _: 5.0
    world.put(*"abcdefghij")
    world.run(1)
    assert len(world.sent) == 1
    world.update(parallelization_factor=10).run(3.9)
    assert len(world.sent) == 1
    world.run(0.2)
    lanes = len(world.sent) - 1
    assert 3 <= lanes <= 9  # nine keys over ten lanes, by a hash
    world.update(parallelization_factor=1).run(4.8)
    assert len(world.sent) == lanes + 1
    world.run(60)
    assert sorted(world.sent) == [[number] for number in range(10)]


def test_a_poisoned_record_does_not_keep_a_new_factor_from_the_others() -> None:
    """Facts 3.4, 3.6: what waits for its retry is not under way."""
    world = World(batch_size=1).start()
    world.answer = lambda invoke: raised(invoke) if invoke.records[0].partition_key == "a" else succeeded(invoke)
    world.put(*"abcd")
    assert {number for batch in world.run(100).sent for number in batch} == {0}
    world.update(parallelization_factor=10).run(1)
    assert {number for batch in world.sent for number in batch} == {0, 1, 2, 3}


# Deleting


def test_a_deleted_mapping_reads_and_sends_nothing_more_and_is_gone() -> None:
    """Fact 2.7."""
    world = World(delays=SLOWLY).start().run(1)
    world.delete().run(1)
    assert not world.machine.gone
    world.put("a")
    world.run(1)
    assert world.machine.gone
    reads, sent = len(world.reads), list(world.sent)
    world.put("a")
    world.run(60)
    assert (len(world.reads), world.sent, world.machine.deadline) == (reads, sent, None)
