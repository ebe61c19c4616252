"""The steps of an environment's life, each with its deadline: started, given an invocation, at rest, ended."""

from __future__ import annotations

from infra.model.function.commands import Command, Kill, Remove, Send, Start
from infra.model.function.environments import Environment, Environments, State
from infra.model.function.settings import PROVISIONED_INIT_S_MAX, Counters, FunctionSettings


class Lives:
    """Moves one environment on at a time, and returns what is to be performed for it."""

    def __init__(self, settings: FunctionSettings, counters: Counters, environments: Environments) -> None:
        self._settings = settings
        self._counters = counters
        self._environments = environments

    def end_s(self, environment: Environment) -> float:
        """When it is replaced by another one, used or not."""
        return environment.born_s + self._settings.lifetime_s_max

    def start(self, environment: Environment, now: float, *, redone: bool) -> Command:
        """A process for it; `redone`: its init is part of the invocation and under the function's timeout."""
        process = self._environments.new_process(environment)
        environment.redone, environment.init_began_s = redone, now
        environment.began_s, environment.served = now, False
        self._counters.cold_starts += 1
        if environment.ticket is None:
            limit_s = max(PROVISIONED_INIT_S_MAX, self._settings.timeout_s)
        else:
            limit_s = self._settings.timeout_s if redone else self._settings.init_s_max
        self._environments.enter(environment, State.STARTING, now + limit_s)
        return Start(environment.id, process, environment.provisioned)

    def send(self, environment: Environment, *, began_s: float) -> Command:
        """Its invocation, to its process; the invocation's time has run since `began_s`."""
        assert environment.process is not None
        assert environment.ticket is not None
        environment.fetched, environment.served, environment.began_s = False, True, began_s
        deadline_s = began_s + self._settings.timeout_s
        self._environments.enter(environment, State.BUSY, deadline_s)
        return Send(environment.process, environment.ticket, environment.request_id, deadline_s)

    def rest(self, environment: Environment, now: float) -> None:
        """Waits for an invocation, with its process."""
        end_s = self.end_s(environment)
        idle_s = end_s if environment.provisioned else min(end_s, now + self._settings.idle_s_max)
        self._environments.enter(environment, State.IDLE, idle_s)

    def cool(self, environment: Environment, now: float) -> None:
        """Waits without a process: only its /tmp is kept."""
        environment.redone = True
        idle_s = min(self.end_s(environment), now + self._settings.idle_s_max)
        self._environments.enter(environment, State.COLD, max(now, idle_s))

    def kill(self, environment: Environment, grace_s: float) -> Command:
        """Ends its process."""
        assert environment.process is not None
        self._environments.enter(environment, State.DYING, None)
        return Kill(environment.process, grace_s)

    def release(self, environment: Environment) -> list[Command]:
        """Ends it now, or after the invocation that it has."""
        if environment.ticket is None:
            return self.discard(environment, 0.0)
        environment.removed = True
        return []

    def discard(self, environment: Environment, grace_s: float) -> list[Command]:
        environment.removed = True
        if environment.process is None:
            self._environments.remove(environment)
            return [Remove(environment.id)]
        return [self.kill(environment, grace_s)]
