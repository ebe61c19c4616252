"""The queue behind InvocationType Event: what waits, when it is tried again, when it is given up.

AWS: invocation-async-error-handling. A function error is retried twice, after one and then two minutes. A throttle or a
service error is retried with waits from 1 s doubling to 5 min until the event is 6 hours old, and is not counted.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from infra.model.function.outcomes import FunctionError, InvokeOutcome, Succeeded

EVENTS_MAX = 1_000  # that wait or run; more are refused. AWS publishes no figure; this one bounds our memory
EVENT_BYTES_MAX = 1_048_576  # one event of an asynchronous invocation (AWS: gettingstarted-limits)
QUEUE_BYTES_MAX = 134_217_728
RUNNING_MAX = 10  # tried at the same time; a choice
AGE_S_MAX = 21_600.0
ERROR_WAITS_S = (60.0, 120.0)
THROTTLE_WAIT_S, THROTTLE_WAIT_S_MAX = 1.0, 300.0


@dataclass(slots=True)
class _Event:
    size: int
    accepted_s: float
    errors: int = 0
    throttles: int = 0


class EventQueue:
    """`offer` events, run what `due` returns, tell each end by `ended`. An event is due, running or forgotten."""

    def __init__(self) -> None:
        self._events: dict[int, _Event] = {}
        self._due: list[tuple[float, int]] = []
        self._running = 0
        self._bytes = 0

    def offer(self, event: int, size: int, now: float) -> bool:
        """False: the queue is full. `event` is the caller's number, `size` in bytes."""
        if len(self._events) >= EVENTS_MAX or self._bytes + size > QUEUE_BYTES_MAX:
            return False
        self._events[event] = _Event(size, now)
        self._bytes += size
        heapq.heappush(self._due, (now, event))
        return True

    def due(self, now: float) -> list[int]:
        """Events to be tried now; each must come back through `ended`."""
        tried: list[int] = []
        while self._due and self._due[0][0] <= now and self._running < RUNNING_MAX:
            tried.append(heapq.heappop(self._due)[1])
            self._running += 1
        return tried

    def ended(self, number: int, outcome: InvokeOutcome, now: float) -> bool:
        """True: the event is over, by success or because it is given up. False: it will be due again."""
        self._running -= 1
        event = self._events[number]
        wait_s = self._wait_s(event, outcome)
        if wait_s is None or now + wait_s - event.accepted_s > AGE_S_MAX:
            del self._events[number]
            self._bytes -= event.size
            return True
        heapq.heappush(self._due, (now + wait_s, number))
        return False

    @property
    def next_deadline_s(self) -> float | None:
        return self._due[0][0] if self._due and self._running < RUNNING_MAX else None

    @staticmethod
    def _wait_s(event: _Event, outcome: InvokeOutcome) -> float | None:
        if isinstance(outcome, Succeeded):
            return None
        if isinstance(outcome, FunctionError):
            event.errors += 1
            return ERROR_WAITS_S[event.errors - 1] if event.errors <= len(ERROR_WAITS_S) else None
        event.throttles += 1
        return min(THROTTLE_WAIT_S_MAX, THROTTLE_WAIT_S * 2.0 ** min(event.throttles - 1, 16))
