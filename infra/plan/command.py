"""SHELL: what `infra plan` does: reads files, plans or compares, prints. Exit status: 0, 1 not met or off, 2 usage."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.ops.errors import USAGE, CommandError
from infra.plan import check, machine, measured, prices, service, show
from infra.plan.basis import Basis
from infra.plan.candidates import P99_MS_RANGE, UTILISATION_RANGE, Aims, Unreachable
from infra.plan.check import Compared
from infra.plan.document import document
from infra.plan.load import Wish, WishError
from infra.plan.machine import Machine
from infra.plan.measured import AWS_DELAYS, LOCAL_DELAYS, Run, Unusable
from infra.plan.prices import Prices, PricesError
from infra.plan.search import choose
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup

PRICES = Path(__file__).parent / "prices.json"
SERVICE_TIMES = Path(__file__).parent / "service_times.json"
CHECK_SCHEMA = "infra-plan-check/2"
CALIBRATION_SCHEMA = "infra-plan-service-times/1"
FILES = ("report.json", "sweep.json")
NOT_MET = 1


def run(arguments: argparse.Namespace) -> int:
    """Performs the command. Raises CommandError with exit status 2 for what cannot be used."""
    known, held_out = default_times()
    given = [run for path in arguments.measured for run in read_runs(path)]
    times = calibrated(given, known) if given else known
    if arguments.check:
        return _check(arguments, times)
    if arguments.rate is None:
        raise CommandError("--rate is needed: the wished events per second (or --check, for measured runs)", USAGE)
    wish, aims = _wish(arguments), _aims(arguments)
    if arguments.local:  # every environment has a whole CPU, whatever its memory
        times = replace(times, batch_cpu=0.0, event_cpu=0.0, write_cpu=0.0)
    basis = Basis(
        times=times,
        prices=read_prices(arguments.prices),
        held_out={} if given else held_out,
        calibrated=[one for run in given for one in check.compare(_paused(run, arguments), times)],
        shard_metrics=not arguments.no_shard_metrics,
        architecture=arguments.architecture,
    )
    try:
        choice = choose(wish, times, aims, basis.prices)
    except Unreachable as error:
        sys.stderr.write(f"infra plan: {error}\n")
        return NOT_MET
    plan = document(wish, aims, choice, basis)
    _say(json.dumps(plan, indent=1) if arguments.json else "\n".join(show.plan_lines(plan)))
    return 0 if plan["meets_latency"] else NOT_MET


def _check(arguments: argparse.Namespace, times: ServiceTimes) -> int:
    """Predictions for measured runs, beside what was measured; what cannot be used is said, and keeps nothing back."""
    compared: list[Compared] = []
    unusable: list[Unusable] = []
    for one in (one for path in arguments.check for one in look_into(path)):
        figures = [] if isinstance(one, Unusable) else check.compare(_paused(one, arguments), times)
        compared += figures
        if isinstance(one, Unusable):
            unusable.append(one)
        elif not figures:
            unusable.append(Unusable(one.name, "it has neither a latency nor a rate that could be predicted"))
    if not compared:
        raise CommandError("; ".join(f"{one.name}: {one.why}" for one in unusable), USAGE)
    found = [one.as_json() for one in compared]
    left_out = [{"run": one.name, "why": one.why} for one in unusable]
    summary = check.summary(compared)
    if arguments.json:
        _say(json.dumps({"schema": CHECK_SCHEMA, "runs": found, "unusable": left_out, "summary": summary}, indent=1))
    else:
        _say("\n".join([*show.compared_lines(found, left_out), *show.summary_lines(summary)]))
    counted = [one.is_within for one in compared if not one.doubts]
    return 0 if counted and all(counted) else NOT_MET


def _paused(run: Run, arguments: argparse.Namespace) -> Run:
    """An older report does not say that the function paused: `--function-pause-ms` does."""
    return run if run.wish.pause_s else run.with_pause(arguments.function_pause_ms / 1000)


def _wish(arguments: argparse.Namespace) -> Wish:
    try:
        return Wish(
            rate=arguments.rate,
            event_bytes=arguments.event_bytes,
            keys=arguments.keys,
            skew=arguments.skew,
            aggregate=1 if arguments.aggregate == "off" else _whole(arguments.aggregate),
            linger_s=arguments.linger_ms / 1000,
            producers=arguments.producers,
            pause_s=arguments.function_pause_ms / 1000,
            malformed=arguments.malformed,
        )
    except WishError as error:
        raise CommandError(str(error), USAGE) from error


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 6:
        raise CommandError(f"--aggregate {text[:40]}: a number from 1 to 10000, or off", USAGE)
    return int(text)


def _aims(arguments: argparse.Namespace) -> Aims:
    for option, value, (low, high) in (
        ("--utilisation", arguments.utilisation, UTILISATION_RANGE),
        ("--latency-p99-ms", arguments.latency_p99_ms, P99_MS_RANGE),
    ):
        if not low <= value <= high:
            raise CommandError(f"{option} is {value:g}; accepted: {low:g} to {high:,.0f}", USAGE)
    delays: dict[str, Any] = LOCAL_DELAYS if arguments.local else AWS_DELAYS
    around = Setup(1, 1, 1, 1, 512, **delays)
    around = on_machine(around, default_machine()) if arguments.local else around
    return Aims(arguments.utilisation, arguments.latency_p99_ms / 1000, around)


def calibrated(runs: Sequence[Run], known: ServiceTimes) -> ServiceTimes:
    """Service times from measured runs, the default's shape where these runs cannot tell."""
    samples = [sample for run in runs for sample in run.samples]
    usable = [run for run in runs if run.samples]
    if not usable:
        raise CommandError("--measured: none of these reports has batches of the function's log in it", USAGE)
    memory_mb = service.WHOLE_CPU_MB if all(run.is_local for run in usable) else usable[0].setup.memory_mb
    source = f"fitted to {len(samples):,} seconds of {', '.join(run.name for run in usable)}"
    batches = sum(sample.batches for run in usable for sample in run.samples)
    outside_s = sum(run.outside_s * sum(s.batches for s in run.samples) for run in usable) / batches
    fitted = service.fit(samples, outside_s, known, memory_mb=memory_mb, source=source)
    off = service.deviation(fitted, samples)
    return replace(fitted, source=f"{source}, half of them within {off:.0%}")


