"""SHELL: files that cannot be written for a while (a full disk): told once, counted, tried again at a bounded pace."""

import logging
import shutil
import time
from collections.abc import Callable

AGAIN_AFTER_S = 1.0


def reason(error: Exception) -> str:
    """What the system said, without numbers and lists: of a tree that could not be copied, the first file's reason."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        _, into, why = error.args[0][0]
        return f"{into}: {str(why).partition('] ')[2].partition(': ')[0] or why}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


class DiskTrouble:
    """One thing that is written again and again. `what` begins both sentences, `meanwhile` says what a failure means.

    Ask `may_try` before an attempt, and tell `failed` or `worked` after it.
    """

    def __init__(
        self, log: logging.Logger, what: str, meanwhile: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.failures = 0  # since it last worked, with what was not even tried
        self._log = log
        self._what = what
        self._meanwhile = meanwhile
        self._clock = clock
        self._again_at_s = float("-inf")

    @property
    def due(self) -> bool:
        """False soon after a failure."""
        return self._clock() >= self._again_at_s

    def may_try(self) -> bool:
        """As `due`; not to try is counted as one more failure."""
        if self.due:
            return True
        self.failures += 1
        return False

    def failed(self, error: Exception) -> None:
        if not self.failures:
            self._log.error(
                "%s cannot be written (%s): %s; make room, or stop and use another --data-dir",
                self._what,
                reason(error),
                self._meanwhile,
            )
        self.failures += 1
        self._again_at_s = self._clock() + AGAIN_AFTER_S

    def worked(self) -> None:
        if self.failures:
            self._log.warning("%s can be written again, after %d failures", self._what, self.failures)
            self.failures = 0
            self._again_at_s = float("-inf")
