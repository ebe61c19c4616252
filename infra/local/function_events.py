"""SHELL: asynchronous invocations of one function. Runs what its queue says is due."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from infra.model.function import InvokeOutcome
from infra.model.function.queue import EventQueue


class Event(NamedTuple):
    """`function_arn` as it was invoked: an alias is looked up again at every attempt."""

    payload: bytes
    request_id: str
    function_arn: str
    client_context: str | None


class EventInvoker:
    """`accept` events until `stop`; what has not run by then is lost, as the queue lives in memory."""

    def __init__(self, invoke: Callable[[Event], Awaitable[InvokeOutcome]]) -> None:
        self._invoke = invoke
        self._queue = EventQueue()
        self._numbers = itertools.count(1)
        self._events: dict[int, Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    def accept(self, event: Event) -> bool:
        """False: the queue is full."""
        number = next(self._numbers)
        if not self._queue.offer(number, len(event.payload), self._now()):
            return False
        self._events[number] = event
        self._turn()
        return True

    async def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _turn(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for number in self._queue.due(self._now()):
            task = asyncio.get_running_loop().create_task(self._attempt(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        deadline_s = self._queue.next_deadline_s
        if deadline_s is not None:
            self._alarm = asyncio.get_running_loop().call_at(deadline_s, self._turn)

    async def _attempt(self, number: int) -> None:
        outcome = await self._invoke(self._events[number])
        if self._queue.ended(number, outcome, self._now()):
            del self._events[number]
        self._turn()
