"""SHELL: offers one rate for a while, waits until the backlog is gone, and reads what the function's log says of it."""

import contextlib
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.ops.errors import CommandError, explained
from loadgen.observing.machine import Busy
from loadgen.observing.readback import Stack
from loadgen.offer.events import EventOptions, Generator
from loadgen.offer.truth import Known, Truth
from loadgen.outcome.metrics import Metrics, Turn
from loadgen.outcome.results import PutResult
from loadgen.run import late_after_us
from loadgen.sending.direct import DirectPutRecords
from loadgen.sending.sender import Due, Sender
from loadgen.sending.sources import WHOLE, Part
from loadgen.sending.team import Job, Team
from loadgen.showing.report import Unread
from loadgen.sweep.samples import OVERDRIVE, due_times
from loadgen.target.function_log import Batch, Invocation, read
from processor.core.packing import PackingSettings
from processor.core.resend import RetryPolicy

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

DRAIN_TIMEOUT_S = 90.0
QUIET_S = 20.0  # nothing more was processed for so long: what is missing in the log does not come
POLL_S = 1.0
SPAN_MS = 10_000
LOG_LATE_MS = 2_000  # lines come after their time; on AWS they are searchable within seconds
NO_AMOUNTS: Any = ()
PATTERNS = ('"_aws"', "REPORT")


class Workload(NamedTuple):
    """What is offered. `skew`: Zipf's exponent. `overdrive`: times the rate, during the warm-up."""

    event_bytes: int
    keys: int
    skew: float
    seed: int
    overdrive: float = OVERDRIVE


@dataclass(frozen=True, slots=True)
class ProbeSource:
    """The events of one probe, whole or a sender's part. `at_s`: Unix time, the events' own clock."""

    workload: Workload
    run_id: str
    at_s: float
    rate: float
    warm_up_s: float
    duration_s: float

    @property
    def unread(self) -> Unread:
        return Unread()

    def due(self, part: Part = WHOLE) -> Iterator[Due]:
        load = self.workload
        options = EventOptions(
            self.run_id, load.seed, self.at_s, event_bytes=load.event_bytes, keys=load.keys, skew=load.skew
        )
        generator = Generator(options, part.index, part.of)
        times = due_times(self.rate, self.warm_up_s, self.duration_s, load.overdrive)
        for due_s in islice(times, part.index, None, part.of):
            event = generator.next(due_s)
            # Nothing is looked for in the tables, so what they must have is not worked out.
            yield Due(due_s, event.partition_key, event.payload, Truth(int(due_s * 1e6), "", "", "", NO_AMOUNTS))


class Probe(NamedTuple):
    """What happened. Times in Unix seconds; `ended_s`: of the schedule. `machine_busy`: share of all cores, or None."""

    rate: float
    started_s: float
    ended_s: float
    metrics: Metrics
    batches: list[Batch]
    invocations: list[Invocation]
    is_drained: bool
    machine_busy: float | None

    @property
    def processed(self) -> int:
        return sum(batch.applied for batch in self.batches)


