"""DRIVER: performs Subscribe and Unsubscribe of a mapping with enhanced fan-out: subscriptions, and what goes wrong.

A subscription ends after five minutes, at the end of its shard, when the mapping unsubscribes, or because it was cut
off. One that another machine has left is taken over, or is still the reason for a ResourceInUseException.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber, EventSourceMapping, StartingPosition, Subscribe
from infra.model.stream import StreamError
from infra.model.subscription import Subscription, SubscriptionEvent
from infra.sim.scenario import CONSUMER

if TYPE_CHECKING:
    from infra.sim.driver import Driver

LATENCY_S = 0.01  # of everything, so that what was pushed stays in its order


@dataclass(slots=True, eq=False)
class Followed:
    """One subscription of a machine; `asked` numbers the times at which the stream is to be asked for an event."""

    machine: EventSourceMapping
    shard_id: str
    subscription: Subscription
    closed: bool = False
    asked: int = 0


class Following:
    """The subscriptions of the mapping that has the lease."""

    def __init__(self, driver: "Driver") -> None:
        self._driver = driver
        self._clock, self._stream, self._border = driver.clock, driver.stream, driver.border
        self._open: dict[str, Followed] = {}  # by shard

    def leave(self) -> None:
        """Another machine follows. The stream does not know: the old subscriptions go on, unheard."""
        for followed in self._open.values():
            followed.closed = True
        self._open.clear()

    def subscribe(self, machine: EventSourceMapping, command: Subscribe) -> None:
        driver, clock, shard_id = self._driver, self._clock, command.shard_id
        driver.witness.reads(command)
        if driver.random.random() < driver.faults.read_throttled:
            driver.function.meet("read_throttled")
            clock.later(LATENCY_S, self._over, machine, shard_id, "LimitExceededException: simulated")
            return
        try:
            subscription = self._begin(command)
        except StreamError as error:
            clock.say(f"subscribe {shard_id[-4:]} {error.code}")
            clock.later(LATENCY_S, self._over, machine, shard_id, str(error))
            return
        clock.say(f"subscribe {shard_id[-4:]}")
        followed = self._open[shard_id] = Followed(machine, shard_id, subscription)
        self._ask(followed, LATENCY_S)

    def _begin(self, command: Subscribe) -> Subscription:
        """Raises StreamError."""
        shard_id, now = command.shard_id, self._clock.now
        begin = partial(self._stream.subscribe, self._stream.consumers.find(arn=CONSUMER), shard_id)
        match command.position:
            case StartingPosition(kind, timestamp_s):
                return begin(kind, now, timestamp_s=timestamp_s)
            case AtSequenceNumber(number):
                return begin("AT_SEQUENCE_NUMBER", now, sequence_number=self._border.inside(shard_id, number))
            case AfterSequenceNumber(number):
                return begin("AFTER_SEQUENCE_NUMBER", now, sequence_number=self._border.inside(shard_id, number))
            case other:
                raise TypeError(f"not a position to subscribe at: {other!r}")

    def unsubscribe(self, shard_id: str) -> None:
        followed = self._open.get(shard_id)
        if followed is not None:  # else it has just been refused, and that will be told
            self._clock.later(0.001, self._unsubscribed, followed)

    def stream_changed(self) -> None:
        for followed in self._open.values():
            self._ask(followed, 0.001)

    def _ask(self, followed: Followed, seconds: float) -> None:
        followed.asked += 1
        self._clock.later(seconds, self._push, followed, followed.asked)

    def _push(self, followed: Followed, asked: int) -> None:
        """The stream has something to send, or has nothing."""
        if followed.closed or followed.asked != asked:
            return
        clock, driver, subscription = self._clock, self._driver, followed.subscription
        event, due_s = self._stream.next_event(subscription, clock.now)
        reason = None
        dropped = event is not None and driver.random.random() < driver.faults.subscription_dropped
        if dropped:
            driver.function.meet("subscription_dropped")
            subscription.end()
            reason = "ConnectionError: simulated"
        if event is not None and not (dropped and driver.random.random() < 0.5):
            clock.later(LATENCY_S, self._heard, followed, event, clock.now)
        if subscription.ended:
            if subscription.failure is not None:
                reason = str(subscription.failure)
            clock.later(LATENCY_S, self._ended, followed, reason)
        else:
            self._ask(followed, max(0.001, due_s - clock.now))

    def _heard(self, followed: Followed, event: SubscriptionEvent, began_s: float) -> None:
        if followed.closed:
            return
        driver, machine, shard_id = self._driver, followed.machine, followed.shard_id
        records, end_of_shard = self._border.out(shard_id, event.records), event.continuation is None
        if records or end_of_shard:
            last = records[-1].sequence_number if records else "nothing"
            self._clock.say(f"pushed {shard_id[-4:]} n={len(records)} to {last} end={end_of_shard}")
        driver.witness.pushed(shard_id, began_s, records, end_of_shard=end_of_shard)
        continuation = None if event.continuation is None else self._border.told(shard_id, event.continuation)
        tell = partial(
            machine.records_pushed, millis_behind_latest=event.millis_behind_latest, end_of_shard=end_of_shard
        )
        driver.feed(machine, tell, shard_id, records, continuation)

    def _over(self, machine: EventSourceMapping, shard_id: str, reason: str | None) -> None:
        """The answer to a Subscribe; with a reason it was refused, or cut off."""
        if machine is self._driver.machine:
            self._driver.witness.subscription_ended(shard_id)
            self._driver.feed(machine, machine.subscription_ended, shard_id, reason)

    def _unsubscribed(self, followed: Followed) -> None:
        followed.subscription.end()
        self._ended(followed, None)

    def _ended(self, followed: Followed, reason: str | None) -> None:
        if followed.closed:
            return
        followed.closed = True
        del self._open[followed.shard_id]
        self._clock.say(f"unsubscribed {followed.shard_id[-4:]} {reason or ''}")
        self._over(followed.machine, followed.shard_id, reason)
