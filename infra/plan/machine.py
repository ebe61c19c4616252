"""PURE: what the local stack's machine has to share: the CPU of everything beside the function's lanes.

Lambda gives every execution its own CPU. The local stack does not: executions, the emulated DynamoDB, stream, logs and
the load generator that reads the results share a few cores, and all services are one process, which is one thread at a
time. Both are queues: a batch that finds the CPU behind waits until it has caught up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Work(NamedTuple):
    """CPU seconds for a batch, for each of its events, and for each page it writes."""

    batch_s: float
    event_s: float
    write_s: float

    def seconds(self, batches: float, events: float, writes: float) -> float:
        return batches * self.batch_s + events * self.event_s + writes * self.write_s


@dataclass(frozen=True, slots=True)
class Machine:
    """`stack`: of the one process with all services, which uses at most `stack_share` of a core: it is never without
    waiting. `every`: of all processes together, that one and the executions counted. `begin_s`: from enabling a mapping
    to its first batch, and from the last commit until a load generator has found it. `gap_s`: of a lane between two
    batches. `source`: what it rests on, in words.
    """

    cores: int
    stack: Work
    every: Work
    stack_share: float
    begin_s: float
    gap_s: float
    source: str

    def busy(self, batches: float, events: float, writes: float) -> tuple[float, float]:
        """CPUs of the stack's process (of 1), and of all processes (of `cores`), with so many of each per second."""
        return self.stack.seconds(batches, events, writes), self.every.seconds(batches, events, writes)


class Shared:
    """The machine in virtual time. `share`: of the load that is run; the rest uses the machine just as much."""

    def __init__(self, machine: Machine, share: float = 1.0) -> None:
        self._machine = machine
        self._rates = (machine.stack_share * share, machine.cores * share)
        self._free_s = [float("-inf"), float("-inf")]

    def wait_s(self, events: float, writes: float, now_s: float, alone_s: float) -> float:
        """Seconds by which one batch is later than after the `alone_s` that it takes with the machine to itself: it
        waits for the CPU that batches before it still need, and for as much as it needs itself.
        """
        waited_s = 0.0
        for which, work_s in enumerate(self._machine.busy(1, events, writes)):
            begins_s = max(self._free_s[which], now_s)
            self._free_s[which] = begins_s + work_s / self._rates[which]
            waited_s = max(waited_s, begins_s - now_s, self._free_s[which] - now_s - alone_s)
        return waited_s


def from_plain(plain: Mapping[str, Any], cores: int) -> Machine:
    """Of the file with the measured default. Raises KeyError, TypeError, ValueError."""
    return Machine(
        cores=cores,
        stack=_work(plain["stack"]),
        every=_work(plain["all_processes"]),
        stack_share=float(plain["stack_share"]),
        begin_s=float(plain["begin_ms"]) / 1000,
        gap_s=float(plain["gap_ms"]) / 1000,
        source=str(plain["source"]),
    )


def to_plain(machine: Machine) -> dict[str, Any]:
    return {
        "stack": _plain(machine.stack),
        "all_processes": _plain(machine.every),
        "stack_share": round(machine.stack_share, 3),
        "begin_ms": round(machine.begin_s * 1000, 3),
        "gap_ms": round(machine.gap_s * 1000, 4),
        "source": machine.source,
    }


def _work(plain: Mapping[str, Any]) -> Work:
    return Work(*(float(plain[name]) / 1000 for name in ("batch_ms", "event_ms", "write_ms")))


def _plain(work: Work) -> dict[str, float]:
    return {
        "batch_ms": round(work.batch_s * 1000, 4),
        "event_ms": round(work.event_s * 1000, 6),
        "write_ms": round(work.write_s * 1000, 5),
    }
