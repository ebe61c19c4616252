"""SHELL: `loadgen sweep`: point by point of a grid, the highest rate that the stack sustains, and what limits it."""

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from infra.ops.errors import USAGE, CommandError
from loadgen.interrupts import Interrupts
from loadgen.observing.observe import Observer
from loadgen.observing.readback import Stack
from loadgen.sweep.curves import sentences
from loadgen.sweep.document import document
from loadgen.sweep.grid import GridError, grid
from loadgen.sweep.measured import COLUMNS, Measured, row
from loadgen.sweep.page import figures, page
from loadgen.sweep.quotas import NOT_REACHED, Cost, Limit, Point, guess, name_limit, quotas
from loadgen.sweep.samples import backlog, cost, growth
from loadgen.sweep.search import Search, SearchSettings, Verdict, verdict
from loadgen.sweeping.probe import Probe, Prober, Workload
from loadgen.sweeping.stack import Tuner
from loadgen.target.limits import BEHIND, judge
from loadgen.target.observation import sent
from loadgen.target.series import of_sender

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

OK, UNREACHABLE, INTERRUPTED = 0, 3, 130
LINES, DOCUMENT, PAGE = "sweep.jsonl", "sweep.json", "sweep.html"
FIRST_RATE_MAX = 2000.0  # quotas may allow far more than a machine can do; doubling from here costs a probe each
INTERRUPT = (
    b"\nloadgen: interrupted: nothing more is sent; what was measured is written, and the stack gets its own "
    b"configuration back.\n"
)
WARMING_S, WARMING_SHARE = 4.0, 0.3  # environments start, and new shards are found, before anything counts
LOCAL_METRICS_WAIT_S, AWS_METRICS_WAIT_S = 11.0, 150.0  # how late CloudWatch has a metric
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Options:
    """`warm_up_s`: of each probe's `duration_s`, not counted. `rate_max`: nothing beyond is offered. `start`: the first
    rate as a share of what the quotas allow; above 1, it shows what is really processed."""

    command: Sequence[str]
    configuration: Mapping[str, Any]
    out: Path
    axes: Mapping[str, Sequence[int | None]]
    workload: Workload
    duration_s: float
    warm_up_s: float
    tolerance: float
    steps_max: int
    rate_max: float
    start: float = 1.25
    processes: int = 1


