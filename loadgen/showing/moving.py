"""PURE: counts that only grow, as rates of the last seconds, and numbers as a line of small bars."""

from collections import deque
from collections.abc import Sequence

OVER_S = 2.0
BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.:-=+*#"  # for a terminal that writes only ASCII


class Moving:
    """`seconds`: what came in each of the latest `kept` whole seconds, the newest last."""

    def __init__(self, kept: int = 60) -> None:
        self._samples: deque[tuple[float, float]] = deque([(0.0, 0.0)])
        self._second, self._at_second = 0, 0.0
        self.seconds: deque[float] = deque(maxlen=kept)
        self.total = 0.0

    def add(self, now_s: float, total: float) -> None:
        """The count at a moment; moments that go backwards are left out."""
        if now_s < self._samples[-1][0]:
            return
        if passed := int(now_s) - self._second:
            self.seconds.extend([(total - self._at_second) / passed] * min(passed, self.seconds.maxlen or passed))
            self._second, self._at_second = int(now_s), total
        self.total = total
        self._samples.append((now_s, total))
        while len(self._samples) > 2 and now_s - self._samples[1][0] >= OVER_S:
            self._samples.popleft()

    @property
    def per_s(self) -> float:
        """Over the last seconds; 0 before anything can be said."""
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


def bars(values: Sequence[float], width: int, characters: str = BARS) -> str:
    """The latest `width` values, each as high as its share of the highest of them; "" without any."""
    shown = list(values)[-width:]
    highest = max(shown, default=0.0)
    if highest <= 0:
        return characters[0] * len(shown)
    top = len(characters) - 1
    return "".join(characters[round(max(0.0, value) / highest * top)] for value in shown)
