"""SHELL: what a function writes, as CloudWatch Logs keeps it: one file for each, the newest lines in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

LINES_KEPT = 2_000  # in memory, for tests and for `infra why`
LINE_BYTES_MAX = 262_144  # a longer line is cut here, as CloudWatch Logs splits events at 256 KiB
FILE_BYTES_MAX = 67_108_864  # then the file becomes `<name>.log.1`, and the one before it is forgotten
TAIL_BYTES = 4_096  # what an invocation with LogType Tail gets back

LineSink = Callable[[str, str, str], None]  # log group, log stream, line


class FunctionLog:
    """All environments of one function write here; `sink` sees every line too."""

    def __init__(self, path: Path, log_group: str, sink: LineSink | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.log_group = log_group
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._sink = sink
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, log_stream: str, lines: list[str]) -> None:
        if not lines or self._file.closed:
            return
        data = ("\n".join(lines) + "\n").encode()
        if self._size + len(data) > FILE_BYTES_MAX:
            self._file.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._file = self.path.open("ab", buffering=0)
            self._size = 0
        self._file.write(data)
        self._size += len(data)
        self.lines.extend(lines)
        if self._sink is not None:
            for line in lines:
                self._sink(self.log_group, log_stream, line)

    def close(self) -> None:
        self._file.close()


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
        for line in lines:
            self._lines.append(line)
            self._size += len(line) + 1
        while self._size > TAIL_BYTES and len(self._lines) > 1:
            self._size -= len(self._lines.popleft()) + 1

    def read(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()[-TAIL_BYTES:] if self._lines else b""
