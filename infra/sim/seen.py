"""DRIVER: what the witness remembers of records, partition keys, shards and invocations that it has seen."""

from dataclasses import dataclass, field

from infra.sim.stock import Parcel


class Key:
    """A partition key in a shard: its records in order, and the invocation that has some of them now."""

    __slots__ = ("busy", "first_unsettled", "last", "puts")

    def __init__(self) -> None:
        self.puts: list[Put] = []
        self.first_unsettled = 0
        self.busy: Flight | None = None
        self.last = 0


class Put:
    """One Kinesis record in the stream.

    `put_at_ms` is when it was put, which is what retention counts from; `arrived_at_ms` what readers are told.
    `settled` is the lease under which it was first settled, 0 before; `settled_last` the Witness's epoch in which it
    last was, `sent` the lease under which it last was sent. `wanted`: the mapping's filters let it through. `excused`:
    its events may be missing from the tables, for it is in a destination document, or was dropped with one, or has
    expired, or was there before the mapping began. `missed`: a reader found it expired.
    """

    __slots__ = (
        "arrived_at_ms",
        "excused",
        "index",
        "key",
        "missed",
        "number",
        "parcel",
        "put_at_ms",
        "sent",
        "settled",
        "settled_last",
        "wanted",
    )

    def __init__(
        self, number: int, arrived_at_ms: int, put_at_ms: int, parcel: Parcel, key: Key, *, wanted: bool
    ) -> None:
        self.number = number
        self.arrived_at_ms = arrived_at_ms
        self.parcel = parcel
        self.key = key
        self.index = len(key.puts)
        self.settled = 0
        self.settled_last = 0
        self.sent = 0
        self.put_at_ms = put_at_ms
        self.wanted = wanted
        self.excused = False
        self.missed = False


@dataclass(slots=True)
class SeenShard:
    """What is known of a shard. `reach`: everything up to this number is behind the checkpoint.

    The mapping is to read `order[cursor]` next (None: it has to say where it begins) and holds what it was given, up to
    the number `held_to`. `begun`: it has read here before. `passed`: so many records it has missed, by retention or its
    starting position. `gone`: closed, and no longer listed. `aged`: some records were given up as too old.
    """

    shard_id: str
    parents: tuple[str, ...]
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
