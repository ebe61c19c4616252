"""SHELL: several sender processes, each with its part of one schedule, and one account of them all.

Every process makes its own part of the events, sends it, and keeps its own lines, numbers and expectations; the parent
merges them at the end. All of them count their times from one moment of the system's monotonic clock, so a process that
starts late has late events, and says so.
"""

import contextlib
import heapq
import multiprocessing
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any, NamedTuple

from infra.ops.errors import CommandError
from infra.ops.outputs import Target, connect
from loadgen.offer.schedule import Due, Schedule
from loadgen.outcome.books import Books
from loadgen.outcome.ledger import Expectations, WindowKey
from loadgen.outcome.metrics import Metrics, Turn, together
from loadgen.outcome.results import decode_all
from loadgen.sending.direct import DirectPutRecords
from loadgen.sending.sender import Sender, collect_rarely
from loadgen.sending.sources import Part, Source
from loadgen.showing.report import Unread
from processor.adapters.publisher import PutRecords
from processor.core.packing import PackingSettings
from processor.core.resend import RetryPolicy

READY_WITHIN_S = 60.0
HEAD_START_S = 0.2  # from "all are ready" to the schedule's 0
ENDED_WITHIN_S = 90.0  # after a stop: more than the sender waits for its calls in flight
POLL_S = 0.25
DONE_US = re.compile(r'"(?:acknowledged|failed)_us":(\d+)')


@dataclass(frozen=True, slots=True)
class Job:
    """What is the same for every sender of a load."""

    source: Source
    target: Target
    stream: str
    packing: PackingSettings
    late_after_us: int | None
    measures: Sequence[str]
    before: Mapping[WindowKey, frozenset[str]]
    folder: Path


class End(NamedTuple):
    """What a sender leaves."""

    metrics: Metrics
    expected: Expectations
    unread: Unread
    refused: str | None
    broken: str | None
    problem: str | None = None


def part_of_results(folder: Path, index: int) -> Path:
    return folder / f"results-{index}.jsonl.part"


class Team:
    """Runs one load in `processes` senders. `stop` may be called from a signal handler."""

    def __init__(self, job: Job, processes: int) -> None:
        self._job, self._processes = job, processes
        self._stopping = False
        self._pipes: list[Pipe] = []
        self._turns: dict[int, Turn] = {}
        self.started_s = 0.0
        self.ends: list[End] = []
        self._accounted: set[int] = set()  # the senders whose ends these are
        self.problems: list[str] = []

    def stop(self) -> None:
        self._stopping = True

    def run(self, on_turn: Callable[[float, Turn], None]) -> None:
        """Returns when every sender has ended. Raises CommandError when they do not start."""
        self.discard_lines()  # what is there is no line of these senders
        context = multiprocessing.get_context("spawn")
        children = []
        try:
            for index in range(self._processes):
                ours, theirs = context.Pipe()
                child = context.Process(
                    target=_main, args=(self._job, Part(index, self._processes), theirs), daemon=True
                )
                child.start()
                theirs.close()
                children.append(child)
                self._pipes.append(ours)
            self._start()
            self._watch(on_turn)
        finally:
            for child in children:
                child.join(1.0)
                if child.is_alive():
                    child.kill()
                    child.join()  # it writes no more lines

    def _start(self) -> None:
        for index, pipe in enumerate(self._pipes):
            if not pipe.poll(READY_WITHIN_S):
                raise CommandError(f"sender process {index} was not ready within {READY_WITHIN_S:.0f} s")
            try:
                said = pipe.recv()
            except EOFError as error:
                raise CommandError(f"sender process {index} ended before it was ready") from error
            if said is not None:
                raise CommandError(said)
        start_s = time.monotonic() + HEAD_START_S
        self.started_s = time.time() + HEAD_START_S
        for pipe in self._pipes:
            pipe.send(start_s)
        self._start_s = start_s

    def _watch(self, on_turn: Callable[[float, Turn], None]) -> None:
        running = dict(enumerate(self._pipes))
        told_to_stop_s: float | None = None
        while running:
            if self._stopping and told_to_stop_s is None:
                told_to_stop_s = time.monotonic()
                for pipe in running.values():
                    with contextlib.suppress(OSError):
                        pipe.send(None)
            if told_to_stop_s is not None and time.monotonic() - told_to_stop_s > ENDED_WITHIN_S:
                self.problems += [f"sender process {index} did not end" for index in running]
                return
            ready: Sequence[Any] = wait(list(running.values()), POLL_S)
            for index, pipe in list(running.items()):
                if pipe in ready and self._take(index, pipe):
                    del running[index]
            on_turn(time.monotonic() - self._start_s, together(self._turns.values()))

    def _take(self, index: int, pipe: Pipe) -> bool:
        """Take in one message; true: it was the last one."""
        try:
            said = pipe.recv()
        except (EOFError, OSError):
            self.problems.append(f"sender process {index} died; what it sent last is not in the account")
            self._stopping = True
            return True
        if isinstance(said, Turn):
            self._turns[index] = said
            return False
        if isinstance(said, str):
            self.problems.append(f"sender process {index}: {said}")
            self._stopping = True
            return True
        assert isinstance(said, End)
        self.ends.append(said)
        self._accounted.add(index)
        if said.problem:
            self.problems.append(f"sender process {index}: {said.problem}")
        if said.refused or said.broken or said.problem:
            self._stopping = True
        return True

    def read_back(self) -> Metrics:
        """The numbers of senders that left none, from their lines; `problems` says what is in no account."""
        found = Metrics(self._job.late_after_us)
        for index, part in enumerate(self.parts()):
            if index in self._accounted or not part.exists():
                continue
            before = found.acknowledged
            try:
                with part.open() as lines:
                    for result in decode_all(lines):
                        found.add(result)
            except (OSError, ValueError) as error:
                self.problems.append(f"{part.name} cannot be read any further: {error}")
            events = f"{found.acknowledged - before:,} acknowledged events of sender process {index}"
            self.problems.append(f"{events} are in the numbers and not in the ledger, to which those found are foreign")
        return found

    def merge_lines(self, into: IO[str]) -> None:
        """The senders' lines as one results.jsonl in the order in which they ended."""
        with contextlib.ExitStack() as stack:
            found = [stack.enter_context(part.open()) for part in self.parts() if part.exists()]
            for line in heapq.merge(*map(_whole_lines, found), key=_done_us):
                into.write(line)

    def parts(self) -> list[Path]:
        return [part_of_results(self._job.folder, index) for index in range(self._processes)]

    def discard_lines(self) -> None:
        for part in self.parts():
            part.unlink(missing_ok=True)


