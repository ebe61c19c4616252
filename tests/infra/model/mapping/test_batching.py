"""How batches are formed: size, window, payload quota, lanes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.mapping import Pace, Read
from infra.model.mapping.batch import batch_length
from infra.model.mapping.config import EVENT_BYTES_MAX
from infra.model.mapping.events import ENVELOPE_BYTES
from infra.model.mapping.shard import lane_of
from tests.support.mapping_world import ONE, World, config, raised, succeeded

MIB = 1024 * 1024


def test_a_batch_holds_batch_size_records_at_most_and_the_rest_follows() -> None:
    """Fact 2.11."""
    world = World(batch_size=3)
    world.put(*"aaaaaaaa")
    assert world.start().run(1).sent == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_without_a_window_one_record_is_sent_at_once() -> None:
    """Fact 2.12."""
    world = World().start().run(5)
    world.put("a")
    world.run(0.25)  # five reads per second and shard
    assert world.sent == [[0]]


def test_with_a_window_records_are_gathered_until_it_ends() -> None:
    """Fact 2.11."""
    world = World(batching_window_s=10).start()
    for _ in range(4):
        world.run(2)
        world.put("a")
    assert world.sent == []
    world.run(3)
    assert world.sent == [[0, 1, 2, 3]]


def test_a_full_batch_does_not_wait_for_the_window() -> None:
    """Fact 2.11."""
    world = World(batching_window_s=300, batch_size=2).start().run(1.5)
    world.put(*"aaa")
    assert world.run(1).sent == [[0, 1]]


def test_the_window_begins_again_when_the_previous_invocation_ends() -> None:
    """Fact 2.13: neither on a fixed grid nor with the first record."""
    world = World(batching_window_s=10)
    world.duration_s = lambda _: 7.0
    world.put("a")
    world.start().run(11)  # sent at 10, ends at 17
    assert world.sent == [[0]]
    world.run(9)
    world.put("a")  # at 20
    world.run(6.9)
    assert len(world.sent) == 1
    world.run(0.2)
    assert world.sent == [[0], [1]]
    assert world.gaps_s == [17.0]


def test_an_idle_lane_whose_window_is_long_over_sends_at_once() -> None:
    """Fact 2.13, read literally: the window that began after the last invocation has elapsed."""
    world = World(batching_window_s=10).start().run(60)
    world.put("a")
    world.run(0.3)
    assert world.sent == [[0]]


def test_four_records_of_one_mebibyte_fit_and_five_do_not() -> None:
    """Facts 1.12, 1.13."""
    world = World()
    world.put(*"aaaaa", data=bytes(MIB))
    assert world.start().run(5).sent == [[0, 1, 2, 3], [4]]


def test_the_payload_quota_counts_to_the_byte() -> None:
    """Fact 1.13: 6,291,556 bytes, envelope and commas included."""
    room = EVENT_BYTES_MAX - ENVELOPE_BYTES
    limits = {"records_max": 100, "event_bytes_max": EVENT_BYTES_MAX}
    assert batch_length([room - 10, 10, 1], room + 1, **limits) == 2
    assert batch_length([room - 10, 11, 1], room + 2, **limits) == 1
    world = World(pace=Pace(event_bytes_max=10_000))
    world.put(*"aa", data=bytes(3_000))
    size = len(world.start().run(1).invokes[0][1].event())
    for limit, expected in [(size, [[0, 1]]), (size - 1, [[0], [1]])]:
        exact = World(pace=Pace(event_bytes_max=limit))
        exact.put(*"aa", data=bytes(3_000))
        assert exact.start().run(1).sent == expected


def test_a_full_payload_does_not_wait_for_the_window() -> None:
    """Fact 2.11."""
    world = World(batching_window_s=300).start().run(1.5)
    world.put(*"aaaaa", data=bytes(MIB))
    assert world.run(1).sent == [[0, 1, 2, 3]]


@given(st.lists(st.integers(1, 100), min_size=1), st.integers(1, 10), st.integers(50, 300))
def test_a_batch_is_the_longest_front_that_fits(sizes: list[int], records_max: int, event_bytes_max: int) -> None:
    length = batch_length(sizes, sum(sizes), records_max=records_max, event_bytes_max=event_bytes_max)
    assert 1 <= length <= min(records_max, len(sizes))
    assert length == 1 or sum(sizes[:length]) + ENVELOPE_BYTES <= event_bytes_max
    if length < min(records_max, len(sizes)):
        assert sum(sizes[: length + 1]) + ENVELOPE_BYTES > event_bytes_max


def test_a_record_too_large_for_any_event_uses_the_retry_quota_and_never_reaches_the_function() -> None:
    """Facts 1.14, 1.15, 4.4: MaximumRetryAttempts 2 makes three attempts; the next record is delivered."""
    for retries, attempts in [(0, 1), (2, 3)]:
        world = World(retry_attempts_max=retries, on_failure_destination_arn="arn:aws:sqs:us-east-1:111111111111:q")
        world.put("a")
        world.put("a", data=bytes(5 * MIB))
        world.put("a")
        world.start().run(5)
        assert world.sent == [[0], [2]]
        assert world.discarded == [[1]]
        assert world.documents[0][1].discarded.attempts == attempts


def test_the_largest_record_that_can_be_delivered_is_delivered() -> None:
    """Fact 1.15: about 4.71 MB."""
    world = World(retry_attempts_max=0)
    world.put("a", data=bytes(4_718_000))
    world.put("a", data=bytes(4_719_000))
    assert world.start().run(5).sent == [[0]]


def test_invocations_of_a_lane_are_serial() -> None:
    """Fact 2.15: two batches of ten, five seconds each."""
    world = World(batch_size=10)
    world.duration_s = lambda _: 5.0
    world.put(*"a" * 20)
    world.start().run(20)
    assert [len(batch) for batch in world.sent] == [10, 10]
    assert world.gaps_s == [5.0]


def test_lanes_run_side_by_side_and_each_key_stays_in_its_own() -> None:
    """Facts 3.1, 3.2, 3.4; all records of an invocation come from one shard (1.10)."""
    world = World(parallelization_factor=4, shards=2, batch_size=5)
    world.duration_s = lambda _: 10.0
    keys = [f"key-{number}" for number in range(200)]
    for shard_id in world.shards:
        world.put(*keys, shard_id=shard_id)
    world.start().run(1)
    assert len(world.sent) == 8  # shards x factor
    for _, invoke in world.invokes:
        assert len({lane_of(record.partition_key, 4) for record in invoke.records}) == 1
    world.run(1000)
    assert sum(map(len, world.sent)) == 400


@pytest.mark.parametrize("settings", [{}, {"batching_window_s": 3}, {"parallelization_factor": 3}])
def test_an_invocation_has_records_of_one_shard_only(settings: dict[str, Any]) -> None:
    """Fact 1.10: three shards with the same keys, arrival times and interleaved numbers, and batches with room for all."""
    world = World(shards=3, batch_size=1_000, **settings)
    world.duration_s = lambda _: 2.0
    world.start()
    put: dict[str, set[int]] = {shard_id: set() for shard_id in world.shards}
    for _ in range(12):
        for shard_id in world.shards:
            put[shard_id].update(world.put("a", "b", "c", shard_id=shard_id))
        world.run(0.4)
    world.run(10)
    for _, invoke in world.invokes:
        ids = [record["eventID"].split(":") for record in json.loads(invoke.event())["Records"]]
        [shard_id] = {shard_id for shard_id, _ in ids}
        assert {int(number) for _, number in ids} <= put[shard_id]
    assert sum(len(batch) for batch in world.sent) == 3 * 12 * 3
    assert max(len(batch) for batch in world.sent) > 3, "nothing is gathered: the test shows nothing"


def test_under_one_outer_partition_key_a_factor_has_no_use() -> None:
    """Fact 3.11: as with the producer library's aggregates, when all of them have the same outer key."""
    world = World(parallelization_factor=10, batch_size=5)
    world.duration_s = lambda _: 1.0
    world.put(*["a"] * 50)
    world.start().run(30)
    assert world.gaps_s == [1.0] * 9


