"""SHELL: `loadgen run | replay | sweep | report`. Exit status: 0 fine, 1 ledger or threshold failed, 2 usage, 3 target
unreachable or refused, 130 interrupted (what was measured is still written)."""

import argparse
import contextlib
import itertools
import json
import secrets
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.ops.errors import USAGE, CommandError, check_words
from infra.ops.outputs import Connection, Target, add_target_arguments, target_of
from loadgen import again, interrupts
from loadgen.arguments import folder
from loadgen.observing.readback import Stack, find_stack
from loadgen.offer import recordings
from loadgen.offer.events import EventOptions
from loadgen.offer.pacer import PROFILES, total_events
from loadgen.outcome.foreseen import FIRST, foresee, how_long
from loadgen.outcome.metrics import SCHEDULED_ONLY
from loadgen.outcome.results import ResultsError
from loadgen.run import INTERRUPTED, Load, Options
from loadgen.sending.recorded import Recording
from loadgen.sending.rules_module import effects_of
from loadgen.sending.sender import Due
from loadgen.sending.sources import GeneratedSource, Part, RecordedSource, Source
from loadgen.showing import report
from loadgen.showing.thresholds import ThresholdError, in_force, parse
from loadgen.sweeping import cli as sweep_cli
from processor.core.packing import PackingSettings

THRESHOLD_HELP = (
    "fail unless this holds, for example 'latency_p99_ms<1000'; repeatable (the names: docs/loadgen-report.md, "
    "`numbers`)"
)
RUN_ID_HELP = (
    "part of every identity and subject; the same events are sent again with a load's own --run-id, --event-time and "
    "--seed (default: a new one)"
)
EXIT_STATUS = (
    "Exit status: 0 passed; 1 the ledger does not balance, a threshold failed, an event was given up or a line could "
    "not be read; 2 usage; 3 the target does not answer or took nothing; 130 interrupted."
)
DRAIN_HELP = "when all is sent, wait until nothing more comes into the tables for so long (default 60)"
DRAIN_TIMEOUT_S = 60.0  # twice the longest wait of the local stack's event source mapping between two attempts
PROFILE_HELP = (
    "how the rate changes (default constant); backlog: constant while the event source mapping is disabled, then it is "
    "enabled and the backlog drains"
)
SPEED_HELP = "X times as fast as it was recorded; max: as fast as the stream takes it (default max)"
PROCESSES_HELP = "sender processes, each with its part of the load (default 1); about one per core is of use"
BACKLOG = "backlog"
PROCESSES_MAX = 64
METRICS_WAIT_HELP = (
    "ask CloudWatch for its metrics this long after the load (default 0 with an endpoint, 150 on AWS, which is late)"
)
AWS_METRICS_WAIT_S = 150.0
RATE_MAX = 1_000_000
DURATION_S_MAX = 7 * 86_400


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script."""
    try:
        check_words(sys.argv[1:] if argv is None else argv)
        arguments = parser().parse_args(argv)
        status = int(arguments.run(arguments))
        if status == INTERRUPTED:
            interrupts.ignore()
        return status
    except CommandError as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return error.exit_status
    except (ThresholdError, ResultsError) as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"loadgen: cannot write the results: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        interrupts.ignore()
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The command line (docs/loadgen-report.md has the reports)."""
    top = argparse.ArgumentParser(prog="loadgen", description="Load for the stream, and the account of every event.")
    commands = top.add_subparsers(required=True, metavar="run|replay|sweep|report")

    run = commands.add_parser("run", help="generated events at a rate", epilog=EXIT_STATUS)
    run.add_argument("--rate", type=float, required=True, metavar="EVENTS_PER_S", help="the profile's highest rate")
    run.add_argument("--duration", type=float, required=True, metavar="S", help="seconds of load")
    run.add_argument("--profile", choices=(*PROFILES, BACKLOG), default="constant", help=PROFILE_HELP)
    run.add_argument("--event-bytes", type=int, default=256, metavar="N", help="size of an event's JSON (default 256)")
    run.add_argument("--keys", type=int, default=1000, metavar="N", help="number of subjects (default 1000)")
    run.add_argument(
        "--skew", type=float, default=1.0, metavar="Z", help="Zipf exponent of the subjects, 0: uniform (default 1)"
    )
    run.add_argument("--duplicates", type=float, default=0.0, metavar="P", help="share of copies, 0 to 1 (default 0)")
    run.add_argument("--malformed", type=float, default=0.0, metavar="P", help="share of garbage, 0 to 1 (default 0)")
    run.add_argument("--seed", type=int, default=1, metavar="N", help="of keys, sizes and faults (default 1)")
    run.add_argument("--run-id", metavar="ID", help=RUN_ID_HELP)
    run.add_argument(
        "--event-time", type=float, metavar="EPOCH_S", help="the events' own clock at the start (default: now)"
    )
    run.set_defaults(run=run_run)

    replay = commands.add_parser("replay", help="a recording's own events, every one of them", epilog=EXIT_STATUS)
    replay.add_argument("file", type=Path, metavar="FILE", help="plain or gzip")
    replay.add_argument("--format", choices=recordings.FORMATS, help="default: by the file's name and first line")
    replay.add_argument("--speed", default="max", metavar="X|max", help=SPEED_HELP)
    replay.set_defaults(run=run_replay)

    for load in (run, replay):
        load.add_argument("--aggregate", default="100", metavar="N|off", help="events per Kinesis record (default 100)")
        load.add_argument("--processes", type=int, default=1, metavar="N", help=PROCESSES_HELP)
        load.add_argument("--threshold", action="append", default=[], metavar="EXPR", help=THRESHOLD_HELP)
        load.add_argument("--out", type=folder, metavar="DIR", help="where the reports go (default out/<time>)")
        load.add_argument("--drain-timeout", type=float, default=DRAIN_TIMEOUT_S, metavar="S", help=DRAIN_HELP)
        load.add_argument(
            "--settle", type=float, default=3.0, metavar="S", help="then wait before the final account (default 3)"
        )
        load.add_argument("--metrics-wait", type=float, metavar="S", help=METRICS_WAIT_HELP)
        add_target_arguments(load)

    sweep_cli.add(commands)

    remake = commands.add_parser("report", help="the summary and report.html again, or two loads beside each other")
    remake.add_argument("dir", type=folder, nargs="+", metavar="DIR", help="a load's --out; two of them are compared")
    remake.add_argument("--html", type=Path, metavar="FILE", help="the comparison as a page, too (default: none)")
    remake.set_defaults(run=run_report)
    return top


