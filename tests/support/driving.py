"""Drives the pure commit machine against the table in memory, in virtual time, with faults chosen by the test."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from processor.core.commit import Call, Commit, Wait
from processor.core.plan import Contribution, ItemWrite, Plan
from processor.core.statements import Outcome, ReadPages, Statement
from tests.support.toytable import ToyTable

WINDOW = "2026-11-23T09:00:00Z"


class Crash(BaseException):
    """The process is gone: nothing catches it but the test."""


@dataclass(frozen=True)
class Fault:
    """A statement is answered with `code`; `applied` tells whether it took effect all the same."""

    code: str
    applied: bool = False
    whole_call: bool = False


@dataclass
class Run:
    """Everything that one commit sent, and the virtual time it took."""

    calls: list[Call] = field(default_factory=list)
    reads: list[ReadPages] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    now_s: float = 0.0


Faults = Callable[[Statement | ReadPages], Fault | None]


def healthy(_: Statement | ReadPages) -> Fault | None:
    return None


def drive(commit: Commit, table: ToyTable, faults: Faults = healthy, *, call_s: float = 0.01) -> Run:
    """Run a commit to its end; `faults` is asked once for every statement and read. Each call takes `call_s`."""
    run = Run()
    for _ in range(20_000):
        step = commit.step(run.now_s)
        if step is None:
            return run
        if isinstance(step, Wait):
            run.waits_s.append(step.seconds)
            run.now_s += step.seconds
            continue
        run.now_s += call_s
        if isinstance(step, Call):
            run.calls.append(step)
            commit.answer([_perform(table, statement, faults(statement)) for statement in step.statements], run.now_s)
        else:
            run.reads.append(step)
            fault = faults(step)
            if fault is not None:
                commit.read_failed(fault.code, run.now_s)
            else:
                pages = table.query(step)
                commit.read(pages[:40], complete=len(pages) <= 40)
    raise AssertionError("the commit does not come to an end")


def _perform(table: ToyTable, statement: Statement, fault: Fault | None) -> Outcome:
    if fault is None:
        return table.apply(statement)
    if fault.applied:
        table.apply(statement)
    return Outcome(fault.code, None, fault.whole_call)


def identity(number: int) -> str:
    return f"{number:011d}"


def adding(keys: Mapping[str, Sequence[int]]) -> Plan:
    """A plan that adds event `n` (bytes: n) to the window of each key; event n came in Kinesis record n."""
    adds = {
        (key, WINDOW): {identity(n): Contribution({"sum_bytes": n}, (n,)) for n in numbers}
        for key, numbers in keys.items()
    }
    return Plan(adds, {}, {}, (), sum(map(len, keys.values())), 0)


def writing(
    records: Mapping[tuple[str, str], ItemWrite] | None = None,
    latest: Mapping[tuple[str, str], ItemWrite] | None = None,
) -> Plan:
    """A plan of items alone."""
    return Plan({}, records or {}, latest or {}, (), len(records or {}) + len(latest or {}), 0)
