"""SHELL: what a function writes, as CloudWatch Logs keeps it: one file for each, the newest lines in memory."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from infra.local.disk_trouble import DiskTrouble

log = logging.getLogger("infra.functions")

LINES_KEPT = 2_000  # in memory, for tests and for `infra why`
LINE_BYTES_MAX = 262_144  # a longer line is cut here, as CloudWatch Logs splits events at 256 KiB
FILE_BYTES_MAX = 67_108_864  # then the file becomes `<name>.log.1`, and the one before it is forgotten
TAIL_BYTES = 4_096  # what an invocation with LogType Tail gets back

_write = os.write

LineSink = Callable[[str, str, str], None]  # log group, log stream, line


class FunctionLog:
    """All environments of one function write here; `sink` sees every line too.

    A line that cannot be written to the file is in memory and at the sink all the same: the function's work goes on.
    """

    def __init__(
        self,
        path: Path,
        log_group: str,
        sink: LineSink | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.log_group = log_group
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._sink = sink
        self._file = self._open()
        self._size = os.fstat(self._file).st_size
        self._closed = False
        self._trouble = DiskTrouble(log, f"the function's log {path}", "its lines are not in the file", clock=clock)

    def write(self, log_stream: str, lines: list[str]) -> None:
        """Never raises OSError."""
        if not lines or self._closed:
            return
        self.lines.extend(lines)
        if self._sink is not None:
            for line in lines:
                self._sink(self.log_group, log_stream, line)
        if self._trouble.may_try():
            try:
                self._append(("\n".join(lines) + "\n").encode())
            except OSError as error:
                self._trouble.failed(error)
            else:
                self._trouble.worked()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._file)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _append(self, data: bytes) -> None:
        """All of it or, with an OSError, nothing."""
        if self._size + len(data) > FILE_BYTES_MAX:
            with contextlib.suppress(FileNotFoundError):  # renamed the last time, but there was no room for a new one
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            file = self._open()
            os.close(self._file)
            self._file, self._size = file, 0
        written = 0
        try:
            while written < len(data):
                written += _write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += written


class LineSplitter:
    """Bytes of a pipe in, whole lines out. awslambdaric joins the lines of one event with carriage returns."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LINE_BYTES_MAX:
            whole.append(self._rest[:LINE_BYTES_MAX])
            self._rest = self._rest[LINE_BYTES_MAX:]
        return [self._text(line) for line in whole]

    def end(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [self._text(rest)] if rest else []

    @staticmethod
    def _text(line: bytes) -> str:
        return line.decode("utf-8", "replace").rstrip("\r").replace("\r", "\n")


class Tail:
    """The last bytes of what one invocation wrote."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._size = 0

    def clear(self) -> None:
        self._lines.clear()
        self._size = 0

    def add(self, lines: list[str]) -> None:
        if not lines:
            return
        self._lines += lines
        self._size += sum(len(line) + 1 for line in lines)
        while self._size - len(self._lines[0]) - 1 >= TAIL_BYTES:  # without it there is still enough
            self._size -= len(self._lines.popleft()) + 1

    def read(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()[-TAIL_BYTES:] if self._lines else b""
