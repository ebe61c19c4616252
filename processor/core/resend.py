"""PURE: what is put next, what is put again, and when to give up.

`Outbox` is the state machine of sending. A shell asks `take` for the records of one PutRecords call, makes the call,
and hands the reply to `settle`; it sleeps until `wake_at` when there is nothing to take. Time and jitter are arguments.

**Order.** PutRecords writes the records of one call in no promised order and goes on after a record that failed (AWS:
PutRecords, "does not guarantee the ordering"). So at most one record per order key (lane, or user key when nothing is
aggregated) is in flight, and a record that failed keeps its place: nothing of its lane overtakes it.

**What is put again**: only records without a sequence number. A call whose answer was lost (timeout, closed connection,
HTTP 5xx) may have been written: its records are put again and remembered as `uncertain`; an event may then be in the
stream twice, which the consumer's identities absorb. It is never reported as acknowledged without a sequence number.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from processor.core.packing import CALL_BYTES_MAX, CALL_RECORDS_MAX, Packed

Tag = TypeVar("Tag")

# Whole-call errors that pass by waiting (AWS: PutRecords errors, common errors). Every other 4xx is final.
TRANSIENT_CODES = frozenset({
    "InternalFailure", "KMSThrottlingException", "LimitExceededException", "ProvisionedThroughputExceededException",
    "RequestLimitExceeded", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException",
    "TooManyRequestsException",
})  # fmt: skip
# Of those, the ones that say that nothing was written.
REFUSED_CODES = TRANSIENT_CODES - {"InternalFailure", "RequestTimeout", "ServiceUnavailable"}


class Written(NamedTuple):
    """PutRecords wrote this record."""

    shard_id: str
    sequence_number: str


class NotWritten(NamedTuple):
    """PutRecords answered for this record with an ErrorCode (throttled, or an internal failure)."""

    code: str
    message: str


class CallFailed(NamedTuple):
    """The whole call failed. `transient`: worth repeating. `uncertain`: its records may have been written."""

    code: str
    message: str
    transient: bool
    uncertain: bool


Reply: TypeAlias = Sequence[Written | NotWritten] | CallFailed


class Acknowledged(NamedTuple):
    """The record is in the stream. `uncertain`: an earlier attempt may have written it too."""

    shard_id: str
    sequence_number: str
    uncertain: bool


class Failed(NamedTuple):
    """Given up. `uncertain`: it may be in the stream all the same (an answer was lost)."""

    code: str
    message: str
    uncertain: bool


@dataclass(slots=True)
class Entry(Generic[Tag]):
    """One record on its way. Times are on the caller's clock; `errors` has one code per failed attempt."""

    record: Packed[Tag]
    added_s: float
    size: int
    first_put_s: float | None = None
    attempts: int = 0
    uncertain: bool = False
    errors: list[str] = field(default_factory=list)


