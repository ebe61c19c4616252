"""SHELL: one function in real time. Performs the commands of its machine and tells it what its processes did."""

from __future__ import annotations

import asyncio
import itertools
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.environment import Launch, Process
from infra.local.function_log import FunctionLog
from infra.local.function_report import init_failure_text, lines_after, lines_before, lines_of_init
from infra.local.runtime_api import Work
from infra.model.function import (
    Command,
    Complete,
    FunctionError,
    FunctionMachine,
    InitFailed,
    InvokeOutcome,
    Kill,
    Remove,
    Report,
    Send,
    Start,
)
from infra.model.function.configuration import Configuration

log = logging.getLogger("infra.functions")

MEMORY_CHECKED_EVERY_S = 0.25  # while anything runs; a function that takes more than its memory is killed then

# Sees how every invocation ended, at that moment: the function's name, what came of it, its figures. The figures are
# None when nothing ran (a throttle, a service error). What a metric needs is there: `Report.began_s` (in the event
# loop's time) is when it began, by which Invocations, Errors and Duration are stamped; Throttled counts as neither.
ReportSink = Callable[[str, InvokeOutcome, Report | None], None]


@dataclass(frozen=True, slots=True)
class Invoked:
    """An outcome with the end of the log that belongs to it (at most 4 KiB, for LogType Tail)."""

    outcome: InvokeOutcome
    log_tail: bytes


@dataclass(slots=True)
class _Call:
    payload: bytes
    client_context: str | None
    function_arn: str
    future: asyncio.Future[Invoked]
    sent: bool = False


