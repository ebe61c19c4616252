"""SHELL: one load sent, by this process or by several; afterwards one account of it, whichever it was."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.outcome.books import Books
from loadgen.outcome.ledger import Expectations
from loadgen.outcome.metrics import Metrics, Turn
from loadgen.outcome.results import acknowledged_events
from loadgen.sending.direct import DirectPutRecords
from loadgen.sending.sender import Due, Sender, collect_rarely
from loadgen.sending.sources import Source
from loadgen.sending.team import Job, Team
from loadgen.showing.report import Unread
from processor.core.packing import PackingSettings
from processor.core.resend import RetryPolicy

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

OnTurn = Callable[[float, Turn], None]


class Sending:
    """What was sent is in `metrics` and `expected`, and as lines in `results`.

    `problems`: what ended it too early; `refused`: why the stream takes nothing more; `broken`: why `results` is not
    complete; `started_s`: Unix time of the schedule's 0. `stop` may be called from a signal handler.
    """

    def __init__(
        self,
        connection: "Connection",
        stream: str,
        packing: PackingSettings,
        metrics: Metrics,
        expected: Expectations,
        results: Path,
        processes: int,
    ) -> None:
        self._connection, self._stream, self._packing = connection, stream, packing
        self._metrics, self._expected = metrics, expected
        self._results, self._processes = results, processes
        self._stop: Callable[[], None] = lambda: None
        self._is_stopped = False
        self.problems: list[str] = []
        self.refused: str | None = None
        self.broken: str | None = None
        self.started_s = 0.0
        self.unread: Unread | None = None

    def stop(self) -> None:
        self._is_stopped = True
        self._stop()

    def run(self, schedule: Iterator[Due] | Source, on_turn: OnTurn) -> None:
        """Returns when everything has ended, or soon after `stop`. Several processes need a Source."""
        if self._processes > 1:
            assert not isinstance(schedule, Iterator)
            self._run_team(schedule, on_turn)
        else:
            self._run_alone(schedule if isinstance(schedule, Iterator) else schedule.due(), on_turn)

    def check(self) -> None:
        """Count what is in `results` against the metrics, when all is over: `broken` when it is not what was sent."""
        if self.broken or not self.started_s:
            return
        try:
            with self._results.open(encoding="utf-8") as lines:
                found = acknowledged_events(lines)
        except (OSError, UnicodeDecodeError) as error:
            self.broken = f"it cannot be read back: {error}"
            return
        if found != (expected := self._metrics.acknowledged):
            self.broken = f"it has {found:,} of {expected:,} acknowledged events; something else has written there"

    def _run_alone(self, schedule: Iterator[Due], on_turn: OnTurn) -> None:
        collect_rarely()
        # The client repeats nothing by itself: every attempt and every lost answer must be counted.
        put = DirectPutRecords(self._connection.client("kinesis", attempts=1), self._stream)
        lines = self._results.open("w")
        books = Books(self._metrics, self._expected, lines.write, self.stop)
        sender = Sender(
            put,
            self._packing,
            RetryPolicy(stop_lane=False),
            books.settled,
            lambda now_s, waiting: on_turn(now_s, self._metrics.turn(waiting)),
        )
        self._stop = sender.stopping.set
        if self._is_stopped:
            self._stop()
        try:
            sender.run(schedule)
        finally:
            self.started_s = sender.started_s
            self.broken, self.refused = books.broken, books.refused
            self.problems += [sender.problem] if sender.problem else []
            try:
                lines.close()
            except OSError as error:
                self.broken = self.broken or error.strerror or str(error)

    def _run_team(self, source: Source, on_turn: OnTurn) -> None:
        job = Job(
            source,
            self._connection.target,
            self._stream,
            self._packing,
            self._metrics.late_after_us,
            self._expected.measures,
            self._expected.known_before(),
            self._results.parent,
        )
        team = Team(job, self._processes)
        self._stop = team.stop
        if self._is_stopped:
            self._stop()
        try:
            team.run(on_turn)
        finally:
            self.started_s, self.problems = team.started_s, team.problems
            for end in team.ends:
                self._metrics.merge(end.metrics)
                self._expected.merge(end.expected)
                self.refused, self.broken = self.refused or end.refused, self.broken or end.broken
                self.unread = end.unread  # every sender reads the whole file
            self._metrics.merge(team.read_back())
            self._merge_lines(team)

    def _merge_lines(self, team: Team) -> None:
        """Into `results`, which takes as much room again; when there is none, the senders' own files are kept."""
        try:
            with self._results.open("w") as lines:
                team.merge_lines(lines)
            team.discard_lines()
        except OSError as error:
            kept = ", ".join(part.name for part in team.parts() if part.exists())
            why = self.broken or error.strerror or str(error)
            self.broken = f"{why}; the lines are kept in {kept}" if kept else why
            with contextlib.suppress(OSError):
                os.truncate(self._results, 0)  # room for the reports
