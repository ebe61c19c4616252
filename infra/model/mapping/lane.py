"""PURE: one lane of a shard: strictly one batch after the other, each to its very end.

    GATHERING --full, or window over--> READY --sent--> INVOKING --success--> GATHERING
                                          ^               |
                                          |               +--failure--> WAITING (unchanged, same request id)
                                          |               +--progress, or bisect--> READY (a part, new request id)
                                          |               +--retries exhausted--> DELIVERING
                                          +--front too old--> DELIVERING --delivered or given up--> READY, GATHERING

`batches` is a stack: its top is the batch at work, below it the right halves that wait for their left ones to end.
With tumbling windows (the shard has `windows`) a batch is of one window, and a batch without records ends it.
"""

from enum import Enum, auto
from typing import TYPE_CHECKING

from infra.model.function import FunctionError, InvokeOutcome, ServiceError, Succeeded
from infra.model.mapping import outgoing
from infra.model.mapping.batch import Batch, batch_length
from infra.model.mapping.commands import NotSent
from infra.model.mapping.context import CALL_FAILED, OK, Context
from infra.model.mapping.documents import Condition, Failure
from infra.model.mapping.gathering import gather, last_invocation, window_bytes
from infra.model.mapping.response import INVALID, first_failed
from infra.model.mapping.windows import WindowInvoke, state_of
from infra.model.stream import StreamRecord

if TYPE_CHECKING:
    from infra.model.mapping.shard import ShardReader


class Phase(Enum):
    GATHERING = auto()
    READY = auto()
    INVOKING = auto()
    WAITING = auto()
    DELIVERING = auto()


