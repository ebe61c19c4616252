"""One version's execution environments as a state machine without I/O.

An environment is a sandbox with a /tmp; at most one runtime process lives in it, and it runs one invocation at a time.

    state      process  ticket  leaves by
    COLD       no       no      invoke -> STARTING (init redone); lifetime over -> removed
    STARTING   yes      yes     ready -> BUSY; init error, exit -> outcome; init limit -> DYING, then STARTING again
    STARTING   yes      no      provisioned: ready -> IDLE; init error, exit, limit -> removed, and the status is FAILED
    BUSY       yes      yes     answer -> IDLE; exit, deadline -> outcome; exit before the runtime took it -> STARTING
    IDLE       yes      no      invoke -> BUSY; exit -> COLD (provisioned: STARTING); lifetime over -> DYING, removed
    DYING      yes      maybe   exit -> STARTING when an invocation waits, else COLD or removed

The first init of an environment has 10 s and is not part of the invocation. When it takes longer it is redone inside
the invocation, under the function's timeout; so is every init after a crash or a timeout, which keep /tmp and nothing
else (AWS: lambda-runtime-environment). An init that fails with an error is the outcome of the invocation that caused
it; AWS would run it a second time first, with the same result.

Environments of provisioned concurrency are started before anybody invokes and are replaced when they end. They take
invocations first; what they cannot take spills over to environments on demand, if the function's share has room.

Every invocation gets exactly one `Complete`, whatever the order of inputs; inputs about processes that are gone are
ignored. After each input the caller performs the commands in order and calls `timer` not later than `next_deadline_s`.
"""

from __future__ import annotations

import dataclasses

from infra.model.bucket import Bucket
from infra.model.function import account as accounts
from infra.model.function.commands import Command, Complete, InitFailed, Kill, Remove, Report, Send, Start
from infra.model.function.environments import Environment, Environments, State
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
from infra.model.function.settings import (
    PAYLOAD_BYTES_MAX,
    PROVISIONED_INIT_S_MAX,
    Counters,
    FunctionSettings,
    Provisioned,
)


