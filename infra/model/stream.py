"""PURE: one Kinesis data stream: shards that split and merge, records until retention, quotas, states that take time.

Everything is a call with `now` (epoch seconds) that answers at once. What AWS does asynchronously (creating,
resharding, encrypting) is a change that becomes true at `deadline`; the first call at or after it carries it out.

Kept: hash ranges of the open shards tile 0 … 2^128 - 1; a record is in one shard, for ever; within a shard sequence
numbers grow; a key's later records are in the same shard or in a descendant of it.
"""

from collections.abc import Mapping, Sequence

from infra.model import resharding, sequence
from infra.model.consumers import Consumer
from infra.model.on_demand import OnDemand
from infra.model.putting import Entry, Refused, Written, check_ordering, checked_sizes
from infra.model.shard import READ_RECORDS_MAX, Position, Quotas, ReadResult, Shard, StreamRecord
from infra.model.starting import start
from infra.model.stream_error import StreamError, Throttled, in_use, invalid_argument, limit_exceeded, not_found
from infra.model.stream_settings import check_retention, shard_metrics
from infra.model.stream_state import MODE_CHANGES_PER_DAY_MAX, SCALINGS_PER_DAY_MAX, Change, StreamState
from infra.model.subscription import Subscription, SubscriptionEvent

__all__ = ["Entry", "Position", "Quotas", "ReadResult", "Refused", "Stream", "StreamError", "StreamRecord", "Throttled"]
__all__ += ["Written"]


