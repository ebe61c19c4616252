"""SHELL: the `infra` command. Each subcommand says what it takes and does; this file finds it and reports errors.

Exit status: 0 fine, 1 a check failed (simulate, plan), 2 usage (also: the template is wrong), 3 the machine or the
target does not allow it, 130 interrupted.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.ops import quarantine, results
from infra.ops.errors import USAGE, CommandError, check_words
from infra.ops.outputs import DEFAULT_STACK_NAME, LOCAL_REGION
from infra.plan import cli as plan
from infra.sim import cli as simulate

TEMPLATE = Path(__file__).parent / "template.yaml"
DEFAULT_PORT = 4566


def parser() -> argparse.ArgumentParser:
    """The command line; `run` of the parsed arguments performs it."""
    top = argparse.ArgumentParser(prog="infra", description="The local stack, and commands for operating a stack.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _register_up(commands)
    results.register(commands)
    quarantine.register(commands)
    simulate.register(commands)
    plan.register(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Performs one command; returns the exit status. What goes wrong is one sentence on stderr."""
    try:
        check_words(sys.argv[1:] if argv is None else argv)
    except CommandError as error:
        sys.stderr.write(f"infra: {error}\n")
        return error.exit_status
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except CommandError as error:
        sys.stderr.write(f"infra {arguments.command}: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has enough. Python would complain about stdout again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _register_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = commands.add_parser(
        "up",
        help="start the local stack in the foreground",
        description="Starts everything the template names on 127.0.0.1 and prints one JSON line when it is ready. "
        "Ctrl-C stops it.",
    )
    up.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"0 takes a free one (default {DEFAULT_PORT})")
    up.add_argument("--template", type=Path, default=TEMPLATE, help="SAM template (default: the project's own)")
    up.add_argument(
        "--parameter", action="append", default=[], metavar="Key=Value", help="a parameter of the template; repeatable"
    )
    up.add_argument(
        "--data-dir",
        type=_folder,
        help="where streams, tables, buckets and mappings are kept for the next time (default: nothing is kept)",
    )
    up.add_argument("--stack-name", default=DEFAULT_STACK_NAME, help=f"(default {DEFAULT_STACK_NAME})")
    up.add_argument("--region", help=f"(default: AWS_REGION, then {LOCAL_REGION})")
    up.add_argument(
        "--poll-as-aws", action="store_true", help="read an idle shard once per second, not at once after a put"
    )
    up.add_argument(
        "--mapping-lag",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="a mapping begins or ends to poll so long after it says so (default 0; on AWS up to minutes)",
    )
    up.set_defaults(run=_up)


def _up(arguments: argparse.Namespace) -> int:
    from infra.local import stack, stack_inputs  # the services are imported only when they are to run

    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("infra").setLevel(logging.INFO)
    options = stack_inputs.StackOptions(
        template=arguments.template,
        parameters=parameters(arguments.parameter),
        stack_name=arguments.stack_name,
        region=arguments.region if arguments.region is not None else os.environ.get("AWS_REGION") or LOCAL_REGION,
        port=arguments.port,
        data_dir=arguments.data_dir,
        poll_as_aws=arguments.poll_as_aws,
        mapping_lag_s=arguments.mapping_lag,
    )
    try:
        return stack.run(options)
    except stack_inputs.StackError as error:
        raise CommandError(str(error), error.exit_status) from error


def parameters(given: Sequence[str]) -> dict[str, str]:
    """`Key=Value` pairs. Raises CommandError (usage) for one without `=` or a key given twice."""
    found: dict[str, str] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise CommandError(f"--parameter {pair}: Key=Value is needed", USAGE)
        if key in found:
            raise CommandError(f"--parameter {key} is given twice", USAGE)
        found[key] = value
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: a number of seconds is needed, from 0 to 3600")
    return seconds


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name of a folder is needed, and this is empty: is a variable unset?")
    return Path(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text}: a port is a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
