"""Quotas per shard with time moved by hand: AWS's figures, AWS's penalties, AWS's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.sequence import HASH_KEYS
from infra.model.stream import Entry, Position, Refused, Stream, Throttled, Written

T = 1_700_000_000.0
MIB = 1024 * 1024
FIRST = "shardId-000000000000"
WORDS = f"Rate exceeded for shard {FIRST} in stream orders under account 111111111111."


def make(shard_count: int = 1, *, record_size_kib_max: int = 1024) -> Stream:
    return Stream(
        "orders",
        account_id="111111111111",
        region="eu-west-1",
        shard_count=shard_count,
        now=T,
        record_size_kib_max=record_size_kib_max,
    )


def taken(stream: Stream, entries: list[Entry], now: float) -> int:
    return sum(isinstance(outcome, Written) for outcome in stream.put(entries, now))


def refused_until(stream: Stream, position: Position, now: float, limit: int = 10_000) -> float | None:
    try:
        stream.read(position, limit, now)
    except Throttled as throttled:
        assert throttled.message == WORDS
        assert throttled.code == "ProvisionedThroughputExceededException"
        return throttled.ready_at_s
    return None


# ---- write


def test_a_shard_takes_a_thousand_records_a_second_and_refuses_the_rest_one_by_one() -> None:
    """Facts 9.1, 9.5."""
    stream = make()
    assert taken(stream, [Entry("k", b"")] * 500, T) == 500
    assert taken(stream, [Entry("k", b"")] * 500, T) == 500
    outcomes = stream.put([Entry("k", b"")] * 3, T)
    assert outcomes == [Refused(WORDS)] * 3
    assert taken(stream, [Entry("k", b"")] * 500, T + 0.25) == 250


def test_a_shard_takes_a_mebibyte_a_second_with_partition_keys_counted() -> None:
    """Fact 9.1."""
    stream = make()
    entries = [Entry("k" * 48, bytes(2_000))] * 400  # 2,048 bytes each: 512 of them are a mebibyte
    assert taken(stream, entries, T) == 400
    assert taken(stream, entries, T) == 112
    assert taken(stream, entries, T + 0.5) == 256


def test_one_hot_shard_leaves_the_others_their_quota() -> None:
    """Facts 9.1, 9.5."""
    stream = make(2)
    hot, cold = Entry("k", b"", 0), Entry("k", b"", HASH_KEYS - 1)
    assert taken(stream, [hot] * 500, T) + taken(stream, [hot] * 500, T) == 1_000
    outcomes = stream.put([hot, cold, hot, cold], T)
    assert [type(outcome) for outcome in outcomes] == [Refused, Written, Refused, Written]


def test_a_small_record_is_taken_after_a_large_one_was_refused_in_the_same_put() -> None:
    """Fact 9.5."""
    stream = make()
    outcomes = stream.put([Entry("k", bytes(600_000)), Entry("k", bytes(600_000)), Entry("k", bytes(1_000))], T)
    assert [type(outcome) for outcome in outcomes] == [Written, Refused, Written]


def test_a_record_above_a_mebibyte_needs_a_rested_shard_and_is_paid_for() -> None:
    """Fact 9.4: large records draw on burst capacity."""
    stream = make(record_size_kib_max=10_240)
    assert taken(stream, [Entry("k", bytes(4 * MIB - 1))], T) == 1
    assert taken(stream, [Entry("k", b"")], T + 2.9) == 0
    assert taken(stream, [Entry("k", b"")], T + 3.1) == 1
    assert taken(stream, [Entry("k", bytes(4 * MIB - 1))], T + 3.5) == 0
    assert taken(stream, [Entry("k", bytes(4 * MIB - 1))], T + 5) == 1


def test_a_child_shard_has_its_own_quota() -> None:
    stream = make()
    for _ in range(2):
        stream.put([Entry("k", b"")] * 500, T)
    assert taken(stream, [Entry("k", b"")], T) == 0
    stream.split(FIRST, HASH_KEYS // 2, T)
    assert taken(stream, [Entry("k", b"")] * 500, T) == 500


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 300), st.integers(0, 5_000)), max_size=40))
def test_a_shard_never_takes_more_than_a_second_of_burst_above_its_rate(steps: list[tuple[float, int, int]]) -> None:
    stream, now, records, size = make(), T, 0, 0
    for pause_s, n, data_bytes in steps:
        now += pause_s
        got = taken(stream, [Entry("key", bytes(data_bytes))] * n, now)
        records += got
        size += got * (data_bytes + 3)
        assert records <= 1_000 * (1 + now - T) + 0.01
        assert size <= MIB * (1 + now - T) + 1


# ---- read


def test_a_shard_is_read_five_times_a_second() -> None:
    """Fact 9.1."""
    stream, position = make(), Position(FIRST, 0)
    assert [refused_until(stream, position, T) for _ in range(5)] == [None] * 5
    assert refused_until(stream, position, T) == pytest.approx(T + 0.2)
    assert refused_until(stream, position, T + 0.2) is None


def test_readers_of_one_shard_share_its_quota_and_other_shards_have_their_own() -> None:
    """Facts 2.17, 9.1."""
    stream = make(2)
    for _ in range(5):
        stream.read(Position(FIRST, 0), 1, T)
    with pytest.raises(Throttled):
        stream.read(Position(FIRST, 0), 1, T)
    assert stream.read(Position("shardId-000000000001", 0), 1, T).records == ()


def fill(stream: Stream, mebibytes: int) -> float:
    """Puts 1 MiB a second and returns when it was done."""
    for second in range(mebibytes):
        assert taken(stream, [Entry("k", bytes(MIB // 4 - 1))] * 4, T + second) == 4
    return T + mebibytes


def test_a_full_answer_of_ten_mebibytes_blocks_the_shard_for_five_seconds() -> None:
    """Fact 9.2."""
    stream = make()
    now = fill(stream, 12)
    result = stream.read(Position(FIRST, 0), 10_000, now)
    assert sum(len(record.data) + 1 for record in result.records) == 10 * MIB
    assert refused_until(stream, result.position, now + 4.9) == pytest.approx(now + 5)
    assert refused_until(stream, result.position, now + 5) is None


def test_an_answer_above_two_mebibytes_blocks_until_it_is_paid_for_and_at_least_a_second() -> None:
    """Facts 9.1, 9.2."""
    stream = make()
    now = fill(stream, 6)
    result = stream.read(Position(FIRST, 0), 10, now)  # 2.5 MiB: half a mebibyte too much
    assert refused_until(stream, result.position, now + 0.9) == pytest.approx(now + 1)
    now += 1
    result = stream.read(result.position, 14, now)  # 3.5 MiB
    assert refused_until(stream, result.position, now + 0.9) == pytest.approx(now + 1)


def test_reads_within_two_mebibytes_a_second_are_not_blocked() -> None:
    stream = make()
    now, position = fill(stream, 12), Position(FIRST, 0)
    for step in range(20):
        result = stream.read(position, 1, now + step * 0.2)
        assert len(result.records) == 1
        position = result.position


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 60)), max_size=30))
def test_a_refused_reader_who_comes_back_at_the_time_told_is_served(steps: list[tuple[float, int]]) -> None:
    stream = make()
    now, position = fill(stream, 3), Position(FIRST, 0)
    for pause_s, limit in steps:
        now += pause_s
        ready_at_s = refused_until(stream, position, now, limit)
        if ready_at_s is not None:
            assert ready_at_s > now
            now = ready_at_s
            assert refused_until(stream, position, now, limit) is None


def test_five_iterators_a_second() -> None:
    """Fact 9.3."""
    stream = make()
    for _ in range(5):
        stream.charge_iterator(FIRST, T)
    with pytest.raises(Throttled, match="Rate exceeded for shard"):
        stream.charge_iterator(FIRST, T)
    stream.charge_iterator(FIRST, T + 0.2)