class Prober:
    """Probes of one stack. `stop` may be called from a signal handler; a probe then ends soon, without draining."""

    def __init__(self, connection: "Connection", stack: Stack, workload: Workload, processes: int = 1) -> None:
        """`processes`: how many send, each its part."""
        self._connection, self._stack, self._workload = connection, stack, workload
        self._processes = processes
        self._put = DirectPutRecords(connection.client("kinesis", attempts=1), stack.stream)
        self._logs = connection.client("logs")
        self._stop_sending: Callable[[], None] = lambda: None
        self.is_stopped = False

    def stop(self) -> None:
        self.is_stopped = True
        self._stop_sending()

    def probe(self, rate: float, warm_up_s: float, duration_s: float, aggregate: int | None) -> Probe:
        """The warm-up is part of the duration. What the stream has not taken when the time is over is not sent.

        Raises CommandError when nobody answers.
        """
        packing = PackingSettings(aggregate=aggregate)
        metrics = Metrics(late_after_us(packing))
        run_id = f"sweep-{int(time.time())}-{secrets.token_hex(3)}"
        source = ProbeSource(self._workload, run_id, round(time.time(), 3), rate, warm_up_s, duration_s)
        busy = Busy()
        send = self._send_alone if self._processes == 1 else self._send_as_team
        started_s = time.time() if self.is_stopped else send(source, packing, metrics)
        machine_busy = busy.share()
        if not metrics.acknowledged and metrics.failed and not self.is_stopped:
            raise CommandError(f"the stream {self._stack.stream} took nothing: {dict(metrics.failures)}")
        lines = _Lines()
        is_drained = self._drain(started_s, metrics.acknowledged, lines)
        ended_s = started_s + duration_s
        return Probe(rate, started_s, ended_s, metrics, lines.batches, lines.invocations, is_drained, machine_busy)

    def wait_quiet(self) -> bool:
        """Wait until nothing more is processed; whether that was so before it took too long."""
        return self._drain(time.time(), sys.maxsize, _Lines())

    def _send_alone(self, source: ProbeSource, packing: PackingSettings, metrics: Metrics) -> float:
        """Returns the Unix time of the schedule's 0."""

        def settled(result: PutResult, _truths: Sequence[Known]) -> None:
            metrics.add(result)

        sender = Sender(self._put, packing, RetryPolicy(stop_lane=False), settled, lambda _now_s, _waiting: None)
        self._stop_sending = sender.stopping.set
        with _stopped_after(source.duration_s, sender.stopping.set):
            sender.run(source.due())
        return sender.started_s

    def _send_as_team(self, source: ProbeSource, packing: PackingSettings, metrics: Metrics) -> float:
        """The same in several processes."""
        late_us = metrics.late_after_us
        with TemporaryDirectory(prefix="loadgen-sweep-") as folder:
            job = Job(source, self._connection.target, self._stack.stream, packing, late_us, (), {}, Path(folder))
            team = Team(job, self._processes)
            self._stop_sending = team.stop

            def on_turn(now_s: float, _turn: Turn) -> None:
                if now_s >= source.duration_s:
                    team.stop()

            team.run(on_turn)
        for end in team.ends:
            metrics.merge(end.metrics)
        if team.problems and not self.is_stopped:
            raise CommandError("; ".join(team.problems))
        return team.started_s

    def _drain(self, started_s: float, sent: int, lines: "_Lines") -> bool:
        """Wait until the log has as many events as were sent; whether it has."""
        until_s = time.monotonic() + DRAIN_TIMEOUT_S
        moved_s, processed = time.monotonic(), -1
        while not self.is_stopped:
            with explained(str(self._connection.target)):
                self._read(int(started_s * 1000), lines)
            found = sum(batch.applied for batch in lines.batches)
            if found >= sent:
                return True
            if found > processed:
                moved_s, processed = time.monotonic(), found
            if time.monotonic() > until_s:
                return False
            if time.monotonic() - moved_s > QUIET_S:
                return True
            time.sleep(POLL_S)
        return False

    def _read(self, start_ms: int, lines: "_Lines") -> None:
        """All lines since then: a line may be entered later than its time says."""
        lines.clear()
        now_ms = int(time.time() * 1000) + LOG_LATE_MS
        for pattern in PATTERNS:
            for begin_ms in range(start_ms, now_ms, SPAN_MS):
                for at_ms, text in self._span(pattern, begin_ms, begin_ms + SPAN_MS - 1):
                    lines.add(read(at_ms, text))

    def _span(self, pattern: str, begin_ms: int, last_ms: int) -> Iterator[tuple[int, str]]:
        asked: dict[str, Any] = {
            "logGroupName": f"/aws/lambda/{self._stack.function}",
            "filterPattern": pattern,
            "startTime": begin_ms,
            "endTime": last_ms,
        }
        while True:
            answer = self._logs.filter_log_events(**asked)
            for event in answer["events"]:
                yield event["timestamp"], event["message"]
            if not (token := answer.get("nextToken")):
                return
            asked["nextToken"] = token


class _Lines:
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.invocations: list[Invocation] = []

    def clear(self) -> None:
        self.batches.clear()
        self.invocations.clear()

    def add(self, said: Batch | Invocation | None) -> None:
        if isinstance(said, Batch):
            self.batches.append(said)
        elif isinstance(said, Invocation):
            self.invocations.append(said)


@contextlib.contextmanager
def _stopped_after(duration_s: float, stop: Callable[[], None]) -> Iterator[None]:
    """What the stream has not taken when the time is over is not sent."""
    end = threading.Timer(duration_s, stop)
    end.start()
    try:
        yield
    finally:
        end.cancel()
