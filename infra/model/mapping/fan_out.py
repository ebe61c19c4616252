"""PURE: one shard of a mapping with enhanced fan-out: records are pushed instead of read (AWS: with-kinesis).

    Subscribe --records_pushed, again and again--> subscription_ended (five minutes, a refusal, or Unsubscribe)

What is different from reading: there are 2 MiB per second for this mapping alone, and KPL aggregates are taken apart,
so user records of one aggregate share their sequence number (and event id). Their checkpoint is that of the aggregate:
it moves when the last of them is settled. What is pushed while lanes are blocked is held up to the same bounds as what
is read; then the mapping unsubscribes, and subscribes again when half is done.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from infra.model.consumers import SUBSCRIBE_INTERVAL_S
from infra.model.mapping.aggregates import user_records
from infra.model.mapping.commands import Command, Subscribe, Unsubscribe
from infra.model.mapping.positions import AfterSequenceNumber
from infra.model.mapping.shard import ShardReader
from infra.model.stream import StreamRecord

ALL_HASH_KEYS = (0, 2**128 - 1)


@runtime_checkable
class _Ranged(Protocol):
    @property
    def hash_range(self) -> tuple[int, int]: ...


def hash_range_of(shard: object) -> tuple[int, int]:
    """Of a listed shard; everything if the listing does not say."""
    return shard.hash_range if isinstance(shard, _Ranged) else ALL_HASH_KEYS


class FanOutReader(ShardReader):
    """`reading` is True from Subscribe until `subscription_ended`. `hash_range` is to be set to the shard's."""

    hash_range = ALL_HASH_KEYS
    _unsubscribing = False
    _subscribed_at_s = float("-inf")

    def poll(self, now: float) -> Command | None:
        """Subscribe or Unsubscribe, if one of them is due."""
        context, config = self.context, self.context.config
        if self.reading:
            full = self.held_records > config.held_records_max or self.held_bytes > config.held_bytes_max
            if (full or context.stopping) and not self._unsubscribing:
                self._unsubscribing = True
                return Unsubscribe(self.shard_id)
            return None
        if self.ended or context.stopping:
            return None
        if self.held_records * 2 > config.held_records_max or self.held_bytes * 2 > config.held_bytes_max:
            return None  # asked again when a batch is settled
        if now < self.read_at_s:
            context.timers.set(self, self.read_at_s)
            return None
        context.timers.clear(self)
        self.reading, self._unsubscribing = True, False
        self._subscribed_at_s = self._last_read_at_s = now
        return Subscribe(self.shard_id, self.position)

    def records_pushed(
        self,
        now: float,
        records: Sequence[StreamRecord],
        continuation: int | None,
        *,
        millis_behind_latest: int,
        end_of_shard: bool,
    ) -> None:
        position = self.position if continuation is None else AfterSequenceNumber(continuation)
        if millis_behind_latest == 0:
            self.caught_up_s = now
        self.records_read(
            now,
            user_records(records, self.hash_range),
            position,
            millis_behind_latest=millis_behind_latest,
            end_of_shard=end_of_shard,
        )
        self.reading = True
        if records:  # also if none of them is delivered: they are processed
            self._last_sequence_number = records[-1].sequence_number

    def subscription_ended(self, now: float, *, refused: bool) -> None:
        """Subscribe again, as soon as that can succeed."""
        self.reading = False
        self.read_at_s = self._subscribed_at_s + SUBSCRIBE_INTERVAL_S
        if refused:
            self.read_at_s = max(self.read_at_s, now + self.context.config.pace.poll_interval_s)
