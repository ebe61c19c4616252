"""DRIVER: one runtime process of the function: the processor's plan and commit, in virtual time, with what goes wrong.

`handle` is what processor/batches.py does around the core: the same deadline, the same order, the same answer. It is a
generator: it yields the seconds until it wants to go on, and returns how it ended. A process that is killed is never
resumed.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from infra.model.stream import StreamRecord
from infra.sim.clockwork import Clockwork
from infra.sim.faults import Faults
from infra.sim.quarantine import keeps
from infra.sim.table import MemoryTable
from processor.core import plan as planning
from processor.core.cache import PageCache
from processor.core.commit import Call, Commit, Step, Wait
from processor.core.plan import Plan, RecentOutcomes
from processor.core.reading import Rules
from processor.core.records import KinesisRecord
from processor.core.statements import Outcome, ReadPages, Table

if TYPE_CHECKING:
    from infra.model.mapping import Invoke

CALL_MAX_S = 4.0
"""The DynamoDB client's timeouts (processor/adapters/clients.py)."""
RESERVE_S = CALL_MAX_S + 1.0
"""Left for an unanswered call and for the report (processor/batches.py)."""
LATE_S_MAX = 20.0
"""A statement whose sender is gone may still be applied this much later."""
PAGES_PER_ANSWER = 40
_REFUSED = Outcome("ProvisionedThroughputExceeded")


class Fate(Enum):
    """What will become of an invocation."""

    LIVES = "lives"
    BEFORE = "crash_before_commit"
    DURING = "crash_during_commit"
    AFTER = "crash_after_commit"
    HANGS = "timeout"


@dataclass(frozen=True, slots=True)
class Responded:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    error_type: str


class Exited(Enum):
    EXITED = "exited"


Ended: TypeAlias = Responded | Raised | Exited
Handling: TypeAlias = Generator[float, None, Ended]


@dataclass(slots=True)
class Function:
    """What all environments of the function share; `tables` by name, `report` the mapping's ReportBatchItemFailures."""

    clock: Clockwork
    random: Random
    faults: Faults
    tables: dict[Table, MemoryTable]
    rules: Rules
    report: bool
    systemic_share: float
    cache_identities: int
    hot_keys_max: int  # partition keys of a table that become hot at once ...
    hot_s_max: float  # ... and for how long
    fan_out: bool = False  # aggregates come taken apart
    hot: dict[str, float] = field(default_factory=dict)  # partition key of a table -> refused until then
    calls: int = 0
    events: int = 0  # user records handed to the rules or set aside, redeliveries included
    faults_met: dict[str, int] = field(default_factory=dict)

    def meet(self, name: str) -> None:
        self.faults_met[name] = self.faults_met.get(name, 0) + 1