def run_run(arguments: argparse.Namespace) -> int:
    """`loadgen run`."""
    if not 0 < arguments.rate <= RATE_MAX:
        raise CommandError(f"--rate must be above 0 and at most {RATE_MAX:,}, not {arguments.rate:g}", USAGE)
    if not 0 < arguments.duration <= DURATION_S_MAX:
        raise CommandError(
            f"--duration must be above 0 and at most {DURATION_S_MAX:,} s, not {arguments.duration:g}", USAGE
        )
    events = _event_options(arguments)
    total = total_events(_pacing(arguments), arguments.rate, arguments.duration)
    if total == 0:
        raise CommandError("this rate and duration make no event at all: raise one of them", USAGE)
    # With these two (and --seed) in the command, the same events are sent again.
    common = _common(arguments, total, {"run_id": events.run_id, "event_time": repr(events.started_s)})
    connection, stack = _connect(arguments)

    source = GeneratedSource(
        events, _pacing(arguments), arguments.rate, arguments.duration, stack.settings, stack.rules_module
    )
    keys = _say_what_is_foreseen(stack, source)
    # A new run id has never been sent; a given one may be a repetition, and rules may have keys without it.
    may_be_there = arguments.run_id or not all(events.run_id in key for key in keys)
    return _load(connection, stack, common).run(source, before=_whole(source, common) if may_be_there else None)


def _say_what_is_foreseen(stack: Stack, source: Source) -> set[str]:
    """What the account will not be able to say; returns partition keys of the first events, none for the rules that
    come with the processor, which have the subject in all of them."""
    if effects_of(stack.rules_module) is None:
        return set()
    truths = (due.truth for due in itertools.islice(source.due(), FIRST))
    sentences, keys = foresee(stack.rules_module, truths)
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return keys


def _load(connection: Connection, stack: Stack, options: Options, unread: report.Unread | None = None) -> Load:
    """The load; says what of an earlier one it will replace."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        earlier = json.loads((options.out / "report.json").read_text())["started_at"]
        print(f"--out {options.out}: replaces the report of {earlier}", file=sys.stderr)
    return Load(connection, stack, options, unread)


def _pacing(arguments: argparse.Namespace) -> str:
    return "constant" if arguments.profile == BACKLOG else str(arguments.profile)


def _whole(source: Source, options: Options) -> Iterator[Due]:
    """All events of all senders, one sender's after the other."""
    parts = (source.due(Part(index, options.processes)) for index in range(options.processes))
    return itertools.chain.from_iterable(parts)