class FunctionMachine:
    """Inputs take `now` in seconds of any clock that does not go back, and return commands in the order to perform.

    The function is registered with the account unless it is there already: machines of its other versions share what
    it has, and `counters` when they are given the same ones. ConcurrencyRefusedError when AWS would refuse that.
    """

    def __init__(self, settings: FunctionSettings, account: accounts.Account, counters: Counters | None = None) -> None:
        self.settings = settings
        self.counters = Counters() if counters is None else counters
        if settings.name not in account:
            account.register(settings.name, settings.reserved_concurrency)
        self._account = account
        self._environments = Environments()
        self._requested = 0  # provisioned concurrency
        self._provisioned_requests: Bucket | None = None
        self._provisioning_failed = False
        self._init_error: tuple[str, bytes] | None = None
        self._stopping = False

    # -- what callers ask ------------------------------------------------------------------------------------------

    def invoke(self, ticket: int, request_id: str, now: float) -> list[Command]:
        """`ticket` is the caller's number for this call and comes back in `Complete`; `request_id` may repeat."""
        if self._stopping:
            return [Complete(ticket, ServiceError(f"ServiceException: function {self.settings.name} is being stopped"))]
        environment = self._provisioned_environment(now) or self._on_demand_environment(now)
        if isinstance(environment, str):
            self.counters.throttles += 1
            return [Complete(ticket, Throttled(environment))]
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

    def provision(self, requested: int, now: float) -> list[Command]:
        """Sets this version's provisioned concurrency; 0 ends it. The account must have agreed to it before."""
        self._requested, self._provisioning_failed = requested, False
        per_s = requested * accounts.REQUESTS_PER_CONCURRENCY
        self._provisioned_requests = Bucket(per_s, per_s) if requested else None
        # Idle ones go first, those that run go after their invocation.
        mine = self._environments.provisioned
        surplus = sorted(mine, key=lambda each: each.ticket is not None)[: max(0, len(mine) - requested)]
        commands: list[Command] = []
        for environment in surplus:
            commands += self._release(environment)
        return commands + self._fill(now)

    @property
    def provisioned(self) -> Provisioned:
        available = sum(each.state in (State.IDLE, State.BUSY) for each in self._environments.provisioned)
        return Provisioned(self._requested, available, self._provisioning_failed)

    def retire(self) -> list[Command]:
        """Another machine takes over: what runs ends by itself, nothing new is taken. Then `environments` is empty."""
        self._stopping, self._requested = True, 0
        commands: list[Command] = []
        for environment in self._environments:
            commands += self._release(environment)
        return commands

    def shutdown(self, now: float) -> list[Command]:
        """Refuse what comes, fail what runs, end every process. `environments` is empty when the last has exited."""
        self._stopping, self._requested = True, 0
        commands: list[Command] = []
        for environment in self._environments:
            if environment.ticket is not None:
                stopped = ServiceError(f"ServiceException: function {self.settings.name} was stopped")
                commands.append(self._complete(environment, stopped, now))
            commands += self._discard(environment, self.settings.grace_s)
        return commands

    @property
    def next_deadline_s(self) -> float | None:
        environment = self._environments.first()
        return None if environment is None else environment.deadline_s

    @property
    def environments(self) -> dict[int, State]:
        """State of every environment by its number."""
        return self._environments.states

    # -- what processes do -----------------------------------------------------------------------------------------

    def ready(self, process: int, now: float) -> list[Command]:
        """The runtime asked for its first invocation: init is over."""
        environment = self._environments.of_process(process, State.STARTING)
        if environment is None:
            return []
        self._init_error = None
        if environment.ticket is None:
            self._environments.enter(environment, State.IDLE, environment.born_s + self.settings.lifetime_s_max)
            return []
        if not environment.redone:
            environment.init_ms = (now - environment.init_began_s) * 1e3
            return [self._send(environment, began_s=now)]
        return [self._send(environment, began_s=environment.init_began_s)]

    def fetched(self, process: int) -> None:
        """The runtime has taken the invocation that was sent to it: from now on it counts as run."""
        environment = self._environments.of_process(process, State.BUSY)
        if environment is not None:
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
        environment = self._environments.of_process(process, State.STARTING)
        if environment is None:
            return []
        is_new = self._is_new(error_type, payload)
        if environment.ticket is None:
            return self._not_provisioned(environment, FunctionError("", error_type, payload), is_new)
        error = FunctionError(environment.request_id, error_type, payload)
        return self._failed(environment, error, now, init_error="new" if is_new else "same")

    def exited(self, process: int, returncode: int, now: float) -> list[Command]:
        """The process is gone; `returncode` as `subprocess` has it."""
        environment = self._environments.process_ended(process)
        if environment is None:
            return []
        state, commands = environment.state, list[Command]()
        error = exited(environment.request_id, returncode)
        is_new = state is State.STARTING and self._is_new(error.error_type, str(returncode).encode())
        if environment.ticket is not None:
            if state is State.DYING or (state is State.BUSY and not environment.fetched):
                return [self._start(environment, now, redone=True)]
            init_error = None if state is not State.STARTING else "new" if is_new else "same"
            commands.append(self._complete(environment, error, now, init_error, process))
        elif state is State.STARTING:
            return self._not_provisioned(environment, error, is_new, process)
        elif state is State.IDLE and environment.provisioned and not environment.served:
            self._provisioning_failed = True  # it would end again and again
            return self._discard(environment, 0.0)
        return commands + self._rest(environment, now)

    def start_failed(self, process: int, reason: str, now: float) -> list[Command]:
        """The process could not be started at all."""
        environment = self._environments.process_ended(process)
        if environment is None:
            return []
        commands: list[Command] = []
        if environment.ticket is not None:
            error = ServiceError(f"ServiceException: {self.settings.name} could not be started: {reason}")
            commands.append(self._complete(environment, error, now))
        elif environment.state is State.STARTING:
            self._provisioning_failed = True
            return self._discard(environment, 0.0)
        return commands + self._rest(environment, now)

    def timer(self, now: float) -> list[Command]:
        """Everything whose deadline has come."""
        commands: list[Command] = []
        while (environment := self._environments.first()) is not None:
            assert environment.deadline_s is not None
            if environment.deadline_s > now:
                break
            commands += self._overdue(environment, now)
        return commands

    # -- parts -----------------------------------------------------------------------------------------------------

    def _overdue(self, environment: Environment, now: float) -> list[Command]:
        if environment.ticket is None:
            if environment.state is State.STARTING:
                error = timed_out("", now - environment.init_began_s)
                return self._not_provisioned(environment, error, self._is_new(error.error_type, b""))
            return [*self._discard(environment, 0.0), *self._fill(now)]
        if environment.state is State.STARTING and not environment.redone:
            assert environment.process is not None
            self._environments.enter(environment, State.DYING, None)
            return [Kill(environment.process, 0.0)]
        return self._failed(environment, timed_out(environment.request_id, self.settings.timeout_s), now)

    def _provisioned_environment(self, now: float) -> Environment | None:
        requests = self._provisioned_requests
        if requests is None or not self._environments.has_ready or not requests.take(1, now):
            return None
        return self._environments.take_ready()

    def _on_demand_environment(self, now: float) -> Environment | str:
        """One that is free, or a new one; or AWS's reason why there is none."""
        reason = self._account.admit(self.settings.name, now)
        if reason is not None:
            return reason
        environment = self._environments.take_free()
        if environment is None:
            if not self._account.grow(self.settings.name, now):
                self._account.release(self.settings.name)
                return accounts.CONCURRENT
            environment = self._environments.new(now)
        environment.on_demand = True
        environment.spilled_over = self._requested > 0
        return environment

    def _fill(self, now: float) -> list[Command]:
        """Starts what is missing of the provisioned concurrency."""
        have = len(self._environments.provisioned)
        missing = 0 if self._provisioning_failed else max(0, self._requested - have)
        return [self._start(self._environments.new(now, provisioned=True), now, redone=False) for _ in range(missing)]

    def _not_provisioned(
        self, environment: Environment, error: FunctionError, is_new: bool, process: int | None = None
    ) -> list[Command]:
        """An init that no invocation waits for has failed, in the living process or in `process`, which has exited."""
        self._provisioning_failed = True
        at = environment.process if process is None else process
        assert at is not None
        return [InitFailed(at, error, is_new), *self._discard(environment, 0.0)]

    def _start(self, environment: Environment, now: float, *, redone: bool) -> Command:
        process = self._environments.new_process(environment)
        environment.redone, environment.init_began_s = redone, now
        environment.began_s, environment.served = now, False
        self.counters.cold_starts += 1
        if environment.ticket is None:
            limit_s = max(PROVISIONED_INIT_S_MAX, self.settings.timeout_s)
        else:
            limit_s = self.settings.timeout_s if redone else self.settings.init_s_max
        self._environments.enter(environment, State.STARTING, now + limit_s)
        return Start(environment.id, process, environment.provisioned)

    def _send(self, environment: Environment, *, began_s: float) -> Command:
        assert environment.process is not None
        assert environment.ticket is not None
        environment.fetched, environment.served, environment.began_s = False, True, began_s
        deadline_s = began_s + self.settings.timeout_s
        self._environments.enter(environment, State.BUSY, deadline_s)
        return Send(environment.process, environment.ticket, environment.request_id, deadline_s)

    def _answering(self, process: int, request_id: str) -> Environment | None:
        environment = self._environments.of_process(process, State.BUSY)
        return environment if environment is not None and environment.request_id == request_id else None

    def _answered(self, environment: Environment, outcome: InvokeOutcome, now: float) -> list[Command]:
        complete = self._complete(environment, outcome, now)
        end_s = environment.born_s + self.settings.lifetime_s_max
        if environment.removed or now >= end_s:
            return [complete, *self._discard(environment, 0.0), *self._fill(now)]
        idle_s = end_s if environment.provisioned else min(end_s, now + self.settings.idle_s_max)
        self._environments.enter(environment, State.IDLE, idle_s)
        return [complete]

    def _failed(
        self, environment: Environment, error: FunctionError, now: float, *, init_error: str | None = None
    ) -> list[Command]:
        """The invocation is over and so is the process."""
        assert environment.process is not None
        complete = self._complete(environment, error, now, init_error)
        self._environments.enter(environment, State.DYING, None)
        return [complete, Kill(environment.process, 0.0)]

    def _rest(self, environment: Environment, now: float) -> list[Command]:
        """No process and no invocation: start again, keep the /tmp for a successor, or forget the environment."""
        if environment.removed or (environment.provisioned and self._provisioning_failed):
            return self._discard(environment, 0.0)
        if environment.provisioned:
            return [self._start(environment, now, redone=False)]
        environment.redone = True
        end_s = environment.born_s + self.settings.lifetime_s_max
        self._environments.enter(environment, State.COLD, max(now, min(end_s, now + self.settings.idle_s_max)))
        return []

    def _release(self, environment: Environment) -> list[Command]:
        """Ends it now, or after the invocation that it has."""
        if environment.ticket is None:
            return self._discard(environment, 0.0)
        environment.removed = True
        return []

    def _discard(self, environment: Environment, grace_s: float) -> list[Command]:
        environment.removed = True
        if environment.process is None:
            self._environments.remove(environment)
            return [Remove(environment.id)]
        self._environments.enter(environment, State.DYING, None)
        return [Kill(environment.process, grace_s)]

    def _is_new(self, error_type: str, payload: bytes) -> bool:
        """Whether the last init that failed did so in another way, or one has succeeded since."""
        same = self._init_error == (error_type, payload)
        self._init_error = (error_type, payload)
        return not same

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
        on_demand, spilled_over = environment.on_demand, environment.spilled_over
        environment.on_demand = environment.spilled_over = False
        if on_demand:
            self._account.release(self.settings.name)
        self.counters.concurrent_executions -= 1
        if not isinstance(outcome, Succeeded | FunctionError):
            return Complete(ticket, outcome)
        if self.settings.version != outcome.version:
            outcome = dataclasses.replace(outcome, version=self.settings.version)
        duration_ms = max(0.0, now - environment.began_s) * 1e3
        report = Report(environment.began_s, duration_ms, environment.init_ms, init_error, not on_demand, spilled_over)
        self.counters.invocations += 1
        self.counters.errors += isinstance(outcome, FunctionError)
        self.counters.duration_ms += duration_ms
        self.counters.provisioned_invocations += report.provisioned
        self.counters.spillover_invocations += report.spilled_over
        return Complete(ticket, outcome, process if process is not None else environment.process, report)
