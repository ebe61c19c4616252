"""SHELL: one runtime process of an execution environment: awslambdaric in a child, its Runtime API, its output.

The child has a session of its own (a Ctrl-C at the terminal is the parent's business) and dies with the parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.local.function_log import FunctionLog, LineSplitter, Tail
from infra.local.runtime_api import RuntimeApi, RuntimeListener, Work

_LAUNCHER = Path(__file__).with_name("awslambdaric_launcher.py")
_READ_BYTES = 65_536
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_READS_MAX = 64  # of the pipe at once: 4 MiB, then other work has its turn


class ProcessListener(RuntimeListener, Protocol):
    """The runtime's calls, and the end of its process. After `on_exited` or `on_start_failed` nothing follows."""

    def on_exited(self, returncode: int) -> None: ...
    def on_start_failed(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a process: `variables` are all it gets, `AWS_LAMBDA_RUNTIME_API` is added."""

    handler: str
    task_root: Path
    variables: Mapping[str, str]
    log_stream: str


class Process:
    """`start` once; `send` when told; `kill` at any time. `finished` returns when nothing of it is left."""

    def __init__(self, launch: Launch, log: FunctionLog, listener: ProcessListener) -> None:
        self._launch = launch
        self._log = log
        self._listener = listener
        self._api = RuntimeApi(listener)
        self._child: asyncio.subprocess.Process | None = None
        self._kill_grace_s: float | None = None
        self._killer: asyncio.TimerHandle | None = None
        self._lines = LineSplitter()
        self._pipe: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._memory_kib = 0
        self.tail = Tail()

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Returns at once; a process that cannot be started is told to the listener."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def send(self, work: Work) -> None:
        """To a process that has just died nothing is given: its exit then shows that the work was not taken."""
        if self._alive():
            self._api.deliver(work)

    def kill(self, grace_s: float) -> None:
        self._kill_grace_s = grace_s
        if self._child is None or self._child.returncode is not None:
            return
        if grace_s > 0:
            self._signal(signal.SIGTERM)
            if self._killer is None:
                self._killer = asyncio.get_running_loop().call_later(grace_s, self._signal, signal.SIGKILL)
        else:
            self._signal(signal.SIGKILL)

    async def finished(self) -> None:
        if self._task is not None:
            await self._task

    def note(self, *lines: str) -> None:
        """Writes the service's own lines, after everything that the function has written before."""
        self._drain()
        self._write(list(lines))

    def memory_max_mib(self) -> int:
        """Highest resident memory so far; of a dead process the last figure known."""
        if self._child is not None:
            with contextlib.suppress(OSError, ValueError):
                status = Path(f"/proc/{self._child.pid}/status").read_bytes()
                start = status.find(b"VmHWM:")
                if start >= 0:
                    self._memory_kib = int(status[start + 6 : start + 40].split()[0])
        return -(-self._memory_kib // 1024)

    def memory_mib(self) -> int:
        """Resident memory now; 0 when nobody knows (no /proc, no process)."""
        if self._child is None:
            return 0
        with contextlib.suppress(OSError, ValueError, IndexError):
            kib = int(Path(f"/proc/{self._child.pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES // 1024
            self._memory_kib = max(self._memory_kib, kib)
            return kib // 1024
        return 0

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._api.open()
            self._child = await self._spawn()
        except OSError as error:
            self._close()
            self._listener.on_start_failed(f"{type(error).__name__}: {error}")
            return
        if self._kill_grace_s is not None:
            self.kill(self._kill_grace_s)
        returncode = await self._child.wait()
        if self._killer is not None:
            self._killer.cancel()
        self._signal(signal.SIGKILL)  # whatever the function has started and left behind
        self._drain()
        self._write(self._lines.end())
        self._close()
        self._listener.on_exited(returncode)

    async def _spawn(self) -> asyncio.subprocess.Process:
        read, write = os.pipe()
        try:
            fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_NONBLOCK)
            self._pipe = read
            asyncio.get_running_loop().add_reader(read, self._drain)
            command = (sys.executable, "-P", str(_LAUNCHER), str(os.getpid()), str(self._launch.task_root))
            return await asyncio.create_subprocess_exec(
                *command,
                self._launch.handler,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                cwd=self._launch.task_root,
                env={**self._launch.variables, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                start_new_session=True,
            )
        finally:
            os.close(write)

    def _alive(self) -> bool:
        """Asks the kernel: the event loop may not have heard of the end yet."""
        if self._child is None:
            return False
        try:
            return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def _signal(self, number: int) -> None:
        """To the whole group: the session is the child's own."""
        assert self._child is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    def _drain(self) -> None:
        """What the child wrote before it called the Runtime API is in the pipe already: lines keep their order."""
        for _ in range(_READS_MAX):
            if self._pipe is None:
                return
            try:
                data = os.read(self._pipe, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._close_pipe()
                return
            self._write(self._lines.feed(data))
            if len(data) < _READ_BYTES:
                return

    def _write(self, lines: list[str]) -> None:
        self.tail.add(lines)
        self._log.write(self._launch.log_stream, lines)

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = None

    def _close(self) -> None:
        self._close_pipe()
        self._api.close()