def default_times() -> tuple[ServiceTimes, dict[str, Any]]:
    """The service times that were measured for this project, and their error on runs that were held out."""
    plain = _json(SERVICE_TIMES, "the default service times")
    try:
        if plain["schema"] != CALIBRATION_SCHEMA:
            raise CommandError(f"{SERVICE_TIMES}: its schema is {plain['schema']!r}, not {CALIBRATION_SCHEMA!r}", USAGE)
        return service.from_plain(plain["times"]), dict(plain["held_out"])
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{SERVICE_TIMES}: {type(error).__name__}: {error}", USAGE) from error


def default_machine() -> Machine | None:
    """What this machine's local stack shares, by the CPU that was measured for this project; None: nothing was."""
    plain = _json(SERVICE_TIMES, "the default service times")
    try:
        return machine.from_plain(plain["machine"], os.cpu_count() or 1) if "machine" in plain else None
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{SERVICE_TIMES}: {type(error).__name__}: {error}", USAGE) from error


def on_machine(setup: Setup, here: Machine | None) -> Setup:
    """As the local stack runs on it."""
    return setup if here is None else replace(setup, machine=here, invoke_s=here.gap_s)


def _with_cores(here: Machine | None, run: Run) -> Machine | None:
    """An older report does not say how many there were."""
    return here if here is None or run.machine_cores is None else replace(here, cores=run.machine_cores)


def read_prices(path: Path) -> Prices:
    try:
        return prices.prices(_json(path, "--prices"))
    except PricesError as error:
        raise CommandError(f"--prices {path}: {error}", USAGE) from error


def read_runs(path: Path) -> list[Run]:
    """Of a report.json or sweep.json, or of the folder that has one. Raises CommandError if any of its runs cannot be
    used."""
    runs = []
    for one in look_into(path):
        if isinstance(one, Unusable):
            raise CommandError(f"{one.name}: {one.why}", USAGE)
        runs.append(one)
    return runs


def look_into(path: Path) -> list[Run | Unusable]:
    """The same, with those that cannot be used in their places. A local run is taken to be one of this machine, but for
    the cores that its report names."""
    file = next((path / name for name in FILES if (path / name).is_file()), path) if path.is_dir() else path
    if file.is_dir():
        return [Unusable(str(path), f"there is neither a {' nor a '.join(FILES)} in it")]
    try:
        plain = _json(file, "a measured run")
    except CommandError as error:
        return [Unusable(str(file), str(error).removeprefix(f"{file}: "))]
    here = default_machine()
    return [
        replace(one, setup=on_machine(one.setup, _with_cores(here, one)))
        if isinstance(one, Run) and one.is_local
        else one
        for one in measured.each(plain, path.name if path.is_dir() else str(path))
    ]


def _json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path}: {what} cannot be read: {error.strerror}", USAGE) from error
    except ValueError as error:
        raise CommandError(f"{path}: {what} is no JSON: {error}", USAGE) from error


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
