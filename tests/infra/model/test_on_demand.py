"""On-demand streams with time moved by hand: where they begin, how they grow, when they throttle (fact 9.12)."""

from collections.abc import Callable

import pytest

from infra.model.sequence import HASH_KEYS
from infra.model.stream import Entry, Stream, StreamError, Written

T = 1_700_000_000.0
MINUTE = 60
DAY = 86_400


def make(now: float = T, **options: object) -> Stream:
    settings: dict[str, object] = {"mode": "ON_DEMAND", "shard_count": None, **options}
    return Stream("orders", account_id="1" * 12, region="eu-west-1", now=now, **settings)  # type: ignore[arg-type]  # any option


def put_for(stream: Stream, seconds: int, records_per_s: int, now: float) -> tuple[float, int]:
    """Empty records spread evenly over all hash keys, each second; returns when it was over, and how many were taken."""
    taken = 0
    for second in range(seconds):
        entries = [Entry("k", b"", HASH_KEYS * n // records_per_s) for n in range(records_per_s)]
        taken += sum(isinstance(outcome, Written) for outcome in stream.put(entries, now + second))
    return now + seconds, taken


def tiles(stream: Stream) -> bool:
    starts = [shard.first_hash_key for shard in stream.open_shards]
    ends = [shard.last_hash_key + 1 for shard in stream.open_shards]
    return starts == [0, *ends[:-1]] and ends[-1] == HASH_KEYS


def test_a_new_stream_has_four_shards_and_takes_four_thousand_records_a_second() -> None:
    """Fact 9.12."""
    stream = make()
    assert len(stream.open_shards) == 4
    now, taken = put_for(stream, 10, 4_000, T)
    assert taken == 40_000
    _, taken = put_for(stream, 10, 5_000, now)
    assert taken <= 40_000 + 4_000


def test_a_new_stream_takes_four_mebibytes_a_second() -> None:
    """Fact 9.12."""
    stream = make()
    entries = [Entry("k", bytes(2**18 - 1), HASH_KEYS * n // 16) for n in range(16)]
    for second in range(5):
        assert all(isinstance(outcome, Written) for outcome in stream.put(entries, T + second))
    assert not any(isinstance(outcome, Written) for outcome in stream.put(entries, T + 4.1))


def test_a_stream_makes_room_for_double_its_peak_by_splitting() -> None:
    """Fact 9.12."""
    stream = make()
    first = {shard.shard_id for shard in stream.open_shards}
    now, _ = put_for(stream, 61, 3_000, T)
    assert len(stream.open_shards) == 6
    assert stream.status == "ACTIVE"
    new = [shard for shard in stream.open_shards if shard.shard_id not in first]
    assert len(new) == 4  # two shards were split
    assert all(shard.parent_id in first and shard.adjacent_parent_id is None for shard in new)
    assert tiles(stream)
    _, taken = put_for(stream, 5, 4_500, now)
    assert taken >= 5 * 4_000


def peaks(stream: Stream, shards: float, now: float) -> float:
    """One minute at so many shards' whole quota, put in a few pieces; returns the minute's end."""
    for second in range(0, 60, 10):
        stream.settle(now + second)  # as every put does
        for shard in stream.open_shards:
            shard.counters.incoming_bytes += int(shards / len(stream.open_shards) * 10 * 2**20)
    stream.settle(now + 60)
    return now + 60


def test_traffic_that_doubles_every_fifteen_minutes_always_has_room() -> None:
    """Fact 9.12."""
    stream, now = make(), T
    for traffic in (1, 2, 4, 8, 16, 32):
        for _ in range(15):
            assert len(stream.open_shards) >= traffic
            now = peaks(stream, traffic, now)
    assert len(stream.open_shards) == 64
    assert tiles(stream)


def test_traffic_that_more_than_doubles_within_fifteen_minutes_meets_the_limit() -> None:
    """Fact 9.12."""
    stream = make()
    now = peaks(stream, 4, T)
    assert len(stream.open_shards) == 8
    grown_at = now
    while now < grown_at + 14 * MINUTE:
        now = peaks(stream, 8, now)
        assert len(stream.open_shards) == 8
    for _ in range(2):
        now = peaks(stream, 8, now)
    assert len(stream.open_shards) == 16
    assert tiles(stream)


def test_the_busiest_shards_are_split_first() -> None:
    stream = make()
    for second in range(61):
        entries = (
            [Entry("k", b"", 0)] * 900
            + [Entry("k", b"", HASH_KEYS // 4)] * 700
            + [Entry("k", b"", HASH_KEYS - 1)] * 900
        )
        stream.put(entries, T + second)
    parents = {shard.parent_id for shard in stream.open_shards if shard.parent_id}
    assert parents == {"shardId-000000000000"} or parents == {"shardId-000000000003"}
    assert len(stream.open_shards) == 5


def test_one_hot_partition_key_does_not_make_a_stream_grow() -> None:
    stream = make()
    for second in range(200):
        stream.put([Entry("hot", b"")] * 1_000, T + second)
    assert len(stream.open_shards) == 4


def test_a_peak_is_remembered_for_thirty_days_and_then_room_is_given_back() -> None:
    """Fact 9.12."""
    stream = make()
    now = peaks(stream, 4, T)
    assert len(stream.open_shards) == 8
    stream.settle(now + 29 * DAY)
    assert len(stream.open_shards) == 8
    stream.settle(now + 31 * DAY)
    assert len(stream.open_shards) == 4
    assert tiles(stream)
    stream.settle(now + 90 * DAY)
    assert len(stream.open_shards) == 4


def test_room_is_given_back_by_half_within_fifteen_minutes() -> None:
    stream = make()
    now = T
    for _ in range(3):
        now = peaks(stream, len(stream.open_shards), now) + 15 * MINUTE
    assert len(stream.open_shards) == 32
    now += 31 * DAY
    counts = []
    for _ in range(50):
        stream.settle(now)
        counts.append(len(stream.open_shards))
        now += MINUTE
    assert counts[0] == 16
    assert counts[14] == 16
    assert counts[16] == 8
    assert counts[-1] == 4


def test_a_smaller_peak_counts_when_the_larger_one_is_forgotten() -> None:
    """Fact 9.12."""
    stream = make()
    now = peaks(stream, 4, T) + 15 * MINUTE
    now = peaks(stream, 8, now)
    assert len(stream.open_shards) == 16
    now += 10 * DAY
    peaks(stream, 6, now)
    stream.settle(now + 25 * DAY)
    assert len(stream.open_shards) == 12
    stream.settle(now + 32 * DAY)
    assert len(stream.open_shards) < 12


def test_a_stream_is_never_idle_below_four_shards_nor_busy_above_the_limit() -> None:
    stream = make()
    now = T
    for _ in range(8):
        now = peaks(stream, len(stream.open_shards), now) + 15 * MINUTE
    assert len(stream.open_shards) == 200


@pytest.mark.parametrize("shard_count", [1, 3, 10])
def test_a_switch_to_on_demand_keeps_the_shards_for_thirty_days_and_back_keeps_them_too(shard_count: int) -> None:
    """Fact 9.12."""
    stream = make(mode="PROVISIONED", shard_count=shard_count)
    stream.set_mode("ON_DEMAND", T + 1)
    stream.settle(T + 29 * DAY)
    assert len(stream.open_shards) == max(shard_count, 2 if shard_count == 1 else 4)
    stream.set_mode("PROVISIONED", T + 29 * DAY)
    shards = stream.open_shards
    stream.settle(T + 80 * DAY)
    assert stream.open_shards == shards


def test_the_mode_is_switched_twice_within_a_day() -> None:
    """Fact 9.12."""
    stream = make(mode="PROVISIONED", shard_count=1)
    stream.set_mode("ON_DEMAND", T)
    stream.set_mode("PROVISIONED", T + 10)
    with pytest.raises(StreamError, check=lambda error: error.code == "LimitExceededException"):
        stream.set_mode("ON_DEMAND", T + DAY - 1)
    stream.set_mode("ON_DEMAND", T + DAY + 1)


RESHARDS: list[Callable[[Stream], object]] = [
    lambda stream: stream.scale(8, T),
    lambda stream: stream.split("shardId-000000000000", HASH_KEYS // 8, T),
    lambda stream: stream.merge("shardId-000000000000", "shardId-000000000001", T),
]


@pytest.mark.parametrize("reshard", RESHARDS)
def test_an_on_demand_stream_cannot_be_resharded_by_hand(reshard: Callable[[Stream], object]) -> None:
    with pytest.raises(StreamError, check=lambda error: error.code == "ValidationException"):
        reshard(make())


def test_the_numbers_of_a_key_grow_across_a_growth() -> None:
    stream = make()
    numbers: list[int] = []
    for second in range(61):
        stream.put([Entry("k", b"", HASH_KEYS * n // 4) for n in range(4)] * 800, T + second)
        numbers += [
            outcome.sequence_number
            for outcome in stream.put([Entry("k", b"", 7)], T + second)
            if isinstance(outcome, Written)
        ]
    assert len(stream.open_shards) > 4
    assert len(numbers) == 61
    assert numbers == sorted(numbers)
