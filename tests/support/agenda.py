"""What is to happen in virtual time, in its order; of two things at one time, the one that was entered first."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Agenda(Generic[Result]):
    """Times in seconds; whoever has one moves its own time on."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], Result]]] = []
        self._order = count()

    def add(self, at_s: float, what: Callable[[], Result]) -> None:
        heappush(self._entries, (at_s, next(self._order), what))

    @property
    def next_s(self) -> float | None:
        return self._entries[0][0] if self._entries else None

    def is_due(self, now: float) -> bool:
        return bool(self._entries) and self._entries[0][0] <= now

    def do(self) -> Result:
        """What comes first; it is done then."""
        return heappop(self._entries)[2]()
