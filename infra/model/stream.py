"""PURE: one Kinesis data stream: shards that split and merge, records until retention, quotas, states that take time.

Everything is a call with `now` (epoch seconds) that answers at once. What AWS does asynchronously (creating,
resharding, encrypting) is a change that becomes true at `deadline`; the first call at or after it carries it out.

Kept: hash ranges of the open shards tile 0 … 2^128 - 1; a record is in one shard, for ever; within a shard sequence
numbers grow; a key's later records are in the same shard or in a descendant of it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from . import resharding, sequence
from .shard import MIB, READ_RECORDS_MAX, Position, Quotas, ReadResult, Shard, StreamRecord, utf8_size
from .stream_error import StreamError, Throttled, in_use, invalid_argument, limit_exceeded, not_found

__all__ = ["Entry", "Position", "Quotas", "ReadResult", "Refused", "Stream", "StreamError", "StreamRecord", "Throttled"]
__all__ += ["Written"]

PUT_BYTES_MAX = 10 * MIB  # one PutRecords, data and partition keys (AWS: PutRecords)
RETENTION_HOURS_MIN, RETENTION_HOURS_MAX = 24, 8_760
SCALINGS_PER_DAY_MAX = 10  # UpdateShardCount within 24 hours
ON_DEMAND_SHARD_COUNT = 4  # of a new on-demand stream
_DAY_S = 86_400
_SWEEP_S = 60.0  # expired records are never shown; the memory of those nobody looks at is freed this often


class Entry(NamedTuple):
    """One record to put. `explicit_hash_key` replaces the hash of the partition key."""

    partition_key: str
    data: bytes
    explicit_hash_key: int | None = None


class Written(NamedTuple):
    shard_id: str
    sequence_number: int


class Refused(NamedTuple):
    """The shard's write quota was used up: this record, and only this one, was not taken."""

    message: str
    code: str = "ProvisionedThroughputExceededException"


@dataclass(frozen=True, slots=True)
class _Change:
    """What becomes true at `ready_at_s`: new boundaries, or only a return to ACTIVE."""

    status: str
    ready_at_s: float
    boundaries: tuple[int, ...] | None = None