class Sweep:
    """Runs one sweep; whatever happens meanwhile, the stack is put back and what was measured is written."""

    def __init__(self, connection: "Connection", stack: Stack, options: Options) -> None:
        self._options, self._connection, self._stack = options, connection, stack
        self._prober = Prober(connection, stack, options.workload, options.processes)
        self._interrupts = Interrupts(self._prober.stop, says=INTERRUPT)
        self._tuner = Tuner(connection, stack, lambda: self._interrupts.seen)
        self._observer = Observer(connection, stack, lambda: self._interrupts.seen)
        self._measured: list[Measured] = []
        self._restored = False

    def run(self) -> int:
        """Returns the exit status."""
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        points = self._points()
        self._prepare()
        problem: str | None = None
        status = OK
        # A sweep that is told to end otherwise (by a CI job's time limit, say) puts the stack back too.
        before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        with self._interrupts:
            try:
                self._measure_all(points)
            except CommandError as error:
                problem, status = str(error), error.exit_status
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                failed = self._restore()
                signal.signal(signal.SIGTERM, before)
        if self._interrupts.seen:
            problem, status = "interrupted", INTERRUPTED
        if failed:
            problem = "; ".join([*([problem] if problem else []), *(f"not restored: {what}" for what in failed)])
            status = status or UNREACHABLE
        self._write(started, len(points), problem)
        return status

    def _points(self) -> list[Point]:
        """The grid; an axis that was not given has the stack's own value."""
        original = self._tuner.original
        own: dict[str, int | None] = {
            "shards": original.shards,
            "parallelization_factor": original.parallelization_factor,
            "batch_size": original.batch_size,
            "reserved_concurrency": original.reserved_concurrency,
            "aggregate": 100,
            "function_latency_ms": 0,
            "table_write_units": None,
        }
        try:
            return grid({name: self._options.axes.get(name) or [value] for name, value in own.items()})
        except GridError as error:
            raise CommandError(str(error), USAGE) from error

    def _prepare(self) -> None:
        out = self._options.out
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name in (DOCUMENT, PAGE):
                (out / name).unlink(missing_ok=True)
            (out / LINES).write_text("")
        except OSError as error:
            raise CommandError(f"--out {out}: nothing can be written there: {error.strerror}", USAGE) from error

    def _measure_all(self, points: Sequence[Point]) -> None:
        for number, point in enumerate(points, 1):
            if self._interrupts.seen:
                return
            reserved = "" if point.reserved_concurrency is None else f", reserved {point.reserved_concurrency}"
            _say(
                f"point {number} of {len(points)}: {point.shards} shards x {point.parallelization_factor}, batch "
                f"{point.batch_size:,}{reserved}, aggregate {point.aggregate or 'off'}, "
                f"pause {point.function_latency_ms} ms"
            )
            self._tuner.apply(point)
            measured = self._measure(point)
            if measured is None:
                return
            self._measured.append(measured)
            with (self._options.out / LINES).open("a") as lines:
                lines.write(json.dumps(measured.as_json()) + "\n")
            _say(f"  -> {measured.bracket.low:,.0f} events/s sustained; {measured.limit.reason}")

    def _measure(self, point: Point) -> Measured | None:
        """The search at one point; None when it was interrupted."""
        options = self._options
        guessed = guess(point, options.workload.event_bytes, KEY_BYTES)
        expected = quotas(point, guessed)[0].events_per_s
        first = min(options.rate_max, FIRST_RATE_MAX, max(1.0, expected * options.start))
        search = Search(
            SearchSettings(first, tolerance=options.tolerance, steps_max=options.steps_max, rate_max=options.rate_max)
        )
        self._prober.probe(max(1.0, first * WARMING_SHARE), 0.0, WARMING_S, point.aggregate)
        probes: list[dict[str, Any]] = []
        seen: dict[float, Probe] = {}
        while (rate := search.next_rate()) is not None:
            self._tuner.use_up_burst(point)
            probe = self._prober.probe(rate, options.warm_up_s, options.duration_s, point.aggregate)
            if self._interrupts.seen:
                return None
            overdrive = options.workload.overdrive
            grown = growth(
                backlog(rate, probe.started_s, options.warm_up_s, options.duration_s, probe.batches, overdrive)
            )
            what = verdict(grown, rate, options.tolerance)
            search.tell(what, grown.value, max(1.0, rate - grown.value), (grown.high - grown.low) / 2)
            seen[rate] = probe
            probes.append(_as_json(probe, what, (grown.value, grown.low, grown.high)))
            _say(f"  {rate:10,.1f}/s {what}: backlog {grown.value:+,.1f}/s ({grown.low:+,.1f} to {grown.high:+,.1f})")
            if not probe.is_drained and not self._prober.wait_quiet() and not self._interrupts.seen:
                raise CommandError(f"a backlog of {rate:,.0f} events/s does not drain: is the function failing?")
        bracket = search.bracket
        telling = seen.get(bracket.high or bracket.low) or probe
        measured = self._cost(telling)
        held = self._cost(seen[bracket.low]) if bracket.low in seen else None
        if measured is not None and held is not None:
            # Fuller batches fold more events into a write: what one costs the table is that of the sustained rate. And
            # a function that waits takes as long for any batch, unless there is no CPU left.
            waits = point.function_latency_ms / 1000 >= held.batch_s / 2
            batch_s = held.batch_s if waits else measured.batch_s
            measured = measured._replace(write_units=held.write_units, batch_s=batch_s)
        known = quotas(point, measured or guessed)
        limit = self._limit(telling, known, bracket.low, is_too_much=bracket.high is not None)
        return Measured(point, bracket, probes, limit, known, measured, expected, telling.machine_busy)

    def _cost(self, probe: Probe) -> Cost | None:
        begin_s = probe.started_s + self._options.warm_up_s
        return cost(probe.metrics, probe.batches, probe.invocations, (begin_s, probe.ended_s))

    def _limit(self, probe: Probe, known: Sequence[Any], low: float, *, is_too_much: bool) -> Limit:
        if not is_too_much:
            return Limit(NOT_REACHED, "every rate that was offered is sustained", None, known[0] if known else None)
        is_aws = self._connection.target.endpoint_url is None
        found = self._observer.observe(
            probe.started_s, probe.ended_s, AWS_METRICS_WAIT_S if is_aws else LOCAL_METRICS_WAIT_S
        )
        judgement = judge(sent(probe.metrics), [*of_sender(probe.metrics), *found.series], found.capacity)
        seen = "nothing" if judgement.limited_by == BEHIND else judgement.limited_by  # which is what made it too much
        return name_limit((seen, judgement.reason), known, low, probe.machine_busy)

    def _restore(self) -> list[str]:
        _say("restoring the stack's own configuration")
        failed = self._tuner.restore()
        self._restored = not failed
        return failed

    def _write(self, started: str, points: int, problem: str | None) -> None:
        out = self._options.out
        found = document(
            command=self._options.command,
            started_at=started,
            configuration=self._options.configuration,
            original=self._tuner.original.as_json(),
            restored=self._restored,
            problem=problem,
            measured=self._measured,
            points=points,
        )
        write(out, found)
        show(self._measured)
        for sentence in sentences(found["scaling"]):
            _print(f"\n{sentence}")
        _print(f"\nResults: {out}/{PAGE}, {DOCUMENT}, {LINES}")
        if problem:
            sys.stderr.write(f"loadgen: {problem}\n")


def write(out: Path, sweep: Mapping[str, Any]) -> None:
    """sweep.json, sweep.html and the curves as SVG files, each whole or not at all. Raises OSError."""
    files = {DOCUMENT: json.dumps(sweep, indent=1) + "\n", PAGE: page(sweep), **figures(sweep)}
    for name, text in files.items():
        part = out / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(out / name)


def show(measured: Sequence[Measured]) -> None:
    """The table on stdout: drawn on a terminal, plain lines separated by tabs elsewhere."""
    console = Console()
    rows = [row(one) for one in measured]
    if not console.is_terminal:
        _print("\n".join("\t".join(cells) for cells in (COLUMNS, *rows)))
        return
    table = Table(*COLUMNS)
    for cells in rows:
        table.add_row(*cells)
    console.print(table)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _as_json(probe: Probe, what: Verdict, grown: tuple[float, float, float]) -> dict[str, Any]:
    metrics = probe.metrics
    return {
        "offered_events_per_s": round(probe.rate, 2),
        "started_at": datetime.fromtimestamp(probe.started_s, UTC).isoformat(timespec="milliseconds"),
        "verdict": what.value,
        "backlog_growth_per_s": round(grown[0], 2),
        "backlog_growth_low": round(grown[1], 2),
        "backlog_growth_high": round(grown[2], 2),
        "events_acknowledged": metrics.acknowledged,
        "events_processed": probe.processed,
        "throttled_attempts": sum(metrics.throttled.values()),
        "attempts": metrics.attempts,
        "events_late": metrics.late,
        "is_drained": probe.is_drained,
        "machine_busy": None if probe.machine_busy is None else round(probe.machine_busy, 3),
    }
