"""SHELL: asynchronous invocations of one function. Runs what its queue says is due."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass

from infra.local.function_driver import FunctionDriver
from infra.model.function.queue import EventQueue


@dataclass(frozen=True, slots=True)
class _Payload:
    payload: bytes
    request_id: str
    function_arn: str
    client_context: str | None


class EventInvoker:
    """`accept` events until `stop`; what has not run by then is lost, as the queue lives in memory."""

    def __init__(self, driver: FunctionDriver) -> None:
        self._driver = driver
        self._queue = EventQueue()
        self._numbers = itertools.count(1)
        self._payloads: dict[int, _Payload] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    def accept(self, payload: bytes, *, request_id: str, function_arn: str, client_context: str | None) -> bool:
        """False: the queue is full."""
        number = next(self._numbers)
        if not self._queue.offer(number, len(payload), self._driver.now()):
            return False
        self._payloads[number] = _Payload(payload, request_id, function_arn, client_context)
        self._turn()
        return True

    async def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _turn(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for number in self._queue.due(self._driver.now()):
            task = asyncio.get_running_loop().create_task(self._attempt(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        deadline_s = self._queue.next_deadline_s
        if deadline_s is not None:
            self._alarm = asyncio.get_running_loop().call_at(deadline_s, self._turn)

    async def _attempt(self, number: int) -> None:
        event = self._payloads[number]
        invoked = await self._driver.invoke(
            event.payload,
            request_id=event.request_id,
            function_arn=event.function_arn,
            client_context=event.client_context,
        )
        if self._queue.ended(number, invoked.outcome, self._driver.now()):
            del self._payloads[number]
        self._turn()
