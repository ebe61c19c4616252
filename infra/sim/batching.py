"""DRIVER: how batches are formed, tried again and divided, seen from outside.

A batch is sent when its batching window is over, or BatchSize or the payload quota is reached (fact 2.11): then it has
all that waits, or is full. One that failed comes again as it is, under its request id and not before its wait is over
(facts 4.1, 4.7, 4.9, 4.10), or halved: floor(n/2) records, and the others after them (facts 4.20, 4.22). One that
succeeded in part goes on with all of its rest (facts 4.14, 4.21). Parts have request ids of their own (fact 4.7). An
update that leaves batches as they are makes a batch that has failed be judged, and tried, at once: as it is, or halved.
"""

from collections.abc import Sequence
from typing import NamedTuple

from infra.model.mapping import Invoke, MappingConfig
from infra.sim.seen import Flight, Put, SeenShard
from infra.sim.violation import Violation

EARLY_S = 1e-6  # of rounding


class Due(NamedTuple):
    """What is to be sent next from a certain record on: all of `puts`, under `request_id` (None: a new one), not before
    `after_s`, and when `left` is settled."""

    puts: Sequence[Put]
    request_id: str | None
    after_s: float
    left: Sequence[Put]
    checker: str


class Batching:
    """`begin_anew` where batches are formed anew from what is read: nothing is due then."""

    def __init__(self, config: MappingConfig) -> None:
        self.config = config
        self.epoch = 1
        self._batch_min = config.batch_size
        self._due: dict[Put, Due] = {}
        self._request_ids: set[str] = set()
        self._attempts: dict[str, int] = {}

    def begin_anew(self, config: MappingConfig, *, moved: bool = False) -> None:
        """With `moved`, by another machine: the limits of before are over."""
        self.config = config
        self.epoch += 1
        self._batch_min = config.batch_size if moved else min(self._batch_min, config.batch_size)
        self._due.clear()

    def judge_anew(self, now: float, config: MappingConfig) -> None:
        """Other settings hold for what has failed."""
        self.config = config
        for due in list(self._due.values()):
            if due.request_id is not None and self._attempts.get(due.request_id):
                self._again(due.puts, due.request_id, now)

    def _again(self, puts: Sequence[Put], request_id: str, after_s: float = 0.0) -> None:
        """After a failure; whether it is given up instead is seen from its document."""
        if self.config.bisect_batch_on_function_error and len(puts) > 1:
            half = len(puts) // 2
            self._next(puts[:half], None, checker="bisect")
            self._next(puts[half:], None, left=puts[:half], checker="bisect")
        else:
            self._next(puts, request_id, after_s, checker="whole batch")

    def sent(self, now: float, invoke: Invoke, flight: Flight, epoch: int) -> None:
        """A batch is sent to the function, in this epoch of the Witness."""
        flight.batching = self.epoch
        puts, request_id = flight.puts, invoke.request_id
        if not puts:
            return  # the end of a tumbling window
        due = self._due.pop(puts[0], None)
        if due is not None:
            self._check_due(now, due, puts, request_id)
            if any(put.settled_last != epoch for put in due.left):
                raise Violation("bisect", f"the right half from {puts[0].number} is sent before the left one has ended")
        elif puts[-1].sent != flight.lease:
            self._check_full(invoke, flight.shard, puts)
        self._request_ids.add(request_id)
        for put in puts:
            put.sent = flight.lease

    def _check_due(self, now: float, due: Due, puts: Sequence[Put], request_id: str) -> None:
        if puts != due.puts:
            raise Violation(
                due.checker, f"{len(puts)} records from {puts[0].number} are sent, {len(due.puts)} were to come next"
            )
        if due.request_id is None and request_id in self._request_ids:
            raise Violation("request ids", f"{request_id} names a batch and a part of it")
        if due.request_id is not None and request_id != due.request_id:
            raise Violation("request ids", f"{due.request_id} is tried again unchanged, but as {request_id}")
        if now < due.after_s - EARLY_S:
            raise Violation("retry wait", f"{request_id} is tried again {due.after_s - now:.3f} s too early")

    def _check_full(self, invoke: Invoke, shard: SeenShard, puts: Sequence[Put]) -> None:
        """A batch is formed now, for its last record was not sent before: nothing of its lane may be left behind."""
        last = puts[-1]
        if len(puts) >= self._batch_min or shard.aged:
            return
        place = last.index + 1
        if place == len(last.key.puts) or last.key.puts[place].number > shard.held_to or last.key.puts[place].missed:
            return
        behind = shard.behind_put(last)
        waiting = [put for put in behind if put.wanted and not put.missed and put.number <= shard.held_to]
        if invoke.window is not None and waiting[0].arrived_at_ms >= invoke.window.window.end_s * 1000:
            return  # the next record is of a later tumbling window
        largest = max(len(put.parcel.entry.data) + 6 * len(put.parcel.entry.partition_key) for put in waiting)
        if len(invoke.event()) + 2 * largest + 1_000 > self.config.pace.event_bytes_max:
            return  # the payload quota may be why
        raise Violation(
            "full batches",
            f"{len(puts)} records are sent while {len(waiting)} more wait in {shard.shard_id}, "
            f"of the same partition key, too; BatchSize is at least {self._batch_min}",
        )

    def ended(self, now: float, request_id: str, flight: Flight, done: int | None) -> None:
        """The function has done `done` of the records, or (None) has not run."""
        puts, config = flight.puts, self.config
        if flight.batching != self.epoch or not puts:
            return
        if done is None and not self._attempts.get(request_id):
            self._next(puts, request_id, checker="whole batch")
        elif done is None:  # an update may have come while it was under way
            self._again(puts, request_id)
        elif 0 < done < len(puts):
            self._next(puts[done:], None, checker="partial response")
        elif done == 0:
            failures = self._attempts[request_id] = self._attempts.get(request_id, 0) + 1
            pace = config.pace  # its figures: the wait that follows from them is reckoned here once more
            wait_s = min(pace.first_retry_s * 2.0 ** min(failures - 1, 32), pace.retry_interval_s_max)
            self._again(puts, request_id, now + wait_s)

    def _next(
        self,
        puts: Sequence[Put],
        request_id: str | None,
        after_s: float = 0.0,
        left: Sequence[Put] = (),
        checker: str = "",
    ) -> None:
        self._due[puts[0]] = Due(puts, request_id, after_s, left, checker)

    def given_up(self, puts: Sequence[Put], shard: SeenShard, *, aged: bool) -> None:
        """These records leave for the destination; of a batch that is too old the rest may go on."""
        due = self._due.pop(puts[0], None) if puts else None
        shard.aged = shard.aged or aged
        if aged and due is not None and len(puts) < len(due.puts):
            rest = due.puts[len(puts) :]
            self._next(rest, None, left=due.left, checker="record age")
