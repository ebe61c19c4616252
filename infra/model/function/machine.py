"""One function's execution environments as a state machine without I/O.

An environment is a sandbox with a /tmp; at most one runtime process lives in it, and it runs one invocation at a time.

    state      process  ticket  leaves by
    COLD       no       no      invoke -> STARTING (init redone); lifetime over -> removed
    STARTING   yes      yes     ready -> BUSY; init error, exit -> outcome; init limit -> DYING, then STARTING again
    BUSY       yes      yes     answer -> IDLE; exit, deadline -> outcome; exit before the runtime took it -> STARTING
    IDLE       yes      no      invoke -> BUSY; exit -> COLD; lifetime over -> DYING, then removed
    DYING      yes      maybe   exit -> STARTING when an invocation waits, else COLD or removed

The first init of an environment has 10 s and is not part of the invocation. When it takes longer it is redone inside
the invocation, under the function's timeout; so is every init after a crash or a timeout, which keep /tmp and nothing
else (AWS: lambda-runtime-environment). An init that fails with an error is the outcome of the invocation that caused
it; AWS would run it a second time first, with the same result.

Every invocation gets exactly one `Complete`, whatever the order of inputs; inputs about processes that are gone are
ignored. After each input the caller performs the commands in order and calls `timer` not later than `next_deadline_s`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from infra.model.bucket import Bucket
from infra.model.function import account as accounts
from infra.model.function.commands import Command, Complete, Kill, Remove, Report, Send, Start
from infra.model.function.environments import Deadlines, Environment, State
from infra.model.function.outcomes import (
    FunctionError,
    InvokeOutcome,
    ServiceError,
    Succeeded,
    Throttled,
    exited,
    response_too_large,
    timed_out,
)

GROWTH_MAX = 1_000  # environments that a function may gain at once ...
GROWTH_PER_S = 100.0  # ... and how fast that allowance comes back (AWS: scaling-behavior)
INIT_S_MAX = 10.0  # of an environment's first init
IDLE_S_MAX = 300.0  # AWS recycles after minutes to hours; a laptop's memory prefers minutes
PAYLOAD_BYTES_MAX = 6_291_556  # request and response of a synchronous invocation


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """`reserved_concurrency` None: the account's unreserved share."""

    name: str
    timeout_s: float
    reserved_concurrency: int | None = None
    init_s_max: float = INIT_S_MAX
    idle_s_max: float = IDLE_S_MAX
    grace_s: float = 0.5  # between SIGTERM and SIGKILL at shutdown, as AWS gives to functions with an extension


@dataclass(slots=True)
class Counters:
    """Totals since the start. `invocations` are runs, good or bad, and not throttles (AWS: metrics-types)."""

    invocations: int = 0
    errors: int = 0
    throttles: int = 0
    duration_ms: float = 0.0
    concurrent_executions: int = 0
    concurrent_executions_max: int = 0
    cold_starts: int = 0


