"""PURE: how much an on-demand table serves, and how that grows with its traffic.

AWS (developer guide, "On-demand capacity mode"): a new table serves 4,000 write and 12,000 read units per second; later
up to double the highest traffic it has had; it throttles when traffic more than doubles within 30 minutes. AWS does not
publish how it counts. Here traffic is counted in whole seconds, and a second's traffic counts as an earlier peak once
30 minutes have gone by.
"""

import math
from collections import deque
from typing import Final

NEW_WRITE_UNITS_PER_S: Final = 4_000
NEW_READ_UNITS_PER_S: Final = 12_000
PEAK_AFTER_S: Final = 1_800


class OnDemandRate:
    """Units of each second of time. `now` is in seconds; one that lies before the last one counts as that one."""

    def __init__(self, units_per_s: float) -> None:
        """`units_per_s`: what the table serves from the start (AWS: warm throughput)."""
        self._start = units_per_s
        self._peak = 0.0  # the highest second that lies 30 minutes back
        self._rising: deque[tuple[int, float]] = deque()  # seconds not so far back, each above all before it
        self._second: int | None = None
        self._used = 0.0

    def units_per_s(self, now: float) -> float:
        """What is served in the second of `now`."""
        self._move(now)
        return max(self._start, 2 * self._peak)

    def can_take(self, units: float, now: float) -> bool:
        """A request that is larger than a whole second is served by a second in which nothing else was."""
        return self.units_per_s(now) >= self._used + units or self._used == 0

    def take(self, units: float, now: float) -> bool:
        if not self.can_take(units, now):
            return False
        self._used += units
        return True

    def _move(self, now: float) -> None:
        second = math.floor(now)
        if self._second is None or second <= self._second:
            self._second = second if self._second is None else self._second
        else:
            highest = self._rising[-1][1] if self._rising else self._peak
            if self._used > highest:
                self._rising.append((self._second, self._used))
            self._second, self._used = second, 0.0
        while self._rising and self._rising[0][0] + PEAK_AFTER_S <= self._second:
            self._peak = self._rising.popleft()[1]