class Process:
    """A runtime process: its cache and its memory of recent outcomes go with it."""

    def __init__(self, number: int, function: Function) -> None:
        self.number = number
        self.function = function
        self.cache = PageCache(identities_max=function.cache_identities)
        self.recent: RecentOutcomes | None = None

    def handle(self, label: str, invoke: "Invoke", deadline_s: float) -> Handling:
        """One invocation; `label` names it in the trace, `deadline_s` is Lambda's timeout on the virtual clock."""
        function, clock = self.function, self.function.clock
        fate, last_call = self._fate()
        records = kinesis_records(invoke.shard_id, invoke.records)
        batch = planning.plan(records, function.rules, systemic_share=function.systemic_share, recent=self.recent)
        self.recent = batch.recent
        function.events += batch.events
        yield 0.004 + 2e-5 * batch.events
        if fate is Fate.BEFORE:
            return self._exit(label, fate)
        if batch.systemic is not None:
            clock.say(f"systemic {label}")
            return self._answer(invoke, records, range(len(records)))
        works = keeps(batch.quarantined, records, clock.now, fan_out=function.fan_out)
        commit = Commit(
            batch, self.cache, deadline_s=deadline_s - RESERVE_S, jitter=function.random.random, keeps=works
        )
        calls = 0
        while (step := commit.step(clock.now)) is not None:
            calls += 1
            if calls == last_call:
                yield 0.003
                self._die_in(step)
                if fate is Fate.HANGS:
                    function.meet(fate.value)
                    clock.say(f"hangs {label}")
                    yield deadline_s - clock.now + 3_600
                return self._exit(label, Fate.DURING)
            yield from self._perform(commit, step)
        if fate is Fate.HANGS or (fate is Fate.DURING and not calls):
            fate = Fate.AFTER
        if fate in (Fate.AFTER, Fate.DURING):
            return self._exit(label, Fate.AFTER)
        clock.say(f"committed {label} {_summary(batch, commit, calls)}")
        return self._answer(invoke, records, sorted(commit.failed))

    def _fate(self) -> tuple[Fate, int]:
        """What will happen, and at which call of the commit (0: at none)."""
        faults, random = self.function.faults, self.function.random
        chance = random.random()
        for fate, probability in (
            (Fate.BEFORE, faults.crash_before_commit),
            (Fate.DURING, faults.crash_during_commit),
            (Fate.AFTER, faults.crash_after_commit),
            (Fate.HANGS, faults.timeout),
        ):
            chance -= probability
            if chance < 0:
                return fate, random.choice((1, 1, 2, 3)) if fate in (Fate.DURING, Fate.HANGS) else 0
        return Fate.LIVES, 0

    def _exit(self, label: str, fate: Fate) -> Ended:
        self.function.meet(fate.value)
        self.function.clock.say(f"exits {label} {fate.value}")
        return Exited.EXITED

    def _answer(self, invoke: "Invoke", records: Sequence[KinesisRecord], failed: Sequence[int]) -> Ended:
        """The batch response; without ReportBatchItemFailures it would be ignored, so a failure is raised."""
        state = _state(invoke, _place(records, failed))
        if not failed:
            return Responded(b'{"batchItemFailures":[]' + state + b"}")
        if not self.function.report:
            return Raised("RecordsFailed")
        numbers = sorted({int(records[index].sequence_number) for index in failed}, reverse=True)
        if self.function.random.random() < 0.5:
            del numbers[:-1]  # the processor names the lowest; other functions name all of them, in any order
        items = ",".join(f'{{"itemIdentifier":"{number}"}}' for number in numbers)
        return Responded(b'{"batchItemFailures":[' + items.encode() + b"]" + state + b"}")

    # The tables

    def _perform(self, commit: Commit, step: Step) -> Generator[float, None, None]:
        """One step of the commit, with the faults of one table call."""
        function, clock = self.function, self.function.clock
        if isinstance(step, Wait):
            yield step.seconds
            return
        function.calls += 1
        faults, random = function.faults, function.random
        chance = random.random()
        latency_s = 0.003 + 0.004 * random.random()
        if chance < faults.slow_table:
            function.meet("slow_table")
            latency_s = 0.3 + 7.7 * random.random()
            if latency_s > CALL_MAX_S:
                yield CALL_MAX_S
                if random.random() < 0.5:  # the call has arrived and takes effect, or it has not
                    clock.later(latency_s - CALL_MAX_S, self._late, step)
                return _answer_all(commit, step, "Timeout", clock.now)
            chance = 1.0
        yield latency_s
        chance -= faults.slow_table
        if chance < faults.table_throttle:
            function.meet("table_throttle")
            return self._throttled(commit, step)
        if chance - faults.table_throttle < faults.lost_response:
            function.meet("lost_response")
            self._late(step)
            return _answer_all(commit, step, random.choice(("Timeout", "InternalServerError")), clock.now)
        if isinstance(step, Call):
            commit.answer(self._apply(step), clock.now)
        else:
            pages = function.tables[Table.RESULTS].query(step)
            commit.read(pages[:PAGES_PER_ANSWER], complete=len(pages) <= PAGES_PER_ANSWER)
        return None

    def _apply(self, call: Call) -> list[Outcome]:
        """Each statement on its own; those of a hot partition key are refused."""
        table, hot = self.function.tables[call.table], self.function.hot
        if not hot:
            return [table.apply(statement) for statement in call.statements]
        now_s = self.function.clock.now
        for pk in [pk for pk, until_s in hot.items() if until_s <= now_s]:
            del hot[pk]
        return [_REFUSED if statement.pk in hot else table.apply(statement) for statement in call.statements]

    def _throttled(self, commit: Commit, step: Call | ReadPages) -> None:
        """The whole call is refused, or some of its statements, or some partition keys become hot for seconds."""
        now_s, random = self.function.clock.now, self.function.random
        chance = random.random()
        if not isinstance(step, Call) or chance < 0.2:
            return _answer_all(commit, step, "ThrottlingError", now_s)
        if chance < 0.7:
            for _ in range(random.randint(1, self.function.hot_keys_max)):
                self.function.hot[random.choice(step.statements).pk] = now_s + self.function.hot_s_max * random.random()
            return commit.answer(self._apply(step), now_s)
        table = self.function.tables[step.table]
        outcomes = [_REFUSED if random.random() < 0.5 else table.apply(statement) for statement in step.statements]
        return commit.answer(outcomes, now_s)

    def _die_in(self, step: Step) -> None:
        """Of the call under way some statements are applied; the rest is applied later, or never."""
        if not isinstance(step, Call):
            return
        table, random = self.function.tables[step.table], self.function.random
        applied = random.randrange(len(step.statements) + 1)
        for statement in step.statements[:applied]:
            table.apply(statement)
        if random.random() < 0.5:
            rest = Call(step.table, step.statements[applied:])
            self.function.clock.later(LATE_S_MAX * random.random(), self._late, rest)

    def _late(self, step: Call | ReadPages) -> None:
        if isinstance(step, Call):
            table = self.function.tables[step.table]
            for statement in step.statements:
                table.apply(statement)


def _place(records: Sequence[KinesisRecord], failed: Sequence[int]) -> int:
    """From where on the batch will come again: user records of one aggregate share the number that is reported."""
    if not failed:
        return len(records)
    number = records[min(failed)].sequence_number
    return next(place for place, record in enumerate(records) if record.sequence_number == number)


def _state(invoke: "Invoke", done: int) -> bytes:
    """The tumbling window's state with so many records more, as a part of the answer: it grows with every one."""
    if invoke.window is None:
        return b""
    records = len(json.loads(invoke.window.state).get("seen", "")) + done
    return b',"state":' + json.dumps({"seen": "x" * records}, separators=(",", ":")).encode()


def kinesis_records(shard_id: str, records: Sequence[StreamRecord]) -> list[KinesisRecord]:
    """What `records.from_lambda` makes of the event. The witness compares with the real event now and then."""
    return [
        KinesisRecord(shard_id, str(record.sequence_number), record.partition_key, record.arrived_at_ms, record.data)
        for record in records
    ]


def _answer_all(commit: Commit, step: Call | ReadPages, code: str, now_s: float) -> None:
    if isinstance(step, Call):
        commit.answer([Outcome(code, None, True)] * len(step.statements), now_s)
    else:
        commit.read_failed(code, now_s)


def _summary(batch: Plan, commit: Commit, calls: int) -> str:
    counts = commit.counts
    return (
        f"events={batch.events} applied={commit.applied} duplicates={batch.duplicates + commit.duplicates} "
        f"quarantined={len(batch.quarantined)} items={counts.items_written} calls={calls} failed={len(commit.failed)}"
    )
