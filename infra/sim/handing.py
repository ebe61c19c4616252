"""DRIVER: what a mapping is handed of a Kinesis record, written down a second time.

With a standard iterator that is the record. With enhanced fan-out an aggregate is taken apart: its user records have
keys and data of their own, and one sequence number and arrival time (fact 3.9); a damaged one is left as it is, and of
one with a hash key outside of the shard nothing is handed over (fact 3.10).
"""

from collections.abc import Sequence

from infra.model.sequence import hash_key
from infra.model.stream import Entry
from infra.sim.stock import Malformed, Parcel
from processor.core.packing import MAGIC

HashRange = tuple[int, int]


def handed_over(parcel: Parcel, hash_range: HashRange) -> Sequence[Parcel]:
    """What enhanced fan-out makes of a record that was put to the shard of this hash range, each part as a parcel."""
    if not parcel.entry.data.startswith(MAGIC):
        return (parcel,)
    if parcel.malformed and parcel.malformed[0].subsequence_number is None:
        return _of_a_spoiled_one(parcel, hash_range)
    explicit = parcel.entry.explicit_hash_key
    if explicit is None or not hash_range[0] <= explicit <= hash_range[1]:
        return ()
    spoiled = {bad.subsequence_number: bad for bad in parcel.malformed}
    events = iter(parcel.events)
    parts = []
    for place, (key, data) in enumerate(parcel.payloads):
        name, bad = f"{parcel.name}.{place}", spoiled.get(place)
        if bad is None:
            parts.append(Parcel(name, Entry(key, data), (next(events),)))
        else:
            parts.append(Parcel(name, Entry(key, data), (), (Malformed(0, bad.reason, bad.payload),)))
    return parts


def _of_a_spoiled_one(parcel: Parcel, hash_range: HashRange) -> Sequence[Parcel]:
    """Lambda objects to less than the processor does: what it takes for whole has no explicit hash keys here."""
    if parcel.inside is None:
        return (parcel,)
    keys = (hash_key(part.entry.partition_key) for part in parcel.inside)
    return parcel.inside if all(hash_range[0] <= key <= hash_range[1] for key in keys) else ()
