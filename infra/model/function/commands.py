"""What the machine of a function asks its shell to do, as data. Times are in the caller's seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from infra.model.function.outcomes import FunctionError, InvokeOutcome


@dataclass(frozen=True, slots=True)
class Start:
    """Start the runtime `process` in `environment`, whose /tmp is new or is what the last process left there."""

    environment: int
    process: int
    provisioned: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Give the invocation to `process` at its next request for one; it must be answered before `deadline_s`."""

    process: int
    ticket: int
    request_id: str
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Kill:
    """End `process` and report its exit; it has `grace_s` after SIGTERM, and none when that is 0."""

    process: int
    grace_s: float


@dataclass(frozen=True, slots=True)
class Remove:
    """Nothing of `environment` is needed any more: delete its /tmp."""

    environment: int


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run, for the REPORT line and the metrics.

    `init_ms` is None on a warm start and when init was redone inside the invocation (then `duration_ms` contains it).
    `init_error` is None, or tells whether this failure of init is `new` or the `same` as the last one.
    `provisioned`: ran in an environment of the provisioned concurrency. `spilled_over`: ran on demand, because all of
    those were taken.
    """

    began_s: float
    duration_ms: float
    init_ms: float | None
    init_error: str | None = None
    provisioned: bool = False
    spilled_over: bool = False


@dataclass(frozen=True, slots=True)
class InitFailed:
    """Init failed where no invocation waited for it: provisioned concurrency. `new` as opposed to the same again."""

    process: int
    error: FunctionError
    new: bool


@dataclass(frozen=True, slots=True)
class Complete:
    """The one outcome of the invocation `ticket`. `process` is None and `report` is None when nothing ran."""

    ticket: int
    outcome: InvokeOutcome
    process: int | None = None
    report: Report | None = None


Command: TypeAlias = Start | Send | Kill | Remove | Complete | InitFailed
