"""Which shards are read, from where, how often; reshards; checkpoints across a restart."""

from itertools import pairwise

import pytest

from infra.model.mapping import (
    AfterSequenceNumber,
    AtSequenceNumber,
    AwaitRecords,
    BeginAnew,
    CompleteShard,
    EventSourceMapping,
    Invoke,
    ListShards,
    Pace,
    Read,
    RequestIds,
    StartingPosition,
    Subscribe,
    Unsubscribe,
)
from infra.model.mapping.lineage import startable
from infra.model.stream import StreamRecord
from tests.support.mapping_witness import ScriptedShard
from tests.support.mapping_world import EPOCH_S, FIRST, ONE, STREAM, World, config, raised, succeeded

QUEUE = "arn:aws:sqs:us-east-1:111111111111:failures"
LEFT, RIGHT, MERGED = "shardId-000000000001", "shardId-000000000002", "shardId-000000000003"


# Starting positions


def test_trim_horizon_delivers_what_was_put_before_the_mapping_existed() -> None:
    """Facts 2.21, 2.23: three batches of ten, two before, one after, in order."""
    world = World(batch_size=10)
    world.put(*"a" * 20)
    world.start().run(5)
    world.put(*"a" * 10)
    assert world.run(5).sent == [list(range(10)), list(range(10, 20)), list(range(20, 30))]


def test_latest_delivers_only_what_is_put_after_polling_began() -> None:
    """Facts 2.21, 2.22."""
    world = World(starting_position="LATEST")
    world.put("a", "a")
    world.start().run(1)
    world.put("a")
    assert world.run(2).sent == [[2]]


def test_latest_stays_what_it_was_when_the_first_read_is_throttled() -> None:
    world = World(starting_position="LATEST")
    faults = iter(["throttled"])
    world.read_fault = lambda _: next(faults, None)
    world.put("a")
    world.start().run(0.5)
    world.put("a")
    assert world.run(5).sent == [[1]]


def test_at_timestamp_begins_with_the_first_record_at_or_after_it() -> None:
    """Fact 2.21."""
    world = World(starting_position="AT_TIMESTAMP", starting_position_timestamp_s=EPOCH_S - 10)
    world.put("a", age_s=20)
    world.put("a", age_s=10)
    world.put("a", age_s=5)
    assert world.start().run(2).sent == [[1, 2]]


# Rhythm


def test_an_idle_shard_is_read_once_per_second() -> None:
    """Fact 2.17."""
    world = World(shards=2).start().run(9.5)
    assert len(world.reads) == 2 * 10


def test_a_backlog_is_read_faster_but_leaves_reads_for_others() -> None:
    """Facts 2.17, 9.1: below five reads per second and shard."""
    world = World(batch_size=10_000, pace=Pace(held_records_max=10**6))
    world.put(*"a" * 60_000)
    world.start().run(10)
    times = [at for at, _ in world.reads]
    assert times[5] - times[0] == 1.25  # six reads of 10,000
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(times))


@pytest.mark.parametrize("read_on_put", [True, False])
def test_a_put_wakes_an_idle_shard_only_if_that_is_wanted(read_on_put: bool) -> None:
    """Fact 2.17: on AWS it waits for the next poll."""
    world = World(pace=Pace(read_on_put=read_on_put)).start().run(1.5)
    world.put("a")
    world.run(0.01)
    assert world.sent == ([[0]] if read_on_put else [])
    assert world.run(0.5).sent == [[0]]


def test_many_puts_do_not_use_up_the_reads_of_the_shard() -> None:
    world = World().start()
    for _ in range(200):
        world.put("a")
        world.run(0.05)
    assert len(world.reads) <= 41
    assert sum(map(len, world.run(1).sent)) == 200


def test_a_put_during_a_read_is_not_left_until_the_next_poll() -> None:
    world = World()
    world.read_s = 0.1
    world.start().run(0.05)
    world.put("a")
    world.run(0.05)
    assert world.sent == []
    world.run(0.3)
    assert world.sent == [[0]]


def test_a_throttled_read_is_repeated_from_the_same_position_and_uses_no_retry_quota() -> None:
    """Facts 2.9, 2.17."""
    world = World(retry_attempts_max=0, on_failure_destination_arn=QUEUE)
    faults = iter([None, "throttled", "AccessDenied", None])
    world.read_fault = lambda _: next(faults, None)
    world.put("a")
    world.start().run(0.9)
    world.put("a")
    world.run(5)
    assert world.sent == [[0], [1]]
    assert world.documents == []


