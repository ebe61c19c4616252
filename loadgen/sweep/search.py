"""PURE: finds the highest rate that is sustained. A state machine without I/O.

The shell asks `next_rate`, offers that rate for a while, and tells what became of the backlog. First the capacity is
bracketed by doubling or halving, then the bracket is narrowed until its ends are `tolerance` apart. While a backlog
grows, what is processed *is* about the capacity: that is tried before halving blindly, but at most twice in a row, so a
misleading hint costs a bounded number of steps. The machine's noise makes a rate look too high more often than it makes
it look sustainable, so the upper end counts only when it was seen to grow twice.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from loadgen.sweep.scaling import Slope

NEGLIGIBLE = 0.01  # of the rate: a backlog that grows by no more is said to stand still
HINTS_IN_A_ROW = 2
MARGIN_MIN = 1e-3  # events/s
NEAR_HINT = 0.45  # of the tolerance: probes just below and just above a hint close the bracket


class Verdict(StrEnum):
    HOLDS = "holds"
    GROWS = "grows"
    UNCLEAR = "unclear"


def verdict(growth: Slope, rate: float, tolerance: float) -> Verdict:
    """What a backlog's slope (events per second) at a rate means.

    It grows when its growth is beyond doubt and more than negligible; it holds when it is beyond doubt below the
    tolerance; in between nothing can be said.
    """
    if growth.low > 0 and growth.value > NEGLIGIBLE * rate:
        return Verdict.GROWS
    return Verdict.HOLDS if growth.high <= tolerance * rate else Verdict.UNCLEAR


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Rates in events/s. `tolerance`: the bracket's width as a share of its lower end. `steps_max`: probes at most."""

    first_rate: float
    rate_min: float = 1.0
    rate_max: float = 1_000_000.0
    tolerance: float = 0.04
    stride: float = 2.0
    steps_max: int = 12

    def __post_init__(self) -> None:
        if not 0 < self.rate_min <= self.first_rate <= self.rate_max < math.inf:
            raise ValueError(f"0 < {self.rate_min} <= {self.first_rate} <= {self.rate_max} does not hold")
        if not 0 < self.tolerance < 1 or self.stride <= 1 or self.steps_max < 1:
            raise ValueError("the tolerance must be between 0 and 1, the stride above 1 and steps_max at least 1")


@dataclass(frozen=True, slots=True)
class Bracket:
    """`low`: highest rate seen to hold, 0: none. `high`: lowest rate seen to grow above it, None: none."""

    low: float
    high: float | None
    steps: int
    is_closed: bool  # the ends are within the tolerance, and the upper one was seen twice
    ended: str


@dataclass(slots=True)
class Search:
    """`next_rate` and `tell` by turns, until `next_rate` says None."""

    settings: SearchSettings
    low: float = 0.0
    steps: int = 0
    ended: str = ""
    _grows: dict[float, int] = field(default_factory=dict)  # rate -> how often it was seen to grow
    _hints: dict[float, float] = field(default_factory=dict)  # rate -> what was processed meanwhile
    _asked: float = 0.0
    _unclear: list[tuple[float, float]] = field(default_factory=list)  # inconclusive probes of `_asked`: slope, margin
    _hinted: int = 0
    _stride: float = 0.0

    @property
    def high(self) -> float | None:
        return min(self._grows, default=None)

    @property
    def bracket(self) -> Bracket:
        high = self.high
        is_closed = high is not None and self.low > 0 and self._is_narrow(high) and self._grows[high] > 1
        return Bracket(self.low, high, self.steps, is_closed, self.ended)

    def next_rate(self) -> float | None:
        """The rate to offer next; None: the search is over and `ended` says why."""
        if self.ended:
            return None
        if self.steps >= self.settings.steps_max:
            self.ended = f"{self.steps} probes were made"
            return None
        if not self._unclear:
            rate = self._choose()
            if rate is None:
                return None
            self._asked = rate
        self.steps += 1
        return self._asked

    def tell(self, seen: Verdict, growth_per_s: float, processed_per_s: float, margin_per_s: float = 1.0) -> None:
        """What became of the rate asked for last. `growth_per_s`: of the backlog, known to within `margin_per_s`.

        All in events per second. Of two slopes that are unclear the one that is known better counts more.
        """
        if seen is Verdict.UNCLEAR:
            self._unclear.append((growth_per_s, max(margin_per_s, MARGIN_MIN)))
            if len(self._unclear) < 2:
                return
            weights = [margin**-2 for _, margin in self._unclear]
            mean = sum(slope * weight for (slope, _), weight in zip(self._unclear, weights, strict=True)) / sum(weights)
            seen = Verdict.GROWS if mean > NEGLIGIBLE * self._asked else Verdict.HOLDS
        self._unclear.clear()
        if seen is Verdict.GROWS:
            self._grows[self._asked] = self._grows.get(self._asked, 0) + 1
            self._hints[self._asked] = processed_per_s
            return
        self.low = max(self.low, self._asked)
        for rate in [rate for rate in self._grows if rate <= self.low]:
            del self._grows[rate]  # noise: the same rate, or a lower one, looked too high before
            self._stride = 1 + 4 * self.settings.tolerance

    def _is_narrow(self, high: float) -> bool:
        return high <= self.low * (1 + self.settings.tolerance) * (1 + 1e-9)

    def _choose(self) -> float | None:
        """The next rate; None, with `ended` set, when there is nothing more to find out."""
        settings, high = self.settings, self.high
        if high is None:
            return self._upwards()
        if self.low > 0 and self._is_narrow(high):
            return self._unless_confirmed(high, "found")
        if self.low == 0 and high <= settings.rate_min:
            return self._unless_confirmed(high, "even the lowest rate is too high")
        if self._hinted < HINTS_IN_A_ROW and (near := self._near_hint(high)) is not None:
            self._hinted += 1
            return near
        self._hinted = 0
        if self.low == 0:
            return max(settings.rate_min, high / settings.stride)
        return math.sqrt(self.low * high)

    def _unless_confirmed(self, high: float, ended: str) -> float | None:
        if self._grows[high] > 1:
            self.ended = ended
            return None
        return high

    def _upwards(self) -> float | None:
        settings = self.settings
        if self.low == 0:
            return settings.first_rate
        if self.low >= settings.rate_max:
            self.ended = "even the highest rate is sustained"
            return None
        rate = self.low * (self._stride or settings.stride)
        self._stride = min(settings.stride, self._stride**2) if self._stride else 0.0
        return min(rate, settings.rate_max)

    def _near_hint(self, high: float) -> float | None:
        """A rate just below or just above what was processed at the upper end, when it lies within the bracket."""
        hint, margin = self._hints[high], NEAR_HINT * self.settings.tolerance
        below, above = hint * (1 - margin), hint * (1 + margin)
        lowest = max(self.low, self.settings.rate_min)
        for rate in (below, above):
            if lowest * (1 + margin / 4) < rate < high / (1 + margin / 4):
                return rate
        return None
