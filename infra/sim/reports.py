"""DRIVER: what a simulation says: the figures of a run, and a broken promise with the command that repeats it."""

import shlex
from collections.abc import Mapping
from typing import Any

from infra.sim.many import Tally
from infra.sim.scenario import Scenario
from infra.sim.simulation import Result

# Settings that a command line can fix: the flag, without its dashes, of each.
FLAGS: Mapping[str, str] = {
    "shards": "shards",
    "batch_size": "batch-size",
    "batching_window_s": "batching-window",
    "parallelization_factor": "parallelization-factor",
    "retries": "retries",
    "record_age_s": "record-age",
    "timeout_s": "timeout",
    "reserved_concurrency": "reserved-concurrency",
    "aggregate": "aggregate",
    "keys": "keys",
    "rate": "rate",
    "window_s": "window",
    "bisect": "bisect",
    "report": "report",
    "items": "items",
    "fan_out": "fan-out",
}


def command(
    seed: int,
    events: int,
    faults: str,
    *,
    vary: bool,
    fixed: Mapping[str, Any],
    template: str = "",
    parameters: Mapping[str, str] | None = None,
    mutation: str = "",
) -> str:
    """The command that repeats one seed, to be pasted into a shell."""
    words = ["infra", "simulate", "--seed", str(seed), "--events", str(events), "--faults", faults]
    if vary:
        words.append("--vary")
    if template:
        words += ["--template", template]
    for key, value in (parameters or {}).items():
        words += ["--parameter", f"{key}={value}"]
    if mutation:
        words += ["--mutation", mutation]
    for name, flag in FLAGS.items():
        if name in fixed:
            value = fixed[name]
            words += (
                [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
            )
    return shlex.join(words)


def violation(result: Result, scenario: Scenario, again: str, lines: int) -> str:
    """What was broken, where, what happened just before, and how to see it again."""
    assert result.violation is not None
    settings = ", ".join(
        f"{name}={value}" for name, value in scenario.settings().items() if name not in ("pace", "destination")
    )
    return "\n".join(
        [
            f"seed {result.seed}: VIOLATION of {result.violation.checker!r}: {result.violation.what}",
            f"  at {result.virtual_s:.6f} s of virtual time, {result.put:,} events put, trace {result.trace_hash}",
            f"  settings: {settings}",
            f"  pace: {scenario.pace}",
            "  what happened last (virtual seconds, what):",
            *(f"    {line}" for line in result.last_lines[-lines:]),
            f"  again: {again}",
        ]
    )


def summary(tally: Tally) -> str:
    """The figures of all seeds together."""
    per_s = tally.put / tally.cpu_s if tally.cpu_s else 0.0
    handed = tally.handed / tally.put if tally.put else 0.0
    hours = tally.virtual_s / 3600
    missed = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.missed.items()))
    met = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.faults_met.items())) or "none"
    return "\n".join(
        [
            f"{tally.seeds:,} seed{'' if tally.seeds == 1 else 's'}, {tally.put:,} events put, "
            f"{tally.applied:,} distinct ones in the totals, "
            f"{tally.invocations:,} invocations, {tally.documents:,} documents, {hours:,.1f} virtual hours",
            f"faults met: {met}",
            *([f"Kinesis records not the function's: {missed}"] if missed else []),
            f"{per_s:,.0f} virtual events per CPU-second ({tally.cpu_s:.1f} CPU-s; an event was handed to the function "
            f"{handed:.2f} times)",
        ]
    )