def test_a_failed_read_is_shown_while_the_mapping_stays_enabled() -> None:
    """Fact 2.9."""
    world = World()
    world.read_fault = lambda _: "AccessDeniedException"
    world.start().run(3)
    assert world.machine.state == "Enabled"
    assert world.machine.last_processing_result == "PROBLEM: AccessDeniedException"


def test_a_failed_listing_is_repeated() -> None:
    world = World()
    commands = world.machine.start(EPOCH_S)
    assert len(commands) == 1
    assert world.machine.shards_not_listed(EPOCH_S, "ResourceNotFoundException") == []
    assert world.machine.last_processing_result == "PROBLEM: ResourceNotFoundException"
    assert world.machine.deadline == EPOCH_S + 1
    assert world.machine.wake_up(EPOCH_S + 1) == commands


# Reshards


def test_a_child_is_not_read_until_its_parent_is_completely_processed() -> None:
    """Fact 2.26: retries and the delivery of its documents included."""
    world = World(retry_attempts_max=2, on_failure_destination_arn=QUEUE)
    world.answer = lambda invoke: raised(invoke) if invoke.shard_id == ONE else succeeded(invoke)
    world.delivery_s = 2
    world.put("a")
    world.close()
    for child in (LEFT, RIGHT):
        world.add_shard(child, ONE)
        world.put("a", shard_id=child)
    world.start().run(60)
    assert world.sent[:3] == [[0]] * 3
    assert sorted(world.sent[3:]) == [[1], [2]]
    ended = world.documents[0][0] + 2
    assert min(at for at, read in world.reads if read.shard_id != ONE) >= ended
    assert world.completed == [ONE]


def test_the_children_of_a_split_run_side_by_side() -> None:
    """Fact 2.26."""
    world = World()
    world.duration_s = lambda _: 5.0
    world.close()
    for child in (LEFT, RIGHT):
        world.add_shard(child, ONE)
        world.put("a", shard_id=child)
    world.start().run(1)
    assert sorted(world.sent) == [[0], [1]]


def test_a_merged_child_waits_for_both_parents() -> None:
    """Fact 2.26."""
    world = World(shards=2)
    world.duration_s = lambda invoke: 20.0 if invoke.shard_id == LEFT else 1.0
    world.put("a", shard_id=ONE)
    world.put("a", shard_id=LEFT)
    world.close(ONE)
    world.close(LEFT)
    world.add_shard(MERGED, ONE, LEFT)
    world.put("a", shard_id=MERGED)
    world.start().run(15)
    assert world.completed == [ONE]
    assert sorted(world.sent) == [[0], [1]]
    world.run(10)
    assert world.completed == [ONE, LEFT]
    assert world.sent[-1] == [2]


def test_closed_shards_count_toward_concurrency_until_they_are_done() -> None:
    """Fact 8.5: (open and still unfinished closed shards) x factor."""
    world = World(shards=2, parallelization_factor=3, batch_size=1)
    world.duration_s = lambda _: 100.0
    keys = [f"key-{number}" for number in range(60)]
    for shard_id in (ONE, LEFT):
        world.put(*keys, shard_id=shard_id)
    world.close(LEFT)
    world.start().run(50)
    assert len(world.sent) == 2 * 3


def test_children_found_later_begin_at_trim_horizon_although_the_mapping_began_at_latest() -> None:
    """Fact 2.27: what was put before they were found is not lost."""
    world = World(starting_position="LATEST")
    world.put("a")
    world.start().run(5)
    world.put("a")
    world.close()
    for child in (LEFT, RIGHT):
        world.add_shard(child, ONE)
        world.put("a", shard_id=child)
    world.run(30)
    assert sorted(world.sent) == [[1], [2], [3]]


def test_children_are_looked_for_as_soon_as_their_parent_has_ended_and_read_as_soon_as_it_is_done() -> None:
    """Fact 2.26: not only at the next regular listing."""
    world = World(pace=Pace(list_interval_s=3_600.0))
    world.duration_s = lambda _: 2.0
    world.start().run(3.5)
    world.put("a")
    world.close()
    world.add_shard(LEFT, ONE)
    world.put("a", shard_id=LEFT)
    world.run(3)
    assert world.sent == [[0], [1]]
    assert world.gaps_s == [2.0]