def _whole_lines(lines: IO[str]) -> Iterator[str]:
    return (line for line in lines if line.endswith("\n"))


def _done_us(line: str) -> int:
    found = DONE_US.search(line)
    return int(found[1]) if found else 0


def _tell(pipe: Pipe, said: Turn | End | str | None) -> bool:
    """False: the parent is gone, and nobody wants to know."""
    try:
        pipe.send(said)
    except OSError:
        return False
    return True


def _main(job: Job, part: Part, pipe: Pipe) -> None:
    """A sender's process. It ends when its part is sent, when it is told to stop, and when its parent is gone."""
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and tells us
    try:
        put = DirectPutRecords(connect(job.target).client("kinesis", attempts=1), job.stream)
        schedule = Schedule.of(
            job.source.due(part)
        )  # what preparing the first ones takes is over before the schedule's 0
    except CommandError as error:
        _tell(pipe, str(error))
        return
    _tell(pipe, None)
    try:
        start_s = pipe.recv()
    except (EOFError, OSError):
        return
    try:
        with part_of_results(job.folder, part.index).open("w") as lines:
            _tell(pipe, _send(job, schedule, put, lines, start_s, pipe))
    except Exception as error:  # noqa: BLE001 - the parent says it and writes the report
        _tell(pipe, f"{type(error).__name__}: {error}")


def _send(job: Job, schedule: Iterator[Due], put: PutRecords, lines: IO[str], start_s: float, pipe: Pipe) -> End:
    metrics, expected = Metrics(job.late_after_us), Expectations(job.measures)
    expected.tell_before(job.before)

    def stop() -> None:
        sender.stopping.set()

    def on_turn(_now_s: float, waiting: int) -> None:
        with contextlib.suppress(OSError):  # the next line, or the last flush, says it
            lines.flush()  # killed, it leaves all lines but those since then
        if not _tell(pipe, metrics.turn(waiting)):
            stop()

    books = Books(metrics, expected, lines.write, stop)
    sender = Sender(put, job.packing, RetryPolicy(stop_lane=False), books.settled, on_turn)

    def wait_for_stop() -> None:
        with contextlib.suppress(EOFError, OSError):
            pipe.recv()
        sender.stopping.set()

    threading.Thread(target=wait_for_stop, daemon=True).start()
    sender.run(schedule, start_s)
    try:
        lines.flush()
    except OSError as error:
        books.broken = books.broken or error.strerror or str(error)
    return End(metrics, expected, job.source.unread, books.refused, books.broken, sender.problem)
