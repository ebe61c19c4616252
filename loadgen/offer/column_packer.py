"""PURE: events in columns into the same Kinesis records as `processor.core.packing.Packer` makes of them one by one.

What costs there is an object and a few steps for every event. Here a block's events are laid beside each other by lane
as the bytes that they have in an aggregate, so that a Kinesis record is some slices, in which only the numbers of the
partition keys are left to write. A test holds both against each other, byte for byte.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from loadgen.offer.columns import KEY, Book, Bytes, Columns, Numbers, Rows
from loadgen.offer.truth import Known
from processor.core.packing import (
    DIGEST_BYTES,
    MAGIC,
    Packed,
    PackingSettings,
    lane_keys,
    lane_of,
    record_prefix,
    table_entry,
)

KEYS_OF_ONE_BYTE = 128  # numbers of partition keys within an aggregate, in protobuf's base 128
ENTRIES_KEPT = 65_536


def fits(packing: PackingSettings, event_bytes: int, key_bytes: int) -> bool:
    """Whether every aggregate of such events is full before it is too large, and numbers its keys in one byte each."""
    if packing.aggregate is None or packing.aggregate > KEYS_OF_ONE_BYTE:
        return False
    event = len(record_prefix(0, event_bytes)) + event_bytes + len(table_entry(b"\x0a", "k" * key_bytes))
    return len(MAGIC) + DIGEST_BYTES + 64 + packing.aggregate * event <= packing.record_bytes


class _ByLane:
    """A block's events in the order of their lanes. `rows`: their places in the block; `ends`: of each lane."""

    def __init__(self, block: Columns, lanes: Numbers, count: int, prefix: Bytes) -> None:
        order = np.argsort(lanes, kind="stable")
        self.book, self.numbers = block.book, block.numbers[order]
        self.events: Bytes = np.empty((len(order), len(prefix) + block.payloads.shape[1]), np.uint8)
        self.events[:, : len(prefix)] = prefix
        self.events[:, len(prefix) :] = block.payloads[order]
        self.rows: list[int] = order.tolist()
        self.ends: list[int] = np.cumsum(np.bincount(lanes, minlength=count)).tolist()
        self.next = [0, *self.ends[:-1]]


class _Filling:
    """The aggregate that a lane is filling: slices of blocks."""

    __slots__ = ("count", "opened_at_s", "slices")

    def __init__(self, opened_at_s: float) -> None:
        self.opened_at_s, self.count = opened_at_s, 0
        self.slices: list[tuple[_ByLane, int, int]] = []


class ColumnPacker:
    """As `Packer` for events that `fits`: `add` returns the records that it completed; `due` those whose time is up;
    `flush` all the rest. One block is added after the other, and each from its first event on."""

    @classmethod
    def of(cls, block: Columns, settings: PackingSettings) -> "ColumnPacker | None":
        """For events like these; None: these settings want them one by one."""
        event_bytes = block.payloads.shape[1]
        return cls(settings, event_bytes) if fits(settings, event_bytes, len(block.book.name(0))) else None

    def __init__(self, settings: PackingSettings, event_bytes: int) -> None:
        assert settings.aggregate is not None
        self.settings, self._events_max = settings, settings.aggregate
        self._prefix = np.frombuffer(record_prefix(0, event_bytes), np.uint8)
        self._number_at = int(np.flatnonzero(self._prefix != np.frombuffer(record_prefix(1, event_bytes), np.uint8))[0])
        self._open: dict[int, _Filling] = {}  # in order of opening
        self._block: Columns | None = None
        self._by_lane: _ByLane | None = None
        self._lanes: Numbers = np.full(1024, -1, np.int64)  # of keys by their numbers; -1: not known yet
        self._entries: dict[int, bytes] = {}

    def add(self, block: Columns, last: int, now_s: float) -> list[Packed[Known]]:
        """Add the events of this block up to `last`, which is the first that is not added."""
        if block is not self._block:
            self._block, self._by_lane = block, self._sorted(block)
        by_lane, done = self._by_lane, list[Packed[Known]]()
        assert by_lane is not None
        for lane, first in enumerate(by_lane.next):
            end = by_lane.ends[lane]
            if first == end:
                continue
            until = end if last == len(by_lane.rows) else bisect_left(by_lane.rows, last, first, end)
            by_lane.next[lane] = until
            while first < until:
                filling = self._open.get(lane)
                if filling is None:
                    filling = self._open[lane] = _Filling(now_s)
                added = min(until - first, self._events_max - filling.count)
                filling.slices.append((by_lane, first, first + added))
                filling.count += added
                first += added
                if filling.count == self._events_max:
                    done.append(self._close(lane))
        return done

    def _sorted(self, block: Columns) -> _ByLane:
        keys = block.numbers[:, KEY]
        highest = int(keys.max(initial=0))
        if highest >= len(self._lanes):
            self._lanes = np.concatenate((self._lanes, np.full(highest + 1, -1, np.int64)))
        lanes = self._lanes[keys]
        if (lanes < 0).any():
            for key in np.unique(keys[lanes < 0]).tolist():
                self._lanes[key] = lane_of(block.book.name(key), self.settings.lanes)
            lanes = self._lanes[keys]
        return _ByLane(block, lanes, self.settings.lanes, self._prefix)

    def _close(self, lane: int) -> Packed[Known]:
        slices = self._open.pop(lane).slices
        book = slices[0][0].book
        events = np.concatenate([by_lane.events[first:last] for by_lane, first, last in slices])
        numbers = np.concatenate([by_lane.numbers[first:last] for by_lane, first, last in slices])
        keys = numbers[:, KEY].tolist()
        place_of = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        events[:, self._number_at] = [place_of[key] for key in keys]
        partition_key, explicit_hash_key = lane_keys(lane, self.settings.lanes)
        entries = [self._entries.get(key) or self._entry(book, key) for key in place_of]
        data = b"".join((MAGIC, *entries, table_entry(b"\x12", explicit_hash_key), events.data))
        digest = hashlib.md5(memoryview(data)[len(MAGIC) :], usedforsecurity=False).digest()
        return Packed(partition_key, explicit_hash_key, data + digest, Rows(book, numbers), aggregated=True)

    def _entry(self, book: Book, key: int) -> bytes:
        if len(self._entries) >= ENTRIES_KEPT:
            self._entries.clear()
        entry = self._entries[key] = table_entry(b"\x0a", book.name(key))
        return entry

    def due(self, now_s: float) -> Sequence[Packed[Known]]:
        """Close every aggregate that has waited `linger_s`."""
        if (deadline_s := self.deadline_s()) is None or now_s < deadline_s:
            return ()
        return [
            self._close(lane)
            for lane, filling in list(self._open.items())
            if now_s >= filling.opened_at_s + self.settings.linger_s
        ]

    def deadline_s(self) -> float | None:
        """When `due` will next return something; None when nothing is open."""
        oldest = next(iter(self._open.values()), None)
        return None if oldest is None else oldest.opened_at_s + self.settings.linger_s

    def flush(self) -> list[Packed[Known]]:
        """Close every aggregate."""
        return [self._close(lane) for lane in list(self._open)]
