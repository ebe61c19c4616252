"""SHELL: what this process and its machine did while a load was sent: CPU, standing still, everybody's CPU."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from loadgen.target.lateness import Circumstances

PROC_STAT = Path("/proc/stat")
PULSE_S = 0.05
STILL_S = 0.25  # longer than a busy interpreter keeps a thread waiting
JOIN_S = 1.0


class Machine:
    """A context manager around the sending; `circumstances` afterwards. `now_s`, `wait`: of a test."""

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, wait: Callable[[float], bool] | None = None
    ) -> None:
        self._now_s, self._is_over = now_s, threading.Event()
        self._wait = wait or self._is_over.wait
        self._thread = threading.Thread(target=self._pulse, daemon=True)
        self._still_s = self._still_max_s = 0.0
        self._began_s = self._cpu_s = self._took_s = 0.0
        self._busy: Busy | None = None
        self._machine_share: float | None = None

    def __enter__(self) -> "Machine":
        self._began_s, self._cpu_s, self._busy = self._now_s(), cpu_s(), Busy()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(JOIN_S)
        self._took_s, self._cpu_s = self._now_s() - self._began_s, cpu_s() - self._cpu_s
        self._machine_share = self._busy.share() if self._busy is not None else None

    def circumstances(self, processes: int) -> Circumstances:
        """Of the time between; `processes`: how many sent, each of which can use a core."""
        share = self._cpu_s / self._took_s / processes if self._took_s > 0 else None
        return Circumstances(share, self._still_s, self._still_max_s, self._machine_share)

    def _pulse(self) -> None:
        """A thread that wants to run every moment, and notices when it does not."""
        at_s = self._now_s()
        while not self._wait(PULSE_S):
            before_s, at_s = at_s, self._now_s()
            late_s = at_s - before_s - PULSE_S
            if late_s > STILL_S:
                self._still_s += late_s
                self._still_max_s = max(self._still_max_s, late_s)


class Busy:
    """The share of all cores that this machine uses, whoever for, from when it is made until `share` is asked."""

    def __init__(self, read_times: Callable[[], tuple[int, int] | None] | None = None) -> None:
        self._read = read_times or machine_times
        self._before = self._read()

    def share(self) -> float | None:
        """None: the system does not say."""
        after = self._read()
        if self._before is None or after is None or after[1] <= self._before[1]:
            return None
        return 1 - (after[0] - self._before[0]) / (after[1] - self._before[1])


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_s() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def machine_times() -> tuple[int, int] | None:
    """(idle, all) of Linux's first line of /proc/stat; None: the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = [int(field) for field in PROC_STAT.read_text().split("\n", 1)[0].split()[1:9]]
        return fields[3] + fields[4], sum(fields)
    return None
