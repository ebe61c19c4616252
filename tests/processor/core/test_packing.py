"""Packing: every event in exactly one Kinesis record, in order per key, within limits, readable by the processor."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.aggregate_format import AggregatedRecord
from processor.core.packing import (
    HASH_KEYS,
    MAGIC,
    RECORD_BYTES_MAX,
    Packed,
    Packer,
    PackingSettings,
    UnpackableError,
    frame,
    lane_keys,
    lane_of,
    varint,
)
from processor.core.records import KinesisRecord, deaggregate

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
EVENTS = st.lists(st.tuples(KEYS, st.binary(max_size=300).filter(lambda data: not data.startswith(MAGIC))), max_size=60)
SETTINGS = st.builds(
    PackingSettings,
    aggregate=st.one_of(st.none(), st.integers(1, 20)),
    lanes=st.integers(1, 8),
    record_bytes=st.integers(100, 2000),
)


def pack(settings: PackingSettings, events: list[tuple[str, bytes]]) -> list[Packed[int]]:
    packer: Packer[int] = Packer(settings)
    done = [record for i, (key, data) in enumerate(events) for record in packer.add(key, data, i, 0.0)]
    return done + packer.flush()


def users(record: Packed[int]) -> list[tuple[str, bytes]]:
    arrived = KinesisRecord("shardId-000000000000", "1", record.partition_key, 0, record.data)
    return [(user.partition_key, user.data) for user in deaggregate(arrived)]


@given(SETTINGS, EVENTS)
def test_every_event_is_in_exactly_one_record_and_comes_out_as_it_went_in(
    settings: PackingSettings, events: list[tuple[str, bytes]]
) -> None:
    found: dict[int, tuple[str, bytes]] = {}
    for record in pack(settings, events):
        if not record.aggregated:
            (tag,) = record.members
            assert tag not in found
            found[tag] = (record.partition_key, record.data)
            continue
        for tag, user in zip(record.members, users(record), strict=True):
            assert tag not in found
            found[tag] = user
    assert found == dict(enumerate(events))


@given(SETTINGS, EVENTS)
def test_events_of_one_key_keep_their_order_in_one_sequence_of_records(
    settings: PackingSettings, events: list[tuple[str, bytes]]
) -> None:
    order: dict[str, list[int]] = defaultdict(list)
    order_keys: dict[str, set[str]] = defaultdict(set)
    for record in pack(settings, events):
        for tag in record.members:
            order[events[tag][0]].append(tag)
            order_keys[events[tag][0]].add(record.order_key)
    assert all(tags == sorted(tags) for tags in order.values())
    assert all(len(keys) == 1 for keys in order_keys.values())


@given(SETTINGS, EVENTS)
def test_records_stay_within_the_number_and_the_bytes_they_are_allowed(
    settings: PackingSettings, events: list[tuple[str, bytes]]
) -> None:
    for record in pack(settings, events):
        assert record.size <= RECORD_BYTES_MAX
        assert len(record.members) <= (settings.aggregate or 1)
        if record.aggregated and len(record.members) > 1:
            assert len(record.data) <= settings.record_bytes


@given(EVENTS)
def test_an_aggregate_is_byte_for_byte_what_the_generated_classes_would_write(events: list[tuple[str, bytes]]) -> None:
    for record in pack(PackingSettings(aggregate=1000, lanes=2), events):
        oracle = AggregatedRecord()
        oracle.explicit_hash_key_table.append(record.explicit_hash_key)
        keys: dict[str, int] = {}
        for tag in record.members:
            key, data = events[tag]
            oracle.records.add(
                partition_key_index=keys.setdefault(key, len(keys)), explicit_hash_key_index=0, data=data
            )
        oracle.partition_key_table.extend(keys)
        assert record.data == frame(oracle.SerializeToString())


@given(SETTINGS, EVENTS)
def test_events_added_together_make_the_same_records_as_one_by_one(
    settings: PackingSettings, events: list[tuple[str, bytes]]
) -> None:
    packer: Packer[int] = Packer(settings)
    together = list(packer.add_all(((key, data, tag) for tag, (key, data) in enumerate(events)), 0.0))
    assert together + packer.flush() == pack(settings, events)


def test_an_event_that_no_record_can_hold_ends_those_added_together_behind_the_ones_before_it() -> None:
    packer: Packer[int] = Packer(PackingSettings(aggregate=1))
    records = packer.add_all([("key", b"1", 1), ("k" * 300, b"2", 2), ("key", b"3", 3)], 0.0)
    assert next(records).members == (1,)
    with pytest.raises(UnpackableError):
        next(records)
    assert packer.flush() == []


@given(SETTINGS, EVENTS)
def test_packing_the_same_events_again_gives_the_same_records(
    settings: PackingSettings, events: list[tuple[str, bytes]]
) -> None:
    assert pack(settings, events) == pack(settings, events)


@given(st.integers(0, 2**63))
def test_a_varint_is_what_protobuf_reads(value: int) -> None:
    encoded = varint(value)
    decoded = sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(encoded))
    assert decoded == value
    assert all(byte & 0x80 for byte in encoded[:-1])
    assert not encoded[-1] & 0x80


@pytest.mark.parametrize("lanes", [1, 2, 8, 16, 64])
@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_lanes_are_spread_evenly_over_equal_shards(lanes: int, shards: int) -> None:
    counts = [0] * shards
    for lane in range(lanes):
        counts[int(lane_keys(lane, lanes)[1]) * shards // HASH_KEYS] += 1
    assert max(counts) - min(counts) <= (0 if lanes >= shards else 1)


def test_the_lane_of_a_key_is_the_same_in_every_process_and_version() -> None:
    assert [lane_of(key, 16) for key in ("customer-7", "a", "κλειδί")] == [10, 15, 2]


def test_the_outer_key_and_the_users_keys_hash_to_the_lanes_shard_for_consumers_that_check_the_range() -> None:
    record = pack(PackingSettings(), [("customer-7", b"x")])[0]
    message = AggregatedRecord.FromString(record.data[4:-16])
    assert list(message.explicit_hash_key_table) == [record.explicit_hash_key]
    assert message.records[0].HasField("explicit_hash_key_index")


@pytest.mark.parametrize("aggregate", [None, 100])
@pytest.mark.parametrize(
    ("key", "data", "reason"),
    [
        ("k", bytes(RECORD_BYTES_MAX), "event_too_large"),
        ("", b"x", "bad_partition_key"),
        ("k" * 257, b"x", "bad_partition_key"),
        ("\ud800", b"x", "bad_partition_key"),
        ("k", MAGIC + b"x", "nested_aggregate"),
    ],
)
def test_an_event_that_no_record_can_hold_is_refused_and_disturbs_nothing(
    aggregate: int | None, key: str, data: bytes, reason: str
) -> None:
    packer: Packer[str] = Packer(PackingSettings(aggregate=aggregate, lanes=1))
    before = packer.add("k", b"first", "first", 0.0)
    with pytest.raises(UnpackableError) as raised:
        packer.add(key, data, "bad", 0.0)
    assert raised.value.reason == reason
    records = before + packer.add("k", b"last", "last", 0.0) + packer.flush()
    assert [tag for record in records for tag in record.members] == ["first", "last"]


def test_the_largest_event_that_fits_alone_is_packed_and_one_byte_more_is_refused() -> None:
    packer: Packer[None] = Packer(PackingSettings(lanes=1))
    fits, refused = 0, RECORD_BYTES_MAX
    while refused - fits > 1:
        size = (fits + refused) // 2
        try:
            packer.add("k", bytes(size), None, 0.0)
            fits = size
        except UnpackableError:
            refused = size
    records = packer.flush()
    assert max(record.size for record in records) <= RECORD_BYTES_MAX
    packer.add("k", bytes(fits), None, 0.0)
    assert packer.flush()[0].size == RECORD_BYTES_MAX


def test_an_aggregate_waits_for_company_no_longer_than_it_may() -> None:
    packer: Packer[int] = Packer(PackingSettings(lanes=1, linger_s=0.5))
    assert packer.deadline_s() is None
    packer.add("k", b"1", 1, 10.0)
    packer.add("k", b"2", 2, 10.4)
    assert packer.deadline_s() == 10.5
    assert packer.due(10.49) == []
    assert [record.members for record in packer.due(10.5)] == [(1, 2)]
    assert packer.due(11.0) == []


def test_what_waits_in_a_lane_can_be_seen() -> None:
    packer: Packer[int] = Packer(PackingSettings(lanes=1))
    packer.add("k", b"1", 1, 0.0)
    assert list(packer.waiting("k")) == [1]
    packer.flush()
    assert list(packer.waiting("k")) == []


def test_closing_the_lane_of_a_key_closes_no_other_lane() -> None:
    packer: Packer[str] = Packer(PackingSettings(lanes=16))
    assert lane_of("customer-7", 16) != lane_of("a", 16)
    packer.add("customer-7", b"1", "here", 0.0)
    packer.add("a", b"1", "elsewhere", 0.0)
    assert [record.members for record in packer.close_lane_of("customer-7")] == [("here",)]
    assert packer.close_lane_of("customer-7") == []
    assert [record.members for record in packer.flush()] == [("elsewhere",)]
