"""SHELL: Ctrl-C, and SIGTERM alike: the first asks a load to stop and to write its account, the second ends it."""

import os
import signal
from collections.abc import Callable, Sequence

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FIRST = (
    b"\nloadgen: interrupted: nothing more is sent, the tables are read once, without waiting. "
    b"Ctrl-C again stops at once.\n"
)


class Interrupts:
    """A context manager. `stop` is called, and `says` is said, at the first of `signals`; the second one raises
    KeyboardInterrupt. `write`: says it, from within a signal's handler: it may not wait for anything.

    From then on they are ignored, also afterwards: the process is about to end, and a third must not be a traceback.
    """

    def __init__(
        self,
        stop: Callable[[], None],
        signals: Sequence[signal.Signals] = (signal.SIGINT,),
        says: bytes = FIRST,
        write: Callable[[bytes], object] = lambda text: os.write(2, text),
    ) -> None:
        self.seen = False
        self._stop, self._signals, self._says, self._write = stop, signals, says, write
        self._is_ending = False

    def __enter__(self) -> "Interrupts":
        self._before = [(number, signal.signal(number, self._handle)) for number in self._signals]
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_ending:
            for number, before in self._before:
                signal.signal(number, before)

    def _handle(self, *_: object) -> None:
        if self.seen:
            self._is_ending = True
            ignore()
            raise KeyboardInterrupt
        self.seen = True
        self._write(self._says)  # not by print, which may be what was interrupted, and cannot be entered twice
        self._stop()


def ignore() -> None:
    """None of SIGNALS has an effect from here on: for a process that ends now."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
