"""SHELL: files that cannot be written for a while (a full disk): told once, counted, tried again at a bounded pace."""

import logging
import time
from collections.abc import Callable

RETRY_INTERVAL_S = 1.0


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
        self._retry_at_s = float("-inf")

    @property
    def due(self) -> bool:
        """False soon after a failure."""
        return self._clock() >= self._retry_at_s

    def may_try(self) -> bool:
        """As `due`; not to try is counted as one more failure."""
        if self.due:
            return True
        self.failures += 1
        return False

    def failed(self, error: Exception) -> None:
        if not self.failures:
            reason = getattr(error, "strerror", None) or str(error)
            self._log.error(
                "%s cannot be written (%s): %s; make room, or stop and use another --data-dir",
                self._what,
                reason,
                self._meanwhile,
            )
        self.failures += 1
        self._retry_at_s = self._clock() + RETRY_INTERVAL_S

    def worked(self) -> None:
        if self.failures:
            self._log.warning("%s can be written again, after %d failures", self._what, self.failures)
            self.failures = 0
            self._retry_at_s = float("-inf")
