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
    """One Kinesis record in the stream. `settled` is the lease under which it was first settled, 0 before."""

    __slots__ = (
        "arrived_at_ms",
        "dropped",
        "in_document",
        "index",
        "key",
        "number",
        "parcel",
        "settled",
        "settled_last",
    )

    def __init__(self, number: int, arrived_at_ms: int, parcel: Parcel, key: Key) -> None:
        self.number = number
        self.arrived_at_ms = arrived_at_ms
        self.parcel = parcel
        self.key = key
        self.index = len(key.puts)
        self.settled = 0
        self.settled_last = 0
        self.in_document = False
        self.dropped = False


@dataclass(slots=True)
class SeenShard:
    """What is known of a shard. `reach`: everything up to this number is behind the checkpoint."""

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

    @property
    def behind(self) -> bool:
        """The checkpoint is not yet behind the last record."""
        return bool(self.order) and self.reach < self.order[-1].number

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