def _event_options(arguments: argparse.Namespace) -> EventOptions:
    try:
        return EventOptions(
            run_id=arguments.run_id or f"run-{int(time.time())}-{secrets.token_hex(3)}",
            seed=arguments.seed,
            started_s=round(time.time(), 3) if arguments.event_time is None else arguments.event_time,
            event_bytes=arguments.event_bytes,
            keys=arguments.keys,
            skew=arguments.skew,
            duplicates=arguments.duplicates,
            malformed=arguments.malformed,
        )
    except ValueError as error:
        raise CommandError(str(error), USAGE) from error


def run_replay(arguments: argparse.Namespace) -> int:
    """`loadgen replay`."""
    speed = _speed(arguments.speed)
    recording = Recording(arguments.file, arguments.format)
    common = _common(arguments, None, {"format": recording.format}, scheduled=speed is not None)
    connection, stack = _connect(arguments)

    source = RecordedSource(recording, speed, stack.settings, stack.rules_module)
    _say_what_is_foreseen(stack, source)
    if speed is not None:
        print(how_long(str(recording.path), recording.lasts_s(speed), speed, time.time()), file=sys.stderr)
    return _load(connection, stack, common, recording.unread).run(source, before=source.due())


def run_report(arguments: argparse.Namespace) -> int:
    """`loadgen report`."""
    folders: list[Path] = arguments.dir
    if len(folders) == 2:
        return again.compare(folders[0], folders[1], arguments.html)
    if len(folders) > 2:
        raise CommandError(f"report: one folder, or two to compare, not {len(folders)}", USAGE)
    if arguments.html is not None:
        raise CommandError("--html is for two folders; of one load report.html is in its own", USAGE)
    return again.make(folders[0])


def _common(
    arguments: argparse.Namespace, total: int | None, more: dict[str, Any], *, scheduled: bool = True
) -> Options:
    metrics_wait_s = arguments.metrics_wait
    if metrics_wait_s is None:
        metrics_wait_s = 0.0 if target_of(arguments).endpoint_url else AWS_METRICS_WAIT_S
    waits = (
        ("--drain-timeout", arguments.drain_timeout),
        ("--settle", arguments.settle),
        ("--metrics-wait", metrics_wait_s),
    )
    for name, seconds in waits:
        if not 0 <= seconds <= DURATION_S_MAX:
            raise CommandError(f"{name} must be 0 to {DURATION_S_MAX:,} s, not {seconds:g}", USAGE)
    if not 1 <= arguments.processes <= PROCESSES_MAX:
        raise CommandError(f"--processes must be 1 to {PROCESSES_MAX}, not {arguments.processes}", USAGE)
    thresholds = in_force(parse(expression, report.known_numbers()) for expression in arguments.threshold)
    for threshold in thresholds:
        if not scheduled and threshold.name.startswith(SCHEDULED_ONLY):
            why = "with --speed max there is no schedule, so nothing is late and there is no latency: use --speed X"
            raise CommandError(f"--threshold {threshold}: {why}", USAGE)
    skip = {"run", "threshold", "out"}
    configuration = {k: str(v) for k, v in vars(arguments).items() if k not in skip and v is not None}
    out = arguments.out or Path("out") / time.strftime("%Y%m%d-%H%M%S")
    return Options(
        command=["loadgen", *(shlex.quote(word) for word in sys.argv[1:])],
        configuration={**configuration, **more},
        out=out,
        packing=PackingSettings(aggregate=_aggregate(arguments.aggregate)),
        thresholds=thresholds,
        drain_timeout_s=arguments.drain_timeout,
        settle_s=arguments.settle,
        total_events=total,
        scheduled=scheduled,
        processes=arguments.processes,
        metrics_wait_s=metrics_wait_s,
        backlog=getattr(arguments, "profile", None) == BACKLOG,
    )


def _connect(arguments: argparse.Namespace) -> tuple[Connection, Stack]:
    target: Target = target_of(arguments)
    connection = Connection(target)
    return connection, find_stack(connection)


def _aggregate(text: str) -> int | None:
    if text == "off":
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or not 1 <= int(text) <= 10_000:
        raise CommandError(f"--aggregate {text[:40]}: a number from 1 to 10000, or off", USAGE)
    return int(text)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e9:
        raise CommandError(f"--speed {text}: a number above 0, or max", USAGE)
    return speed