def test_a_poisoned_lane_leaves_the_others_running() -> None:
    """Fact 3.4."""
    world = World(parallelization_factor=2)
    poisoned = next(f"p{n}" for n in range(99) if lane_of(f"p{n}", 2) == 0)
    healthy = next(f"h{n}" for n in range(99) if lane_of(f"h{n}", 2) == 1)
    world.answer = lambda invoke: (raised if invoke.records[0].partition_key == poisoned else succeeded)(invoke)
    world.put(poisoned, healthy)
    world.start().run(2)
    world.put(healthy)
    world.run(2)
    assert [1] in world.sent
    assert [2] in world.sent
    assert world.sent.count([0]) > 3


def test_the_lane_of_a_key_never_changes_and_lanes_are_used_evenly() -> None:
    """Fact 3.3: a stable hash of the partition key (pinned: an upgrade must not move keys)."""
    assert [lane_of(key, 10) for key in ("tenant-1", "tenant-2", "é", "\ud800")] == [9, 5, 6, 3]
    counts = [0] * 10
    for number in range(10_000):
        counts[lane_of(f"tenant-{number}", 10)] += 1
    assert min(counts) > 900
    assert max(counts) < 1_100


@pytest.mark.parametrize("factor", [1, 3])
def test_reading_stops_while_too_much_is_unsettled_and_goes_on_afterwards(factor: int) -> None:
    world = World(batch_size=10, parallelization_factor=factor, pace=Pace(held_records_max=100, held_bytes_max=10**9))
    world.duration_s = lambda _: 1.0
    world.put(*(f"key-{number % 50}" for number in range(1_000)))
    world.start()
    for _ in range(400):
        world.run(0.5)
        shard = world.machine._shards[ONE]
        assert shard.held_records <= 100
        assert shard.held_records == len(world.shards[ONE].records) - len(world.settled) - _unread(world)
    assert sum(map(len, world.sent)) == 1_000


