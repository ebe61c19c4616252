"""DRIVER: virtual time, a heap of what happens when, and the trace of what did."""

from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any

KEPT_LINES = 60
_HASHED_LINES = 512  # joined before they are hashed


class Trace:
    """Every line goes into the hash; the last ones are kept. `echo` is called with each as it comes."""

    def __init__(self, echo: Callable[[str], object] | None = None) -> None:
        self.lines = 0
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._pending: list[str] = []
        self._hash = blake2b(digest_size=8)
        self._echo = echo

    def add(self, line: str) -> None:
        self.lines += 1
        self._pending.append(line)
        if len(self._pending) >= _HASHED_LINES:
            self._flush()
        if self._echo is not None:
            self._echo(line)

    def _flush(self) -> None:
        self._last.extend(self._pending[-KEPT_LINES:])
        self._hash.update("\n".join([*self._pending, ""]).encode("utf-8", "backslashreplace"))
        self._pending.clear()

    @property
    def hash(self) -> str:
        self._flush()
        return self._hash.hexdigest()

    @property
    def last(self) -> list[str]:
        self._flush()
        return list(self._last)


class Clockwork:
    """`now` is epoch seconds. What is due at one moment happens in the order in which it was asked for."""

    def __init__(self, start_s: float, trace: Trace) -> None:
        self.start_s = self.now = start_s
        self.trace = trace
        self.steps = 0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._asked = 0

    def later(self, seconds: float, what: Callable[..., object], *arguments: Any) -> None:
        self._asked += 1
        heappush(self._heap, (self.now + seconds, self._asked, what, arguments))

    def say(self, line: str) -> None:
        self.trace.add(f"{self.now - self.start_s:.6f} {line}")

    @property
    def next_s(self) -> float:
        return self._heap[0][0] if self._heap else float("inf")

    def step(self) -> None:
        """The next thing in the heap happens."""
        at, _, what, arguments = heappop(self._heap)
        self.move_to(at)
        what(*arguments)

    def move_to(self, at: float) -> None:
        """Something else happens at this time."""
        if at > self.now:
            self.now = at
        self.steps += 1
