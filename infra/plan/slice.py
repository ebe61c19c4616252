"""PURE: some shards of a stream in virtual time: put, polled, batched and processed, event by event.

The stream and the event source mapping are the models that `infra up` and `infra simulate` run (`infra.model`); the
function is its counts and its measured time (`infra.plan.function`). A whole shard is the smallest part, for quotas,
lanes and checkpoints are a shard's: at a million events per second one shard of hundreds is enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from random import Random
from typing import Any

from infra.model.function import InvokeOutcome, Succeeded
from infra.model.function import Throttled as Refusal
from infra.model.mapping import (
    AwaitRecords,
    Command,
    EventSourceMapping,
    Invoke,
    ListShards,
    Read,
    RequestIds,
    StartingPosition,
)
from infra.model.stream import Entry, Quotas, Stream, Throttled, Written
from infra.plan.function import Function
from infra.plan.load import HASH_KEYS
from infra.plan.packing import Packed
from infra.plan.setup import ACCOUNT, REGION, Seen, Setup

START_S = 1_795_425_000.0
RESEND_S = 0.25
STEPS_MAX = 20_000_000
UNLIMITED = Quotas(write_records=10**9, write_bytes=10**12)
UNREAD = replace(UNLIMITED, read_bytes=10**12)
_OK = b'{"batchItemFailures":[]}'


class Slice:
    """`run` puts the records at their times, or all of them before the mapping begins (`backlog`)."""

    def __init__(
        self,
        setup: Setup,
        shards: int,
        records: Sequence[Packed],
        function: Function,
        *,
        backlog: bool = False,
        fleet: int = 0,
        reads: bool = True,
    ) -> None:
        """`reads`: whether their quota counts. `fleet`: environments that other shards use too; 0: these shards have
        theirs to themselves.
        """
        self._setup, self._function = setup, function
        self._records, self._backlog, self._fleet = records, backlog, fleet
        self._random = Random("environments")  # noqa: S311 - repeatable, not secret
        self._stream = Stream(
            "planned",
            account_id=ACCOUNT,
            region=REGION,
            shard_count=shards,
            now=START_S,
            quotas=(UNLIMITED if reads else UNREAD) if backlog else None,
        )
        self._machine = EventSourceMapping(setup.mapping(), RequestIds("plan"))
        self._middles = [(2 * shard + 1) * HASH_KEYS // (2 * shards) for shard in range(shards)]
        self._contents: dict[int, Packed] = {}
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0
        self._now = START_S
        self._awaiting = False
        self._running = 0
        self._idle: list[int] = []  # environments, the one that was used last at the end
        self._unsettled = len(records)
        self._next = 0
        self._data: dict[int, bytes] = {}
        self.seen = Seen(records=len(records))

    def run(self, *, until_s: float = float("inf")) -> Seen:
        """Until every record is committed, or so many virtual seconds are over."""
        if self._backlog:
            for record in self._records:
                self._write(record)
        elif self._records:
            self._later_at(self._put_at(self._records[0]), self._put)
        self._perform(self._machine.start(self._now))
        steps, end_s = 0, START_S + until_s
        while self._unsettled and steps < STEPS_MAX:
            steps += 1
            deadline_s = self._machine.deadline
            next_s = self._heap[0][0] if self._heap else None
            if next_s is None and deadline_s is None:
                break
            if next_s is None or (deadline_s is not None and deadline_s < next_s):
                assert deadline_s is not None
                self._now = max(self._now, deadline_s)
                if self._now > end_s:
                    break
                self._perform(self._machine.wake_up(self._now))
                continue
            self._now = max(self._now, next_s)
            if self._now > end_s:
                break
            _, _, what, arguments = heappop(self._heap)
            what(*arguments)
        return self.seen

    # Producers

    def _put_at(self, record: Packed) -> float:
        return START_S + record.at_s + self._setup.put_s

    def _put(self) -> None:
        """Every record that is ready by now, and the time of the next one."""
        records, changed = self._records, set()
        while self._next < len(records) and self._put_at(records[self._next]) <= self._now:
            shard_id = self._write(records[self._next])
            self._next += 1
            if shard_id is not None:
                changed.add(shard_id)
        if self._next < len(records):
            self._later_at(self._put_at(records[self._next]), self._put)
        self._changed(changed)

    def _again(self, record: Packed) -> None:
        shard_id = self._write(record)
        if shard_id is not None:
            self._changed({shard_id})

    def _write(self, record: Packed) -> str | None:
        data = self._data.get(record.size)
        if data is None:
            data = self._data[record.size] = bytes(max(1, record.size))
        entry = Entry(record.partition_key, data, self._middles[record.shard])
        (outcome,) = self._stream.put([entry], self._now)
        if not isinstance(outcome, Written):
            self.seen.refused += 1
            self._later(RESEND_S, self._again, record)
            return None
        self._contents[outcome.sequence_number] = record
        return outcome.shard_id

    def _changed(self, shard_ids: set[str]) -> None:
        if self._awaiting and shard_ids:
            self._perform(self._machine.stream_changed(self._now, shard_ids))

    # The mapping

    def _later(self, seconds: float, what: Callable[..., None], *arguments: Any) -> None:
        self._later_at(self._now + seconds, what, *arguments)

    def _later_at(self, at_s: float, what: Callable[..., None], *arguments: Any) -> None:
        self._asked += 1
        heappush(self._heap, (at_s, self._asked, what, arguments))

    def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Invoke():
                    self._later(self._setup.invoke_s, self._invoke, command)
                case Read():
                    self._later(self._setup.read_s, self._read, command)
                case AwaitRecords():
                    self._awaiting = True
                case ListShards():
                    self._later(0.0, self._list)
                case _:
                    pass

    def _list(self) -> None:
        self._perform(
            self._machine.shards_listed(self._now, [_Listed(each) for each in self._stream.shards(self._now)])
        )

    def _read(self, read: Read) -> None:
        where: Any = read.position
        machine, now, shard_id = self._machine, self._now, read.shard_id
        if isinstance(where, StartingPosition):
            where = self._stream.position(shard_id, where.kind, now)
        try:
            result = self._stream.read(where, read.limit, now)
        except Throttled:
            self.seen.read_throttles += 1
            self._perform(machine.read_throttled(now, shard_id, where))
            return
        self._perform(
            machine.records_read(
                now,
                shard_id,
                result.records,
                result.position,
                millis_behind_latest=result.millis_behind_latest,
                end_of_shard=result.end_of_shard,
            )
        )

    # The function

    def _invoke(self, invoke: Invoke) -> None:
        limit = self._setup.concurrency
        if limit is not None and self._running >= limit:
            self.seen.lambda_throttles += 1
            self._finish(invoke, Refusal("ReservedFunctionConcurrentInvocationLimitExceeded"))
            return
        self._running += 1
        self.seen.running_max = max(self.seen.running_max, self._running)
        records = [self._contents.pop(record.sequence_number) for record in invoke.records]
        keys = [key for record in records for key in record.keys]
        environment = self._environment()
        ran = self._function.run(keys, self._now, environment)
        commit_s = self._now + ran.commit_s - START_S
        self.seen.commits.append((commit_s, len(keys), ran.whole_s, ran.writes))
        for record in records:
            self.seen.due_s.extend(record.due_s)
            self.seen.latencies.extend(commit_s - due_s for due_s in record.due_s)
        self._later(ran.whole_s, self._ended, invoke, environment)

    def _environment(self) -> int:
        """The one that was idle for the shortest time, or any, where those of all shards come in between."""
        if self._fleet:
            return self._random.randrange(self._fleet)
        return self._idle.pop() if self._idle else self._running

    def _ended(self, invoke: Invoke, environment: int) -> None:
        self._running -= 1
        self._idle.append(environment)
        self._unsettled -= len(invoke.records)
        self._finish(invoke, Succeeded(invoke.request_id, _OK))

    def _finish(self, invoke: Invoke, outcome: InvokeOutcome) -> None:
        self._perform(self._machine.invocation_finished(self._now, invoke.invocation_id, outcome))


class _Listed:
    """A shard as the mapping wants it listed."""

    def __init__(self, shard: Any) -> None:
        self.shard_id: str = shard.shard_id
        self.parent_shard_id: str | None = shard.parent_id
        self.adjacent_parent_shard_id: str | None = shard.adjacent_parent_id
        self.starting_sequence_number: int = shard.starting_sequence_number
        self.closed: bool = shard.closed
