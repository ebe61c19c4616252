"""SHELL: sends what is due, when it is due. An open loop: the schedule never waits for the target.

One thread owns the schedule, the packer and the outbox (both pure); a few worker threads each make one PutRecords call
at a time. What the target does not take in time queues up, and is late: every event keeps the time at which it was due,
and that is what its latency is counted from. Only when the queue is as large as `WAITING_BYTES_MAX` is nothing more
generated until it shrinks; those events are sent late, and are counted so.
"""

import gc
import queue
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy.ma  # noqa: F401 - what the first np.unique imports, not while events are due

from loadgen.offer.columns import Rows
from loadgen.offer.filling import HAND_OVER_S, TICK_S, Filling
from loadgen.offer.schedule import Due, Schedule
from loadgen.offer.truth import Known
from loadgen.outcome.results import PutResult
from processor.adapters.publisher import PutRecords
from processor.core.packing import Packed, PackingSettings, UnpackableError
from processor.core.resend import Acknowledged, CallFailed, Entry, Failed, Outbox, Reply, RetryPolicy, Settled, Written

__all__ = ["CONNECTIONS", "Due", "OnSettled", "Sender", "collect_rarely"]

CONNECTIONS = 4
WAITING_BYTES_MAX = 16 * 1024 * 1024
GENERATED_PER_TURN = 2000
# A call is made so long after the one before it, and longer while the schedule is further ahead than one turn makes up
# for: what a call costs beyond its bytes is paid for more records.
CALL_S, HOLD_S = 0.001, 0.01
QUEUED = 50  # records: with so many and no call under way there is no reason to wait
# So many calls at a time are enough for a target that answers within so many seconds; more would compete for the CPU.
SHORT_CALLS, SHORT_CALL_S = 2, 0.002
TURN_S_MAX = 0.25
SWITCH_S = 0.0002  # Python's own is 5 ms
DRAIN_S_MAX = 60.0
# AWS: PutRecords, "Rate exceeded for shard shardId-000000000001 in stream ...": the only place that names the shard.
SHARD_ID = re.compile(r"shardId-[0-9]{1,20}")


def collect_rarely() -> None:
    """For a process that only sends: a second of events makes hundreds of thousands of objects and hardly a cycle.

    Python's own thresholds cost a fifth of the CPU time, and pauses of the length of many events' spacing. And a thread
    that has just been woken up to write a request is kept waiting for a fraction of a millisecond, not for 5 ms.
    """
    gc.collect()
    gc.freeze()  # what the imports made stays, and need not be walked over again
    gc.set_threshold(200_000, 20, 20)
    sys.setswitchinterval(SWITCH_S)


Taken: TypeAlias = list[Entry[Known]]


class Answer(NamedTuple):
    """What a call came to. `sent_s`: when it was handed to its connection; `done_s`: when its answer was there."""

    taken: Taken
    reply: Reply
    sent_s: float
    done_s: float


OnSettled: TypeAlias = Callable[[PutResult, Sequence[Any]], None]  # the truths of the events, as they were due