def test_a_mapping_that_begins_at_latest_skips_closed_shards_and_begins_at_latest_in_their_children() -> None:
    """Facts 2.21, 2.27."""
    world = World(starting_position="LATEST")
    world.put("a")
    world.close()
    world.add_shard(LEFT, ONE)
    world.put("a", shard_id=LEFT)
    world.start().run(2)
    world.put("a", shard_id=LEFT)
    world.run(2)
    assert world.sent == [[2]]
    assert {read.shard_id for _, read in world.reads} == {LEFT}


def test_shards_opened_later_without_a_known_parent_are_found() -> None:
    """An on-demand stream grows; the listing is repeated."""
    world = World(starting_position="LATEST").start().run(3)
    world.add_shard(LEFT)
    world.put("a", shard_id=LEFT)
    assert world.run(11).sent == [[0]]


def test_parents_that_are_gone_from_the_listing_count_as_processed() -> None:
    child = ScriptedShard(LEFT, "shardId-long-gone")
    merged = ScriptedShard(MERGED, LEFT, RIGHT)
    assert list(startable([child, merged], read=(), completed=())) == [child]
    assert list(startable([child, merged], read=(), completed={LEFT})) == [merged]
    assert list(startable([merged], read={RIGHT}, completed={LEFT})) == []


def test_generations_of_shards_are_processed_in_order() -> None:
    """Fact 2.26, four generations, all there from the beginning."""
    world = World()
    for parent, child in [(ONE, LEFT), (LEFT, RIGHT), (RIGHT, MERGED)]:
        world.put("a", shard_id=parent)
        world.close(parent)
        world.add_shard(child, parent)
    world.put("a", shard_id=MERGED)
    world.start().run(10)
    assert world.sent == [[0], [1], [2], [3]]
    assert world.completed == [ONE, LEFT, RIGHT]


# Another stream of the same name


@pytest.mark.parametrize("fan_out", [False, True])
def test_a_listing_of_another_stream_forgets_the_first_when_what_is_under_way_has_ended(fan_out: bool) -> None:
    arn = {"event_source_arn": f"{STREAM}/consumer/it:1"} if fan_out else {}
    machine = EventSourceMapping(config(starting_position="LATEST", batch_size=1, **arn), RequestIds("seed"))
    machine.start(0.0)
    machine.shards_listed(0.0, [ScriptedShard(ONE, closed=True), ScriptedShard(LEFT, ONE)])
    assert machine.snapshot()["completed"] == [ONE]
    tell = machine.records_pushed if fan_out else machine.records_read
    records = [StreamRecord(FIRST + number, "a", b"x", 0) for number in range(2)]
    found = tell(1.0, LEFT, records, FIRST + 1, millis_behind_latest=0, end_of_shard=False)
    (invoke,) = (each for each in found if isinstance(each, Invoke))

    others = [ScriptedShard(ONE, starting_sequence_number=7)]
    commands = machine.shards_listed(11.0, others)
    assert commands == ([Unsubscribe(LEFT)] if fan_out else [])
    if fan_out:
        machine.subscription_ended(11.5, LEFT)
    else:
        machine.read_failed(11.5, LEFT, "ResourceNotFoundException")
    commands = machine.invocation_finished(12.0, invoke.invocation_id, succeeded(invoke))
    assert not any(isinstance(each, Invoke) for each in commands)
    assert commands[-1] == BeginAnew()
    assert machine.deadline == 12.0
    assert machine.wake_up(12.0) == [ListShards()]
    begun = machine.shards_listed(12.0, others)[-1]
    assert isinstance(begun, Subscribe if fan_out else Read)
    assert (begun.shard_id, begun.position) == (ONE, StartingPosition("TRIM_HORIZON"))
    later = EventSourceMapping(machine.config, RequestIds("later"), snapshot=machine.snapshot())
    later.start(20.0)
    kinds = {type(each) for each in later.shards_listed(20.0, others)}
    assert kinds == ({Subscribe} if fan_out else {AwaitRecords, Read})


