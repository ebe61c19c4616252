"""How an invocation ends: its outcome, what it cost, and its share of the concurrency given back."""

from __future__ import annotations

import dataclasses

from infra.model.function.admission import Admission
from infra.model.function.commands import Command, Complete, Report
from infra.model.function.environments import Environment
from infra.model.function.outcomes import FunctionError, InvokeOutcome, Succeeded
from infra.model.function.settings import Counters, FunctionSettings


class Completion:
    def __init__(self, settings: FunctionSettings, counters: Counters, admission: Admission) -> None:
        self._settings = settings
        self._counters = counters
        self._admission = admission

    def complete(
        self,
        environment: Environment,
        outcome: InvokeOutcome,
        now: float,
        init_error: str | None = None,
        process: int | None = None,
    ) -> Command:
        """Of the invocation that the environment runs. `process`: the one that has exited with it."""
        assert environment.ticket is not None
        ticket, environment.ticket = environment.ticket, None
        on_demand, spilled_over = environment.on_demand, environment.spilled_over
        self._admission.release(environment)
        self._counters.concurrent_executions -= 1
        if not isinstance(outcome, Succeeded | FunctionError):
            return Complete(ticket, outcome)
        if self._settings.version != outcome.version:
            outcome = dataclasses.replace(outcome, version=self._settings.version)
        duration_ms = max(0.0, now - environment.began_s) * 1e3
        report = Report(environment.began_s, duration_ms, environment.init_ms, init_error, not on_demand, spilled_over)
        self._counters.ran(report, failed=isinstance(outcome, FunctionError))
        return Complete(ticket, outcome, process if process is not None else environment.process, report)
