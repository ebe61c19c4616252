"""SHELL: Ctrl-C. The first one asks a load to stop and to write its account, the second one ends it at once."""

import os
import signal
from collections.abc import Callable

FIRST = (
    b"\nloadgen: interrupted: nothing more is sent, the tables are read once, without waiting. "
    b"Ctrl-C again stops at once.\n"
)


class Interrupts:
    """A context manager. `stop` is called at the first SIGINT; the second one raises KeyboardInterrupt.

    From then on SIGINT is ignored, also afterwards: the process is about to end, and a third must not be a traceback.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.seen = False
        self._stop = stop
        self._is_ending = False

    def __enter__(self) -> "Interrupts":
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_ending:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, *_: object) -> None:
        if self.seen:
            self._is_ending = True
            ignore()
            raise KeyboardInterrupt
        self.seen = True
        os.write(2, FIRST)  # print may be what was interrupted, and cannot be entered twice
        self._stop()


def ignore() -> None:
    """No SIGINT has an effect from here on: for a process that ends now."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
