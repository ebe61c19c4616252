"""What is remembered of execution environments: states, which one is free, which has the earliest deadline."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
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


class Environments:
    """All environments of one version, by number and by the process that lives in them."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._all: dict[int, Environment] = {}
        self._by_process: dict[int, Environment] = {}
        self._free: dict[State, dict[int, None]] = {State.IDLE: {}, State.COLD: {}, State.DYING: {}}  # newest last
        self._ready: dict[int, None] = {}  # provisioned and idle
        self._deadlines = Deadlines()

    def __iter__(self) -> Iterator[Environment]:
        """A copy: environments may be removed meanwhile."""
        return iter(list(self._all.values()))

    @property
    def states(self) -> dict[int, State]:
        return {environment.id: environment.state for environment in self._all.values()}

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    @property
    def provisioned(self) -> list[Environment]:
        """Those of the provisioned concurrency that are to stay."""
        return [each for each in self._all.values() if each.provisioned and not each.removed]

    def first(self) -> Environment | None:
        """The one with the earliest deadline."""
        return self._deadlines.first(self._all)

    def new(self, now: float, *, provisioned: bool = False) -> Environment:
        environment = Environment(next(self._numbers), now, provisioned)
        self._all[environment.id] = environment
        return environment

    def remove(self, environment: Environment) -> None:
        """Its process must be gone."""
        self.enter(environment, State.COLD, None)
        del self._all[environment.id]

    def take_ready(self) -> Environment:
        """The provisioned one that was used last; there must be one."""
        return self._all[self._ready.popitem()[0]]

    def take_free(self) -> Environment | None:
        """One on demand, the warmest first and of those the one that was used last, so that others can go."""
        return next((self._all[free.popitem()[0]] for free in self._free.values() if free), None)

    def enter(self, environment: Environment, state: State, deadline_s: float | None) -> None:
        for free in self._free.values():
            free.pop(environment.id, None)
        self._ready.pop(environment.id, None)
        if environment.ticket is None and not environment.removed:
            if not environment.provisioned:
                self._free[state][environment.id] = None
            elif state is State.IDLE:
                self._ready[environment.id] = None
        environment.state, environment.deadline_s = state, deadline_s
        if deadline_s is not None:
            self._deadlines.push(environment, self._all)

    def new_process(self, environment: Environment) -> int:
        environment.process = process = next(self._numbers)
        self._by_process[process] = environment
        return process

    def of_process(self, process: int, *states: State) -> Environment | None:
        """The environment in which it lives, if it is in one of `states`."""
        environment = self._by_process.get(process)
        return environment if environment is not None and environment.state in states else None

    def process_ended(self, process: int) -> Environment | None:
        """The environment in which it lived; None: nobody knows it."""
        environment = self._by_process.pop(process, None)
        if environment is not None:
            environment.process = None
        return environment