class Lane:
    """`records` and `sizes` are the queue behind the batches. The shard puts into it and asks what is unfinished."""

    def __init__(self, context: Context, shard: "ShardReader", now: float) -> None:
        self.context = context
        self.shard = shard
        self.records: list[StreamRecord] = []
        self.sizes: list[int] = []
        self.queued_bytes = 0
        self.batches: list[Batch] = []
        self.phase = Phase.GATHERING
        self.window_opened_s = now

    def lowest_unfinished(self) -> int | None:
        """The sequence number of the first record that is not settled."""
        for batch in reversed(self.batches):
            if batch.records:
                return batch.records[0].sequence_number
        return self.records[0].sequence_number if self.records else None

    @property
    def under_way(self) -> bool:
        """An invocation or a delivery has not ended yet."""
        return self.phase in (Phase.INVOKING, Phase.DELIVERING)

    def hand_back(self) -> list[StreamRecord]:
        """All unfinished records, in their order; the lane is empty then. Only while nothing is `under_way`."""
        assert not self.under_way, self.phase
        records = [record for batch in reversed(self.batches) for record in batch.records] + self.records
        self.batches, self.records, self.sizes, self.queued_bytes = [], [], [], 0
        self.phase = Phase.GATHERING
        self.context.timers.clear(self)
        self.context.refused.pop(self, None)
        return records

    # Inputs

    def reconfigured(self, now: float) -> None:
        """Other settings hold, under which batches are what they were: one that has failed is judged by them at once,
        and tried at once if it is kept. One that was refused keeps its turn."""
        waits = self.phase is Phase.WAITING and self.batches[-1].attempts > 0
        if waits and (self._judged(self.batches[-1], now) or self not in self.context.refused):
            self.context.timers.clear(self)
            self.phase = Phase.READY if self.phase is Phase.WAITING else self.phase

    def run(self, now: float) -> None:
        """Do what can be done now: to be called when records were put, and after every change."""
        while self.shard.may_begin and (self.phase is Phase.READY or self._gather(now)):
            self._attempt(now)

    @property
    def waits_for_its_turn(self) -> bool:
        """Its batch was refused, and is to be tried again."""
        return self.phase is Phase.WAITING and self in self.context.refused

    def woken(self, now: float) -> None:
        self.context.timers.clear(self)
        if self.phase is Phase.WAITING:
            self.phase = Phase.READY
        self.run(now)

    def invocation_finished(self, now: float, outcome: InvokeOutcome) -> None:
        assert self.phase is Phase.INVOKING, self.phase
        # AWS: the window of a stream's lane begins anew when its previous invocation ends.
        self.window_opened_s = now
        batch = self.batches[-1]
        if isinstance(outcome, Succeeded | FunctionError):
            batch.ran_version = outcome.version
        match outcome:
            case Succeeded(payload=payload):
                self._ran(batch, self._first_failed(batch, payload), now)
            case FunctionError():
                self._ran(batch, INVALID, now, Failure.RAISED)
            case ServiceError(reason=reason) if reason.startswith("RequestTooLargeException"):
                # The event was measured before it was sent; should Lambda see it otherwise, it counts (recorded).
                self.context.last_processing_result = CALL_FAILED
                batch.failure = Failure.NOT_SENT
                self._failed(batch, now)
            case _:
                # Throttled, or a service error: the function has not run, so the attempt does not count.
                batch.refusals += 1
                self.context.last_processing_result = CALL_FAILED
                if not batch.attempts or not self._judged(batch, now):
                    self.context.refused.setdefault(self)
                    self._wait(now + self.context.config.pace.refused_retry_after_s(batch.request_id, batch.refusals))
        self.run(now)

    def delivery_finished(self, now: float, *, delivered: bool) -> None:
        assert self.phase is Phase.DELIVERING, self.phase
        if delivered:
            self.context.count("OnFailureDestinationDeliveredEventCount", len(self.batches[-1]))
        else:
            self.context.count("DestinationDeliveryFailures", 1)
            self.context.count("DroppedEventCount", len(self.batches[-1]))
        self._settle(len(self.batches[-1]))
        self.run(now)

    # One attempt

    def _gather(self, now: float) -> bool:
        """Put the next batch on top, if one is due."""
        return self.phase is Phase.GATHERING and self._top(gather(self, now))

    def _top(self, batch: Batch | None) -> bool:
        if batch is None:
            return False
        self.batches.append(batch)
        self.phase = Phase.READY
        return True

    def _attempt(self, now: float) -> None:
        config, batch, windows = self.context.config, self.batches[-1], self.shard.windows
        if windows is not None and batch.ending is None and windows.state_too_large:
            self._top(last_invocation(self, now))
            return
        if config.record_age_s_max != -1:
            oldest_s = now - config.record_age_s_max
            if batch.ending is not None and batch.due_s < oldest_s:
                self._discard(now, Condition.AGE_EXCEEDED)
                return
            expired = batch.expired(oldest_s * 1000)
            if expired:
                self._discard_front(now, expired)
                return
        window = self._window_invoke(batch)
        if (len(batch) == 1 or window is not None) and not self._fits(batch, window, now):
            return
        if windows is not None and batch.window is not None:
            windows.enter(batch.window)
        outgoing.invoke(self, window, now)
        self.phase = Phase.INVOKING

    def _window_invoke(self, batch: Batch) -> WindowInvoke | None:
        windows = self.shard.windows
        return None if windows is None or batch.window is None else windows.invoke(batch.window, batch.ending)

    def _fits(self, batch: Batch, window: WindowInvoke | None, now: float) -> bool:
        """False, and something else was done, if the event is too large to be sent."""
        event_bytes_max = self.context.config.pace.event_bytes_max - window_bytes(self.shard, window)
        if batch.event_bytes <= event_bytes_max:
            return True
        if len(batch) > 1:  # the state has grown since the batch was formed
            length = batch_length(
                batch.sizes, sum(batch.sizes), records_max=len(batch), event_bytes_max=event_bytes_max
            )
            new_id = self.context.new_id
            self.batches[-1:] = [batch.rest(length, new_id()), batch.first(length, new_id())]
        else:
            # It never reaches the function, and unlike a throttle it uses the retry quota (recorded).
            self.context.last_processing_result = CALL_FAILED
            if not batch.attempts:
                number = batch.records[0].sequence_number if batch.records else None
                self.context.commands.append(NotSent(self.shard.shard_id, number, batch.event_bytes))
            batch.failure = Failure.NOT_SENT
            self._failed(batch, now)
        return False

    # What became of it

    def _first_failed(self, batch: Batch, payload: bytes) -> int:
        reports = self.context.config.report_batch_item_failures
        place = first_failed(payload, batch.records) if reports else len(batch)
        windows = self.shard.windows
        if windows is None:
            return place
        state = state_of(payload)
        if state is None:
            return INVALID
        if place > 0:
            windows.take(state)
        return place

    def _ran(self, batch: Batch, place: int, now: float, failure: Failure = Failure.REPORTED) -> None:
        """The function has run; the records before `place` have succeeded. INVALID: the whole call has failed."""
        context = self.context
        context.last_processing_result = CALL_FAILED if place == INVALID else OK
        context.count("InvokedEventCount", len(batch))
        if place == len(batch):
            self._settle(place)
            return
        place = max(0, place)
        context.count("FailedInvokeEventCount", len(batch) - place)
        batch.failure = failure
        if place == 0:
            self._failed(batch, now)
        else:
            self._settle(place)

    def _failed(self, batch: Batch, now: float) -> None:
        """No progress was made: halve, retry, or give up."""
        batch.attempts += 1
        batch.refusals = 0
        if not self._judged(batch, now):
            self.context.refused.pop(self, None)
            self._wait(now + self.context.config.pace.retry_after_s(batch.attempts))

    def _judged(self, batch: Batch, now: float) -> bool:
        """Whether a batch that has failed is halved or given up, which is then done."""
        config = self.context.config
        if config.bisect_batch_on_function_error and len(batch) > 1:
            half = len(batch) // 2
            self.batches[-1:] = [batch.rest(half, self.context.new_id()), batch.first(half, self.context.new_id())]
            self.phase = Phase.READY
        elif config.retry_attempts_max != -1 and batch.attempts > config.retry_attempts_max:
            self._discard(now, Condition.RETRIES_EXHAUSTED)
        else:
            return False
        self.context.refused.pop(self, None)
        return True

    def _wait(self, until_s: float) -> None:
        self.phase = Phase.WAITING
        self.context.timers.set(self, until_s)

    def _discard_front(self, now: float, count: int) -> None:
        """Cut off the expired front; it keeps the id and count of what was tried, the rest is a batch of its own."""
        batch = self.batches[-1]
        if count < len(batch):
            front = batch.first(count, batch.request_id)
            front.attempts = batch.attempts
            self.batches[-1:] = [batch.rest(count, self.context.new_id()), front]
        self._discard(now, Condition.AGE_EXCEEDED)

    def _discard(self, now: float, condition: Condition) -> None:
        destination_arn, batch = self.context.config.on_failure_destination_arn, self.batches[-1]
        if destination_arn is None:
            self.context.count("DroppedEventCount", len(batch))
            self._settle(len(batch))
            return
        outgoing.deliver(self, destination_arn, condition, self._window_invoke(batch), now)
        self.phase = Phase.DELIVERING

    def _settle(self, count: int) -> None:
        """The first `count` records of the batch are done with; the rest is a new batch, to be tried at once."""
        batch = self.batches.pop()
        self.context.refused.pop(self, None)
        if batch.ending is not None and self.shard.windows is not None:
            self.shard.windows.close()
            self.shard.window_ended = True
        self.shard.held_records -= count
        self.shard.held_bytes -= sum(batch.sizes[:count])
        if count < len(batch):
            self.batches.append(batch.rest(count, self.context.new_id()))
        self.phase = Phase.READY if self.batches else Phase.GATHERING
