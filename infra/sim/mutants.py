"""DRIVER: the mistakes of an event source mapping, and one of a stream.

They reach into private parts, as mistakes do. Names say what the broken thing does.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from infra.model.function import InvokeOutcome, ServiceError, Throttled
from infra.model.mapping import gathering, lineage, response
from infra.model.mapping.batch import Batch
from infra.model.mapping.commands import Checkpoint
from infra.model.mapping.config import Pace
from infra.model.mapping.documents import Condition, Failure
from infra.model.mapping.filters import Filter
from infra.model.mapping.lane import Lane, Phase
from infra.model.mapping.machine import EventSourceMapping
from infra.model.mapping.positions import AfterSequenceNumber, AtSequenceNumber
from infra.model.mapping.shard import ShardReader
from infra.model.mapping.windows import ShardWindows
from infra.model.stream import StreamRecord
from infra.model.stream_state import StreamState
from infra.sim.patching import Patch, always


def budget_not_reset(_right: Any) -> Any:
    def rest(self: Batch, count: int, request_id: str) -> Batch:
        return Batch(request_id, self.records[count:], self.sizes[count:], attempts=self.attempts, window=self.window)

    return rest


def right_half_first(right: Any) -> Any:
    def failed(self: Lane, batch: Batch, now: float) -> None:
        before = len(self.batches)
        right(self, batch, now)
        if len(self.batches) > before:
            self.batches[-2:] = self.batches[:-3:-1]

    return failed


def suffix_dropped(right: Any) -> Any:
    def settle(self: Lane, count: int) -> None:
        right(self, len(self.batches[-1]) if self.phase is Phase.INVOKING else count)

    return settle


def reported_numbers_as_text(_right: Any) -> Any:
    def lowest(failures: Sequence[dict[str, str]], records: Sequence[StreamRecord]) -> int:
        places = {str(record.sequence_number): place for place, record in enumerate(records)}
        return places.get(min(failure["itemIdentifier"] for failure in failures), response.INVALID)

    return lowest


def _checkpoint_at(choose: Callable[[Iterable[int]], int]) -> Callable[[Any], Any]:
    def checkpoint(self: ShardReader) -> Checkpoint | None:
        last = self._last_sequence_number
        if last is None:
            return None
        unfinished = [lowest for lane in self.lanes if (lowest := lane.lowest_unfinished()) is not None]
        position = AtSequenceNumber(choose(unfinished)) if unfinished else AfterSequenceNumber(last)
        if position == self.resume:
            return None
        self.resume = position
        return Checkpoint(self.shard_id, position)

    return lambda _right: checkpoint


def children_at_once(_right: Any) -> Any:
    def startable(listed: Iterable[Any], *, read: Any, completed: Any) -> Iterator[Any]:
        return iter([shard for shard in listed if shard.shard_id not in read and shard.shard_id not in completed])

    return startable


def lane_in_turn(_right: Any) -> Any:
    def distribute(self: ShardReader, records: Sequence[StreamRecord]) -> None:
        for index, record in enumerate(records):
            lane = self.lanes[index % len(self.lanes)]
            size = self._fixed_bytes + len(record.data) * 4 // 3 + 200
            lane.records.append(record)
            lane.sizes.append(size)
            lane.queued_bytes += size
            self.held_bytes += size
        self.held_records += len(records)

    return distribute


def throttle_counts(right: Any) -> Any:
    def finished(self: Lane, now: float, outcome: InvokeOutcome) -> None:
        if isinstance(outcome, Throttled | ServiceError):
            batch, retries = self.batches[-1], self.context.config.retry_attempts_max
            batch.attempts += 1
            if batch.attempts > retries != -1:
                self._discard(now, Condition.RETRIES_EXHAUSTED)
                self.run(now)
                return
        right(self, now, outcome)

    return finished


def whole_batch_too_old(_right: Any) -> Any:
    def expired(self: Batch, oldest_ms: float) -> int:
        return len(self.records) if self.records and self.records[0].arrived_at_ms < oldest_ms else 0

    return expired


def no_document(_right: Any) -> Any:
    return lambda self, _now, _condition: self._settle(len(self.batches[-1]))


def one_call_too_many(right: Any) -> Any:
    def failed(self: Lane, batch: Batch, now: float) -> None:
        config = self.context.config
        last = batch.attempts == config.retry_attempts_max and batch.refusals >= 0
        if last and not (config.bisect_batch_on_function_error and len(batch) > 1):
            batch.attempts += 1
            batch.refusals = -1  # only once
            self._wait(now + config.pace.retry_after_s(1))
        else:
            right(self, batch, now)

    return failed


def _halved(first: Callable[[int], int], at_least: int) -> Callable[[Any], Any]:
    """A batch of at least so many records is divided behind the `first` so many."""

    def judged(right: Any) -> Any:
        def divide(self: Lane, batch: Batch, now: float) -> bool:
            if not self.context.config.bisect_batch_on_function_error or len(batch) < at_least:
                done: bool = right(self, batch, now)
                return done
            count = first(len(batch))
            parts = [batch.rest(count, self.context.new_id()), batch.first(count, self.context.new_id())]
            self.batches[-1:] = [part for part in parts if part.records]  # of one record the left half is all
            self.phase = Phase.READY
            self.context.refused.pop(self, None)
            return True

        return divide

    return judged


def reported_after_all(right: Any) -> Any:
    """Whatever the function did, the document says that it reported."""

    def ran(self: Lane, batch: Batch, place: int, now: float, _failure: Failure = Failure.REPORTED) -> None:
        right(self, batch, place, now, Failure.REPORTED)

    return ran


def new_id_for_a_retry(right: Any) -> Any:
    def wait(self: Lane, until_s: float) -> None:
        self.batches[-1].request_id = self.context.new_id()
        right(self, until_s)

    return wait


def snapshot_of_what_was_read(right: Any) -> Any:
    def snapshot(self: EventSourceMapping) -> dict[str, Any]:
        found: dict[str, Any] = right(self)
        for shard_id, shard in self._shards.items():
            if shard._last_sequence_number is not None:
                number = str(shard._last_sequence_number)
                found["shards"][shard_id] = {"type": "AFTER_SEQUENCE_NUMBER", "sequence_number": number}
        return found

    return snapshot


def lanes_change_at_once(_right: Any) -> Any:
    def regroup(self: ShardReader) -> None:
        self.lanes = [*self.lanes, Lane(self.context, self, self._last_read_at_s)]
        self._places.clear()

    return regroup


PATCHES: dict[str, tuple[Patch, ...]] = {
    "budget not reset by progress": ((Batch, "rest", budget_not_reset),),
    "right half first": ((Lane, "_failed", right_half_first),),
    "suffix dropped": ((Lane, "_settle", suffix_dropped),),
    "reported numbers compared as text": ((response, "_lowest", reported_numbers_as_text),),
    "checkpoint compared as text": (
        (ShardReader, "checkpoint", _checkpoint_at(lambda numbers: int(min(map(str, numbers))))),
    ),
    "checkpoint past a failing lane": ((ShardReader, "checkpoint", _checkpoint_at(max)),),
    "child before parent": ((lineage, "startable", children_at_once),),
    "shard completed when it is read": ((ShardReader, "completed", lambda _: property(lambda self: self.ended)),),
    "lane by index, not by key": ((ShardReader, "_distribute", lane_in_turn),),
    "throttle counted as attempt": ((Lane, "invocation_finished", throttle_counts),),
    "record age ignored": ((Batch, "expired", always(0)),),
    "whole batch too old with its front": ((Batch, "expired", whole_batch_too_old),),
    "discard without document": ((Lane, "_discard", no_document),),
    "partial response ignored": ((Lane, "_first_failed", lambda _: lambda _self, batch, _payload: len(batch)),),
    "one call too many": ((Lane, "_failed", one_call_too_many),),
    "new request id for a retry": ((Lane, "_wait", new_id_for_a_retry),),
    "retries without a wait": ((Pace, "retry_after_s", always(0.0)),),
    "retries that do not wait longer": ((Pace, "retry_after_s", lambda _: lambda self, _failures: self.first_retry_s),),
    "batches of one": ((gathering, "batch_length", always(1)),),
    "larger half first": ((Lane, "_judged", _halved(lambda count: (count + 1) // 2, 2)),),
    "a single record is divided": ((Lane, "_judged", _halved(lambda count: max(1, count // 2), 1)),),
    "functionError lost": ((Lane, "_ran", reported_after_all),),
    "filters ignored": ((Filter, "matches", always(True)),),
    "filters let nothing through": ((Filter, "matches", always(False)),),
    "children begin where the mapping did": (
        (lineage, "starting_position", lambda _: lambda _shard_id, **known: known["configured"]),
    ),
    "LATEST forgotten": ((ShardReader, "_begun", always(None)),),
    "window state not handed on": ((ShardWindows, "take", always(None)),),
    "window without a last invocation": ((ShardWindows, "ending", always(None)),),
    "window ends again and again": ((ShardWindows, "close", always(None)),),
    "later records in the window": (
        (ShardWindows, "front", lambda _: lambda _self, records, limit: (min(limit, len(records)), False)),
    ),
    "window of a large state goes on": ((ShardWindows, "state_too_large", lambda _: property(lambda _self: False)),),
    "an hour too little kept": (
        (StreamState, "_oldest_ms", lambda _: lambda _self, now: int(now * 1000) - 23 * 3_600_000),
    ),
    "checkpoint stands still": ((ShardReader, "checkpoint", always(None)),),
    "lanes change while they are busy": ((ShardReader, "regroup", lanes_change_at_once),),
    "disabled mapping goes on": ((ShardReader, "may_begin", lambda _: property(lambda self: not self.regrouping)),),
    "snapshot of what was read": ((EventSourceMapping, "snapshot", snapshot_of_what_was_read),),
}
