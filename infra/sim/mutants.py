"""DRIVER: the mistakes: each replaces one or more functions of the models or of the processor's core by wrong ones.

They reach into private parts, as mistakes do. Names say what the broken thing does.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from infra.model.function import Account, FunctionMachine, InvokeOutcome, Kill, ServiceError, Throttled
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
from infra.sim import environment, table
from processor.core import plan as planning
from processor.core.cache import PageCache
from processor.core.commit import Commit
from processor.core.pages import Chain, PageWriter
from processor.core.statements import UNSURE, AddToPage

Patch: TypeAlias = tuple[Any, str, Callable[[Any], Any]]
"""An object, the name of its attribute, and what makes the broken attribute of the right one."""


def _always(value: object) -> Callable[[Any], Any]:
    """A function that answers `value` whatever it is asked."""
    return lambda _right: lambda *_arguments, **_named: value


# ---- the event source mapping


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


# ---- the processor


def no_identity_condition(_right: Any) -> Any:
    def condition(stored: dict[str, Any], statement: AddToPage) -> bool:
        events: int = stored["events"]
        return events == statement.events if statement.exactly else events <= statement.events

    return condition


def no_bound_condition(_right: Any) -> Any:
    return lambda stored, statement: stored["ids"].isdisjoint(statement.identities)


def cache_of_the_function(right: Any) -> Any:
    """The cache does not die with the process."""

    def begin(self: environment.Process, number: int, function: environment.Function) -> None:
        right(self, number, function)
        self.cache = _CACHES.setdefault(id(function), self.cache)
        if len(_CACHES) > 1:  # of simulations that are over
            _CACHES.clear()
            _CACHES[id(function)] = self.cache

    return begin


_CACHES: dict[int, PageCache] = {}


def cache_knows_what_was_sent(right: Any) -> Any:
    def ask(self: PageWriter) -> Any:
        asked = right(self)
        self.chain.sealed |= set(self._chunk)
        return asked

    return ask


def cache_keeps_what_is_taken(right: Any) -> Any:
    def chain(self: PageCache, key: tuple[str, str]) -> Chain:
        found: Chain = right(self, key)
        self.keep(key, found)
        return found

    return chain


def lost_answer_is_success(right: Any) -> Any:
    def later(self: Commit, task: Any, code: str, now_s: float) -> None:
        if code not in UNSURE:
            right(self, task, code, now_s)

    return later


def reports_the_next_record(right: Any) -> Any:
    def answer(self: environment.Process, invoke: Any, records: Sequence[Any], failed: Sequence[int]) -> Any:
        return right(self, invoke, records, [index + 1 for index in failed if index + 1 < len(records)])

    return answer


def refused_copies_are_copies(right: Any) -> Any:
    def apply(self: Any, source: int, event: Any, payload: bytes, answer: Any) -> Any:
        bad = right(self, source, event, payload, answer)
        return None if event.digest in self._accepted else bad

    return apply


def one_total_of_an_identity(right: Any) -> Any:
    def fold(self: Any, source: int, digest: str, wanted: Any) -> Any:
        known = self._accepted.get(digest)
        return right(self, source, digest, wanted if known is None else known[1])

    return fold


def timeout_lets_live(right: Any) -> Any:
    """The outcome is a timeout, but the process is not killed."""

    def failed(self: FunctionMachine, *arguments: Any, **named: Any) -> list[Any]:
        return [command for command in right(self, *arguments, **named) if not isinstance(command, Kill)]

    return failed


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
    "record age ignored": ((Batch, "expired", _always(0)),),
    "whole batch too old with its front": ((Batch, "expired", whole_batch_too_old),),
    "discard without document": ((Lane, "_discard", no_document),),
    "partial response ignored": ((Lane, "_first_failed", lambda _: lambda _self, batch, _payload: len(batch)),),
    "one call too many": ((Lane, "_failed", one_call_too_many),),
    "new request id for a retry": ((Lane, "_wait", new_id_for_a_retry),),
    "retries without a wait": ((Pace, "retry_after_s", _always(0.0)),),
    "retries that do not wait longer": ((Pace, "retry_after_s", lambda _: lambda self, _failures: self.first_retry_s),),
    "batches of one": ((gathering, "batch_length", _always(1)),),
    "larger half first": ((Lane, "_judged", _halved(lambda count: (count + 1) // 2, 2)),),
    "a single record is divided": ((Lane, "_judged", _halved(lambda count: max(1, count // 2), 1)),),
    "functionError lost": ((Lane, "_ran", reported_after_all),),
    "filters ignored": ((Filter, "matches", _always(True)),),
    "filters let nothing through": ((Filter, "matches", _always(False)),),
    "children begin where the mapping did": (
        (lineage, "starting_position", lambda _: lambda _shard_id, **known: known["configured"]),
    ),
    "LATEST forgotten": ((ShardReader, "_begun", _always(None)),),
    "window state not handed on": ((ShardWindows, "take", _always(None)),),
    "window without a last invocation": ((ShardWindows, "ending", _always(None)),),
    "window ends again and again": ((ShardWindows, "close", _always(None)),),
    "later records in the window": (
        (ShardWindows, "front", lambda _: lambda _self, records, limit: (min(limit, len(records)), False)),
    ),
    "window of a large state goes on": ((ShardWindows, "state_too_large", lambda _: property(lambda _self: False)),),
    "an hour too little kept": (
        (StreamState, "_oldest_ms", lambda _: lambda _self, now: int(now * 1000) - 23 * 3_600_000),
    ),
    "checkpoint stands still": ((ShardReader, "checkpoint", _always(None)),),
    "lanes change while they are busy": ((ShardReader, "regroup", lanes_change_at_once),),
    "disabled mapping goes on": ((ShardReader, "may_begin", lambda _: property(lambda self: not self.regrouping)),),
    "snapshot of what was read": ((EventSourceMapping, "snapshot", snapshot_of_what_was_read),),
    "commit without identity condition": ((table, "_page_condition", no_identity_condition),),
    "commit without bound on a page": ((table, "_page_condition", no_bound_condition),),
    "cache survives a crash": (
        (environment.Process, "__init__", cache_of_the_function),
        (PageWriter, "ask", cache_knows_what_was_sent),
        (PageCache, "chain", cache_keeps_what_is_taken),
    ),
    "lost answer taken for success": ((Commit, "_later", lost_answer_is_success),),
    "failed items acknowledged": ((Commit, "_fail", _always(None)),),
    "reserved concurrency ignored": ((Account, "admit", _always(None)), (Account, "release", _always(None))),
    "timeout does not end the process": ((FunctionMachine, "_failed", timeout_lets_live),),
    "quarantine forgotten": ((environment, "keeps", _always([])),),
    "copies that the rules refuse are only copies": ((planning._Fold, "_apply", refused_copies_are_copies),),
    "an identity in one total of a batch": ((planning._Fold, "_fold", one_total_of_an_identity),),
    "next record reported": ((environment.Process, "_answer", reports_the_next_record),),
}
