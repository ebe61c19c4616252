"""DRIVER: the flags of the `simulate` subcommand; what it does is in command.py, imported only when it runs."""

import argparse
from collections.abc import Callable
from pathlib import Path

from infra.sim import faults

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
EVENTS, EVENTS_VARIED = 10_000, 300
SEEDS_MAX, PROCESSES_MAX = 1_000_000, 256


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `simulate` to the subcommands of `infra`."""
    simulator = commands.add_parser(
        "simulate",
        help="stream, mapping, function and processor in virtual time, with seeded faults and checkers",
        description="Simulates the stack in virtual time: the stream, the event source mapping, the function's "
        "environments and the processor's own core, with faults, and checks from outside that nothing is lost, applied "
        "twice or out of order. The same seed gives the same trace. Settings come from the template; with --vary each "
        "seed draws its own; flags fix single ones.",
        epilog="faults, with their default probabilities:\n" + faults.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = simulator.add_argument
    add("--seed", "--from-seed", type=int, default=1, dest="seed", metavar="N", help="the first seed (default 1)")
    add(
        "--seeds",
        "--count",
        type=_up_to(SEEDS_MAX),
        default=1,
        dest="seeds",
        metavar="K",
        help="how many seeds (default 1)",
    )
    add(
        "--events",
        type=_positive,
        metavar="M",
        help=f"user records that each seed puts (default {EVENTS:,}; with --vary {EVENTS_VARIED})",
    )
    add("--faults", default="all", metavar="NAME=P,...", help="all (default), none, or faults as listed below")
    add("--vary", action="store_true", help="draw every setting that is not given from the seed")
    add("--template", type=Path, default=TEMPLATE, help="SAM template whose settings hold (default: the project's own)")
    add("--parameter", action="append", default=[], metavar="Key=Value", help="a parameter of the template; repeatable")
    _add_settings(simulator)
    add(
        "--processes", type=_up_to(PROCESSES_MAX), default=1, metavar="N", help="run seeds on so many cores (default 1)"
    )
    add("--trace", action="store_true", help="print every line of the trace")
    add("--no-memo", action="store_true", help="read every payload again at every delivery (slower, the same traces)")
    add("--mutation", default="", metavar="NAME", help="break one thing on purpose, see --mutations")
    add(
        "--mutations",
        action="store_true",
        help="break one thing after the other, and show how many seeds it takes a checker to see it",
    )
    simulator.set_defaults(run=run)


def _add_settings(simulator: argparse.ArgumentParser) -> None:
    group = simulator.add_argument_group("settings (default: the template's; AWS's names and ranges)")
    number = group.add_argument
    number("--shards", type=int)
    number("--batch-size", type=int)
    number("--batching-window", type=int, dest="batching_window_s", help="seconds")
    number("--parallelization-factor", type=int)
    number("--retries", type=int, help="MaximumRetryAttempts; -1: no limit")
    number("--record-age", type=int, dest="record_age_s", help="MaximumRecordAgeInSeconds; -1: no limit")
    number("--bisect", action=argparse.BooleanOptionalAction, help="BisectBatchOnFunctionError")
    number("--report", action=argparse.BooleanOptionalAction, help="ReportBatchItemFailures")
    number("--timeout", type=int, dest="timeout_s", help="the function's, seconds")
    number("--reserved-concurrency", type=int, help="-1: none")
    number("--window", type=int, dest="window_s", help="WindowSeconds of the rules")
    number("--aggregate", type=int, help="user records per Kinesis record; 1: not aggregated (default 100)")
    number("--keys", type=int, help="subjects (default 20)")
    number("--rate", type=int, help="user records per virtual second (default 5,000)")
    number("--items", action=argparse.BooleanOptionalAction, help="rules that also write Record and Latest items")
    number("--fan-out", action=argparse.BooleanOptionalAction, help="the mapping's source is a consumer of the stream")


def run(arguments: argparse.Namespace) -> int:
    """Performs the command and returns the exit status."""
    from infra.sim import command  # the models and the processor are imported only when they are to run

    return command.run(arguments)


def _up_to(highest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if len(text) > 20 or _positive(text) > highest:
            raise argparse.ArgumentTypeError(f"a number from 1 to {highest:,} is needed")
        return int(text)

    return number


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 is needed")
    return int(text)
