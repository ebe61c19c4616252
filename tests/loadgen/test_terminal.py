"""A load on a real terminal, from its first picture to a Ctrl-C: what the person before it is left with."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.local_stack import Up

pytestmark = [pytest.mark.slow, pytest.mark.integration]
LOADGEN = str(Path(sys.executable).parent / "loadgen")
CTRL_C = b"\x03"
SHOW_CURSOR, HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"
WITHIN_S = 90


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("up") / "stderr")
    try:
        yield started
    finally:
        started.stop()


class Terminal:
    """A pseudo-terminal of a size, with a load in it. `shown`: every byte that came."""

    def __init__(self, up: Up, out: Path, columns: int, rows: int, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # (Python starts it in a session of its own, of which this becomes the terminal, as with a shell.)
        command = [LOADGEN, "run", "--rate", "200", "--duration", "300", "--malformed", "0.01", "--out", str(out)]
        setup = "import fcntl,os,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", setup, *command, "--endpoint-url", up.endpoint_url],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment},
        )
        os.close(theirs)
        self.shown = b""

    def until(self, pattern: bytes) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, self.shown[-2_000:]
            self._read()

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def ended(self) -> int:
        """All that is still said, and the exit status."""
        deadline = time.monotonic() + WITHIN_S
        while self._read():
            assert time.monotonic() < deadline, self.shown[-2_000:]
        return self.process.wait(WITHIN_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def _read(self) -> bool:
        """False: nothing will come any more."""
        if not select.select([self._ours], [], [], 1)[0]:
            return True
        try:
            got = os.read(self._ours, 1 << 16)
        except OSError:  # Linux's way to say that the other side is closed
            return False
        self.shown += got
        return bool(got)


@pytest.mark.parametrize(
    ("columns", "rows", "environment"), [(80, 24, {}), (200, 50, {}), (60, 15, {"NO_COLOR": "1"}), (40, 10, {})]
)
def test_an_interrupted_load_leaves_a_whole_picture_its_account_and_the_cursor(
    columns: int, rows: int, environment: dict[str, str], up: Up, tmp_path: Path
) -> None:
    terminal = Terminal(up, tmp_path / "out", columns, rows, **environment)
    try:
        terminal.until(rb"[1-9][0-9]* of 60,000")
        terminal.type(CTRL_C)
        assert terminal.ended() == 130
    finally:
        terminal.close()
    shown = terminal.shown
    assert shown.rindex(b"loadgen: interrupted") > shown.rindex(b"age at the commit"), "no picture was drawn over it"
    assert shown.count(HIDE_CURSOR) == shown.count(SHOW_CURSOR) >= 1
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode()
    picture = plain[plain.rindex("age at the commit") :].partition("\r\n\r\n")[0]
    assert max(map(len, re.split(r"[\r\n]+", picture))) <= columns
    assert "Reports:" in plain
    if "NO_COLOR" in environment:
        assert b"\x1b[3" not in shown
