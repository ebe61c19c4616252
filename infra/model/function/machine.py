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

from infra.model.function.account import Account
from infra.model.function.admission import Admission
from infra.model.function.commands import Command, Complete, InitFailed
from infra.model.function.completion import Completion
from infra.model.function.environments import Environment, Environments, State
from infra.model.function.lives import Lives
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
    Counters,
    FunctionSettings,
    Provisioned,
)


class FunctionMachine:
    """Inputs take `now` in seconds of any clock that does not go back, and return commands in the order to perform.

    The function is registered with the account unless it is there already: machines of its other versions share what
    it has, and `counters` when they are given the same ones. ConcurrencyRefusedError when AWS would refuse that.
    """

    def __init__(self, settings: FunctionSettings, account: Account, counters: Counters | None = None) -> None:
        self.settings = settings
        self.counters = Counters() if counters is None else counters
        if settings.name not in account:
            account.register(settings.name, settings.reserved_concurrency)
        self._environments = Environments()
        self._admission = Admission(settings.name, account, self._environments)
        self._lives = Lives(settings, self.counters, self._environments)
        self._complete = Completion(settings, self.counters, self._admission).complete
        self._init_error: tuple[str, bytes] | None = None
        self._stopping = False

    # -- what callers ask ------------------------------------------------------------------------------------------

    def invoke(self, ticket: int, request_id: str, now: float) -> list[Command]:
        """`ticket` is the caller's number for this call and comes back in `Complete`; `request_id` may repeat."""
        if self._stopping:
            return [Complete(ticket, ServiceError(f"ServiceException: function {self.settings.name} is being stopped"))]
        environment = self._admission.environment(now)
        if isinstance(environment, str):
            self.counters.throttles += 1
            return [Complete(ticket, Throttled(environment))]
        self.counters.began()
        environment.ticket, environment.request_id = ticket, request_id
        environment.init_ms = None
        if environment.state is State.IDLE:
            return [self._lives.send(environment, began_s=now)]
        if environment.state is State.DYING:
            return []  # its /tmp is wanted; the exit of the old process starts the new one
        return [self._lives.start(environment, now, redone=environment.redone)]

    def provision(self, requested: int, now: float) -> list[Command]:
        """Sets this version's provisioned concurrency; 0 ends it. The account must have agreed to it before."""
        self._admission.provision(requested)
        # Idle ones go first, those that run go after their invocation.
        mine = self._environments.provisioned
        surplus = sorted(mine, key=lambda each: each.ticket is not None)[: max(0, len(mine) - requested)]
        commands: list[Command] = []
        for environment in surplus:
            commands += self._lives.release(environment)
        return commands + self._fill(now)

    @property
    def provisioned(self) -> Provisioned:
        return self._admission.provisioned

    def retire(self) -> list[Command]:
        """Another machine takes over: what runs ends by itself, nothing new is taken. Then `environments` is empty."""
        self._stopping, self._admission.requested = True, 0
        commands: list[Command] = []
        for environment in self._environments:
            commands += self._lives.release(environment)
        return commands

    def shutdown(self, now: float) -> list[Command]:
        """Refuse what comes, fail what runs, end every process. `environments` is empty when the last has exited."""
        self._stopping, self._admission.requested = True, 0
        commands: list[Command] = []
        for environment in self._environments:
            if environment.ticket is not None:
                stopped = ServiceError(f"ServiceException: function {self.settings.name} was stopped")
                commands.append(self._complete(environment, stopped, now))
            commands += self._lives.discard(environment, self.settings.grace_s)
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
            self._lives.rest(environment, now)
            return []
        if not environment.redone:
            environment.init_ms = (now - environment.init_began_s) * 1e3
            return [self._lives.send(environment, began_s=now)]
        return [self._lives.send(environment, began_s=environment.init_began_s)]

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
                return [self._lives.start(environment, now, redone=True)]
            init_error = None if state is not State.STARTING else "new" if is_new else "same"
            commands.append(self._complete(environment, error, now, init_error, process))
        elif state is State.STARTING:
            return self._not_provisioned(environment, error, is_new, process)
        elif state is State.IDLE and environment.provisioned and not environment.served:
            self._admission.failed = True  # it would end again and again
            return self._lives.discard(environment, 0.0)
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
            self._admission.failed = True
            return self._lives.discard(environment, 0.0)
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
            return [*self._lives.discard(environment, 0.0), *self._fill(now)]
        if environment.state is State.STARTING and not environment.redone:
            return [self._lives.kill(environment, 0.0)]
        return self._failed(environment, timed_out(environment.request_id, self.settings.timeout_s), now)

    def _fill(self, now: float) -> list[Command]:
        """Starts what is missing of the provisioned concurrency."""
        new = [self._environments.new(now, provisioned=True) for _ in range(self._admission.missing)]
        return [self._lives.start(environment, now, redone=False) for environment in new]

    def _not_provisioned(
        self, environment: Environment, error: FunctionError, is_new: bool, process: int | None = None
    ) -> list[Command]:
        """An init that no invocation waits for has failed, in the living process or in `process`, which has exited."""
        self._admission.failed = True
        at = environment.process if process is None else process
        assert at is not None
        return [InitFailed(at, error, is_new), *self._lives.discard(environment, 0.0)]

    def _answering(self, process: int, request_id: str) -> Environment | None:
        environment = self._environments.of_process(process, State.BUSY)
        return environment if environment is not None and environment.request_id == request_id else None

    def _answered(self, environment: Environment, outcome: InvokeOutcome, now: float) -> list[Command]:
        complete = self._complete(environment, outcome, now)
        if environment.removed or now >= self._lives.end_s(environment):
            return [complete, *self._lives.discard(environment, 0.0), *self._fill(now)]
        self._lives.rest(environment, now)
        return [complete]

    def _failed(
        self, environment: Environment, error: FunctionError, now: float, *, init_error: str | None = None
    ) -> list[Command]:
        """The invocation is over and so is the process."""
        return [self._complete(environment, error, now, init_error), self._lives.kill(environment, 0.0)]

    def _rest(self, environment: Environment, now: float) -> list[Command]:
        """No process and no invocation: start again, keep the /tmp for a successor, or forget the environment."""
        if environment.removed or (environment.provisioned and self._admission.failed):
            return self._lives.discard(environment, 0.0)
        if environment.provisioned:
            return [self._lives.start(environment, now, redone=False)]
        self._lives.cool(environment, now)
        return []

    def _is_new(self, error_type: str, payload: bytes) -> bool:
        """Whether the last init that failed did so in another way, or one has succeeded since."""
        same = self._init_error == (error_type, payload)
        self._init_error = (error_type, payload)
        return not same