class Stream(StreamState):
    """The operations on a stream."""

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
                continue
            outcomes.append(Written(shard.shard_id, number))
            if self.unsaved is not None:
                self.unsaved.append((shard.index, shard.last_record))
        return outcomes

    def take_back(self) -> int:
        """Forgets what is `unsaved`, to be called before anybody could read it; returns how many records that were."""
        unsaved = self.unsaved or []
        count = len(unsaved)
        while unsaved:
            shard = self._shards.get(unsaved.pop()[0])
            assert shard is not None
            shard.take_back()
        return count

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
        shard = self.shard_to_read(shard_id, now)
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

    # ---- consumers

    def register_consumer(
        self, name: str, now: float, tags: Mapping[str, str] | None = None, *, arn: str | None = None
    ) -> Consumer:
        """Begins to create a consumer; with an `arn`, a template's, it is ACTIVE at once.

        The stream may be ACTIVE or UPDATING.
        """
        self.settle(now)
        if self.status not in ("ACTIVE", "UPDATING"):
            raise self._not_active()
        consumer = self.consumers.register(name, now, tags=tags, arn=arn)
        self.revision += 1
        return consumer

    def deregister_consumer(self, consumer: Consumer, now: float) -> None:
        """Begins to delete the consumer; its subscriptions end."""
        if consumer.status == "CREATING":
            raise self.consumers.not_active(consumer)
        self.consumers.deregister(consumer, now)
        self.revision += 1

    def subscribe(
        self,
        consumer: Consumer,
        shard_id: str,
        starting_position: str,
        now: float,
        *,
        sequence_number: int | None = None,
        timestamp_s: float | None = None,
    ) -> Subscription:
        """Begins a subscription; ask `next_event` for what it gives. Arguments as for `position`."""
        position = self.position(
            shard_id, starting_position, now, sequence_number=sequence_number, timestamp_s=timestamp_s
        )
        return self.consumers.subscribe(consumer, self.shard(shard_id, now), position, now)

    def next_event(self, subscription: Subscription, now: float) -> tuple[SubscriptionEvent | None, float]:
        """The event to send now, if any, and when to ask again unless something is put, split or merged before."""
        self.settle(now)
        shard = self._shards.get(sequence.shard_index(subscription.shard_id))
        if shard is not None and self._expired(shard, now):
            shard = None
        if shard is not None:
            shard.trim(self._oldest_ms(now))
        event = subscription.take(shard, self.children(subscription.shard_id), now)
        return event, subscription.deadline(shard, now)

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
        if self._scalings.exhausted(now):
            raise limit_exceeded(
                f"UpdateShardCount was called {SCALINGS_PER_DAY_MAX} times for {self.where} within the last 24 hours, "
                "which is the limit."
            )
        self._scalings.note(now)
        current = len(self._shards.open)
        self._begin(now, boundaries)
        return current

    def set_retention(self, hours: int, now: float, *, longer: bool) -> None:
        """IncreaseStreamRetentionPeriod (`longer`) or DecreaseStreamRetentionPeriod."""
        self._check_can_change(now)
        check_retention(hours, self.retention_hours, self.name, longer=longer)
        self.retention_hours = hours
        self._begin(now)

    def set_encryption(self, key_id: str | None, now: float) -> None:
        """StartStreamEncryption with a key, StopStreamEncryption with None. Only reported: records are kept plain."""
        self._check_can_change(now)
        self.key_id = key_id
        self._begin(now)

    def set_shard_metrics(self, asked: Sequence[str], now: float, *, enabled: bool) -> None:
        """EnableEnhancedMonitoring or DisableEnhancedMonitoring. Only reported: shard metrics are always published."""
        self._check_can_change(now)
        self.shard_metrics = shard_metrics(self.shard_metrics, asked, enabled=enabled)
        self._begin(now)

    def set_record_size_max(self, kib: int, now: float) -> None:
        """UpdateMaxRecordSize."""
        self._check_can_change(now)
        self.record_size_kib_max = kib
        self._begin(now)

    def set_mode(self, mode: str, now: float) -> None:
        """UpdateStreamMode; the shards stay as they are. To the mode that it has is no change."""
        self._check_can_change(now)
        if mode == self.mode:
            return
        if self._mode_changes.exhausted(now):
            raise limit_exceeded(f"The mode of {self.where} changed {MODE_CHANGES_PER_DAY_MAX} times within 24 hours.")
        self._mode_changes.note(now)
        self._set_mode(mode, now)
        self._begin(now)

    def deploy(
        self,
        now: float,
        *,
        mode: str,
        shard_count: int | None,
        retention_hours: int,
        record_size_kib_max: int,
        key_id: str | None,
    ) -> None:
        """Becomes, at once, what a template says, as far as that differs from what it said the last time.

        So what was changed since by other means stays, as it does under CloudFormation. LimitExceededException if the
        shard count more than doubles or halves.
        """
        wanted = {
            "mode": mode,
            "shard_count": shard_count,
            "retention_hours": retention_hours,
            "record_size_kib_max": record_size_kib_max,
            "key_id": key_id,
        }
        self.settle(now)
        changed = {name for name, value in wanted.items() if self.deployed and self.deployed.get(name) != value}
        if "shard_count" in changed and mode == "PROVISIONED" and shard_count is not None:
            self._shards.reshape(resharding.after_scaling(self._shards.open, shard_count), now)
        if "mode" in changed:
            self._set_mode(mode, now)
        for name in changed & {"retention_hours", "record_size_kib_max", "key_id"}:
            setattr(self, name, wanted[name])
        self.deployed = wanted
        self.revision += 1

    def delete(self, now: float, *, with_consumers: bool = False) -> None:
        """Begins to delete; from `deadline` on the stream is `gone`. One with consumers only if that is said."""
        self.settle(now)
        if len(self.consumers) and not with_consumers:
            raise in_use(f"Stream {self.name} under account {self.account_id} has registered consumers.")
        if self.status != "DELETING":
            self._change = Change("DELETING", now + self._transition_s)
            self.revision += 1
            self.consumers.end_all(not_found(f"Stream {self.name} under account {self.account_id} not found."))

    # ---- inside

    def _set_mode(self, mode: str, now: float) -> None:
        self.mode = mode
        self._on_demand = OnDemand(len(self._shards.open), self._quotas, now) if mode == "ON_DEMAND" else None

    def _begin(self, now: float, boundaries: Sequence[int] | None = None) -> None:
        self._change = Change("UPDATING", now + self._transition_s, None if boundaries is None else tuple(boundaries))
        self.revision += 1
        self.settle(now)

    def _check_can_change(self, now: float) -> None:
        self.settle(now)
        if self.status != "ACTIVE":
            raise self._not_active()

    def _not_active(self) -> StreamError:
        return in_use(f"Stream {self.name} under account {self.account_id} not ACTIVE, instead in state {self.status}")

    def _check_can_reshard(self, now: float) -> None:
        self._check_can_change(now)
        if self.mode == "ON_DEMAND":
            raise StreamError("ValidationException", f"Request is invalid. S{self.where[1:]} is in On-Demand mode.")

    def _open_shard(self, shard_id: str, now: float) -> Shard:
        shard = self.shard(shard_id, now)
        if shard.closed:
            raise invalid_argument(f"Shard {shard.shard_id} in {self.where} is closed and cannot be split or merged.")
        return shard
