"""Filters in a running mapping: what they drop is processed."""

import base64
import json
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber, Checkpoint, Pace
from tests.support.mapping_world import FIRST, ONE, World, raised

SALES = '{"data":{"type":["sale"]}}'
SALE, VISIT, JUNK = b'{"type":"sale", "n":1.0}', b'{"type":"visit"}', b"x" * 5_000
CHILD = "shardId-000000000001"


def put(world: World, *data: bytes, key: str = "a", shard_id: str = ONE) -> list[int]:
    """One record each. The witness is told which of them will be dropped: these are processed without anyone seeing."""
    numbers = []
    for each in data:
        numbers += world.put(key, data=each, shard_id=shard_id)
        if each in (VISIT, JUNK):
            world.witness.settled_before.add((shard_id, numbers[-1]))
    return numbers


def filtered(*data: bytes, **settings: Any) -> World:
    world = World(**{"filters": (SALES,), "event_count_metrics": True, **settings})
    put(world, *data)
    return world


def test_dropped_records_count_for_no_batch() -> None:
    """Fact 2.14: neither toward the batch size nor toward the payload."""
    world = filtered(*[VISIT, SALE, VISIT, VISIT] * 3, batch_size=2)
    assert world.start().run(2).sent == [[1, 5], [9]]
    large = filtered(SALE, JUNK, VISIT, JUNK, SALE, pace=Pace(event_bytes_max=1_500))
    assert large.start().run(2).sent == [[0, 4]]


def test_dropped_records_do_not_fill_a_batch_within_its_window() -> None:
    """Facts 2.14, 6.5."""
    world = filtered(VISIT, VISIT, SALE, batch_size=2, batching_window_s=20)
    world.start().run(19)
    assert world.sent == []
    assert world.run(2).sent == [[2]]


def test_the_checkpoint_moves_past_dropped_records() -> None:
    """Fact 6.5: before, between and behind those that matched."""
    world = filtered(VISIT, SALE, VISIT, SALE, VISIT, batch_size=1)
    world.duration_s = lambda _: 1.0
    world.start().run(5)
    assert world.checkpoints == [
        Checkpoint(ONE, AtSequenceNumber(FIRST + 1)),
        Checkpoint(ONE, AtSequenceNumber(FIRST + 3)),
        Checkpoint(ONE, AfterSequenceNumber(FIRST + 4)),
    ]


def test_a_mapping_that_drops_everything_moves_its_checkpoint_and_completes_its_shards() -> None:
    """Facts 6.5, 2.26: without an invocation."""
    world = filtered(VISIT, VISIT)
    world.close()
    world.add_shard(CHILD, ONE)
    put(world, VISIT, shard_id=CHILD)
    world.start().run(5)
    assert world.sent == []
    assert world.completed == [ONE]
    assert world.checkpoints == [
        Checkpoint(ONE, AfterSequenceNumber(FIRST + 1)),
        Checkpoint(CHILD, AfterSequenceNumber(FIRST + 2)),
    ]
    again = world.restarted().start().run(3)
    assert again.reads[0][1].position == AfterSequenceNumber(FIRST + 2)


def test_records_are_polled_before_and_filtered_out_after_reading() -> None:
    """Fact 8.10."""
    world = filtered(VISIT, SALE, VISIT)
    world.start().run(0.5)
    assert world.total("PolledEventCount") == 3
    assert world.total("FilteredOutEventCount") == 2
    assert world.total("InvokedEventCount") == 1
    assert world.total("DroppedEventCount") == 0


def test_without_filters_nothing_is_looked_at() -> None:
    """Fact 6.4: whatever the data; and there is no FilteredOutEventCount."""
    world = World(event_count_metrics=True)
    world.put("a", data=b"\xff")
    assert world.start().run(1).sent == [[0]]
    assert "FilteredOutEventCount" not in {name for name, _ in world.metrics}


def test_what_is_delivered_are_the_original_bytes() -> None:
    """Fact 6.6: filtering parses the data and does not write it again."""
    data = b' {"type" : "sale",\n "n":1.0, "n":1e0, "\\u0061":"\\u00e9"} '
    world = filtered(data).start().run(1)
    [record] = json.loads(world.invokes[0][1].event())["Records"]
    assert base64.b64decode(record["kinesis"]["data"]) == data


def test_an_aggregate_of_the_producer_library_is_dropped() -> None:
    """Fact 6.9: with a standard iterator it is one record, and no JSON, although what is in it would match."""
    aggregator = RecordAggregator()
    for number in range(3):
        aggregator.add_user_record(f"key-{number}", SALE)
    _, _, aggregate = aggregator.clear_and_get().get_contents()
    world = filtered(aggregate).start().run(2)
    assert world.sent == []
    assert world.machine.totals["FilteredOutEventCount"] == 1


def test_a_failing_batch_is_discarded_without_the_records_that_were_dropped() -> None:
    world = filtered(
        VISIT,
        SALE,
        VISIT,
        SALE,
        retry_attempts_max=0,
        on_failure_destination_arn="arn:aws:sqs:us-east-1:111111111111:q",
    )
    world.answer = raised
    world.start().run(2)
    assert world.discarded == [[1, 3]]
    assert json.loads(world.documents[0][1].body())["KinesisBatchInfo"]["batchSize"] == 2


def test_changed_filters_hold_for_what_is_read_from_then_on() -> None:
    world = filtered(VISIT, SALE).start().run(2)
    world.update(filters=('{"data":{"type":["visit"]}}',))
    [dropped] = put(world, SALE)
    world.witness.settled_before.add((ONE, dropped))
    put(world, VISIT)
    assert world.run(2).sent == [[1], [3]]
    world.update(filters=())
    put(world, SALE)
    assert world.run(2).sent[-1] == [4]


@pytest.mark.parametrize("factor", [1, 3])
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.booleans(), st.sampled_from([0.0, 0.4, 3.0])), min_size=1, max_size=25
    ),
    st.integers(1, 5),
    st.lists(st.booleans(), max_size=8),
)
def test_every_matching_record_is_delivered_and_no_other(
    factor: int, puts: list[tuple[str, bool, float]], batch_size: int, failures: list[bool]
) -> None:
    """Facts 6.5, 2.14: order, lanes and checkpoints are checked by the world's witness."""
    world = filtered(
        parallelization_factor=factor,
        batch_size=batch_size,
        on_failure_destination_arn="arn:aws:s3:::failures",
    )
    outcomes = iter(failures)
    fine = world.answer
    world.answer = lambda invoke: (raised if next(outcomes, False) else fine)(invoke)
    world.start()
    wanted: set[int] = set()
    for key, matching, wait_s in puts:
        numbers = put(world, SALE if matching else VISIT, key=key)
        wanted.update(numbers if matching else [])
        world.run(wait_s)
    world.close()
    world.run(500)
    assert {number for _, number in world.settled} == wanted
    assert world.completed == [ONE]
    assert world.machine.totals["FilteredOutEventCount"] == len(puts) - len(wanted)
