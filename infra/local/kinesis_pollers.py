"""SHELL: streams as pollers inside this process see them, with the quotas of GetRecords and SubscribeToShard."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace

from infra.local.kinesis_consumers import stream_arn_of
from infra.local.kinesis_waiting import Waiting
from infra.model.shard import ShardCounters
from infra.model.stream import Position, ReadResult, Stream
from infra.model.subscription import Subscription, SubscriptionEvent


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard as a poller sees it. A parent that is no longer listed has passed out of retention: it counts as read."""

    shard_id: str
    parent_shard_id: str | None
    adjacent_parent_shard_id: str | None
    starting_sequence_number: int
    closed: bool
    hash_range: tuple[int, int]  # first and last hash key


def shard_views(stream: Stream, now: float) -> list[ShardView]:
    """Parents before their children."""
    return [
        ShardView(
            s.shard_id,
            s.parent_id,
            s.adjacent_parent_id,
            s.starting_sequence_number,
            s.closed,
            (s.first_hash_key, s.last_hash_key),
        )
        for s in stream.shards(now)
    ]


class KinesisPollers:
    """For one event loop. `find`: the stream of an ARN at a time; StreamError if there is none.

    Whoever changes a stream tells `_waiting`.
    """

    def __init__(self, find: Callable[[str, float], Stream], clock: Callable[[], float]) -> None:
        self._find = find
        self._clock = clock
        self._waiting = Waiting(clock)

    def _save(self) -> None:
        """What time has changed is to be kept, by who keeps it."""

    def shards(self, stream_arn: str) -> list[ShardView]:
        """Every shard that can still hold records, parents before their children.

        `stream_arn` may be that of a consumer. StreamError if the stream or the consumer is gone.
        """
        now = self._clock()
        consumer_of = stream_arn_of(stream_arn)
        stream = self._find(consumer_of or stream_arn, now)
        if consumer_of:
            stream.consumers.find(arn=stream_arn)
        views = shard_views(stream, now)
        self._save()
        return views

    def start_position(
        self,
        stream_arn: str,
        shard_id: str,
        starting_position: str,
        timestamp_s: float | None = None,
        *,
        sequence_number: int | None = None,
    ) -> Position:
        """One of AWS's five shard iterator types, with what it needs. StreamError if AWS would refuse it.

        Not counted against the 5 GetShardIterator per second.
        """
        now = self._clock()
        return self._find(stream_arn, now).position(
            shard_id, starting_position, now, sequence_number=sequence_number, timestamp_s=timestamp_s
        )

    def read(self, stream_arn: str, shard_id: str, position: Position, limit: int) -> ReadResult:
        """One GetRecords. Raises Throttled (with `ready_at_s`) when the shard's read quota is used up."""
        if position.shard_id != shard_id:
            raise ValueError(f"the position is one of {position.shard_id}, not of {shard_id}")
        now = self._clock()
        try:
            return self._find(stream_arn, now).read(position, limit, now)
        finally:
            self._save()

    def subscribe(
        self,
        consumer_arn: str,
        shard_id: str,
        starting_position: str,
        timestamp_s: float | None = None,
        *,
        sequence_number: int | None = None,
    ) -> Subscription:
        """SubscribeToShard; `events` has what it gives. StreamError if AWS would refuse it."""
        now = self._clock()
        stream = self._find(stream_arn_of(consumer_arn), now)
        subscription = stream.subscribe(
            stream.consumers.find(arn=consumer_arn),
            shard_id,
            starting_position,
            now,
            sequence_number=sequence_number,
            timestamp_s=timestamp_s,
        )
        self._waiting.wake(stream.arn)  # the subscription that was taken over has to notice
        return subscription

    async def events(self, subscription: Subscription) -> AsyncGenerator[SubscriptionEvent, None]:
        """What a subscription gives, until it ends. StreamError when it was taken over, or what it reads has gone."""
        stream_arn = stream_arn_of(subscription.consumer_arn)
        try:
            while not subscription.ended:
                now = self._clock()
                event, due_s = self._find(stream_arn, now).next_event(subscription, now)
                self._save()
                if event is not None:
                    yield event
                elif not subscription.ended:
                    await self.wait(stream_arn, due_s - now)
            if subscription.failure is not None:
                raise subscription.failure
        finally:
            subscription.end()

    def latest(self, stream_arn: str) -> dict[str, int]:
        """By shard id, the last sequence number given out (the shard's starting one if there was no record yet)."""
        now = self._clock()
        return {s.shard_id: s.latest_sequence_number for s in self._find(stream_arn, now).shards(now)}

    def counters(self, stream_arn: str) -> dict[str, ShardCounters]:
        """By shard id, what happened since the shard was opened: a copy, to subtract an earlier one from."""
        now = self._clock()
        return {s.shard_id: replace(s.counters) for s in self._find(stream_arn, now).shards(now)}

    async def wait(self, stream_arn: str, timeout_s: float) -> None:
        """Returns at the next put or reshard on that stream, or after `timeout_s`.

        What happened before the call does not wake it: read first, then wait, without an `await` in between.
        """
        await self._waiting.wait(stream_arn, timeout_s)
