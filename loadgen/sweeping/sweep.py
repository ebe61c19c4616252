"""SHELL: `loadgen sweep`: point by point of a grid, the highest rate that the stack sustains, and what limits it."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.ops.errors import USAGE, CommandError
from loadgen.interrupts import Interrupts
from loadgen.observing.observe import Observer
from loadgen.observing.readback import Stack
from loadgen.sweep.curves import sentences
from loadgen.sweep.document import document
from loadgen.sweep.grid import GridError, grid
from loadgen.sweep.measured import Measured
from loadgen.sweep.quotas import NOT_REACHED, Cost, Limit, Point, Quota, guess, name_limit, quotas
from loadgen.sweep.resharding import UPDATES_PER_DAY_MAX, tour
from loadgen.sweep.samples import backlog, cost, growth
from loadgen.sweep.search import Bracket, Search, SearchSettings, Verdict, verdict
from loadgen.sweeping.probe import Probe, Prober, Workload
from loadgen.sweeping.stack import Tuner
from loadgen.sweeping.told import DOCUMENT, LINES, PAGE, say, show, tell, write
from loadgen.target.limits import BEHIND, judge
from loadgen.target.observation import sent
from loadgen.target.series import of_sender

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

OK, UNREACHABLE, INTERRUPTED = 0, 3, 130
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
        """The grid; an axis that was not given has the stack's own value.

        Raises CommandError for one that this stack, or AWS within a day, does not allow.
        """
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
            axes = {name: self._options.axes.get(name) or [value] for name, value in own.items()}
            points = grid(axes)
            self._tuner.check(points)
            way = tour(original.shards, list(dict.fromkeys(point.shards for point in points)))
        except GridError as error:
            raise CommandError(str(error), USAGE) from error
        if way.updates:
            say(
                f"the stream's shards are updated {way.updates} times, putting them back included; AWS allows "
                f"{UPDATES_PER_DAY_MAX} in 24 hours"
            )
        return sorted(points, key=lambda point: way.order.index(point.shards))

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
            say(
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
            say(f"  -> {measured.bracket.low:,.0f} events/s sustained; {measured.limit.reason}")

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
        offered = self._offer(point, search)
        if offered is None:
            return None
        bracket = search.bracket
        seen = {probe.rate: probe for probe, _ in offered}
        telling = seen.get(bracket.high or bracket.low) or offered[-1][0]
        measured = self._cost(telling)
        held = self._cost(seen[bracket.low]) if bracket.low in seen else None
        if measured is not None and held is not None:
            # Fuller batches fold more events into a write: what one costs the table is that of the sustained rate. And
            # a function that waits takes as long for any batch, unless there is no CPU left.
            waits = point.function_latency_ms / 1000 >= held.batch_s / 2
            batch_s = held.batch_s if waits else measured.batch_s
            measured = measured._replace(write_units=held.write_units, batch_s=batch_s)
        known = quotas(point, measured or guessed)
        limit = self._limit(telling, known, bracket)
        probes = [said for _, said in offered]
        return Measured(point, bracket, probes, limit, known, measured, expected, telling.machine_busy)

    def _offer(self, point: Point, search: Search) -> list[tuple[Probe, Mapping[str, Any]]] | None:
        """Every rate that the search asks for, in their order, with what sweep.json says of it; None: interrupted."""
        options = self._options
        offered: list[tuple[Probe, Mapping[str, Any]]] = []
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
            offered.append((probe, _as_json(probe, what, (grown.value, grown.low, grown.high))))
            say(f"  {rate:10,.1f}/s {what}: backlog {grown.value:+,.1f}/s ({grown.low:+,.1f} to {grown.high:+,.1f})")
            if not probe.is_drained and not self._prober.wait_quiet() and not self._interrupts.seen:
                raise CommandError(f"a backlog of {rate:,.0f} events/s does not drain: is the function failing?")
        return offered

    def _cost(self, probe: Probe) -> Cost | None:
        begin_s = probe.started_s + self._options.warm_up_s
        return cost(probe.metrics, probe.batches, probe.invocations, (begin_s, probe.ended_s))

    def _limit(self, probe: Probe, known: Sequence[Quota], bracket: Bracket) -> Limit:
        """`probe`: the one at the rate that was too much, if any was."""
        if bracket.high is None:
            said = "every rate that was offered is sustained" if bracket.low else f"undecided: {bracket.ended}"
            return Limit(NOT_REACHED, said, None, known[0] if known else None)
        is_aws = self._connection.target.endpoint_url is None
        wait_s = AWS_METRICS_WAIT_S if is_aws else LOCAL_METRICS_WAIT_S
        found = self._observer.observe(probe.started_s, probe.ended_s, wait_s, is_whole_load=False)
        judgement = judge(sent(probe.metrics), [*of_sender(probe.metrics), *found.series], found.capacity)
        seen = "nothing" if judgement.limited_by == BEHIND else judgement.limited_by  # which is what made it too much
        return name_limit((seen, judgement.reason), known, bracket.low, probe.machine_busy)

    def _restore(self) -> list[str]:
        say("restoring the stack's own configuration")
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
            tell(f"\n{sentence}")
        tell(f"\nResults: {out}/{PAGE}, {DOCUMENT}, {LINES}")
        if problem:
            sys.stderr.write(f"loadgen: {problem}\n")


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
