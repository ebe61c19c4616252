"""SHELL: when all is sent, wait until the tables have everything, or nothing more comes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from infra.ops.errors import CommandError
from loadgen.observing.readback import Readback
from loadgen.outcome.ledger import Expectations, Findings

POLL_S = 0.5
TOLD_MAX = 5
PAUSE_S = 0.05  # how soon a waiting load notices that it was interrupted


class Shown(Protocol):
    def draining(self, now_s: float, found: int, expected: int) -> None: ...

    def say(self, text: str) -> None: ...


class Drain:
    """Fills `findings`. `results`: results.jsonl of what was sent. `took_s`: until the last of what was found was
    found; `waited`: it was not cut short; `began_at_s`, `ended_at_s`: Unix times. `found_meanwhile`: distinct events
    found in that time, when nothing can have been there before (`from_zero`); else None, because the first reading
    takes time in which more come."""

    def __init__(
        self,
        readback: Readback,
        expected: Expectations,
        findings: Findings,
        shown: Shown,
        is_interrupted: Callable[[], bool],
        results: Path,
    ) -> None:
        self._readback, self._expected, self._findings = readback, expected, findings
        self._shown, self._is_interrupted = shown, is_interrupted
        self._results = results
        self.took_s = 0.0
        self.waited = False
        self.began_at_s = self.ended_at_s = 0.0
        self.found_meanwhile: int | None = None

    def run(self, timeout_s: float, settle_s: float, *, from_zero: bool = False) -> None:
        """`timeout_s`: give up so long after the last progress. `settle_s`: wait so long before the final account.
        Raises CommandError when the tables do not answer."""
        began_s, self.began_at_s = time.monotonic(), time.time()
        moved_s = self._poll(began_s, timeout_s, from_zero=from_zero)
        self.ended_at_s = time.time()
        if not self._is_interrupted() and self._expected.distinct_events:
            self._pause(settle_s)
        self._readback.refresh(self._findings, everything=True)
        self.waited = not self._is_interrupted()
        self._readback.look_into_quarantine(self._findings, self._results)
        if self._findings.found() < self._expected.distinct_events:
            self._readback.explain_missing(self._findings)
        self.took_s = moved_s - began_s
        self._tell()

    def _tell(self) -> None:
        """Which items are broken, and what could not be looked at: the first few of each."""
        broken = [f"{where}: {why}" for where, why in self._findings.broken.items()]
        for said, what in ((broken, "not right"), (self._findings.unchecked, "not checked")):
            for sentence in said[:TOLD_MAX]:
                self._shown.say(f"{what}: {sentence}")
            if len(said) > TOLD_MAX:
                self._shown.say(f"{what}: {len(said) - TOLD_MAX:,} more")

    def _poll(self, began_s: float, timeout_s: float, *, from_zero: bool) -> float:
        """Until everything was found or nothing more comes; returns when the last of it was found."""
        moved_s = began_s
        found = -1
        while not self._is_interrupted():
            try:
                self._readback.refresh(self._findings)
            except CommandError as error:  # an endpoint that went away may come back
                if not is_silence(error) or time.monotonic() - moved_s > timeout_s:
                    raise
                self._pause(POLL_S)
                continue
            now_s = time.monotonic()
            if self._findings.found() > found:
                found, moved_s = self._findings.found(), now_s
            self.found_meanwhile = found if from_zero else None
            self._shown.draining(now_s - began_s, found, self._expected.distinct_events)
            if found >= self._expected.distinct_events or now_s - moved_s > timeout_s:
                break
            self._pause(POLL_S)
        return moved_s if found >= 0 else time.monotonic()

    def _pause(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while not self._is_interrupted() and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, PAUSE_S))


def is_silence(error: CommandError) -> bool:
    """Nobody answered, as opposed to an answer that is a refusal."""
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    return isinstance(error.__cause__, HTTPClientError | NoConnection)