class FunctionMachine:
    """Inputs take `now` in seconds of any clock that does not go back, and return commands in the order to perform."""

    def __init__(self, settings: FunctionSettings, account: accounts.Account) -> None:
        self.settings = settings
        self.counters = Counters()
        account.register(settings.name, settings.reserved_concurrency)
        self._account = account
        self._growth = Bucket(GROWTH_PER_S, GROWTH_MAX)
        self._numbers = itertools.count(1)
        self._environments: dict[int, Environment] = {}
        self._by_process: dict[int, Environment] = {}
        self._free: dict[State, dict[int, None]] = {State.IDLE: {}, State.COLD: {}, State.DYING: {}}  # newest last
        self._deadlines = Deadlines()
        self._init_error: tuple[str, bytes] | None = None
        self._stopping = False

    # -- what callers ask ------------------------------------------------------------------------------------------

    def invoke(self, ticket: int, request_id: str, now: float) -> list[Command]:
        """`ticket` is the caller's number for this call and comes back in `Complete`; `request_id` may repeat."""
        if self._stopping:
            return [Complete(ticket, ServiceError(f"ServiceException: function {self.settings.name} is being stopped"))]
        reason = self._account.admit(self.settings.name, now)
        if reason is not None:
            self.counters.throttles += 1
            return [Complete(ticket, Throttled(reason))]
        environment = self._free_environment() or self._new_environment(now)
        if environment is None:
            self._account.release(self.settings.name)
            self.counters.throttles += 1
            return [Complete(ticket, Throttled(accounts.CONCURRENT))]
        self.counters.concurrent_executions += 1
        self.counters.concurrent_executions_max = max(
            self.counters.concurrent_executions_max, self.counters.concurrent_executions
        )
        environment.ticket, environment.request_id = ticket, request_id
        environment.init_ms = None
        if environment.state is State.IDLE:
            return [self._send(environment, began_s=now)]
        if environment.state is State.DYING:
            return []  # its /tmp is wanted; the exit of the old process starts the new one
        return [self._start(environment, now, redone=environment.redone)]

    def shutdown(self, now: float) -> list[Command]:
        """Refuse what comes, fail what runs, end every process. `idle` becomes true when the last one has exited."""
        self._stopping = True
        commands: list[Command] = []
        for environment in list(self._environments.values()):
            if environment.ticket is not None:
                stopped = ServiceError(f"ServiceException: function {self.settings.name} was stopped")
                commands.append(self._complete(environment, stopped, now))
            commands += self._discard(environment, self.settings.grace_s)
        return commands

    @property
    def next_deadline_s(self) -> float | None:
        environment = self._deadlines.first(self._environments)
        return None if environment is None else environment.deadline_s

    @property
    def environments(self) -> dict[int, State]:
        """State of every environment by its number."""
        return {environment.id: environment.state for environment in self._environments.values()}

    # -- what processes do -----------------------------------------------------------------------------------------

    def ready(self, process: int, now: float) -> list[Command]:
        """The runtime asked for its first invocation: init is over."""
        environment = self._by_process.get(process)
        if environment is None or environment.state is not State.STARTING:
            return []
        self._init_error = None
        if not environment.redone:
            environment.init_ms = (now - environment.init_began_s) * 1e3
            return [self._send(environment, began_s=now)]
        return [self._send(environment, began_s=environment.init_began_s)]

    def fetched(self, process: int) -> None:
        """The runtime has taken the invocation that was sent to it: from now on it counts as run."""
        environment = self._by_process.get(process)
        if environment is not None and environment.state is State.BUSY:
            environment.fetched = True

    def responded(self, process: int, request_id: str, payload: bytes, now: float) -> list[Command]:
        environment = self._answering(process, request_id)
        if environment is None:
            return []
        return self._answered(environment, Succeeded(request_id, payload), now)

    def raised(self, process: int, request_id: str, error_type: str, payload: bytes, now: float) -> list[Command]:
        environment = self._answering(process, request_id)
        if environment is None:
            return []
        return self._answered(environment, FunctionError(request_id, error_type, payload), now)

    def oversized(self, process: int, request_id: str, size: int, now: float) -> list[Command]:
        """The response had `size` bytes and was refused: the runtime cannot go on from there."""
        environment = self._answering(process, request_id)
        if environment is None:
            return []
        return self._failed(environment, response_too_large(request_id, size, PAYLOAD_BYTES_MAX), now)

    def init_failed(self, process: int, error_type: str, payload: bytes, now: float) -> list[Command]:
        environment = self._by_process.get(process)
        if environment is None or environment.state is not State.STARTING:
            return []
        error = FunctionError(environment.request_id, error_type, payload)
        return self._failed(environment, error, now, init_error=self._compare(error_type, payload))

    def exited(self, process: int, returncode: int, now: float) -> list[Command]:
        """The process is gone; `returncode` as `subprocess` has it."""
        environment = self._by_process.pop(process, None)
        if environment is None:
            return []
        environment.process = None
        state, commands = environment.state, list[Command]()
        if environment.ticket is not None:
            if state is State.DYING or (state is State.BUSY and not environment.fetched):
                return [self._start(environment, now, redone=True)]
            error = exited(environment.request_id, returncode)
            words = str(returncode).encode()
            init_error = self._compare(error.error_type, words) if state is State.STARTING else None
            commands.append(self._complete(environment, error, now, init_error, process))
        return commands + self._rest(environment, now)

    def start_failed(self, process: int, reason: str, now: float) -> list[Command]:
        """The process could not be started at all."""
        environment = self._by_process.pop(process, None)
        if environment is None:
            return []
        environment.process = None
        commands: list[Command] = []
        if environment.ticket is not None:
            error = ServiceError(f"ServiceException: {self.settings.name} could not be started: {reason}")
            commands.append(self._complete(environment, error, now))
        return commands + self._rest(environment, now)

    def timer(self, now: float) -> list[Command]:
        """Everything whose deadline has come."""
        commands: list[Command] = []
        while (environment := self._deadlines.first(self._environments)) is not None:
            assert environment.deadline_s is not None
            if environment.deadline_s > now:
                break
            commands += self._overdue(environment, now)
        return commands

    # -- parts -----------------------------------------------------------------------------------------------------

    def _overdue(self, environment: Environment, now: float) -> list[Command]:
        if environment.ticket is None:
            return self._discard(environment, 0.0)
        if environment.state is State.STARTING and not environment.redone:
            assert environment.process is not None
            self._enter(environment, State.DYING, None)
            return [Kill(environment.process, 0.0)]
        return self._failed(environment, timed_out(environment.request_id, self.settings.timeout_s), now)

    def _free_environment(self) -> Environment | None:
        for state in (State.IDLE, State.COLD, State.DYING):
            if self._free[state]:
                return self._environments[self._free[state].popitem()[0]]
        return None

    def _new_environment(self, now: float) -> Environment | None:
        if not self._growth.take(1, now):
            return None
        environment = Environment(next(self._numbers))
        self._environments[environment.id] = environment
        return environment

    def _enter(self, environment: Environment, state: State, deadline_s: float | None) -> None:
        for free in self._free.values():
            free.pop(environment.id, None)
        if environment.ticket is None and not environment.removed:
            self._free[state][environment.id] = None
        environment.state, environment.deadline_s = state, deadline_s
        if deadline_s is not None:
            self._deadlines.push(environment, self._environments)

    def _start(self, environment: Environment, now: float, *, redone: bool) -> Command:
        environment.process = process = next(self._numbers)
        self._by_process[process] = environment
        environment.redone, environment.init_began_s = redone, now
        environment.began_s = now
        self.counters.cold_starts += 1
        limit_s = self.settings.timeout_s if redone else self.settings.init_s_max
        self._enter(environment, State.STARTING, now + limit_s)
        return Start(environment.id, process)

    def _send(self, environment: Environment, *, began_s: float) -> Command:
        assert environment.process is not None
        assert environment.ticket is not None
        environment.fetched, environment.began_s = False, began_s
        deadline_s = began_s + self.settings.timeout_s
        self._enter(environment, State.BUSY, deadline_s)
        return Send(environment.process, environment.ticket, environment.request_id, deadline_s)

    def _answering(self, process: int, request_id: str) -> Environment | None:
        environment = self._by_process.get(process)
        if environment is None or environment.state is not State.BUSY or environment.request_id != request_id:
            return None
        return environment

    def _answered(self, environment: Environment, outcome: InvokeOutcome, now: float) -> list[Command]:
        commands = [self._complete(environment, outcome, now)]
        self._enter(environment, State.IDLE, now + self.settings.idle_s_max)
        return commands

    def _failed(
        self, environment: Environment, error: FunctionError, now: float, *, init_error: str | None = None
    ) -> list[Command]:
        """The invocation is over and so is the process."""
        assert environment.process is not None
        complete = self._complete(environment, error, now, init_error)
        self._enter(environment, State.DYING, None)
        return [complete, Kill(environment.process, 0.0)]

    def _rest(self, environment: Environment, now: float) -> list[Command]:
        """No process and no invocation: keep the /tmp for a successor, or forget the environment."""
        environment.redone = True
        if not environment.removed:
            self._enter(environment, State.COLD, now + self.settings.idle_s_max)
            return []
        del self._environments[environment.id]
        return [Remove(environment.id)]

    def _discard(self, environment: Environment, grace_s: float) -> list[Command]:
        environment.removed = True
        if environment.process is None:
            self._enter(environment, State.COLD, None)
            del self._environments[environment.id]
            return [Remove(environment.id)]
        self._enter(environment, State.DYING, None)
        return [Kill(environment.process, grace_s)]

    def _compare(self, error_type: str, payload: bytes) -> str:
        same = self._init_error == (error_type, payload)
        self._init_error = (error_type, payload)
        return "same" if same else "new"

    def _complete(
        self,
        environment: Environment,
        outcome: InvokeOutcome,
        now: float,
        init_error: str | None = None,
        process: int | None = None,
    ) -> Command:
        assert environment.ticket is not None
        ticket, environment.ticket = environment.ticket, None
        self._account.release(self.settings.name)
        self.counters.concurrent_executions -= 1
        if not isinstance(outcome, Succeeded | FunctionError):
            return Complete(ticket, outcome)
        report = Report(environment.began_s, max(0.0, now - environment.began_s) * 1e3, environment.init_ms, init_error)
        self.counters.invocations += 1
        self.counters.errors += isinstance(outcome, FunctionError)
        self.counters.duration_ms += report.duration_ms
        return Complete(ticket, outcome, process if process is not None else environment.process, report)
