"""Which environment takes an invocation, or AWS's reason why there is none.

Provisioned concurrency comes first, within its own requests per second; what it cannot take spills over to an
environment on demand, if the function's share of the account's concurrency has room and may grow that fast
(AWS: provisioned-concurrency, lambda-concurrency).
"""

from __future__ import annotations

from infra.model.bucket import Bucket
from infra.model.function import account as accounts
from infra.model.function.environments import Environment, Environments, State
from infra.model.function.settings import Provisioned


class Admission:
    """`requested` is the version's provisioned concurrency; `failed`: its init has failed and is not tried again."""

    def __init__(self, name: str, account: accounts.Account, environments: Environments) -> None:
        self.requested = 0
        self.failed = False
        self._name = name
        self._account = account
        self._environments = environments
        self._provisioned_requests: Bucket | None = None

    def provision(self, requested: int) -> None:
        self.requested, self.failed = requested, False
        per_s = requested * accounts.REQUESTS_PER_CONCURRENCY
        self._provisioned_requests = Bucket(per_s, per_s) if requested else None

    @property
    def provisioned(self) -> Provisioned:
        available = sum(each.state in (State.IDLE, State.BUSY) for each in self._environments.provisioned)
        return Provisioned(self.requested, available, self.failed)

    @property
    def missing(self) -> int:
        """How many environments of the provisioned concurrency are to be started."""
        return 0 if self.failed else max(0, self.requested - len(self._environments.provisioned))

    def environment(self, now: float) -> Environment | str:
        """The one that takes an invocation now; `release` it afterwards."""
        requests = self._provisioned_requests
        if requests is not None and self._environments.has_ready and requests.take(1, now):
            return self._environments.take_ready()
        return self._on_demand(now)

    def release(self, environment: Environment) -> None:
        """Its invocation is over."""
        if environment.on_demand:
            self._account.release(self._name)
        environment.on_demand = environment.spilled_over = False

    def _on_demand(self, now: float) -> Environment | str:
        """One that is free, or a new one."""
        reason = self._account.admit(self._name, now)
        if reason is not None:
            return reason
        environment = self._environments.take_free()
        if environment is None:
            if not self._account.grow(self._name, now):
                self._account.release(self._name)
                return accounts.CONCURRENT
            environment = self._environments.new(now)
        environment.on_demand = True
        environment.spilled_over = self.requested > 0
        return environment
