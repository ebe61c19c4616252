"""What enhanced fan-out makes of a record: written down twice, and once more as the processor reads it."""

from random import Random

import pytest

from infra.model.mapping.aggregates import user_records
from infra.model.sequence import HASH_KEYS
from infra.model.stream import StreamRecord
from infra.sim.environment import kinesis_records
from infra.sim.garbage import KINDS
from infra.sim.handing import handed_over
from infra.sim.quarantine import keeps, position
from infra.sim.rules import SimulatedRules
from infra.sim.stock import Parcel, Stock
from processor.adapters import quarantine
from processor.core.plan import plan

WHOLE = (0, HASH_KEYS - 1)
LOWER, UPPER = (0, HASH_KEYS // 2 - 1), (HASH_KEYS // 2, HASH_KEYS - 1)


def parcels() -> list[Parcel]:
    """Of every kind that producers put: whole, spoiled in every way, again in halves, with others of its identity."""
    found = []
    for aggregate in (1, 5):
        stock, random = Stock(aggregate, 10, 60), Random(aggregate)
        for number in range(40):
            parcel = stock.parcel(number)
            found += [parcel, stock.repacked(parcel), stock.with_variants(parcel, to_the_byte=False)]
            found += [stock.spoiled(parcel, random) for _ in range(10)]
    assert {bad.reason for parcel in found for bad in parcel.malformed} == {kind.reason for kind in KINDS}
    return found


def record(parcel: Parcel) -> StreamRecord:
    return StreamRecord(7, parcel.entry.partition_key, parcel.entry.data, 1_000)


@pytest.mark.parametrize("hash_range", [WHOLE, LOWER, UPPER])
def test_what_is_handed_over_is_what_the_mapping_takes_out(hash_range: tuple[int, int]) -> None:
    """Facts 3.9, 3.10: also of a damaged aggregate, and of one with hash keys of another shard."""
    kinds = set()
    for parcel in parcels():
        told = [(part.entry.partition_key, part.entry.data) for part in handed_over(parcel, hash_range)]
        taken = user_records([record(parcel)], hash_range)
        assert told == [(each.partition_key, each.data) for each in taken], parcel.name
        kinds.add(min(len(told), 2))
    assert kinds == {0, 1, 2}


def test_what_a_part_is_said_to_be_is_what_the_processor_reads() -> None:
    """Fact 3.9: identities and malformed records are those of the user records, whoever took the aggregate apart."""
    rules = SimulatedRules(60, items=False)
    for part in [part for parcel in parcels() for part in handed_over(parcel, WHOLE)]:
        read = plan(kinesis_records("shardId-000000000000", [record(part)]), rules, systemic_share=1.0)
        assert {digest for page in read.adds.values() for digest in page} == {event.digest for event in part.events}
        assert [str(bad.reason) for bad in read.quarantined] == [bad.reason for bad in part.malformed]


def test_no_two_parts_of_a_record_are_equal() -> None:
    """Else their number, key and data would not say which of them was sent."""
    for parcel in parcels():
        parts = [(part.entry.partition_key, part.entry.data) for part in handed_over(parcel, WHOLE)]
        assert len(set(parts)) == len(parts), parcel.name


def test_quarantine_keeps_a_part_under_the_key_that_the_processor_gives_it() -> None:
    rules, arn = SimulatedRules(60, items=False), "arn:aws:kinesis:us-east-1:000000000000:stream/simulated"
    for source, fan_out in ((arn, False), (f"{arn}/consumer/one:1", True)):
        for part in [part for parcel in parcels() for part in handed_over(parcel, WHOLE)]:
            records = kinesis_records("shardId-000000000000", [record(part)])
            read = plan(records, rules, systemic_share=1.0)
            works = keeps(read.quarantined, records, 0.0, fan_out=fan_out)
            told = [(work.insert.pk, work.insert.sk) for work in works]
            assert told == [quarantine.position(source, records[bad.source], bad) for bad in read.quarantined]
            apart = [(part.entry.partition_key, bad.payload) if fan_out else None for bad in part.malformed]
            assert told == [
                position("shardId-000000000000", 7, bad.subsequence_number, key)
                for bad, key in zip(part.malformed, apart, strict=True)
            ]