class FunctionDriver:
    """One version in real time. `variables` are what every process gets; `scratch` holds the environments' /tmp
    folders, and `stream_prefix` (hexadecimal) tells the log streams from those of other drivers of the function.
    """

    def __init__(
        self,
        configuration: Configuration,
        machine: FunctionMachine,
        *,
        scratch: Path,
        stream_prefix: str,
        variables: Mapping[str, str],
        log: FunctionLog,
        report: ReportSink | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.configuration = configuration
        self.machine = machine
        self.log = log
        self.task_root = Path(configuration.code)
        self._stream_prefix = stream_prefix
        self._scratch = scratch
        self._variables = variables
        self._report = report
        self._clock = clock
        self._tickets = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._processes: dict[int, Process] = {}
        self._init_places: dict[int, Sequence[tuple[str, int]]] = {}  # by process
        self._alarm: asyncio.TimerHandle | None = None
        self._memory_alarm: asyncio.TimerHandle | None = None

    # -- what the service asks -------------------------------------------------------------------------------------

    async def invoke(
        self, payload: bytes, *, request_id: str, function_arn: str, client_context: str | None = None
    ) -> Invoked:
        """A caller that is cancelled leaves the invocation running, as a client that hangs up does on AWS."""
        ticket = next(self._tickets)
        future: asyncio.Future[Invoked] = asyncio.get_running_loop().create_future()
        self._calls[ticket] = _Call(payload, client_context, function_arn, future)
        self._watch_memory()
        self._perform(self.machine.invoke(ticket, request_id, self.now()))
        return await future

    async def stop(self) -> None:
        """Ends every process within the machine's grace and waits for it."""
        await self._finish(self.machine.shutdown(self.now()))

    async def retire(self) -> None:
        """Nothing more may be invoked; returns when what runs has ended by itself."""
        self._perform(self.machine.retire())
        while self._processes:
            await asyncio.gather(*(process.finished() for process in list(self._processes.values())))
        await self._finish([])

    def provision(self, requested: int) -> None:
        """Sets the version's provisioned concurrency, to which the account has agreed."""
        self._perform(self.machine.provision(requested, self.now()))

    async def _finish(self, commands: list[Command]) -> None:
        processes = list(self._processes.values())
        self._perform(commands)
        await asyncio.gather(*(process.finished() for process in processes))
        for alarm in (self._alarm, self._memory_alarm):
            if alarm is not None:
                alarm.cancel()
        self._alarm = self._memory_alarm = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        """Of the runtime processes that live now."""
        return [process.pid for process in self._processes.values() if process.pid is not None]

    # -- what the listeners of the processes call ------------------------------------------------------------------

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def perform(self, commands: list[Command]) -> None:
        self._perform(commands)

    def note_init_places(self, process: int, places: Sequence[tuple[str, int]]) -> None:
        """Files and lines of an init of `process` that is about to fail, the deepest cause last."""
        self._init_places[process] = places

    def forget(self, process: int) -> None:
        self._processes.pop(process, None)
        self._init_places.pop(process, None)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _perform(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Start():
                    self._start(command)
                case Send():
                    self._send(command)
                case Kill(process, grace_s):
                    self._processes[process].kill(grace_s)
                case Remove(environment):
                    shutil.rmtree(self._temporary(environment), ignore_errors=True)
                case Complete():
                    self._complete(command)
                case InitFailed(failed, error, new):
                    if new:
                        self._announce(failed, error)
        self._set_alarm()

    def _start(self, command: Start) -> None:
        temporary = self._temporary(command.environment)
        day = time.strftime("%Y/%m/%d", time.gmtime(self._clock()))
        stream = f"{day}/[{self.configuration.version}]{self._stream_prefix}{command.environment:016x}"
        variables = {**self._variables, "TMPDIR": str(temporary), "AWS_LAMBDA_LOG_STREAM_NAME": stream}
        if command.provisioned:
            variables["AWS_LAMBDA_INITIALIZATION_TYPE"] = "provisioned-concurrency"
        listener = _Listener(self, command.process)
        launch = Launch(self.configuration.handler, self.task_root, variables, stream)
        process = self._processes[command.process] = Process(launch, self.log, listener)
        try:
            temporary.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # the machine is told later: it is at work now
            asyncio.get_running_loop().call_soon(listener.on_start_failed, f"{temporary}: {error.strerror}")
        else:
            process.start()

    def _send(self, command: Send) -> None:
        process, call = self._processes[command.process], self._calls[command.ticket]
        now_ms = self._clock() * 1e3
        deadline_ms = int(now_ms + (command.deadline_s - self.now()) * 1e3)
        work = Work(
            command.request_id,
            deadline_ms,
            call.function_arn,
            f"Root=1-{int(now_ms / 1e3):08x}-{command.ticket:024x};Sampled=0",
            call.payload,
            call.client_context,
        )
        process.tail.clear()
        process.note(*lines_before(command.request_id, self.configuration.version))
        call.sent = True
        process.send(work)

    def _complete(self, command: Complete) -> None:
        call = self._calls.pop(command.ticket)
        tail = b""
        process = None if command.process is None else self._processes.get(command.process)
        if process is not None and command.report is not None:
            memory_mib = process.memory_max_mib()
            lines = lines_after(command.outcome, command.report, self.configuration.memory_mb, memory_mib)
            if not call.sent:
                lines = [*lines_of_init(command.outcome, command.report, self.configuration.version), *lines]
            process.note(*lines)
            tail = process.tail.read()
        if command.report is not None and command.report.init_error == "new":
            self._announce(command.process, command.outcome)
        if self._report is not None:
            self._report(self.configuration.name, command.outcome, command.report)
        if not call.future.done():
            call.future.set_result(Invoked(command.outcome, tail))

    def _announce(self, process: int | None, outcome: InvokeOutcome) -> None:
        """A function that cannot start is what an operator must see, once."""
        assert isinstance(outcome, FunctionError)
        places = () if process is None else self._init_places.get(process, ())
        name, handler = self.configuration.name, self.configuration.handler
        text = init_failure_text(name, handler, outcome, places, self.task_root)
        log.log(logging.WARNING if outcome.signal else logging.ERROR, "%s; its output is in %s", text, self.log.path)

    def _temporary(self, environment: int) -> Path:
        return self._scratch / f"environment-{environment}"

    def _set_alarm(self) -> None:
        deadline_s = self.machine.next_deadline_s
        if self._alarm is not None:
            if deadline_s is not None and self._alarm.when() <= deadline_s:
                return  # it rings early and is set again then
            self._alarm.cancel()
            self._alarm = None
        if deadline_s is not None:
            self._alarm = asyncio.get_running_loop().call_at(deadline_s, self._ring)

    def _watch_memory(self) -> None:
        if self._memory_alarm is None:
            self._memory_alarm = asyncio.get_running_loop().call_later(MEMORY_CHECKED_EVERY_S, self._check_memory)

    def _check_memory(self) -> None:
        """AWS kills a function above its memory; callers see `signal: killed`."""
        self._memory_alarm = None
        for process in self._processes.values():
            if process.memory_mib() > self.configuration.memory_mb:
                process.kill(0.0)
        if self._calls:
            self._watch_memory()

    def _ring(self) -> None:
        self._alarm = None
        self._perform(self.machine.timer(self.now()))


class _Listener:
    """What one process did, as inputs of the machine."""

    def __init__(self, driver: FunctionDriver, process: int) -> None:
        self._driver = driver
        self._machine = driver.machine
        self._process = process

    def on_ready(self) -> None:
        self._driver.perform(self._machine.ready(self._process, self._driver.now()))

    def on_fetched(self) -> None:
        self._machine.fetched(self._process)

    def on_response(self, request_id: str, payload: bytes) -> None:
        self._driver.perform(self._machine.responded(self._process, request_id, payload, self._driver.now()))

    def on_error(self, request_id: str, error_type: str, payload: bytes) -> None:
        now = self._driver.now()
        self._driver.perform(self._machine.raised(self._process, request_id, error_type, payload, now))

    def on_oversized(self, request_id: str, size: int) -> None:
        self._driver.perform(self._machine.oversized(self._process, request_id, size, self._driver.now()))

    def on_init_error(self, error_type: str, payload: bytes) -> None:
        self._driver.perform(self._machine.init_failed(self._process, error_type, payload, self._driver.now()))

    def on_init_places(self, places: Sequence[tuple[str, int]]) -> None:
        self._driver.note_init_places(self._process, places)

    def on_exited(self, returncode: int) -> None:
        self._driver.perform(self._machine.exited(self._process, returncode, self._driver.now()))
        self._driver.forget(self._process)

    def on_start_failed(self, reason: str) -> None:
        self._driver.perform(self._machine.start_failed(self._process, reason, self._driver.now()))
        self._driver.forget(self._process)
