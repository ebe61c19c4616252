"""DRIVER: what the witness remembers of records, partition keys, shards and invocations that it has seen."""

from bisect import bisect_left
from dataclasses import dataclass, field
from operator import attrgetter

from infra.model.stream import StreamRecord
from infra.sim.stock import Parcel

_number = attrgetter("number")


class Key:
    """A partition key in a shard: its records in order, and the invocation that has some of them now."""

    __slots__ = ("busy", "first_unsettled", "last", "puts")

    def __init__(self) -> None:
        self.puts: list[Put] = []
        self.first_unsettled = 0
        self.busy: Flight | None = None
        self.last = 0


class Put:
    """One Kinesis record in the stream; with fan-out one user record in it, which has its number.

    `put_at_ms` is when it was put, which is what retention counts from; `arrived_at_ms` what readers are told.
    `settled` is the lease under which it was first settled, 0 before; `settled_last` the Witness's epoch in which it
    last was, `sent` the lease under which it last was sent. `wanted`: the mapping's filters let it through. `excused`:
    its events may be missing from the tables, for it is in a destination document, or was dropped with one, or has
    expired, or was there before the mapping began. `missed`: a reader found it expired. `missed_as` says why one that
    is not wanted never is the function's.
    """

    __slots__ = (
        "arrived_at_ms",
        "excused",
        "index",
        "key",
        "missed",
        "missed_as",
        "number",
        "parcel",
        "put_at_ms",
        "sent",
        "settled",
        "settled_last",
        "wanted",
    )

    key: Key

    def __init__(self, number: int, arrived_at_ms: int, put_at_ms: int, parcel: Parcel) -> None:
        self.number = number
        self.arrived_at_ms = arrived_at_ms
        self.parcel = parcel
        self.index = 0  # in its key's
        self.settled = 0
        self.settled_last = 0
        self.sent = 0
        self.put_at_ms = put_at_ms
        self.wanted = True
        self.missed_as = "filtered out"
        self.excused = False
        self.missed = False


@dataclass(slots=True)
class SeenShard:
    """What is known of a shard. `reach`: everything up to this number is behind the checkpoint.

    The mapping is to read `order[cursor]` next (None: it has to say where it begins) and holds what it was given, up to
    the number `held_to`. `begun`: it has read here before. `passed`: so many records it has missed, by retention or its
    starting position. `gone`: closed, and no longer listed. `aged`: some records were given up as too old.

    `apart`: what is in a record is handed over apart, each part found by number, partition key and data.
    """

    shard_id: str
    parents: tuple[str, ...]
    hash_range: tuple[int, int]
    apart: bool = False
    closed: bool = False
    order: list[Put] = field(default_factory=list)
    puts: dict[int, Put] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    first_unsettled: int = 0
    reach: int = 0
    reading: bool = False
    in_flight: int = 0
    cursor: int | None = None
    held_to: int = 0
    begun: bool = False
    gone: bool = False
    aged: bool = False
    passed: int = 0
    _parts: dict[tuple[int, str, bytes], Put] = field(default_factory=dict)

    def add(self, put: Put, partition_key: str) -> None:
        key = self.keys.get(partition_key)
        if key is None:
            key = self.keys[partition_key] = Key()
        put.key, put.index = key, len(key.puts)
        if put.wanted:
            key.puts.append(put)
        self.order.append(put)
        self.puts[put.number] = put
        if self.apart and put.missed_as != "not handed over":
            self._parts[put.number, partition_key, put.parcel.entry.data] = put

    def find(self, record: StreamRecord) -> Put | None:
        """What was put, of what is sent."""
        if self.apart:
            return self._parts.get((record.sequence_number, record.partition_key, record.data))
        return self.puts.get(record.sequence_number)

    def behind_put(self, put: Put) -> list[Put]:
        """What comes behind it in the shard."""
        return self.order[self.order.index(put, bisect_left(self.order, put.number, key=_number)) + 1 :]

    @property
    def behind(self) -> bool:
        """The checkpoint is not yet behind the last record that is to be read."""
        return len(self.order) > self.passed and self.reach < self.order[-1].number

    def lowest_unsettled(self) -> Put | None:
        order, place = self.order, self.first_unsettled
        while place < len(order) and order[place].settled:
            place += 1
        self.first_unsettled = place
        return order[place] if place < len(order) else None


@dataclass(slots=True, eq=False)
class Flight:
    """An invocation under way."""

    lease: int
    shard: SeenShard
    puts: list[Put]
    batching: int = 0  # Batching.epoch
