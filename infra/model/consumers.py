"""PURE: the registered consumers of one stream and what they are subscribed to (AWS: RegisterStreamConsumer).

A consumer is CREATING, then ACTIVE, then DELETING for a while, like a stream; at most 20, and five CREATING at once.
Of one consumer and shard there is one subscription at a time: asking again within five seconds is refused, asking later
takes the subscription over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.model.shard import Position, Shard
from infra.model.stream_error import StreamError, in_use, limit_exceeded, not_found
from infra.model.subscription import FanOutQuotas, Subscription

CONSUMERS_MAX = 20  # of one stream (AWS: RegisterStreamConsumer; 50 with On-demand Advantage, which is not here)
CREATING_MAX = 5
SUBSCRIBE_INTERVAL_S = 5.0


@dataclass(slots=True)
class Consumer:
    """`status` is as of the last `settle` of its stream. `subscriptions` are the latest per shard id, ended or not."""

    name: str
    arn: str
    created_at_s: float
    status: str = "CREATING"
    ready_at_s: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)

    def settle(self, now: float) -> bool:
        """Whether it became ACTIVE, or is gone."""
        if now < self.ready_at_s or self.status == "ACTIVE":
            return False
        self.status = "ACTIVE" if self.status == "CREATING" else "GONE"
        return True


class Consumers:
    """Of the stream with this ARN. `transition_s` is how long CREATING and DELETING last."""

    def __init__(
        self, stream_arn: str, account_id: str, transition_s: float, quotas: FanOutQuotas | None = None
    ) -> None:
        self._stream_arn = stream_arn
        self._account_id = account_id
        self._transition_s = transition_s
        self._quotas = quotas
        self._by_name: dict[str, Consumer] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def all(self) -> list[Consumer]:
        """In order of name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def settle(self, now: float) -> bool:
        """Carries out what is due; whether anything was."""
        changed = [consumer for consumer in self._by_name.values() if consumer.settle(now)]
        for consumer in changed:
            if consumer.status == "GONE":
                del self._by_name[consumer.name]
        return bool(changed)

    @property
    def deadline(self) -> float | None:
        return min((c.ready_at_s for c in self._by_name.values() if c.status != "ACTIVE"), default=None)

    def find(self, *, name: str | None = None, arn: str | None = None) -> Consumer:
        """By name, by ARN, or by both where they do not contradict; ResourceNotFoundException otherwise."""
        for consumer in self._by_name.values():
            if name in (None, consumer.name) and arn in (None, consumer.arn):
                return consumer
        if arn is None:
            raise not_found(f"Consumer {name}, account {self._account_id} not found.")
        stream_name, _, named = arn.partition(":stream/")[2].partition("/consumer/")
        consumer_name, _, created_s = named.partition(":")
        raise not_found(
            f"Consumer {consumer_name} with creation timestamp {created_s} under stream: {stream_name}, account "
            f"{self._account_id} not found."
        )

    def register(
        self, name: str, now: float, *, tags: Mapping[str, str] | None = None, arn: str | None = None
    ) -> Consumer:
        """Begins to create a consumer. Its ARN ends with the epoch second of its creation, unless it is given: then it
        is ACTIVE at once."""
        if name in self._by_name:
            raise in_use(f"Consumer {name} under stream {self._stream_arn} already exists.")
        if len(self._by_name) >= CONSUMERS_MAX:
            raise limit_exceeded(
                f"The stream {self._stream_arn} already has {CONSUMERS_MAX} registered consumers, which is the limit."
            )
        if sum(consumer.status == "CREATING" for consumer in self._by_name.values()) >= CREATING_MAX:
            raise limit_exceeded(f"{CREATING_MAX} consumers are being created for {self._stream_arn}; wait for one.")
        created_at_s, ready_at_s = now, now + self._transition_s
        if arn is None:
            arn = f"{self._stream_arn}/consumer/{name}:{int(now)}"
        else:
            created_at_s, ready_at_s = float(arn.rpartition(":")[2]), now
        consumer = Consumer(name, arn, created_at_s, "CREATING", ready_at_s, dict(tags or {}))
        self._by_name[name] = consumer
        self.settle(now)
        return consumer

    def deregister(self, consumer: Consumer, now: float) -> None:
        """Begins to delete it; its subscriptions end."""
        self._end_subscriptions(consumer, not_found(f"Consumer {consumer.arn} is deregistered."))
        consumer.status, consumer.ready_at_s = "DELETING", now + self._transition_s
        self.settle(now)

    def end_all(self, failure: StreamError | None = None) -> None:
        """Ends every subscription, of every consumer."""
        for consumer in self._by_name.values():
            self._end_subscriptions(consumer, failure)

    def subscribe(self, consumer: Consumer, shard: Shard, position: Position, now: float) -> Subscription:
        """ResourceInUseException within five seconds of the last one to this shard; later it ends the one before."""
        if consumer.status != "ACTIVE":
            raise self.not_active(consumer)
        stream_name = self._stream_arn.rpartition("/")[2]
        another = in_use(
            "Another active subscription exists for this consumer: "
            f"{self._account_id}:{stream_name}:{shard.shard_id}:{consumer.name}"
        )
        before = consumer.subscriptions.get(shard.shard_id)
        if before is not None:
            if now < before.started_at_s + SUBSCRIBE_INTERVAL_S:
                raise another
            if not before.ended:
                before.end(another)
        subscription = Subscription(consumer.arn, shard, position, now, self._quotas)
        consumer.subscriptions[shard.shard_id] = subscription
        return subscription

    def not_active(self, consumer: Consumer) -> StreamError:
        """In the words that AWS was recorded with."""
        stream_name, created_s = self._stream_arn.rpartition("/")[2], consumer.arn.rpartition(":")[2]
        return in_use(
            f"Consumer {consumer.name} with creation timestamp {created_s} under stream: {stream_name} , account "
            f"{self._account_id} is not in ACTIVE status."
        )

    @staticmethod
    def _end_subscriptions(consumer: Consumer, failure: StreamError | None) -> None:
        for subscription in consumer.subscriptions.values():
            if not subscription.ended:
                subscription.end(failure)

    # ---- as plain data: subscriptions are connections, and do not survive

    def plain(self) -> list[dict[str, Any]]:
        return [
            {
                "name": consumer.name,
                "arn": consumer.arn,
                "created_at_s": consumer.created_at_s,
                "status": consumer.status,
                "ready_at_s": consumer.ready_at_s,
                "tags": consumer.tags,
            }
            for consumer in self.all()
        ]

    def restore(self, plain: list[dict[str, Any]]) -> None:
        self._by_name = {each["name"]: Consumer(**each) for each in plain}
