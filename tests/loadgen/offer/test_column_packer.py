"""Events in columns become the same Kinesis records as one by one, whenever they are added and whenever time is up."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer.column_packer import KEYS_OF_ONE_BYTE, ColumnPacker, fits
from loadgen.offer.events import EventOptions
from loadgen.offer.metered import MeteredEvents
from loadgen.offer.truth import Known, Truths
from processor.core.packing import Packed, Packer, PackingSettings
from processor.core.rule_api import RuleSettings

EVERY_S = 0.01


def events_of(keys: int, seed: int = 1) -> MeteredEvents:
    options = EventOptions("r", seed, 1_795_426_496.5, keys=keys, skew=0.5)
    return MeteredEvents(options, 0, 1, Truths(RuleSettings(("bytes", "quantity"), 3600)))


def by_lane(records: list[Packed[Known]]) -> dict[str, list[tuple[str | None, bytes, list[Known], bool]]]:
    lanes = defaultdict(list)
    for record in records:
        lanes[record.partition_key].append(
            (record.explicit_hash_key, record.data, list(record.members), record.aggregated)
        )
    return lanes


@given(
    st.integers(0, 99), st.sampled_from([1, 3, 300]), st.integers(1, 17), st.sampled_from([1, 4, 16]),
    st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 12), max_size=6)), max_size=6),
    st.sampled_from([0.0, 0.05, 10.0]),
)  # fmt: skip
def test_each_lane_has_the_records_that_the_packer_makes_of_the_events_one_by_one(
    seed: int, keys: int, aggregate: int, lanes: int, blocks: list[tuple[int, list[int]]], linger_s: float
) -> None:
    """Blocks of any size, each added in any pieces; between the pieces the waiting of some is over."""
    settings = PackingSettings(aggregate=aggregate, lanes=lanes, linger_s=linger_s)
    metered, now_s = events_of(keys, seed), 0.0
    one_by_one: Packer[Known] = Packer(settings)
    wanted: list[Packed[Known]] = []
    got: list[Packed[Known]] = []
    in_columns: ColumnPacker | None = None
    for size, pieces in blocks:
        block = metered.block([now_s + i * EVERY_S for i in range(size)])
        if in_columns is None:
            in_columns = ColumnPacker.of(block, settings)
            assert in_columns is not None
        first = 0
        for piece in [*pieces, size]:
            last = min(size, first + piece)
            wanted += one_by_one.add_all(block.events(first, last), now_s)
            if first < last:
                got += in_columns.add(block, last, now_s)
            first = last
            now_s += piece * EVERY_S
            assert in_columns.deadline_s() == one_by_one.deadline_s()
            wanted += one_by_one.due(now_s)
            got += in_columns.due(now_s)
    wanted += one_by_one.flush()
    got += in_columns.flush() if in_columns is not None else []
    assert by_lane(got) == by_lane(wanted)
    assert [record.size for record in got] == [len(record.data) + len(record.partition_key) for record in got]


def test_more_keys_than_were_known_before_are_learned() -> None:
    packer = ColumnPacker(PackingSettings(), 256)
    few, many = events_of(5).block([0.0] * 200), events_of(5000).block([0.0] * 3000)
    one_by_one: Packer[Known] = Packer(PackingSettings())
    for block in (few, many):
        count = len(block.due_s)
        wanted = [*one_by_one.add_all(block.events(0, count), 0.0), *one_by_one.flush()]
        assert by_lane([*packer.add(block, count, 0.0), *packer.flush()]) == by_lane(wanted)


@given(st.integers(1, 200), st.integers(200, 2000), st.integers(1, 100), st.integers(300, 60_000))
def test_what_fits_is_never_closed_for_its_size(
    aggregate: int, event_bytes: int, key_bytes: int, record_bytes: int
) -> None:
    settings = PackingSettings(aggregate=aggregate, lanes=1, record_bytes=record_bytes)
    if not fits(settings, event_bytes, key_bytes):
        return
    assert aggregate <= KEYS_OF_ONE_BYTE
    packer: Packer[int] = Packer(settings)
    keys = [f"{number:0{key_bytes}d}" if key_bytes > 2 else "k" * key_bytes for number in range(aggregate)]
    records = [record for key in keys for record in packer.add(key, b"x" * event_bytes, 0, 0.0)]
    assert [len(record.members) for record in records] == [aggregate]
    assert records[0].size <= record_bytes + len(records[0].partition_key)


def test_without_aggregation_and_for_large_events_there_is_no_packer_for_columns() -> None:
    block = events_of(5).block([0.0])
    assert ColumnPacker.of(block, PackingSettings(aggregate=None)) is None
    assert ColumnPacker.of(block, PackingSettings(record_bytes=10_000)) is None
    assert ColumnPacker.of(block, PackingSettings(aggregate=KEYS_OF_ONE_BYTE + 1)) is None
