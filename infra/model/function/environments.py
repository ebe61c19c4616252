"""What is remembered of one execution environment, and which of them has the earliest deadline."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import Enum, auto


class State(Enum):
    COLD = auto()
    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    DYING = auto()


@dataclass(slots=True)
class Environment:
    id: int
    born_s: float
    provisioned: bool = False  # belongs to the version's provisioned concurrency
    on_demand: bool = False  # its invocation has taken a unit of the function's share
    spilled_over: bool = False  # ... because no provisioned environment was free
    state: State = State.COLD
    process: int | None = None
    ticket: int | None = None
    request_id: str = ""
    fetched: bool = False  # the runtime has taken the invocation
    served: bool = False  # its process has been given an invocation
    redone: bool = False  # this init is part of the invocation
    removed: bool = False  # ends after its invocation, or has ended
    began_s: float = 0.0  # of the invocation's own time
    init_began_s: float = 0.0
    init_ms: float | None = None
    deadline_s: float | None = None


@dataclass(slots=True)
class Deadlines:
    """The earliest deadline of many, with stale entries left in the heap until they surface or outnumber the rest."""

    heap: list[tuple[float, int]] = field(default_factory=list)

    def push(self, environment: Environment, environments: dict[int, Environment]) -> None:
        assert environment.deadline_s is not None
        heapq.heappush(self.heap, (environment.deadline_s, environment.id))
        if len(self.heap) > 64 + 4 * len(environments):
            self.heap = [(e.deadline_s, e.id) for e in environments.values() if e.deadline_s is not None]
            heapq.heapify(self.heap)

    def first(self, environments: dict[int, Environment]) -> Environment | None:
        while self.heap:
            at, id_ = self.heap[0]
            environment = environments.get(id_)
            if environment is not None and environment.deadline_s == at:
                return environment
            heapq.heappop(self.heap)
        return None
