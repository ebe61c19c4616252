"""DRIVER: what `infra simulate` does. Exit status: 0 fine, 1 a promise was broken, 2 usage."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra import blueprint as blueprints
from infra.sim import faults, many, mutations, reports
from infra.sim.cli import EVENTS, EVENTS_VARIED, TEMPLATE
from infra.sim.scenario import ACCOUNT, REGION, Scenario, of_template, scenario
from infra.sim.simulation import Result, simulate

FAILURES_SHOWN = 3
VIOLATED, USAGE = 1, 2


class UsageError(Exception):
    """What was asked makes no sense; the text says what to change."""


def run(arguments: argparse.Namespace) -> int:
    """Performs the command; what is wrong with the flags is one sentence on stderr and exit status 2."""
    try:
        return _run(arguments)
    except UsageError as error:
        sys.stderr.write(f"infra simulate: {error}\n")
        return USAGE


def _run(arguments: argparse.Namespace) -> int:
    if arguments.mutations:
        return _mutations()
    if arguments.mutation:
        if arguments.mutation not in mutations.MUTATIONS:
            raise UsageError(f"--mutation {arguments.mutation}: there are {', '.join(mutations.MUTATIONS)}")
        if arguments.processes > 1:
            raise UsageError("--mutation goes with one process")
        with mutations.MUTATIONS[arguments.mutation].broken():
            return _simulate(arguments)
    return _simulate(arguments)


def _mutations() -> int:
    """The table: what is broken, how many seeds it took, which checker saw it."""
    _say(f"{'mutation':<46} {'seeds':>5}  checker")
    survived = 0
    for name in mutations.MUTATIONS:
        found = mutations.hunt(name)
        survived += found is None
        _say(f"{name:<46} {'none' if found is None else found.seeds:>5}  {'' if found is None else found.checker}")
    _say(f"{len(mutations.MUTATIONS) - survived} of {len(mutations.MUTATIONS)} seen within {mutations.SEEDS_MAX} seeds")
    return VIOLATED if survived else 0


def _simulate(arguments: argparse.Namespace) -> int:
    scenarios, fixed = _scenarios(arguments)
    if arguments.trace:
        return _trace(scenarios, arguments, fixed)
    progress = _Progress(len(scenarios))
    tally, failures = many.run(scenarios, processes=arguments.processes, memo=not arguments.no_memo, done=progress.done)
    progress.end()
    if len(scenarios) == 1 and not failures:
        _say(f"seed {scenarios[0].seed}: trace {progress.last_hash}")
    for failure in failures[:FAILURES_SHOWN]:
        _say(_violation(failure, scenarios, arguments, fixed))
    if len(failures) > FAILURES_SHOWN:
        seeds = ", ".join(str(failure.seed) for failure in failures[FAILURES_SHOWN : FAILURES_SHOWN + 20])
        _say(f"{len(failures) - FAILURES_SHOWN} more seeds with violations, among them {seeds}")
    _say(reports.summary(tally))
    _say(f"violations: {len(failures)}" if failures else "no violation")
    return VIOLATED if failures else 0


def _trace(scenarios: Sequence[Scenario], arguments: argparse.Namespace, fixed: dict[str, Any]) -> int:
    status = 0
    for each in scenarios:
        result = simulate(each, memo=not arguments.no_memo, echo=_say)
        if result.violation is not None:
            status = VIOLATED
            _say(_violation(replace(result, last_lines=[]), scenarios, arguments, fixed))
        _say(f"seed {each.seed}: trace {result.trace_hash}")
    return status


def _violation(
    failure: Result, scenarios: Sequence[Scenario], arguments: argparse.Namespace, fixed: dict[str, Any]
) -> str:
    failed = scenarios[failure.seed - arguments.seed]
    again = reports.command(
        failure.seed,
        failed.events,
        str(failed.faults),
        vary=arguments.vary,
        fixed=fixed,
        template="" if arguments.template == TEMPLATE else str(arguments.template),
        parameters=_parameters(arguments.parameter),
        mutation=arguments.mutation,
    )
    return reports.violation(failure, failed, again, lines=25)


def _scenarios(arguments: argparse.Namespace) -> tuple[list[Scenario], dict[str, Any]]:
    """One for each seed, and the settings that flags fix."""
    fixed = {name: getattr(arguments, name) for name in reports.FLAGS if getattr(arguments, name) is not None}
    events = arguments.events or (EVENTS_VARIED if arguments.vary else EVENTS)
    try:
        wanted = faults.parse(arguments.faults)
    except ValueError as error:
        raise UsageError(f"--faults {arguments.faults}: {error}") from error
    template = _template(arguments.template, _parameters(arguments.parameter))
    try:
        seeds = range(arguments.seed, arguments.seed + arguments.seeds)
        return [
            scenario(seed, events, wanted, template=template, vary=arguments.vary, fixed=fixed) for seed in seeds
        ], fixed
    except ValueError as error:
        raise UsageError(f"these settings cannot be: {error}") from error


def _template(path: Path, parameters: dict[str, str]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        blueprint = blueprints.load(text, parameters, stack_name="simulated", account_id=ACCOUNT, region=REGION)
        return of_template(blueprint)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--template {path}: cannot be read: {error}") from error
    except blueprints.BlueprintError as error:
        raise UsageError(f"{path}: {error.path}: {error.message}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _parameters(given: Sequence[str]) -> dict[str, str]:
    found = dict(pair.partition("=")[::2] for pair in given)
    if len(found) != len(given) or "" in found or not all("=" in pair for pair in given):
        raise UsageError(f"--parameter {' '.join(given)}: Key=Value is needed, each key once")
    return found


class _Progress:
    """On a terminal one line that changes; otherwise a line for every tenth of the seeds."""

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._done = self._failed = 0
        self._live = sys.stderr.isatty()
        self._every = 1 if self._live else max(1, seeds // 10)
        self.last_hash = ""

    def done(self, result: Result) -> None:
        self._done += 1
        self._failed += result.violation is not None
        self.last_hash = result.trace_hash
        if self._seeds > 1 and self._done % self._every == 0:
            text = f"{self._done:,} of {self._seeds:,} seeds, {self._failed} with a violation"
            sys.stderr.write(f"\r\x1b[2K{text}" if self._live else f"{text}\n")
            sys.stderr.flush()

    def end(self) -> None:
        if self._live and self._seeds > 1:
            sys.stderr.write("\r\x1b[2K")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
