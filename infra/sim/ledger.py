"""DRIVER: what must be in the tables when all is settled, computed from what was put and compared with what is there.

Every well-formed event is in the totals exactly once, or in a destination document (or among the records that were
dropped because the destination refused them), or both: a batch may be written and given up all the same. Every
malformed one is in quarantine exactly once, or given up likewise. What expired before it was read, or was put before
the mapping began, is excused; what the mapping's filters drop must not be there. An identity sent again with a time in
another window is another event there.
"""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from infra.sim.quarantine import position
from infra.sim.rules import LATEST_SK, RECORD_SK
from infra.sim.seen import SeenShard
from infra.sim.stock import Truth, moved_name
from infra.sim.table import MemoryTable
from infra.sim.violation import Violation

# By place, not by name: it is done for every event of every world, and takes a third of the time.
_pk, _window, _bytes, _quantity = map(itemgetter, map(Truth._fields.index, ("pk", "window", "bytes", "quantity")))
Items = Mapping[tuple[str, str], Mapping[str, Any]]


def check(
    shards: Iterable[SeenShard],
    truths: Mapping[str, Truth],
    results: MemoryTable,
    quarantine: MemoryTable,
    *,
    items: bool,
) -> int:
    """Compare, and return how many distinct events are in the totals. Raises Violation.

    `truths` knows every event that was put, and perhaps others.
    """
    settled: set[str] = set()  # names of events that must be in the totals
    excused: set[str] = set()  # that may be there or not
    for shard in shards:
        for put in shard.order:
            if put.wanted:
                (excused if put.excused else settled).update(put.parcel.names)
    applied = _check_pages(results.items, truths)
    alien = applied - settled - excused
    if alien:
        raise Violation("only what was put", f"event {min(alien)} of {truths[min(alien)].pk} was not put")
    lost = settled - applied
    if lost:
        event = truths[min(lost)]
        raise Violation(
            "nothing lost",
            f"{len(lost)} events are neither in the totals nor in a document, among them {event.digest} of "
            f"{event.pk} {event.window}",
        )
    _check_quarantine(shards, quarantine.items)
    if items:
        _check_items(results.items, {identity: truths[identity] for identity in settled | excused}, settled)
    return len(applied)


def _check_pages(found: Items, truths: Mapping[str, Truth]) -> set[str]:
    """No identity twice in a chain, none that was not put or belongs elsewhere, and exact sums. Returns names."""
    applied: set[str] = set()
    for (pk, sk), page in found.items():
        ids = page.get("ids")
        if ids is None:
            continue
        where, window = f"{pk} {sk}", sk.partition("#")[0]
        try:
            known = list(map(truths.__getitem__, ids))
            if set(map(_window, known)) != {window}:
                ids = {each.name if each.window == window else moved_name(each.name, window) for each in known}
                known = list(map(truths.__getitem__, ids))
        except KeyError as error:
            raise Violation("only what was put", f"event {error} on {where} was never made") from None
        if not applied.isdisjoint(ids):
            twice = min(applied & ids)
            raise Violation("nothing applied twice", f"event {twice} is on {where} and on another page")
        applied |= ids
        if set(map(_pk, known)) != {pk}:
            raise Violation("only what was put", f"an event on {where} does not belong there")
        told = (page["events"], page["sum_bytes"], page["sum_quantity"])
        right = (len(ids), sum(map(_bytes, known)), sum(map(_quantity, known)))
        if told != right:
            raise Violation("exact totals", f"{where} says {told}, its events are {right}")
    return applied


def _check_quarantine(shards: Iterable[SeenShard], found: Items) -> None:
    expected: dict[tuple[str, str], tuple[str, bytes]] = {}
    excused: set[tuple[str, str]] = set()
    for shard in shards:
        for put in shard.order:
            for bad in put.parcel.malformed if put.wanted else ():
                apart = (put.parcel.entry.partition_key, bad.payload) if shard.apart else None
                key = position(shard.shard_id, put.number, bad.subsequence_number, apart)
                expected[key] = (bad.reason, bad.payload)
                if put.excused:
                    excused.add(key)
    for key, item in found.items():
        if key not in expected:
            raise Violation(
                "quarantine", f"{key} is in quarantine ({item['reason']}), but nothing malformed was put there"
            )
        told = (item["reason"], item["payload"])
        if told != expected[key]:
            raise Violation("quarantine", f"{key} is kept as {told[0]}, it was put as {expected[key][0]}")
    missing = expected.keys() - found.keys() - excused
    if missing:
        raise Violation(
            "nothing lost", f"{len(missing)} malformed records are not in quarantine, among them {min(missing)}"
        )


def _check_items(found: Items, truths: Mapping[str, Truth], settled: set[str]) -> None:
    """A `Record` for every event that is settled; the `Latest` of a subject at least as new as its newest one."""
    newest: dict[str, int] = {}
    versions: dict[str, set[int]] = {}
    for name, truth in truths.items():
        identity = truth.digest
        record = found.get((f"record#{identity}", RECORD_SK))
        if record is None and name in settled:
            raise Violation("nothing lost", f"the record of event {identity} is missing")
        if record is not None and record["bytes"] != truth.bytes:
            raise Violation("records", f"the record of event {identity} has {record['bytes']} bytes, not {truth.bytes}")
        versions.setdefault(truth.subject, set()).add(truth.bytes)
        if name in settled:
            newest[truth.subject] = max(newest.get(truth.subject, -1), truth.bytes)
    for subject, known in versions.items():
        latest = found.get((f"latest#{subject}", LATEST_SK), {"version": -1})
        version = latest["version"]
        if version < newest.get(subject, -1) or (version != -1 and version not in known):
            raise Violation("latest values", f"{subject} is at version {version}, it must be {newest.get(subject)}")
        if version != -1 and (latest["bytes"], "odd" in latest) != (version, version % 2 == 1):
            raise Violation("latest values", f"{subject} has the attributes of another version than {version}")
