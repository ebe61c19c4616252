"""PURE: one SubscribeToShard: records pushed from a shard to a consumer (AWS: SubscribeToShard, enhanced fan-out).

A subscription lasts five minutes and has 2 MiB per second of its own, apart from the shard's read quota. It ends before
that when the shard has ended (its last event names the child shards), or when it is taken over by a later one of the
same consumer and shard. What AWS does not say: how large an event may be, how often an idle subscription says that
there is nothing, and how 2 MiB "per second" are measured. Here: 1 MiB (or one larger record), every five seconds, and a
token bucket that holds one second's worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from infra.model.bucket import Bucket
from infra.model.shard import MIB, READ_RECORDS_MAX, Position, Shard, StreamRecord
from infra.model.stream_error import StreamError

LIFETIME_S = 300.0
IDLE_EVENT_S = 5.0
EVENT_BYTES_MAX = MIB
BYTES_PER_S = 2 * MIB
_ALLOWANCE_MIN = 1_024  # bytes that must be left of the rate before an event is sent, which may overdraw it


class SubscriptionEvent(NamedTuple):
    """One SubscribeToShardEvent. `continuation` is what to go on after in the next subscription; None: the shard has
    ended, and `children` are to be read instead.
    """

    records: tuple[StreamRecord, ...]
    continuation: int | None
    millis_behind_latest: int
    children: tuple[Shard, ...] = ()


@dataclass(frozen=True, slots=True)
class FanOutQuotas:
    """Of one subscription. The defaults are AWS's, as far as it names them; a test may use others."""

    bytes_per_s: int = BYTES_PER_S
    lifetime_s: float = LIFETIME_S


class Subscription:
    """`position` moves with what was given out. `failure` is set when the subscription was ended from outside."""

    def __init__(
        self, consumer_arn: str, shard: Shard, position: Position, now: float, quotas: FanOutQuotas | None = None
    ) -> None:
        quotas = quotas or FanOutQuotas()
        self.consumer_arn = consumer_arn
        self.shard_id = shard.shard_id
        self.position = position
        self.started_at_s = now
        self.ends_at_s = now + quotas.lifetime_s
        self.ended = False
        self.failure: StreamError | None = None
        self._bytes = Bucket(quotas.bytes_per_s, quotas.bytes_per_s)
        self._idle_event_at_s = now  # the first event comes at once: it says how far behind the consumer is
        self._continuation = shard.number_before(position.after)

    def end(self, failure: StreamError | None = None) -> None:
        self.ended = True
        self.failure = self.failure or failure

    def deadline(self, shard: Shard | None, now: float) -> float:
        """When to call `take` again if nothing is put before; not before `now`."""
        due = min(self.ends_at_s, self._idle_event_at_s)
        if shard is not None and shard.has_after(self.position.after):
            due = min(due, self._bytes.ready_at(_ALLOWANCE_MIN, now))
        return max(now, due)

    def take(self, shard: Shard | None, children: Sequence[Shard], now: float) -> SubscriptionEvent | None:
        """The event to send now, if any. `shard` None: it has passed out of retention, so it has ended."""
        if self.ended:
            return None
        if now >= self.ends_at_s:
            self.end()
            return None
        if shard is None:
            self.end()
            return SubscriptionEvent((), None, 0, tuple(children))
        records: list[StreamRecord] = []
        if self._bytes.can_take(_ALLOWANCE_MIN, now):
            records, size, _ = shard.slice(self.position.after, READ_RECORDS_MAX, EVENT_BYTES_MAX)
            self._bytes.spend(size, now)
        if records:
            self._continuation = records[-1].sequence_number
            self.position = Position(self.shard_id, self._continuation)
        more = shard.has_after(self.position.after)
        if shard.closed and not more:
            self.end()
            return SubscriptionEvent(tuple(records), None, 0, tuple(children))
        if not records and now < self._idle_event_at_s:
            return None
        self._idle_event_at_s = now + IDLE_EVENT_S
        return SubscriptionEvent(tuple(records), self._continuation, shard.millis_behind(self.position.after, now))
