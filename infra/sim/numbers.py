"""DRIVER: the border between the stream model and everybody else: other sequence numbers, other arrival times.

AWS promises little about either. Sequence numbers are opaque: with `short`, a record's number is its place in its shard
(1, 2, ... 9, 10, ...), so whoever compares the texts instead of the numbers is found out. Arrival times are
approximate: a skewed record's is up to a second off, so they go back and forth within a shard.
"""

from random import Random

from infra.model import sequence
from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber, StartingPosition
from infra.model.stream import Position, StreamRecord

SKEW_MS_MAX = 1_000


class Border:
    """Translates records on their way out and positions on their way in. `skew` is the share of skewed records."""

    def __init__(self, random: Random, *, short: bool, skew: float) -> None:
        self._random = random
        self._short = short
        self._skew = skew
        self.skewed = 0
        self._plain = not short and not skew
        self._outside: dict[tuple[str, int], tuple[int, int]] = {}  # the model's number -> number and arrival outside
        self._inside: dict[tuple[str, int], int] = {}
        self._records: dict[tuple[str, int], StreamRecord] = {}

    def put(self, shard_id: str, number: int, arrived_at_ms: int) -> tuple[int, int]:
        """A record has got this number; returns its number and arrival time as they are seen outside."""
        if self._plain:
            return number, arrived_at_ms
        seen = sequence.decode(number).ordinal if self._short else number
        if self._random.random() < self._skew:
            self.skewed += 1
            arrived_at_ms += self._random.randint(-SKEW_MS_MAX, SKEW_MS_MAX)
        self._outside[shard_id, number] = seen, arrived_at_ms
        self._inside[shard_id, seen] = number
        return seen, arrived_at_ms

    def out(self, shard_id: str, records: tuple[StreamRecord, ...]) -> tuple[StreamRecord, ...]:
        if self._plain:
            return records
        return tuple([self._record(shard_id, record) for record in records])

    def _record(self, shard_id: str, record: StreamRecord) -> StreamRecord:
        key = (shard_id, record.sequence_number)
        seen = self._records.get(key)
        if seen is None:
            number, arrived_at_ms = self._outside[key]
            seen = self._records[key] = StreamRecord(number, record.partition_key, record.data, arrived_at_ms)
        return seen

    def told(self, shard_id: str, number: int) -> int:
        """A number that the stream gave out, perhaps not a record's: what comes before its shard's first one has 0."""
        seen = self._outside.get((shard_id, number))
        if seen is not None or not self._short:
            return number if seen is None else seen[0]
        ordinal = sequence.decode(number).ordinal
        self._inside[shard_id, ordinal] = number
        return ordinal

    def inside(self, shard_id: str, number: int) -> int:
        """The model's number of one that is seen outside."""
        return self._inside.get((shard_id, number), number)

    def position(self, shard_id: str, position: object) -> Position | StartingPosition:
        """What a Read asks for, in the model's numbers; a StartingPosition is for the stream to resolve."""
        match position:
            case AtSequenceNumber(number):
                return Position(shard_id, self.inside(shard_id, number) - 1)
            case AfterSequenceNumber(number):
                return Position(shard_id, self.inside(shard_id, number))
            case Position() | StartingPosition():
                return position
        raise TypeError(f"not a position: {position!r}")
