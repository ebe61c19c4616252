"""SHELL: one load from its schedule to its report: send, wait until the tables have everything, make up the account."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.ops.errors import CommandError
from loadgen.backlog import Switch
from loadgen.billing import bill
from loadgen.interrupts import SIGNALS, Interrupts
from loadgen.observing.drain import TOLD_MAX, Drain
from loadgen.observing.machine import Machine, cores
from loadgen.observing.observe import PAUSED_HANDLER, Observer
from loadgen.observing.readback import Readback, Stack
from loadgen.observing.watch import Watch
from loadgen.offer.items import ItemKey
from loadgen.outcome.books import ended_early
from loadgen.outcome.ledger import Expectations, Findings, Ledger, WindowKey, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import ResultsError
from loadgen.progress import Progress
from loadgen.sending.load import Sending
from loadgen.sending.sender import CONNECTIONS, Due
from loadgen.sending.sources import Source
from loadgen.showing import report
from loadgen.showing.thresholds import Threshold, check
from loadgen.target.commits import CommitLatency, commits, latencies
from loadgen.target.covered import Drained, are_in_stream, drained, weigh
from loadgen.target.lateness import Circumstances, in_flight
from loadgen.target.observation import Observation
from loadgen.written import RESULTS, outside, prepare, summarize, try_to_write
from processor.core.packing import PackingSettings

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

LATE_AFTER_S = 0.010
OK, FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True, slots=True)
class Options:
    """What is common to every load. `drain_timeout_s`: give up waiting this long after the last progress.

    `settle_s`: wait this long after everything was found before the final account, so that late copies of events could
    still do their harm: twice the default batching window, and more than a retry's first waits. `scheduled`: events are
    due at times of their own, and not as soon as there is room. `processes`: how many send, each its part of the load.
    `backlog`: the mapping is disabled while sending, and draining begins when it is enabled again. `metrics_wait_s`:
    ask CloudWatch for metrics this long after the load.
    """

    command: Sequence[str]
    configuration: Mapping[str, Any]
    out: Path
    packing: PackingSettings
    thresholds: Sequence[Threshold]
    drain_timeout_s: float
    settle_s: float
    total_events: int | None
    scheduled: bool = True
    processes: int = 1
    backlog: bool = False
    metrics_wait_s: float = 0.0


class Load:
    """Runs one load; whatever happens to the target meanwhile, the reports are written."""

    def __init__(
        self, connection: "Connection", stack: Stack, options: Options, unread: report.Unread | None = None
    ) -> None:
        """`unread`: what the schedule's source could not read, filled while the schedule is used up."""
        self._connection = connection
        self._options, self._stack, self._unread = options, stack, unread or report.Unread()
        self._metrics = Metrics(late_after_us(options.packing) if options.scheduled else None)
        self._expected = Expectations(stack.settings.measures)
        self._findings, self._progress = (
            Findings(),
            Progress(options.total_events, Watch(connection, stack)),
        )
        self._started = datetime.now(UTC)
        self._readback = Readback(connection, stack, self._expected, self._started)
        self._sending = Sending(
            connection,
            stack.stream,
            options.packing,
            self._metrics,
            self._expected,
            options.out / RESULTS,
            options.processes,
        )
        self._machine = Machine()
        self._switch = Switch(connection, stack.mapping_id) if options.backlog else None
        self._stopped_s = 0.0
        self._interrupts = Interrupts(self._stop, SIGNALS, write=self._progress.interrupted)
        self._drain = Drain(
            self._readback,
            self._expected,
            self._findings,
            self._progress,
            lambda: self._interrupts.seen,
            options.out / RESULTS,
        )

    def run(self, schedule: Iterator[Due] | Source, before: Iterator[Due] | None = None) -> int:
        """Returns the exit status; the files are in `options.out` whatever it is, unless it was interrupted twice.

        `before`: the same events once more, for a load whose events may be in the tables already: what their windows
        have is read before anything is sent. Raises CommandError when the tables are not there: nothing is sent then.
        """
        out = self._options.out
        self._readback.check()
        try:
            with prepare(out), self._interrupts:
                problem = self._perform(schedule, before)
                return self._report(problem, self._observe())
        except KeyboardInterrupt:
            print(f"loadgen: stopped at once; {out}/{RESULTS} has what was put until then", file=sys.stderr)
            return INTERRUPTED

    def _perform(self, schedule: Iterator[Due] | Source, before: Iterator[Due] | None) -> CommandError | None:
        """Send and drain; returns what ended it too early, if anything did."""
        options = self._options
        with self._progress:
            try:
                if before is not None:
                    self._look_before(before)
                try:
                    self._send(schedule)
                finally:
                    self._metrics.schedule_s = self._schedule_s(time.time())
                self._progress.sending(self._metrics.latest_us / 1e6, self._metrics.turn(0))
                self._drain.run(options.drain_timeout_s, options.settle_s, from_zero=options.backlog)
            except CommandError as error:
                return error
        return None

    def _stop(self) -> None:
        """Called in a signal's handler."""
        self._stopped_s = time.time()
        self._sending.stop()

    def _schedule_s(self, ended_s: float) -> float:
        """How long the schedule was, as far as it went; 0: its last event is its end. `ended_s`: of sending, Unix."""
        options, started_s = self._options, self._sending.started_s
        duration_s = float(options.configuration.get("duration", 0.0))
        if not started_s or self._metrics.offered >= (options.total_events or 0):
            return duration_s
        return max(0.0, min(duration_s, (self._stopped_s or ended_s) - started_s))

    def _send(self, schedule: Iterator[Due] | Source) -> None:
        if self._switch is None:
            with self._machine:
                self._sending.run(schedule, self._progress.sending)
            return
        self._switch.check()
        try:  # whatever happens from here on, the mapping is enabled in the end
            self._switch.off(lambda: self._interrupts.seen)
            self._progress.say("the event source mapping is disabled: what is sent now becomes the backlog")
            with self._machine:
                self._sending.run(schedule, self._progress.sending)
        finally:
            self._switch.on()
            self._progress.say("the event source mapping is enabled again")

    def _look_before(self, events: Iterator[Due]) -> None:
        keys: set[WindowKey] = set()
        items: set[ItemKey] = set()
        for event in events:
            if self._interrupts.seen:
                return
            keys.update(event.truth.windows())
            items.update(event.truth.item_keys())
        self._progress.looked(len(keys), self._readback.before(sorted(keys), sorted(items)))

    def _observe(self) -> Observation:
        """What the target's own metrics and logs say; nothing after an interrupt, or when nothing was sent."""
        started_s = self._sending.started_s
        if self._interrupts.seen or not started_s or not self._stack.function or self._sending.broken:
            return Observation()
        self._progress.say("reading the function's log and CloudWatch's metrics of this load")
        observer = Observer(self._connection, self._stack, lambda: self._interrupts.seen)
        found = observer.observe(started_s, time.time(), self._options.metrics_wait_s)
        known = commits(found.batches)
        try:
            with (self._options.out / RESULTS).open() as lines:
                latency = latencies(lines, known, started_s)
        except (OSError, ResultsError) as error:
            latency = CommitLatency()
            found.missing.append(f"latency to the commit: {error}")
        series = [*found.series, *latency.series()]
        return Observation(found.capacity, series, latency.whole, found.missing, batches=found.batches)

    def _circumstances(self) -> Circumstances:
        """Of the sending: when events were late, whether calls were in flight meanwhile."""
        options, metrics = self._options, self._metrics
        found = self._machine.circumstances(options.processes)
        if not metrics.late or metrics.late_after_us is None or self._sending.broken:
            return found
        with contextlib.suppress(OSError, ResultsError), (options.out / RESULTS).open() as lines:
            calls = in_flight(lines, metrics.late_after_us, metrics.latest_us / 1e6)
            return found._replace(in_flight=calls, connections=CONNECTIONS * options.processes)
        return found

    def _account(self, why: str | None, observed: Observation) -> tuple[Ledger, Observation]:
        """What was not found is only lost when it was waited for, and when the function can have had it."""
        metrics, drain = self._metrics, self._drain
        ledger = settle(self._expected, self._findings, waited=drain.waited and why is None)
        observed = weigh(observed, ledger, metrics)
        if ledger.lost and are_in_stream(observed, metrics, drain.ended_at_s - self._sending.started_s):
            ledger = replace(ledger, lost=0, not_yet_found=ledger.lost)
        observed.missing = [*observed.missing, *self._findings.unchecked[:TOLD_MAX]]
        return ledger, observed

    def _drained(self, ledger: Ledger, observed: Observation) -> Drained:
        """From the last acknowledgement on; a backlog from the enabling of the mapping on."""
        drain, began_at_s = self._drain, self._drain.began_at_s
        if not self._options.backlog:
            began_at_s = self._sending.started_s + self._metrics.latest_us / 1e6
        by_reading = Drained(max(0.0, drain.began_at_s - began_at_s) + drain.took_s, drain.found_meanwhile)
        return drained(observed.batches, ledger, began_at_s, by_reading)

    def _report(self, problem: CommandError | None, observed: Observation) -> int:
        options, metrics = self._options, self._metrics
        self._unread = self._sending.unread or self._unread
        self._sending.check()
        why = self._why_partial(problem)
        ledger, observed = self._account(why, observed)
        drain = self._drained(ledger, observed)
        observed.circumstances = self._circumstances()
        observed.cost = bill(options.out / RESULTS, metrics, ledger, drain.took_s, observed)
        numbers = report.numbers(metrics, ledger, drain.took_s, self._unread, drain.events, observed)
        document = report.document(
            command=options.command,
            started_at=self._started.isoformat(timespec="milliseconds"),
            problem=why,
            configuration={
                **options.configuration,
                "stream": self._stack.stream,
                "connections": CONNECTIONS,
                "late_after_us": metrics.late_after_us,
                **self._ran_on(observed),
            },
            metrics=metrics,
            ledger=ledger,
            drain_s=drain.took_s,
            drained=drain.events,
            checked=check(options.thresholds, numbers),
            unread=self._unread,
            observed=observed,
        )
        unwritten = try_to_write(options.out, document)
        summarize(document, unwritten or f"Reports: {options.out}/report.html, report.json, {RESULTS}")
        if self._interrupts.seen:
            return INTERRUPTED
        if self._sending.broken or unwritten:
            print(f"loadgen: {why or unwritten}", file=sys.stderr)
            return FAILED
        if why is not None:
            print(f"loadgen: {why}", file=sys.stderr)
            return USAGE if self._unread.broken else UNREACHABLE
        return OK if document["passed"] else FAILED

    def _ran_on(self, observed: Observation) -> dict[str, Any]:
        """Of the configuration what nobody asked for on the command line and the numbers depend on."""
        pause_ms = observed.capacity.function_pause_ms
        paused = {} if pause_ms is None else {"function_handler": PAUSED_HANDLER, "function_pause_ms": pause_ms}
        return {"machine_cores": cores(), **paused}

    def _why_partial(self, problem: CommandError | None) -> str | None:
        if self._interrupts.seen:
            return "interrupted"
        sending = self._sending
        if sending.broken:
            left_out = outside(self._options.out, self._metrics.acknowledged)
            why: str | None = f"{self._options.out}/{RESULTS} is not complete: {sending.broken}; {left_out}"
        elif problem or sending.problems:
            why = str(problem or "; ".join(sending.problems))
        else:
            refused = sending.refused and f"the stream {self._stack.stream} takes nothing more: {sending.refused}"
            why = self._unread.broken or self._took_nothing() or refused
        return ended_early(why, self._metrics.offered, self._options.total_events)

    def _took_nothing(self) -> str | None:
        """Why, when every single event was given up; else None."""
        metrics = self._metrics
        if metrics.acknowledged or not metrics.failed:
            return None
        # What ended the load comes before what was then given up.
        counts = sorted(metrics.failures.items(), key=lambda pair: (pair[0] == "Interrupted", -pair[1]))
        reasons = ", ".join(f"{reason} ({n:,} events)" for reason, n in counts[:3])
        return f"the stream {self._stack.stream} took nothing: {reasons}"


def late_after_us(packing: PackingSettings) -> int:
    """An event is late when it is first put later than the schedule and the wait for its aggregate explain."""
    linger_s = packing.linger_s if packing.aggregate is not None else 0.0
    return round((linger_s + LATE_AFTER_S) * 1e6)