def test_reading_stops_while_too_many_bytes_are_unsettled() -> None:
    world = World(batch_size=1, pace=Pace(held_bytes_max=100_000, event_bytes_max=20_000))
    world.duration_s = lambda _: 0.1
    world.put(*"a" * 300, data=bytes(3_000))
    held = []

    def looking(_: Read) -> None:
        held.append(world.machine._shards[ONE].held_bytes)

    world.read_fault = looking
    world.start().run(60)
    assert max(held) <= 50_000
    assert len(world.sent) == 300


def test_two_full_batches_of_every_lane_may_be_held() -> None:
    """Whatever the limits, the next batch can be gathered while one is under way."""
    largest = config(batch_size=10_000, parallelization_factor=10)
    assert largest.held_records_max == 200_000
    assert largest.held_bytes_max == 20 * EVENT_BYTES_MAX
    assert (config().held_records_max, config().held_bytes_max) == (20_000, 32 * MIB)


def _unread(world: World) -> int:
    position = world.machine._shards[ONE].position
    assert isinstance(position, int)
    return sum(record.sequence_number > position for record in world.shards[ONE].records)


@pytest.mark.parametrize("short_by", [0, 1, ENVELOPE_BYTES])
def test_a_batch_that_fills_the_payload_quota_to_the_byte_waits_and_one_byte_more_ends_the_wait(short_by: int) -> None:
    """Facts 1.12, 2.11: what counts is the whole event, its envelope included."""
    whole = World()
    whole.put("a", "a", "a")
    whole.start().run(1)
    event_bytes = len(whole.invokes[0][1].event())

    world = World(batching_window_s=60, pace=Pace(event_bytes_max=event_bytes - short_by))
    world.put("a", "a", "a")
    world.start().run(59)
    assert world.sent == ([] if not short_by else [[0, 1]])
    world.run(120)
    assert world.sent == ([[0, 1, 2]] if not short_by else [[0, 1], [2]])
