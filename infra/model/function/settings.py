"""What a function's machine is given, with AWS's limits as defaults, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.model.function.commands import Report

INIT_S_MAX = 10.0  # of an environment's first init
PROVISIONED_INIT_S_MAX = 130.0  # of provisioned concurrency, or the function's timeout when that is longer
IDLE_S_MAX = 300.0  # AWS recycles after minutes to hours; a laptop's memory prefers minutes
LIFETIME_S_MAX = 7_200.0  # of an environment in use: AWS says every few hours
PAYLOAD_BYTES_MAX = 6_291_556  # request and response of a synchronous invocation


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """One version of a function. `reserved_concurrency` None: the account's unreserved share."""

    name: str
    timeout_s: float
    reserved_concurrency: int | None = None
    init_s_max: float = INIT_S_MAX
    idle_s_max: float = IDLE_S_MAX
    lifetime_s_max: float = LIFETIME_S_MAX
    grace_s: float = 0.5  # between SIGTERM and SIGKILL at shutdown, as AWS gives to functions with an extension
    version: str = "$LATEST"


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
    provisioned_invocations: int = 0
    spillover_invocations: int = 0

    def began(self) -> None:
        """An invocation has an environment."""
        self.concurrent_executions += 1
        self.concurrent_executions_max = max(self.concurrent_executions_max, self.concurrent_executions)

    def ran(self, report: Report, *, failed: bool) -> None:
        self.invocations += 1
        self.errors += failed
        self.duration_ms += report.duration_ms
        self.provisioned_invocations += report.provisioned
        self.spillover_invocations += report.spilled_over


@dataclass(frozen=True, slots=True)
class Provisioned:
    """State of a version's provisioned concurrency. `failed`: init failed and is not tried again until it is set anew.

    AWS: GetProvisionedConcurrencyConfig. `available` environments have finished init; they may be in use.
    """

    requested: int
    available: int
    failed: bool

    @property
    def status(self) -> str:
        if self.failed:
            return "FAILED"
        return "READY" if self.available >= self.requested else "IN_PROGRESS"