class Settled(NamedTuple, Generic[Tag]):
    """A record's end: nothing more happens to it."""

    entry: Entry[Tag]
    outcome: Acknowledged | Failed


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter, bounded in time.

    The n-th wait of a record is between half and all of min(`cap_s`, `base_s` * 2**(n-1)); a record is given up when
    its next attempt would start more than `deadline_s` after it was added.
    `stop_lane`: a record that is given up takes the waiting records of its lane with it (code `HeldBack`), so that the
    caller can resend all of them in order. False: the lane goes on with the next one.
    """

    deadline_s: float = 30.0
    base_s: float = 0.05
    cap_s: float = 2.0
    stop_lane: bool = True

    def wait_s(self, attempts: int, jitter: float) -> float:
        """`jitter` in [0, 1)."""
        return min(self.cap_s, self.base_s * 2.0 ** min(attempts - 1, 32)) * (0.5 + 0.5 * jitter)


def classify(code: str, http_status: int | None, message: str) -> CallFailed:
    """A whole-call error by its error code and HTTP status (never by its text)."""
    server_side = http_status is not None and http_status >= 500
    transient = server_side or code in TRANSIENT_CODES
    return CallFailed(code, message, transient, uncertain=transient and code not in REFUSED_CODES)


class Outbox(Generic[Tag]):
    """Records waiting to be put, one queue per order key. Not thread-safe: one owner, any number of calls in flight."""

    def __init__(self, policy: RetryPolicy, *, call_records: int = CALL_RECORDS_MAX) -> None:
        self.policy, self.call_records = policy, call_records
        self._lanes: dict[str, deque[Entry[Tag]]] = {}
        self._ready: deque[str] = deque()
        self._waiting: list[tuple[float, str]] = []
        self.records = 0  # queued or in flight
        self.events = 0
        self.size = 0  # bytes

    def add(self, record: Packed[Tag], now_s: float) -> None:
        """Queue a record at the end of its lane."""
        entry = Entry(record, now_s, record.size)
        lane = self._lanes.get(record.order_key)
        if lane is None:
            self._lanes[record.order_key] = deque([entry])
            self._ready.append(record.order_key)
        else:
            lane.append(entry)
        self.records += 1
        self.events += len(record.members)
        self.size += entry.size

    def take(self, now_s: float) -> tuple[list[Entry[Tag]], list[Settled[Tag]]]:
        """The records of the next call (heads of lanes, within both limits), and those whose time has run out.

        Nothing to put means that every lane waits or is in flight: see `wake_at`.
        """
        while self._waiting and self._waiting[0][0] <= now_s:
            self._ready.append(heapq.heappop(self._waiting)[1])
        taken: list[Entry[Tag]] = []
        expired: list[Settled[Tag]] = []
        size = 0
        while self._ready and len(taken) < self.call_records:
            entry = self._lanes[self._ready[0]][0]
            if now_s > entry.added_s + self.policy.deadline_s:
                self._ready.popleft()
                expired += self._give_up_head(entry, "DeadlineExceeded", "not put in time behind the records before it")
                continue
            if size + entry.size > CALL_BYTES_MAX:
                break
            self._ready.popleft()
            size += entry.size
            entry.attempts += 1
            if entry.first_put_s is None:
                entry.first_put_s = now_s
            taken.append(entry)
        return taken, expired

    def wake_at(self) -> float | None:
        """When `take` will next have something although nothing is added or settled; None: it never will."""
        if self._ready:
            return 0.0
        return self._waiting[0][0] if self._waiting else None

    def settle(self, taken: Sequence[Entry[Tag]], reply: Reply, now_s: float, jitter: float) -> list[Settled[Tag]]:
        """Take in the reply to a call; returns what ended. `jitter` in [0, 1) spreads the next attempt."""
        settled: list[Settled[Tag]] = []
        answers = [reply] * len(taken) if isinstance(reply, CallFailed) else reply
        for entry, answer in zip(taken, answers, strict=True):
            if isinstance(answer, Written):
                settled.append(self._end(entry, Acknowledged(*answer, entry.uncertain)))
                self._next(entry.record.order_key)
            else:
                settled += self._failed(entry, answer, now_s, jitter)
        return settled

    def _failed(
        self, entry: Entry[Tag], answer: NotWritten | CallFailed, now_s: float, jitter: float
    ) -> list[Settled[Tag]]:
        entry.errors.append(answer.code)
        if isinstance(answer, CallFailed):
            entry.uncertain |= answer.uncertain
        again_s = now_s + self.policy.wait_s(entry.attempts, jitter)
        final = isinstance(answer, CallFailed) and not answer.transient
        if not final and again_s <= entry.added_s + self.policy.deadline_s:
            heapq.heappush(self._waiting, (again_s, entry.record.order_key))
            return []
        return self._give_up_head(entry, answer.code, answer.message)

    def _give_up_head(self, entry: Entry[Tag], code: str, message: str) -> list[Settled[Tag]]:
        """End the head of a lane without success; with `stop_lane`, what waits behind it too."""
        key = entry.record.order_key
        settled = [self._end(entry, Failed(code, message, entry.uncertain))]
        if self.policy.stop_lane:
            held = Failed("HeldBack", f"an earlier record of {key} failed ({code}); order is kept", False)
            settled += [self._end(waiting, held) for waiting in list(self._lanes[key])]
        self._next(key)
        return settled

    def give_up(self, code: str, message: str) -> list[Settled[Tag]]:
        """End everything that waits (nothing may be in flight): the shell is stopping."""
        settled = [
            self._end(entry, Failed(code, message, entry.uncertain))
            for lane in list(self._lanes.values())
            for entry in list(lane)
        ]
        self._lanes.clear()
        self._ready.clear()
        self._waiting.clear()
        return settled

    def _end(self, entry: Entry[Tag], outcome: Acknowledged | Failed) -> Settled[Tag]:
        first = self._lanes[entry.record.order_key].popleft()
        assert first is entry, "only the head of a lane can end"
        self.records -= 1
        self.events -= len(entry.record.members)
        self.size -= entry.size
        return Settled(entry, outcome)

    def _next(self, order_key: str) -> None:
        """The head of this lane has ended: its successor may go, or the lane is gone."""
        if self._lanes[order_key]:
            self._ready.append(order_key)
        else:
            del self._lanes[order_key]
