"""PURE: what a running load has seen of its target so far: series that grow while they are read again and again.

What is read of the latest seconds replaces what was known of them (a log line may come late); seconds that are older
than `KEPT_S` are only kept as their sum.
"""

from collections import defaultdict
from collections.abc import Iterable

from loadgen.target.evidence import Capacity
from loadgen.target.series import Series

KEPT_S = 180


class Seen:
    """`capacity`: what the stack is allowed. `read_until`: of which second the log is not yet known. `problem`: why
    nothing (more) is seen; None: it is."""

    def __init__(self) -> None:
        self.read_until = 0
        self.capacity = Capacity()
        self.problem: str | None = None
        self._points: defaultdict[str, dict[int, float]] = defaultdict(dict)
        self._before: defaultdict[str, float] = defaultdict(float)

    def take(self, series: Iterable[Series], from_second: int) -> None:
        """`series` are whole from `from_second` on, and replace what was known since then of their names."""
        for one in series:
            points = self._points[one.name]
            for second in [second for second in points if second >= from_second]:
                del points[second]
            points.update((second, value) for second, value in one.points if second >= from_second)
            newest = max(points, default=0)
            for second in [second for second in points if second < newest - KEPT_S]:
                self._before[one.name] += points.pop(second)

    def total(self, *names: str) -> float:
        """The sum over the whole load, of all these series together."""
        return sum(self._before[name] + sum(self._points[name].values()) for name in names)

    def seconds(self, name: str, count: int) -> list[float]:
        """The latest `count` seconds that are known; one without a point is 0."""
        points = self._points[name]
        return [points.get(second, 0.0) for second in range(max(0, self.read_until - count), self.read_until)]

    def latest(self, name: str) -> float | None:
        """The value of the newest second that has one."""
        points = self._points[name]
        return points[max(points)] if points else None