def test_a_disabled_mapping_forgets_a_stream_that_is_another_one_when_it_is_enabled_again() -> None:
    machine = EventSourceMapping(config(), RequestIds("seed"))
    machine.start(0.0)
    machine.shards_listed(0.0, [ScriptedShard(ONE)])
    machine.update(1.0, enabled=False)
    machine.read_failed(1.0, ONE, "ResourceNotFoundException")
    machine.update(2.0, enabled=True)
    commands = machine.shards_listed(2.0, [ScriptedShard(ONE, starting_sequence_number=7)])
    assert commands == [BeginAnew()]
    assert machine.wake_up(2.0) == [ListShards()]
    assert machine.last_processing_result == "No records processed"


@pytest.mark.parametrize("fan_out", [False, True])
def test_a_shard_that_has_passed_out_of_retention_meanwhile_ends_with_what_was_read_of_it(fan_out: bool) -> None:
    """Facts 2.26, 4.2: a lane stood still for so long; else the children would wait for ever."""
    arn = {"event_source_arn": f"{STREAM}/consumer/it:1"} if fan_out else {}
    pace = Pace(held_records_max=2)
    machine = EventSourceMapping(config(batch_size=1, pace=pace, **arn), RequestIds("seed"))
    machine.start(0.0)
    machine.shards_listed(0.0, [ScriptedShard(ONE, closed=True), ScriptedShard(LEFT, ONE)])
    tell = machine.records_pushed if fan_out else machine.records_read
    records = [StreamRecord(FIRST + number, "a", b"x", 0) for number in range(3)]
    commands = tell(1.0, ONE, records, FIRST + 2, millis_behind_latest=1, end_of_shard=False)
    assert not any(isinstance(each, Read) for each in commands)
    if fan_out:
        assert commands[-1] == Unsubscribe(ONE)
        machine.subscription_ended(1.0, ONE)

    assert machine.shards_listed(90_000.0, [ScriptedShard(LEFT, ONE)]) == []
    for _ in records:
        (invoke,) = (each for each in commands if isinstance(each, Invoke))
        commands = machine.invocation_finished(90_001.0, invoke.invocation_id, succeeded(invoke))
    assert CompleteShard(ONE) in commands
    assert {each.shard_id for each in commands if isinstance(each, Read | Subscribe)} == {LEFT}


# Restart


def test_a_restart_goes_on_at_the_checkpoint() -> None:
    """Facts 2.24, 3.5: the starting position is used once."""
    world = World(batch_size=2)
    world.put(*"aaaa")
    world.duration_s = lambda _: 1.0
    world.start().run(1.5)
    assert world.sent == [[0, 1], [2, 3]]
    again = world.restarted()
    again.start().run(5)
    assert again.reads[0][1].position == AtSequenceNumber(FIRST + 2)
    assert again.sent == [[2, 3]]
    assert again.machine.snapshot()["shards"] == {
        ONE: {"type": "AFTER_SEQUENCE_NUMBER", "sequence_number": str(FIRST + 3)}
    }


def test_a_restart_knows_completed_shards_and_begins_new_ones_at_trim_horizon() -> None:
    """Fact 2.27."""
    world = World(starting_position="LATEST").start().run(2)
    world.put("a")
    world.close()
    world.add_shard(LEFT, ONE)
    world.run(5)
    again = world.restarted()
    again.add_shard(RIGHT)
    again.start().run(5)
    firsts = {read.shard_id: read.position for _, read in reversed(again.reads)}
    assert firsts == {LEFT: StartingPosition("TRIM_HORIZON"), RIGHT: StartingPosition("TRIM_HORIZON")}


def test_a_restart_after_everything_goes_on_after_the_last_record() -> None:
    world = World()
    world.put("a")
    world.start().run(2)
    again = world.restarted()
    again.start().run(2)
    assert again.reads[0][1].position == AfterSequenceNumber(FIRST)
    assert again.sent == []


def test_after_stop_nothing_begins_and_results_still_move_the_checkpoint() -> None:
    world = World(batch_size=1)
    world.duration_s = lambda _: 5.0
    world.put("a", "a")
    world.start().run(1)
    world.machine.stop()
    settled = [world.machine.settled]
    world.run(60)
    settled.append(world.machine.settled)
    assert settled == [False, True]
    assert world.sent == [[0]]
    assert world.machine.deadline is None
    assert world.checkpoints[-1].position == AtSequenceNumber(FIRST + 1)