class Stream:
    """`record_size_kib_max`, `mode`, `key_id` and `retention_hours` are AWS's settings; `tags` belongs to the caller.

    `transition_s` is how long CREATING, UPDATING and DELETING last. With 0 a change is true at once.
    """

    def __init__(
        self,
        name: str,
        *,
        account_id: str,
        region: str,
        shard_count: int | None,
        now: float,
        mode: str = "PROVISIONED",
        retention_hours: int = RETENTION_HOURS_MIN,
        record_size_kib_max: int = 1_024,
        key_id: str | None = None,
        transition_s: float = 0.0,
        quotas: Quotas | None = None,
    ) -> None:
        """`shard_count` None is for the mode ON_DEMAND, which decides itself."""
        self.name = name
        self.account_id = account_id
        self.arn = f"arn:aws:kinesis:{region}:{account_id}:stream/{name}"
        self.mode = mode
        self.retention_hours = retention_hours
        self.record_size_kib_max = record_size_kib_max
        self.key_id = key_id
        self.created_at_s = now
        self.tags: dict[str, str] = {}
        self._transition_s = transition_s
        self._quotas = quotas or Quotas()
        self._shards: dict[str, Shard] = {}  # in order of index; closed ones until their last record has expired
        self._shard_count_ever = 0
        self._open: list[Shard] = []  # in order of hash range
        self._starts: list[int] = []
        self._scaled_at_s: list[float] = []
        self._swept_at_s = now
        boundaries = sequence.uniform_boundaries(shard_count or ON_DEMAND_SHARD_COUNT)
        self._change: _Change | None = _Change("CREATING", now + transition_s, tuple(boundaries))
        self.settle(now)

    # ---- state

    @property
    def where(self) -> str:
        return f"stream {self.name} under account {self.account_id}"

    @property
    def status(self) -> str:
        """As of the last call with `now`."""
        return self._change.status if self._change else "ACTIVE"

    @property
    def deadline(self) -> float | None:
        """When the change under way is due; then `settle` carries it out."""
        return self._change.ready_at_s if self._change else None

    @property
    def open_shards(self) -> tuple[Shard, ...]:
        return tuple(self._open)

    @property
    def bytes_held(self) -> int:
        return sum(shard.bytes_held for shard in self._shards.values())

    def gone(self, now: float) -> bool:
        return self.status == "DELETING" and self._change is not None and now >= self._change.ready_at_s

    def settle(self, now: float) -> None:
        """Carries out a due change and forgets what has passed retention."""
        change = self._change
        if change and now >= change.ready_at_s and change.status != "DELETING":
            self._change = None
            if change.boundaries is not None:
                self._reshape(change.boundaries, change.ready_at_s)
        if now >= self._swept_at_s + _SWEEP_S:
            self._swept_at_s = now
            for shard in list(self._shards.values()):
                shard.trim(self._oldest_ms(now))
                if self._expired(shard, now):
                    del self._shards[shard.shard_id]

    def shards(self, now: float) -> list[Shard]:
        """Open shards, and closed ones that can still hold records, in order of index (parents before children)."""
        self.settle(now)
        return [shard for shard in self._shards.values() if not self._expired(shard, now)]

    def shard(self, shard_id: str, now: float) -> Shard:
        self.settle(now)
        try:
            found = self._shards.get(sequence.shard_id(sequence.shard_index(shard_id)))
        except ValueError:
            found = None
        if found is None or self._expired(found, now):
            raise not_found(f"Could not find shard {shard_id} in {self.where}.")
        return found

    def children(self, shard: Shard) -> list[Shard]:
        return [s for s in self._shards.values() if shard.shard_id in (s.parent_id, s.adjacent_parent_id)]

    # ---- records

    def put(self, entries: Sequence[Entry], now: float) -> list[Written | Refused]:
        """Puts each entry or refuses it, in this order; one refused does not keep the others out (AWS: PutRecords).

        Raises StreamError, and puts nothing, when a record or the whole is too large or a hash key out of range.
        """
        self.settle(now)
        if self.status in ("CREATING", "DELETING"):
            raise not_found(f"Stream {self.name} under account {self.account_id} not found.")
        sizes = self._checked_sizes(entries)
        outcomes: list[Written | Refused] = []
        for (partition_key, data, explicit_hash_key), size in zip(entries, sizes, strict=True):
            key = sequence.hash_key(partition_key) if explicit_hash_key is None else explicit_hash_key
            shard = self._open[bisect_right(self._starts, key) - 1]
            number = shard.append(partition_key, data, size, now)
            if number is None:
                outcomes.append(Refused(self._rate_exceeded(shard)))
            else:
                outcomes.append(Written(shard.shard_id, number))
        return outcomes

    def position(
        self,
        shard_id: str,
        starting_position: str,
        now: float,
        *,
        sequence_number: int | None = None,
        timestamp_s: float | None = None,
    ) -> Position:
        """Where a reader begins. `starting_position` is one of AWS's five shard iterator types, with what it needs."""
        shard = self.shard(shard_id, now)
        shard.trim(self._oldest_ms(now))
        if starting_position == "TRIM_HORIZON" and sequence_number is None:
            return Position(shard.shard_id, 0)
        if starting_position == "LATEST" and sequence_number is None:
            return Position(shard.shard_id, shard.latest_sequence_number)
        if starting_position == "AT_TIMESTAMP":
            return shard.position_at_time(self._checked_time_ms(timestamp_s, now))
        if starting_position in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER") and sequence_number is not None:
            self._check_from_shard(sequence_number, shard)
            return Position(shard.shard_id, sequence_number - (starting_position == "AT_SEQUENCE_NUMBER"))
        has = "also a" if sequence_number is not None else "no"
        raise invalid_argument(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) "
            f"TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {starting_position} and {has} "
            "StartingSequenceNumber."
        )

    def charge_iterator(self, shard_id: str, now: float) -> None:
        """Takes one GetShardIterator from the shard's quota; Throttled when there is none left."""
        shard = self.shard(shard_id, now)
        if not shard.take_iterator(now):
            raise Throttled(self._rate_exceeded(shard), now + 1 / self._quotas.iterators)

    def read(self, position: Position, limit: int, now: float) -> ReadResult:
        """Up to `limit` (1 … 10,000) records behind `position`. Throttled when the shard's read quota is used up.

        A shard that has passed out of retention reads as ended: what it held is lost, its children are to be read.
        """
        if not 1 <= limit <= READ_RECORDS_MAX:
            raise invalid_argument(f"Limit {limit} is not within 1 and {READ_RECORDS_MAX}")
        self.settle(now)
        shard = self._shards.get(position.shard_id)
        if shard is None or self._expired(shard, now):
            if sequence.shard_index(position.shard_id) < self._shard_count_ever:
                return ReadResult((), position, 0, True)
            raise not_found(f"Shard {position.shard_id} in {self.where} does not exist")
        ready_at_s = shard.admit_read(now)
        if ready_at_s is not None:
            raise Throttled(self._rate_exceeded(shard), ready_at_s)
        shard.trim(self._oldest_ms(now))
        return shard.read(position.after, limit, now)

    # ---- changes

    def split(self, shard_id: str, new_starting_hash_key: int, now: float) -> None:
        """Begins to split a shard in two, the upper one beginning at `new_starting_hash_key`."""
        self._check_can_change(now)
        shard = self._open_shard(shard_id, now)
        self._begin(now, resharding.after_split(self._open, shard, new_starting_hash_key, self.where))

    def merge(self, shard_id: str, adjacent_shard_id: str, now: float) -> None:
        """Begins to merge a shard with the one above it."""
        self._check_can_change(now)
        shard, adjacent = self._open_shard(shard_id, now), self._open_shard(adjacent_shard_id, now)
        self._begin(now, resharding.after_merge(self._open, shard, adjacent, self.where))

    def scale(self, target_shard_count: int, now: float) -> int:
        """Begins UpdateShardCount to `target_shard_count` equal shards and returns how many are open until then."""
        self._check_can_change(now)
        if self.mode == "ON_DEMAND":
            raise StreamError("ValidationException", f"UpdateShardCount is not for the on-demand {self.where}.")
        boundaries = resharding.after_scaling(self._open, target_shard_count)
        self._scaled_at_s = [at for at in self._scaled_at_s if at > now - _DAY_S]
        if len(self._scaled_at_s) >= SCALINGS_PER_DAY_MAX:
            raise limit_exceeded(
                f"UpdateShardCount was called {SCALINGS_PER_DAY_MAX} times for {self.where} within the last 24 hours, "
                "which is the limit."
            )
        self._scaled_at_s.append(now)
        current = len(self._open)
        self._begin(now, boundaries)
        return current

    def set_retention(self, hours: int, now: float, *, longer: bool) -> None:
        """IncreaseStreamRetentionPeriod (`longer`) or DecreaseStreamRetentionPeriod."""
        self._check_can_change(now)
        asked = f"Requested retention period ({hours} hours)"
        if hours < RETENTION_HOURS_MIN:
            raise invalid_argument(f"Minimum allowed retention period is 24 hours. {asked} is too short.")
        if hours > RETENTION_HOURS_MAX:
            raise invalid_argument(f"Maximum allowed retention period is 8760 hours. {asked} is too long.")
        if (hours < self.retention_hours) if longer else (hours > self.retention_hours):
            than, use = ("shorter", "Decrease") if longer else ("longer", "Increase")
            raise invalid_argument(
                f"{asked} for stream {self.name} can not be {than} than existing retention period "
                f"({self.retention_hours} hours). Use {use}RetentionPeriod API."
            )
        self.retention_hours = hours
        self._begin(now)

    def set_encryption(self, key_id: str | None, now: float) -> None:
        """StartStreamEncryption with a key, StopStreamEncryption with None. Only reported: records are kept plain."""
        self._check_can_change(now)
        self.key_id = key_id
        self._begin(now)

    def set_mode(self, mode: str, now: float) -> None:
        self._check_can_change(now)
        self.mode = mode
        self._begin(now)

    def delete(self, now: float) -> None:
        """Begins to delete; from `deadline` on the stream is `gone`."""
        self.settle(now)
        self._change = _Change("DELETING", now + self._transition_s)

    # ---- inside

    def _begin(self, now: float, boundaries: Sequence[int] | None = None) -> None:
        self._change = _Change("UPDATING", now + self._transition_s, None if boundaries is None else tuple(boundaries))
        self.settle(now)

    def _check_can_change(self, now: float) -> None:
        self.settle(now)
        if self.status != "ACTIVE":
            raise in_use(
                f"Stream {self.name} under account {self.account_id} not ACTIVE, instead in state {self.status}"
            )

    def _reshape(self, boundaries: tuple[int, ...], now: float) -> None:
        if self._open:
            self._open = resharding.reshape(self._open, boundaries, lambda r, parents: self._make(r, parents, now))
        else:
            ends = [*(start - 1 for start in boundaries[1:]), sequence.HASH_KEYS - 1]
            self._open = [self._make(r, (), now) for r in zip(boundaries, ends, strict=True)]
        self._starts = [shard.first_hash_key for shard in self._open]

    def _make(self, hash_range: tuple[int, int], parents: tuple[Shard, ...], now: float) -> Shard:
        shard = Shard(self._shard_count_ever, hash_range, now, self._quotas, parents)
        self._shards[shard.shard_id] = shard
        self._shard_count_ever += 1
        for parent in parents:
            parent.close(now)
        return shard

    def _open_shard(self, shard_id: str, now: float) -> Shard:
        shard = self.shard(shard_id, now)
        if shard.closed:
            raise invalid_argument(f"Shard {shard.shard_id} in {self.where} is closed and cannot be split or merged.")
        return shard

    def _expired(self, shard: Shard, now: float) -> bool:
        return shard.closed_at_s is not None and int(shard.closed_at_s * 1000) < self._oldest_ms(now)

    def _oldest_ms(self, now: float) -> int:
        return int(now * 1000) - self.retention_hours * 3_600_000

    def _rate_exceeded(self, shard: Shard) -> str:
        return f"Rate exceeded for shard {shard.shard_id} in {self.where}."

    def _checked_sizes(self, entries: Sequence[Entry]) -> list[int]:
        sizes = [len(data) + utf8_size(partition_key) for partition_key, data, _ in entries]
        record_bytes_max = self.record_size_kib_max * 1024
        if max(sizes, default=0) > record_bytes_max:
            at = next(index for index, size in enumerate(sizes) if size > record_bytes_max)
            raise invalid_argument(
                f"Record {at + 1} has {sizes[at]} bytes of data and partition key; {self.where} takes "
                f"{record_bytes_max} (MaxRecordSizeInKiB {self.record_size_kib_max})"
            )
        if sum(sizes) > PUT_BYTES_MAX:
            raise invalid_argument("Records size exceeds 10 MB limit")
        for entry in entries:
            if entry.explicit_hash_key is not None and not 0 <= entry.explicit_hash_key < sequence.HASH_KEYS:
                raise invalid_argument(
                    "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                    f"Specified value was {entry.explicit_hash_key}"
                )
        return sizes

    def _checked_time_ms(self, timestamp_s: float | None, now: float) -> int:
        if timestamp_s is None:
            raise invalid_argument(
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no "
                "timestamp parameter."
            )
        time_ms, now_ms = round(timestamp_s * 1000), int(now * 1000)
        if time_ms > now_ms:
            raise invalid_argument(
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
                f"timestampInMillis: {time_ms}, currentTimestampInMillis: {now_ms}"
            )
        return time_ms

    def _check_from_shard(self, number: int, shard: Shard) -> None:
        used = f"StartingSequenceNumber {number} used in GetShardIterator on shard {shard.shard_id} in {self.where}"
        try:
            parts = sequence.decode(number)
        except ValueError:
            raise invalid_argument(f"{used} is invalid.") from None
        if parts.shard_index != shard.index:
            raise invalid_argument(
                f"Invalid StartingSequenceNumber. It encodes {sequence.shard_id(parts.shard_index)}, while it was used "
                f"in a call to a shard with {shard.shard_id}"
            )
        if parts.created_s != shard.created_s:
            raise invalid_argument(f"{used} is invalid because it did not come from this stream.")
