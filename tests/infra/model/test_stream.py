"""A stream's records, positions, retention, reshards and states, with time moved by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.model.sequence import HASH_KEYS, decode
from infra.model.shard_filter import filtered
from infra.model.stream import Entry, Position, Quotas, Refused, Stream, StreamError, Written

T = 1_700_000_000.0
HOUR = 3_600.0


def make(shard_count: int | None = 1, *, transition_s: float = 0.0, now: float = T, **rest: object) -> Stream:
    options: dict[str, object] = {"quotas": Quotas(10**9, 10**12, 10**9, 10**12, 10**9), **rest}
    return Stream(
        "orders",
        account_id="111111111111",
        region="eu-west-1",
        shard_count=shard_count,
        now=now,
        transition_s=transition_s,
        **options,  # type: ignore[arg-type] # a mixed bag of keyword arguments
    )


def put(stream: Stream, data: bytes, now: float, key: str = "k") -> Written:
    outcome = stream.put([Entry(key, data)], now)[0]
    assert isinstance(outcome, Written)
    return outcome


def read(stream: Stream, shard: int, kind: str, now: float, **what: float) -> list[bytes]:
    position = stream.position(str(shard), kind, now, **what)  # type: ignore[arg-type] # a number or a time
    return [record.data for record in stream.read(position, 10_000, now).records]


def refusal(error: pytest.ExceptionInfo[StreamError]) -> str:
    return f"{error.value.code}: {error.value.message}"


# ---- records and positions


def test_a_record_goes_to_the_shard_whose_range_holds_its_hash_and_an_explicit_hash_key_overrides_it() -> None:
    """Fact 9.7."""
    stream = make(4)
    quarter = HASH_KEYS // 4
    for index in range(4):
        for key in (index * quarter, (index + 1) * quarter - 1):
            written = stream.put([Entry("same", b"", key)], T)[0]
            assert isinstance(written, Written)
            assert written.shard_id == f"shardId-{index:012d}"


def test_empty_data_and_every_byte_value_come_back_as_they_were_put() -> None:
    """Fact 1.9, as far as the stream is concerned."""
    stream = make()
    payloads = [b"", bytes(range(256))]
    for payload in payloads:
        put(stream, payload, T)
    assert read(stream, 0, "TRIM_HORIZON", T) == payloads


def test_each_iterator_type_begins_where_aws_says() -> None:
    stream = make()
    numbers = [put(stream, b"%d" % n, T + n).sequence_number for n in range(5)]
    at = T + 10
    assert read(stream, 0, "TRIM_HORIZON", at) == [b"0", b"1", b"2", b"3", b"4"]
    assert read(stream, 0, "AT_SEQUENCE_NUMBER", at, sequence_number=numbers[3]) == [b"3", b"4"]
    assert read(stream, 0, "AFTER_SEQUENCE_NUMBER", at, sequence_number=numbers[3]) == [b"4"]
    assert read(stream, 0, "AT_TIMESTAMP", at, timestamp_s=T + 2) == [b"2", b"3", b"4"]
    assert read(stream, 0, "AT_TIMESTAMP", at, timestamp_s=T + 2.001) == [b"3", b"4"]
    assert read(stream, 0, "AT_TIMESTAMP", at, timestamp_s=T + 9) == []
    latest = stream.position("0", "LATEST", at)
    put(stream, b"new", at + 1)
    assert [r.data for r in stream.read(latest, 10, at + 1).records] == [b"new"]


def test_a_shards_starting_number_reads_from_its_first_record() -> None:
    stream = make()
    put(stream, b"x", T)
    start = stream.open_shards[0].starting_sequence_number
    assert read(stream, 0, "AT_SEQUENCE_NUMBER", T, sequence_number=start) == [b"x"]


@pytest.mark.parametrize(
    ("kind", "what", "says"),
    [
        ("LATEST", {"sequence_number": 5}, "Request specified LATEST and also a StartingSequenceNumber."),
        ("AT_SEQUENCE_NUMBER", {}, "Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber."),
        ("AT_SEQUENCE_NUMBER", {"sequence_number": 5}, "StartingSequenceNumber 5 used in GetShardIterator on shard"),
        ("AT_TIMESTAMP", {}, "Must specify timestampInMillis"),
        ("AT_TIMESTAMP", {"timestamp_s": T + 1}, "cannot be greater than the currentTimestampInMillis"),
    ],
)
def test_an_impossible_starting_position_is_an_invalid_argument(kind: str, what: dict[str, float], says: str) -> None:
    with pytest.raises(StreamError) as error:
        make().position("shardId-000000000000", kind, T, **what)  # type: ignore[arg-type] # a number or a time
    assert error.value.code == "InvalidArgumentException"
    assert says in error.value.message


def test_a_sequence_number_of_another_shard_or_stream_is_refused() -> None:
    stream, older = make(2), make(2, now=T - 100)
    foreign = stream.open_shards[1].starting_sequence_number
    with pytest.raises(StreamError, match="It encodes shardId-000000000001, while it was used"):
        stream.position("0", "AT_SEQUENCE_NUMBER", T, sequence_number=foreign)
    with pytest.raises(StreamError, match="did not come from this stream"):
        stream.position("0", "AT_SEQUENCE_NUMBER", T, sequence_number=older.open_shards[0].starting_sequence_number)


def test_a_reader_at_the_tip_is_zero_behind_and_one_with_records_left_is_not() -> None:
    """Fact 9.9."""
    stream = make()
    for n in range(3):
        put(stream, b"x", T + n)
    position = stream.position("0", "TRIM_HORIZON", T + 10)
    result = stream.read(position, 1, T + 10)
    assert (len(result.records), result.millis_behind_latest) == (1, 9_000)
    assert stream.read(result.position, 2, T + 10).millis_behind_latest == 0


def test_an_answer_stops_at_ten_thousand_records_and_at_ten_mebibytes() -> None:
    """Fact 9.2."""
    stream = make()
    for _ in range(21):
        stream.put([Entry("k", b"")] * 500, T)
    assert len(read(stream, 0, "TRIM_HORIZON", T)) == 10_000
    big = make()
    for _ in range(12):
        put(big, bytes(1_000_000), T)
    assert len(read(big, 0, "TRIM_HORIZON", T)) == 10


def test_a_clock_set_back_leaves_numbers_and_arrival_times_in_order() -> None:
    """Fact 9.8; arrival times are monotonic here, which AWS does not promise."""
    stream = make()
    for at in (T + 50, T + 10, T + 60):
        put(stream, b"x", at)
    records = stream.read(Position("shardId-000000000000", 0), 10, T + 60).records
    assert [r.arrived_at_ms for r in records] == sorted(r.arrived_at_ms for r in records)
    assert [r.sequence_number for r in records] == sorted(r.sequence_number for r in records)


# ---- sizes


def test_a_record_counts_with_its_partition_key_in_bytes() -> None:
    """Facts 9.1, 9.4."""
    stream = make()
    put(stream, bytes(1024 * 1024 - 2), T, key="ü")
    with pytest.raises(StreamError, match="has 1048577 bytes of data and partition key"):
        put(stream, bytes(1024 * 1024 - 1), T, key="ü")
    larger = make(record_size_kib_max=10_240)
    assert put(larger, bytes(9 * 1024 * 1024), T)


def test_a_put_above_ten_mebibytes_is_refused_whole() -> None:
    """Fact 9.4."""
    stream = make()
    stream.put([Entry("k", bytes(1024 * 1024 - 1))] * 10, T)
    with pytest.raises(StreamError) as error:
        stream.put([Entry("k", bytes(1024 * 1024 - 1))] * 10 + [Entry("k", b"")], T)
    assert refusal(error) == "InvalidArgumentException: Records size exceeds 10 MB limit"
    result = stream.read(Position("shardId-000000000000", 0), 100, T)
    assert len(result.records) == 10
    assert not stream.read(result.position, 100, T + 60).records


@pytest.mark.parametrize("key", [-1, HASH_KEYS])
def test_an_explicit_hash_key_out_of_range_refuses_the_whole_put(key: int) -> None:
    stream = make()
    with pytest.raises(StreamError, match="must be in the range"):
        stream.put([Entry("a", b"x"), Entry("k", b"", key)], T)
    assert read(stream, 0, "TRIM_HORIZON", T) == []


def test_sequence_number_for_ordering_must_have_been_given_out() -> None:
    """Fact 9.6."""
    stream = make()
    first = put(stream, b"1", T)
    second = stream.put_after(first.sequence_number, Entry("k", b"2"), T)
    assert isinstance(second, Written)
    assert second.sequence_number > first.sequence_number
    for wrong in (7, stream.open_shards[0].starting_sequence_number + (900 << 36)):
        with pytest.raises(StreamError, match="ExclusiveMinimumSequenceNumber"):
            stream.put_after(wrong, Entry("k", b"3"), T)


# ---- retention


@given(st.lists(st.floats(0, 30 * HOUR), max_size=30), st.floats(0, 80 * HOUR))
def test_a_record_is_readable_until_retention_and_not_after(pauses: list[float], later: float) -> None:
    stream, now, arrivals = make(), T, []
    for pause in pauses:
        now += pause
        put(stream, b"", now)
        arrivals.append(int(now * 1000))
    now += later
    horizon_ms = int(now * 1000) - 24 * 3_600_000
    kept = stream.read(stream.position("0", "TRIM_HORIZON", now), 10_000, now).records
    assert [record.arrived_at_ms for record in kept] == [at for at in arrivals if at >= horizon_ms]


def test_a_reader_who_waited_longer_than_retention_finds_only_what_is_left() -> None:
    stream = make()
    put(stream, b"old", T)
    position = stream.position("0", "TRIM_HORIZON", T)
    put(stream, b"new", T + HOUR)
    stream.settle(T + 24 * HOUR - 10)
    assert [record.data for record in stream.read(position, 10, T + 24 * HOUR + 30).records] == [b"new"]


def test_memory_of_expired_records_is_freed_without_anybody_reading() -> None:
    stream = make(2)
    stream.put([Entry(f"k{n}", bytes(1_000)) for n in range(100)], T)
    assert stream.bytes_held > 100_000
    stream.settle(T + 24 * HOUR + 61)
    assert stream.bytes_held == 0


def test_a_closed_shard_is_listed_until_its_last_record_can_have_expired_and_then_reads_as_ended() -> None:
    stream = make()
    put(stream, b"x", T)
    stream.split("0", HASH_KEYS // 2, T + 1)
    assert len(stream.shards(T + 24 * HOUR)) == 3
    assert [s.index for s in stream.shards(T + 24 * HOUR + 2)] == [1, 2]
    result = stream.read(Position("shardId-000000000000", 0), 10, T + 24 * HOUR + 2)
    assert (result.records, result.end_of_shard) == ((), True)
    with pytest.raises(StreamError, match=r"Shard shardId-000000000000 in stream orders .* does not exist"):
        stream.position("0", "TRIM_HORIZON", T + 24 * HOUR + 2)
    assert stream.open_shards[0].parent_id == "shardId-000000000000"


def test_retention_is_changed_within_bounds_and_by_the_right_operation() -> None:
    """Fact 9.10."""
    stream = make()
    stream.set_retention(48, T, longer=True)
    put(stream, b"x", T)
    assert read(stream, 0, "TRIM_HORIZON", T + 47 * HOUR) == [b"x"]
    for hours, longer, says in (
        (
            23,
            False,
            "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
        ),
        (9_000, True, "too long"),
        (47, True, "can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API."),
        (49, False, "can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API."),
    ):
        with pytest.raises(StreamError) as error:
            stream.set_retention(hours, T, longer=longer)
        assert error.value.code == "InvalidArgumentException"
        assert says in error.value.message
    stream.set_retention(24, T, longer=False)
    assert read(stream, 0, "TRIM_HORIZON", T + 47 * HOUR) == []


# ---- reshards


def test_a_split_closes_the_parent_which_keeps_its_records_and_ends_with_its_children() -> None:
    """Fact 9.9."""
    stream = make()
    put(stream, b"before", T)
    stream.split("shardId-000000000000", 100, T + 1)
    parent, lower, upper = stream.shards(T + 1)
    assert (lower.first_hash_key, lower.last_hash_key) == (0, 99)
    assert (upper.first_hash_key, upper.last_hash_key) == (100, HASH_KEYS - 1)
    assert {lower.parent_id, upper.parent_id} == {parent.shard_id}
    assert parent.ending_sequence_number is not None
    assert parent.latest_sequence_number < parent.ending_sequence_number < lower.starting_sequence_number
    result = stream.read(Position(parent.shard_id, 0), 10, T + 1)
    assert [r.data for r in result.records] == [b"before"]
    assert result.end_of_shard
    assert stream.children(parent.shard_id) == [lower, upper]
    assert put(stream, b"after", T + 1).shard_id == upper.shard_id


def test_a_merge_has_both_parents() -> None:
    stream = make(2)
    stream.merge("shardId-000000000000", "shardId-000000000001", T)
    (merged,) = stream.open_shards
    assert (merged.parent_id, merged.adjacent_parent_id) == ("shardId-000000000000", "shardId-000000000001")
    assert (merged.first_hash_key, merged.last_hash_key) == (0, HASH_KEYS - 1)


def test_impossible_reshards_are_refused_in_the_words_of_aws() -> None:
    stream = make(3)
    with pytest.raises(StreamError, match="are not an adjacent pair of shards eligible for merging"):
        stream.merge("0", "2", T)
    with pytest.raises(StreamError, match="are not an adjacent pair of shards eligible for merging"):
        stream.merge("1", "0", T)
    for key in (0, 1, HASH_KEYS // 3, HASH_KEYS - 1):
        with pytest.raises(StreamError, match="is not both greater than one plus the shard's StartingHashKey 0"):
            stream.split("0", key, T)
    with pytest.raises(StreamError, match="Could not find shard shardId-000000000009"):
        stream.split("shardId-000000000009", 5, T)
    stream.split("0", 5, T)
    with pytest.raises(StreamError, match="is closed"):
        stream.split("0", 3, T)


@given(st.integers(1, 12), st.data())
@settings(max_examples=50)
def test_scaling_ends_in_equal_shards_that_all_descend_from_the_old_ones(before: int, data: st.DataObject) -> None:
    target = data.draw(st.integers((before + 1) // 2, before * 2))
    stream = make(before)
    assert stream.scale(target, T) == before
    sizes = {shard.last_hash_key - shard.first_hash_key + 1 for shard in stream.open_shards}
    assert len(stream.open_shards) == target
    assert max(sizes) - min(sizes) <= 1
    shards = {shard.shard_id: shard for shard in stream.shards(T)}
    for shard in shards.values():
        parents = [shards[name] for name in (shard.parent_id, shard.adjacent_parent_id) if name]
        assert all(parent.index < shard.index and parent.closed for parent in parents)
        assert all(parent.created_s < shard.created_s for parent in parents)
        assert bool(parents) == (shard.index >= before)


def test_a_doubling_splits_each_shard_once() -> None:
    stream = make(4)
    stream.scale(8, T)
    assert len(stream.shards(T)) == 12


def test_scaling_is_bounded_by_double_half_and_ten_a_day() -> None:
    """Fact 9.11."""
    stream = make(4)
    with pytest.raises(StreamError) as error:
        stream.scale(9, T)
    assert refusal(error) == (
        "LimitExceededException: UpdateShardCount cannot scale up over double your current open shard count. "
        "Current open shard count: 4, Target shard count: 9"
    )
    with pytest.raises(StreamError, match="below half"):
        stream.scale(1, T)
    for n in range(10):
        stream.scale(4 + n % 2, T + n)
    with pytest.raises(StreamError, match="10 times"):
        stream.scale(4, T + 86_399)
    stream.scale(4, T + 86_401)


def test_an_on_demand_stream_begins_with_four_shards_and_is_not_resharded_by_hand() -> None:
    """Fact 9.12."""
    stream = make(None, mode="ON_DEMAND")
    assert len(stream.open_shards) == 4
    for change in (lambda: stream.split("0", 5, T), lambda: stream.merge("0", "1", T), lambda: stream.scale(8, T)):
        with pytest.raises(StreamError) as error:
            change()
        assert error.value.code == "ValidationException"
        told = "Request is invalid. Stream orders under account 111111111111 is in On-Demand mode."
        assert error.value.message == told


def test_the_mode_changes_twice_a_day_at_most() -> None:
    """Fact 9.12."""
    stream = make()
    stream.set_mode("PROVISIONED", T)  # it is that already
    stream.set_mode("ON_DEMAND", T)
    stream.set_mode("PROVISIONED", T + 1)
    with pytest.raises(StreamError, match="2 times"):
        stream.set_mode("ON_DEMAND", T + 86_399)
    stream.set_mode("ON_DEMAND", T + 86_402)


# ---- states


def test_a_change_becomes_true_at_its_deadline_and_not_before() -> None:
    """Fact 9.11."""
    stream = make(transition_s=5.0)
    assert (stream.status, stream.shards(T), stream.deadline) == ("CREATING", [], T + 5)
    with pytest.raises(StreamError, match="not found"):
        put(stream, b"", T + 4)
    assert len(stream.shards(T + 5)) == 1
    stream.split("0", 5, T + 6)
    assert (stream.status, len(stream.shards(T + 10.9))) == ("UPDATING", 1)
    assert put(stream, b"still the parent's", T + 10).shard_id == "shardId-000000000000"
    with pytest.raises(StreamError) as error:
        stream.split("0", 5, T + 10)
    assert refusal(error) == (
        "ResourceInUseException: Stream orders under account 111111111111 not ACTIVE, instead in state UPDATING"
    )
    assert put(stream, b"the child's", T + 11).shard_id == "shardId-000000000002"
    assert (stream.status, stream.deadline) == ("ACTIVE", None)
    stream.delete(T + 20)
    assert (stream.status, stream.gone(T + 24.9), stream.gone(T + 25)) == ("DELETING", False, True)


def test_list_shards_filters_show_what_aws_documents() -> None:
    stream = make(2, now=T)
    stream.split("0", 5, T + 100)

    def shown(kind: str, now: float = T + 200, **what: object) -> list[int]:
        options: dict[str, object] = {"shard_id": None, "timestamp_s": None, **what}
        shards = filtered(stream.shards(now), kind, stream.trim_horizon_s(now), **options)  # type: ignore[arg-type] # a bag
        return [shard.index for shard in shards]

    assert shown("AT_LATEST") == [1, 2, 3]
    assert shown("FROM_TRIM_HORIZON") == [0, 1, 2, 3]
    assert shown("AT_TRIM_HORIZON") == [0, 1]
    assert shown("AT_TIMESTAMP", timestamp_s=T + 50) == [0, 1]
    assert shown("AT_TIMESTAMP", timestamp_s=T + 100) == [1, 2, 3]
    assert shown("FROM_TIMESTAMP", timestamp_s=T + 101) == [1, 2, 3]
    assert shown("FROM_TIMESTAMP", timestamp_s=T + 50) == [0, 1, 2, 3]
    assert shown("AFTER_SHARD_ID", shard_id="shardId-000000000001") == [2, 3]
    for kind, needed in [("AFTER_SHARD_ID", "ShardId"), ("AT_TIMESTAMP", "Timestamp")]:
        with pytest.raises(StreamError, match=f"ShardFilter of type {kind} needs a {needed}."):
            shown(kind)
    assert shown("AT_TRIM_HORIZON", T + 86_450) == [0, 1]
    assert shown("AT_TRIM_HORIZON", T + 86_501) == [1, 2, 3]


def test_arrival_seconds_are_in_the_number() -> None:
    assert decode(put(make(), b"", T + 7).sequence_number).arrived_s == int(T + 7)


def test_nothing_is_refused_for_lack_of_quota_here() -> None:
    assert not any(isinstance(o, Refused) for o in make().put([Entry("k", b"x")] * 500, T))
