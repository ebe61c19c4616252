"""SHELL: the command line of `loadgen sweep`."""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from infra.ops.errors import USAGE, CommandError
from infra.ops.outputs import Connection, add_target_arguments, target_of
from loadgen.arguments import folder
from loadgen.observing.readback import find_stack
from loadgen.offer.events import EventOptions
from loadgen.sweep.grid import AXES, GridError, values
from loadgen.sweep.samples import OVERDRIVE
from loadgen.sweeping.probe import Workload
from loadgen.sweeping.sweep import Options, Sweep

EPILOG = (
    "Each point configures the running stack and searches for the highest rate whose backlog does not grow; the stack "
    "gets its own configuration back at the end. Exit status: 0 measured; 2 usage, or more changes of shards than AWS "
    "allows in 24 hours; 3 the target does not answer, refuses, or could not be restored; 130 interrupted (restored, "
    "and what was measured is written). docs/scaling-study.md"
)
HELP = {
    "shards": "open shards of the stream, for example 1,2,4 (default: as many as it has)",
    "parallelization_factor": "batches per shard at the same time, 1 to 10 (default: the mapping's own)",
    "batch_size": "Kinesis records per batch (default: the mapping's own)",
    "reserved_concurrency": "executions of the function; none reserves none (default: as it is)",
    "aggregate": "events per Kinesis record; off puts every event as its own (default 100)",
    "function_latency_ms": "every batch waits so long in the function before it is processed (default 0)",
    "table_write_units": "write capacity of the results table, local stack only (default none)",
}
POINT_DURATION_S, WARM_UP_SHARE = 24.0, 0.3
DURATION_S_MAX = 3600.0
PROCESSES_MAX = 64
PROCESSES_HELP = "sender processes, each with its part of a rate (default 1)"
START_HELP = "the first rate, as a share of what the quotas allow as far as they are known before (default 1.25)"
WARM_UP_HELP = "of each probe, not counted (default 0.3 of --point-duration)"
OVERDRIVE_HELP = (
    "times the rate, during the warm-up (default 1.25); more for many lanes before a function that waits, which keep "
    "busy only with a backlog"
)
DURATION_HELP = f"seconds that one rate is offered; a point takes four to twelve rates (default {POINT_DURATION_S:g})"


def add(commands: Any) -> None:
    """The subcommand, into argparse's subparsers."""
    sweep = commands.add_parser("sweep", help="the highest sustained rate over a grid of settings", epilog=EPILOG)
    for name in HELP:
        none = f"|{AXES[name].none}" if AXES[name].none else ""
        sweep.add_argument(AXES[name].option, metavar=f"N,...{none}", help=HELP[name])
    sweep.add_argument("--point-duration", type=float, default=POINT_DURATION_S, metavar="S", help=DURATION_HELP)
    sweep.add_argument("--warm-up", type=float, metavar="S", help=WARM_UP_HELP)
    sweep.add_argument("--overdrive", type=float, default=OVERDRIVE, metavar="TIMES", help=OVERDRIVE_HELP)
    sweep.add_argument("--tolerance", type=float, default=0.04, metavar="SHARE", help="of a rate (default 0.04)")
    sweep.add_argument("--probes", type=int, default=12, metavar="N", help="rates tried per point at most (default 12)")
    sweep.add_argument("--start", type=float, default=1.25, metavar="SHARE", help=START_HELP)
    sweep.add_argument("--rate-max", type=float, default=100_000, metavar="N", help="events/s at most (default 100000)")
    sweep.add_argument(
        "--event-bytes", type=int, default=256, metavar="N", help="size of an event's JSON (default 256)"
    )
    sweep.add_argument("--keys", type=int, default=1000, metavar="N", help="number of subjects (default 1000)")
    sweep.add_argument("--skew", type=float, default=0.0, metavar="Z", help="Zipf exponent, 0: uniform (default 0)")
    sweep.add_argument("--seed", type=int, default=1, metavar="N", help="of the events (default 1)")
    sweep.add_argument("--processes", type=int, default=1, metavar="N", help=PROCESSES_HELP)
    sweep.add_argument("--out", type=folder, metavar="DIR", help="where the results go (default out/sweep-<time>)")
    add_target_arguments(sweep)
    sweep.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`loadgen sweep`. Raises CommandError."""
    options = _options(arguments)
    connection = Connection(target_of(arguments))
    return Sweep(connection, find_stack(connection), options).run()


def _options(arguments: argparse.Namespace) -> Options:
    duration_s: float = arguments.point_duration
    warm_up_s = duration_s * WARM_UP_SHARE if arguments.warm_up is None else arguments.warm_up
    if not 5 <= duration_s <= DURATION_S_MAX:
        raise CommandError(f"--point-duration must be 5 to {DURATION_S_MAX:,.0f} s, not {duration_s:g}", USAGE)
    if not 0 <= warm_up_s <= duration_s - 3:
        raise CommandError(f"--warm-up must leave 3 s of {duration_s:g} s, not be {warm_up_s:g} s", USAGE)
    if not 0.005 <= arguments.tolerance <= 0.5:
        raise CommandError(f"--tolerance must be 0.005 to 0.5, not {arguments.tolerance:g}", USAGE)
    if not 0.1 <= arguments.start <= 10:
        raise CommandError(f"--start must be 0.1 to 10, not {arguments.start:g}", USAGE)
    if not 1 <= arguments.processes <= PROCESSES_MAX:
        raise CommandError(f"--processes must be 1 to {PROCESSES_MAX}, not {arguments.processes}", USAGE)
    if not 1 <= arguments.probes <= 100:
        raise CommandError(f"--probes must be 1 to 100, not {arguments.probes}", USAGE)
    if not 1 <= arguments.rate_max <= 1_000_000:
        raise CommandError(f"--rate-max must be 1 to 1,000,000, not {arguments.rate_max:g}", USAGE)
    if not 1 <= arguments.overdrive <= 10:
        raise CommandError(f"--overdrive must be 1 to 10, not {arguments.overdrive:g}", USAGE)
    workload = Workload(arguments.event_bytes, arguments.keys, arguments.skew, arguments.seed, arguments.overdrive)
    try:
        axes = {name: values(AXES[name], text) for name in AXES if (text := getattr(arguments, name)) is not None}
        EventOptions("sweep-0000000000-000000", workload.seed, 0.0, workload.event_bytes, workload.keys, workload.skew)
    except (GridError, ValueError) as error:
        raise CommandError(str(error), USAGE) from error
    skip = {"run", "out"}
    return Options(
        command=["loadgen", *(shlex.quote(word) for word in sys.argv[1:])],
        configuration={k: str(v) for k, v in vars(arguments).items() if k not in skip and v is not None},
        out=arguments.out or Path("out") / time.strftime("sweep-%Y%m%d-%H%M%S"),
        axes=axes,
        workload=workload,
        duration_s=duration_s,
        warm_up_s=warm_up_s,
        tolerance=arguments.tolerance,
        steps_max=arguments.probes,
        rate_max=arguments.rate_max,
        start=arguments.start,
        processes=arguments.processes,
    )