class Sender:
    """Runs one schedule to its end. `on_settled` is called in the calling thread for every Kinesis record that ended,
    also for an event that fits no record; `on_turn` several times a second with the number waiting."""

    def __init__(
        self,
        put: PutRecords,
        packing: PackingSettings,
        retry: RetryPolicy,
        on_settled: OnSettled,
        on_turn: Callable[[float, int], None],
    ) -> None:
        self._put, self._packing = put, packing
        self._outbox: Outbox[Known] = Outbox(retry)
        self._on_settled, self._on_turn = on_settled, on_turn
        self._calls: queue.SimpleQueue[Taken | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._flying: dict[int, Taken] = {}
        self._attempts: dict[int, list[tuple[int, str | None]]] = {}  # failed ones, by entry, until it ends
        self._is_behind, self._hold_until_s = False, 0.0
        self._took_s, self._called_s = SHORT_CALL_S, 0.0  # how long a call takes is not known yet
        self._start_s = 0.0
        self.started_s = 0.0  # Unix time of the schedule's 0
        self.stopping = threading.Event()
        self.problem: str | None = None  # what stopped it, when nobody asked for that

    def run(self, schedule: Iterator[Due], start_s: float | None = None) -> None:
        """Returns when every event was acknowledged or given up, or soon after `stopping` is set.

        `start_s`: the monotonic clock's time of the schedule's 0, common to several senders; None: now.
        """
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(CONNECTIONS)]
        for worker in workers:
            worker.start()
        events = Schedule.of(schedule)  # what preparing the first ones takes is over before the schedule's 0
        filling = Filling(events, self._packing, self._outbox.add, self._refuse)
        self._start_s = time.monotonic() if start_s is None else start_s
        self.started_s = time.time() - (time.monotonic() - self._start_s)
        try:
            self._loop(events, filling)
        finally:
            for _ in workers:
                self._calls.put(None)

    def _work(self) -> None:
        if (prepare := getattr(self._put, "prepare", None)) is not None:
            prepare()
        while (taken := self._calls.get()) is not None:
            called_s = time.monotonic()
            try:
                reply = self._put(taken)
            except Exception as error:  # noqa: BLE001 - ends the load; its account says so, and has what was sent
                reply = CallFailed(type(error).__name__, str(error), transient=False, uncertain=True)
                self.problem = f"a call ended with {type(error).__name__}: {error}, a mistake of the load generator's"
                self.stopping.set()
            sent_s = getattr(self._put, "sent_s", called_s)
            self._replies.put(Answer(taken, reply, sent_s - self._start_s, self._now_s()))

    def _now_s(self) -> float:
        return time.monotonic() - self._start_s

    def _loop(self, schedule: Schedule, filling: Filling) -> None:
        turn_s = 0.0
        while schedule or self._outbox.records or filling.deadline_s() is not None:
            if self.stopping.is_set():
                self._abandon(filling)
                return
            now_s = self._now_s()
            self._generate(filling, now_s)
            filling.close(now_s)
            self._dispatch(now_s)
            schedule.make_ahead()
            self._collect(self._wait_s(schedule, filling, self._now_s()))
            if now_s - turn_s >= TURN_S_MAX:
                turn_s = now_s
                self._on_turn(now_s, self._outbox.events)

    def _generate(self, filling: Filling, now_s: float) -> None:
        """Pack what is due, as far as there is room for it."""
        packed = 0
        while packed < GENERATED_PER_TURN and self._outbox.size <= WAITING_BYTES_MAX:
            taken = filling.take(now_s, GENERATED_PER_TURN - packed)
            if not taken:
                break
            packed += taken
        self._is_behind = packed >= GENERATED_PER_TURN

    def _refuse(self, record: Packed[Known], error: UnpackableError, now_s: float) -> None:
        never = Entry(record, now_s, record.size)
        self._settled([Settled(never, Failed(error.reason, error.detail, uncertain=False))], self._now_s())

    def _dispatch(self, now_s: float) -> None:
        if now_s < self._hold_until_s and (self._flying or self._outbox.records < QUEUED):
            return
        if self._is_short() and now_s < self._called_s + SHORT_CALL_S:
            return
        while len(self._flying) < CONNECTIONS:
            taken, expired = self._outbox.take(now_s)
            self._settled(expired, now_s)
            if not taken:
                return
            self._flying[id(taken)] = taken
            self._called_s, self._hold_until_s = now_s, now_s + (HOLD_S if self._is_behind else CALL_S)
            self._calls.put(taken)

    def _is_short(self) -> bool:
        """Enough calls are under way for a target that answers as quickly as it does."""
        return len(self._flying) >= SHORT_CALLS and self._took_s < SHORT_CALL_S

    def _wait_s(self, schedule: Schedule, filling: Filling, now_s: float) -> float:
        """Seconds until there is something to do that no reply announces."""
        moments = [now_s + TURN_S_MAX]
        if schedule and self._outbox.size <= WAITING_BYTES_MAX:
            due_s = (schedule.upcoming_s or 0.0) - HAND_OVER_S
            moments.append(max(due_s, now_s + TICK_S) if now_s < due_s else due_s)
        if (deadline_s := filling.deadline_s()) is not None:
            moments.append(deadline_s - HAND_OVER_S)
        if len(self._flying) < CONNECTIONS and (wake_s := self._outbox.wake_at()) is not None:
            until_s = self._called_s + SHORT_CALL_S if self._is_short() else 0.0
            if self._flying or self._outbox.records < QUEUED:
                until_s = max(until_s, self._hold_until_s)
            moments.append(max(wake_s, until_s))
        return max(0.0, min(moments) - now_s)

    def _collect(self, wait_s: float) -> None:
        """Take in the replies that are there; wait at most `wait_s` for the first one."""
        try:
            answer = self._replies.get(timeout=wait_s) if wait_s > 0 else self._replies.get_nowait()
            while True:
                self._take_in(answer)
                answer = self._replies.get_nowait()
        except queue.Empty:
            return

    def _take_in(self, answer: Answer) -> None:
        taken, reply, sent_s, done_s = answer
        self._took_s = done_s - sent_s
        del self._flying[id(taken)]
        for entry in taken:
            if entry.attempts == 1:
                entry.first_put_s = sent_s
        self._note_failed(taken, reply, done_s)
        jitter = random.random()  # noqa: S311 - spreads retries, keeps no secret
        self._settled(self._outbox.settle(taken, reply, done_s, jitter), done_s)

    def _note_failed(self, taken: Taken, reply: Reply, done_s: float) -> None:
        now_us = int(done_s * 1e6)
        answers = [reply] * len(taken) if isinstance(reply, CallFailed) else reply
        for entry, answer in zip(taken, answers, strict=True):
            if not isinstance(answer, Written):
                shard = SHARD_ID.search(answer.message)
                self._attempts.setdefault(id(entry), []).append((now_us, shard[0] if shard else None))

    def _abandon(self, filling: Filling) -> None:
        """Stop: wait (bounded) for the calls in flight, give up the rest. A call without an answer may have written."""
        until_s = self._now_s() + DRAIN_S_MAX
        while self._flying and self._now_s() < until_s:
            self._collect(min(TURN_S_MAX, DRAIN_S_MAX))
        for entry in (entry for taken in self._flying.values() for entry in taken):
            entry.uncertain = True
        now_s = self._now_s()
        filling.close_all(now_s)
        self._settled(self._outbox.give_up("Interrupted", "the run was stopped before it was put"), self._now_s())

    def _settled(self, settled: list[Settled[Known]], done_s: float) -> None:
        done_us = int(done_s * 1e6)
        for entry, outcome in settled:
            truths = entry.record.members
            is_plain = isinstance(truths, Rows)
            accepted = outcome if isinstance(outcome, Acknowledged) else None
            result = PutResult(
                partition_key=entry.record.partition_key,
                due_us=truths.due_us() if isinstance(truths, Rows) else [truth[0] for truth in truths],
                put_us=None if entry.first_put_s is None else int(entry.first_put_s * 1e6),
                done_us=done_us,
                attempts=entry.attempts,
                size=entry.size,
                copies=0 if is_plain else sum([truth.copy for truth in truths]),
                malformed=0 if is_plain else sum([truth.reason is not None for truth in truths]),
                shard_id=accepted.shard_id if accepted else None,
                sequence_number=accepted.sequence_number if accepted else None,
                errors=tuple(entry.errors),
                failed=None if isinstance(outcome, Acknowledged) else outcome.code,
                uncertain=outcome.uncertain,
                failed_attempts=tuple(self._attempts.pop(id(entry), ())),
            )
            self._on_settled(result, truths)
