"""PURE: one Kinesis data stream: shards that split and merge, records until retention, quotas, states that take time.

Everything is a call with `now` (epoch seconds) that answers at once. What AWS does asynchronously (creating,
resharding, encrypting) is a change that becomes true at `deadline`; the first call at or after it carries it out.

Kept: hash ranges of the open shards tile 0 … 2^128 - 1; a record is in one shard, for ever; within a shard sequence
numbers grow; a key's later records are in the same shard or in a descendant of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.model import resharding, sequence
from infra.model.putting import Entry, Refused, Written, check_ordering, checked_sizes
from infra.model.shard import READ_RECORDS_MAX, Position, Quotas, ReadResult, Shard, StreamRecord
from infra.model.shard_set import ShardSet
from infra.model.starting import start
from infra.model.stream_error import StreamError, Throttled, in_use, invalid_argument, limit_exceeded, not_found

__all__ = ["Entry", "Position", "Quotas", "ReadResult", "Refused", "Stream", "StreamError", "StreamRecord", "Throttled"]
__all__ += ["Written"]

RETENTION_HOURS_MIN, RETENTION_HOURS_MAX = 24, 8_760
SCALINGS_PER_DAY_MAX = 10  # UpdateShardCount within 24 hours
MODE_CHANGES_PER_DAY_MAX = 2
ON_DEMAND_SHARD_COUNT = 4  # of a new on-demand stream
_DAY_S = 86_400
_SWEEP_S = 60.0  # expired records are never shown; the memory of those nobody looks at is freed this often


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
        self._shards = ShardSet(self._quotas)
        self._scaled_at_s: list[float] = []
        self._mode_set_at_s: list[float] = []
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
        return tuple(self._shards.open)

    @property
    def bytes_held(self) -> int:
        return sum(shard.bytes_held for shard in self._shards.all)

    def gone(self, now: float) -> bool:
        return self.status == "DELETING" and self._change is not None and now >= self._change.ready_at_s

    def settle(self, now: float) -> None:
        """Carries out a due change and forgets what has passed retention."""
        change = self._change
        if change and now >= change.ready_at_s and change.status != "DELETING":
            self._change = None
            if change.boundaries is not None:
                self._shards.reshape(change.boundaries, change.ready_at_s)
        if now >= self._swept_at_s + _SWEEP_S:
            self._swept_at_s = now
            for shard in self._shards.all:
                shard.trim(self._oldest_ms(now))
                if self._expired(shard, now):
                    self._shards.forget(shard)

    def shards(self, now: float) -> list[Shard]:
        """Open shards, and closed ones that can still hold records, in order of index (parents before children)."""
        self.settle(now)
        return [shard for shard in self._shards.all if not self._expired(shard, now)]

    def shard(self, shard_id: str, now: float) -> Shard:
        self.settle(now)
        try:
            found = self._shards.get(sequence.shard_index(shard_id))
        except ValueError:
            found = None
        if found is None or self._expired(found, now):
            raise not_found(f"Could not find shard {shard_id} in {self.where}.")
        return found

    def trim_horizon_s(self, now: float) -> float:
        """Records that arrived before it are gone."""
        return self._oldest_ms(now) / 1000

    def children(self, shard_id: str) -> list[Shard]:
        return self._shards.children(shard_id)

    # ---- records

    def put(self, entries: Sequence[Entry], now: float) -> list[Written | Refused]:
        """Puts each entry or refuses it, in this order; one refused does not keep the others out (AWS: PutRecords).

        Raises StreamError, and puts nothing, when a record or the whole is too large or a hash key out of range.
        """
        self.settle(now)
        if self.status in ("CREATING", "DELETING"):
            raise not_found(f"Stream {self.name} under account {self.account_id} not found.")
        sizes = checked_sizes(entries, self.record_size_kib_max, self.where)
        outcomes: list[Written | Refused] = []
        for (partition_key, data, explicit_hash_key), size in zip(entries, sizes, strict=True):
            key = sequence.hash_key(partition_key) if explicit_hash_key is None else explicit_hash_key
            shard = self._shards.of_key(key)
            number = shard.append(partition_key, data, size, now)
            if number is None:
                outcomes.append(Refused(self._rate_exceeded(shard)))
            else:
                outcomes.append(Written(shard.shard_id, number))
        return outcomes

    def put_after(self, sequence_number: int, entry: Entry, now: float) -> Written | Refused:
        """PutRecord with SequenceNumberForOrdering."""
        check_ordering(sequence_number, now, self.where)
        return self.put([entry], now)[0]

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
        return start(
            shard, starting_position, now, sequence_number=sequence_number, timestamp_s=timestamp_s, where=self.where
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
        index = sequence.shard_index(position.shard_id)
        shard = self._shards.get(index)
        if shard is None or self._expired(shard, now):
            if self._shards.existed(index):
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
        self._check_can_reshard(now)
        shard = self._open_shard(shard_id, now)
        self._begin(now, resharding.after_split(self._shards.open, shard, new_starting_hash_key, self.where))

    def merge(self, shard_id: str, adjacent_shard_id: str, now: float) -> None:
        """Begins to merge a shard with the one above it."""
        self._check_can_reshard(now)
        shard, adjacent = self._open_shard(shard_id, now), self._open_shard(adjacent_shard_id, now)
        self._begin(now, resharding.after_merge(self._shards.open, shard, adjacent, self.where))

    def scale(self, target_shard_count: int, now: float) -> int:
        """Begins UpdateShardCount to `target_shard_count` equal shards and returns how many are open until then."""
        self._check_can_reshard(now)
        boundaries = resharding.after_scaling(self._shards.open, target_shard_count)
        self._scaled_at_s = [at for at in self._scaled_at_s if at > now - _DAY_S]
        if len(self._scaled_at_s) >= SCALINGS_PER_DAY_MAX:
            raise limit_exceeded(
                f"UpdateShardCount was called {SCALINGS_PER_DAY_MAX} times for {self.where} within the last 24 hours, "
                "which is the limit."
            )
        self._scaled_at_s.append(now)
        current = len(self._shards.open)
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

    def set_record_size_max(self, kib: int, now: float) -> None:
        """UpdateMaxRecordSize."""
        self._check_can_change(now)
        self.record_size_kib_max = kib
        self._begin(now)

    def set_mode(self, mode: str, now: float) -> None:
        """UpdateStreamMode; the shards stay as they are."""
        self._check_can_change(now)
        self._mode_set_at_s = [at for at in self._mode_set_at_s if at > now - _DAY_S]
        if len(self._mode_set_at_s) >= MODE_CHANGES_PER_DAY_MAX:
            raise limit_exceeded(f"The mode of {self.where} changed {MODE_CHANGES_PER_DAY_MAX} times within 24 hours.")
        self._mode_set_at_s.append(now)
        self.mode = mode
        self._begin(now)

    def delete(self, now: float) -> None:
        """Begins to delete; from `deadline` on the stream is `gone`."""
        self.settle(now)
        if self.status != "DELETING":
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

    def _check_can_reshard(self, now: float) -> None:
        self._check_can_change(now)
        if self.mode == "ON_DEMAND":
            raise StreamError("ValidationException", f"The on-demand {self.where} decides on its shards itself.")

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
