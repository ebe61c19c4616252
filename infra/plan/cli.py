"""SHELL: the flags of the `plan` subcommand; what it does is in command.py, imported only when it runs."""

import argparse
from pathlib import Path

PRICES = Path(__file__).parent / "prices.json"
EPILOG = (
    "Every figure is printed with what it rests on, and the plan with its error against measured runs "
    "(docs/planning.md). Exit status: 0 the plan meets the wish (with --check: every prediction that counts is "
    "within 20 %); 1 no configuration does, or a prediction is further off, or none counts; 2 usage."
)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `plan` to the subcommands of `infra`."""
    plan = commands.add_parser(
        "plan",
        help="a configuration for a wished load: what to expect of it and what it costs",
        description="For a wished load: shards, factor, batch size, window, memory, reserved concurrency and table "
        "capacity, expected latency and drain time, and dollars by part; from the models of `infra simulate` in "
        "virtual time, with service times that a load run measured.",
        epilog=EPILOG,
    )
    add = plan.add_argument
    add("--rate", type=float, metavar="R", help="events per second, up to 1,000,000")
    add("--event-bytes", type=int, default=256, metavar="B", help="size of an event's JSON (default 256)")
    add("--keys", type=int, default=1000, metavar="K", help="number of subjects (default 1000)")
    add("--skew", type=float, default=1.0, metavar="Z", help="Zipf exponent of the subjects, 0: uniform (default 1)")
    add("--aggregate", default="100", metavar="N|off", help="events per Kinesis record at most (default 100)")
    add("--linger-ms", type=float, default=100.0, metavar="MS", help="an aggregate waits at most so long (default 100)")
    add(
        "--producers",
        type=int,
        metavar="N",
        help="processes that pack for themselves (default: one for 20,000 events/s)",
    )
    add("--malformed", type=float, default=0.0, metavar="P", help="share of events that go to quarantine (default 0)")
    add("--latency-p99-ms", type=float, default=5000.0, metavar="MS", help="from due to committed (default 5000)")
    add(
        "--utilisation",
        type=float,
        default=0.75,
        metavar="SHARE",
        help="of any quota, and of what a lane does with full batches, at most (default 0.75)",
    )
    add(
        "--function-pause-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="time of the rules' own for every batch, such as a call elsewhere (default 0)",
    )
    add(
        "--measured",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a load run's folder or report.json: service times from it instead of the default ones; repeatable",
    )
    add("--local", action="store_true", help="plan for the local stack: read at once after a put, short calls")
    add("--architecture", choices=("arm64", "x86_64"), default="arm64", help="the template's (default arm64)")
    add("--no-shard-metrics", action="store_true", help="the template's ShardMetrics=false")
    add("--prices", type=Path, default=PRICES, metavar="FILE", help="(default: infra/plan/prices.json, dated)")
    add(
        "--check",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="no plan: predict these measured runs or sweeps, and print predicted beside measured",
    )
    add("--json", action="store_true", help="the plan as one JSON object (schema: docs/planning.md)")
    plan.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Performs the command and returns the exit status."""
    from infra.plan import command  # the models are imported only when they are to run

    return command.run(arguments)
