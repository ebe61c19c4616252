"""PURE: many deadlines, of which the machine shows one."""

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Timers(Generic[Key]):
    """At most one deadline per key. Deadlines that were moved stay in the heap until they surface, then are ignored."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._pushed = 0

    def set(self, key: Key, at: float) -> None:
        if self._due.get(key) != at:
            self._due[key] = at
            self._pushed += 1
            heappush(self._heap, (at, self._pushed, key))

    def clear(self, key: Key) -> None:
        self._due.pop(key, None)

    def clear_all(self) -> None:
        self._due.clear()
        self._heap.clear()

    def next(self) -> float | None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[Key]:
        due: list[Key] = []
        while (at := self.next()) is not None and at <= now:
            key = heappop(self._heap)[2]
            del self._due[key]
            due.append(key)
        return due
