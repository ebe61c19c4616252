"""DRIVER: the function's environments: infra.model.function performed in virtual time, with generators as processes."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from infra.model.function import (
    Account,
    Command,
    Complete,
    FunctionMachine,
    FunctionSettings,
    InvokeOutcome,
    Kill,
    Send,
    Start,
)
from infra.sim.environment import Function, Handling, Process, Raised, Responded
from infra.sim.violation import Violation

if TYPE_CHECKING:
    from infra.model.mapping import Invoke

INIT_S = 0.25
Done: TypeAlias = "Callable[[InvokeOutcome], object]"


class Fleet:
    """`invoke` calls `done` exactly once, with the outcome that Lambda would answer. `running` counts invocations."""

    def __init__(
        self, function: Function, random: Random, *, timeout_s: float, reserved_concurrency: int | None
    ) -> None:
        self._function = function
        self._clock = function.clock
        self._random = random
        settings = FunctionSettings("simulated", timeout_s, reserved_concurrency)
        self._machine = FunctionMachine(settings, Account())
        self._processes: dict[int, Process] = {}
        self._tickets: dict[int, tuple[Invoke, Done]] = {}
        self._numbered = 0
        self._reserved = reserved_concurrency
        self._busy: dict[int, float] = {}  # process that has an invocation -> when it must have answered
        self.deadline_s = float("inf")

    @property
    def running(self) -> int:
        return len(self._tickets)

    def invoke(self, invoke: "Invoke", done: Done) -> None:
        self._numbered += 1
        self._tickets[self._numbered] = (invoke, done)
        self._perform(self._machine.invoke(self._numbered, invoke.request_id, self._clock.now))

    def timer(self) -> None:
        """To be called when `deadline_s` has come."""
        self._perform(self._machine.timer(self._clock.now))

    def _perform(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Start(_, process):
                    self._processes[process] = Process(process, self._function)
                    self._clock.later(INIT_S * (0.5 + self._random.random()), self._ready, process)
                case Send(process, ticket, request_id, deadline_s):
                    self._begin(process, deadline_s)
                    invoke = self._tickets[ticket][0]
                    label = f"#{ticket}"
                    self._clock.say(f"runs {label} p{process} {invoke.shard_id[-4:]} n={len(invoke.records)}")
                    handling = self._processes[process].handle(label, invoke, deadline_s)
                    self._resume(process, request_id, handling)
                case Kill(process, _):
                    self._processes.pop(process, None)
                    self._busy.pop(process, None)
                    self._clock.later(0.001, self._exited, process)
                case Complete(ticket, outcome):
                    _, done = self._tickets.pop(ticket)
                    done(outcome)
        self.deadline_s = self._machine.next_deadline_s or float("inf")

    def _begin(self, process: int, deadline_s: float) -> None:
        """A process gets an invocation: one at a time, and no more of them than are reserved."""
        if process in self._busy:
            raise Violation("concurrency", f"process {process} has an invocation and gets another one")
        self._busy[process] = deadline_s
        if self._reserved is not None and len(self._busy) > self._reserved:
            raise Violation("concurrency", f"{len(self._busy)} invocations run, {self._reserved} are reserved")
        self._machine.fetched(process)

    def _ready(self, process: int) -> None:
        if process in self._processes:
            self._perform(self._machine.ready(process, self._clock.now))

    def _exited(self, process: int) -> None:
        self._perform(self._machine.exited(process, -9, self._clock.now))

    def _resume(self, process: int, request_id: str, handling: Handling) -> None:
        """Runs a process until it next waits; one that was killed meanwhile stays where it is."""
        if process not in self._processes:
            return
        if self._clock.now > self._busy[process] + 0.001:
            raise Violation("timeout", f"process {process} runs on after the function's timeout")
        try:
            seconds = next(handling)
        except StopIteration as end:
            self._ended(process, request_id, end.value)
        else:
            self._clock.later(seconds, self._resume, process, request_id, handling)

    def _ended(self, process: int, request_id: str, how: object) -> None:
        now = self._clock.now
        del self._busy[process]
        match how:
            case Responded(payload):
                self._perform(self._machine.responded(process, request_id, payload, now))
            case Raised(error_type):
                self._perform(self._machine.raised(process, request_id, error_type, b"{}", now))
            case _:
                del self._processes[process]
                self._perform(self._machine.exited(process, 1, now))
