"""SHELL: one event source mapping in real time: performs the machine's commands, feeds it the results.

What it wants of the stream is `mapping_reading`'s.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from infra.local.mapping_ports import Deliver as DeliverDocument
from infra.local.mapping_ports import Functions, PublishMetric, Streams
from infra.local.mapping_reading import MappingReading
from infra.model.function import InvokeOutcome, ServiceError
from infra.model.mapping import (
    AwaitRecords,
    BeginAnew,
    Checkpoint,
    Command,
    CompleteShard,
    Deliver,
    EventSourceMapping,
    Invoke,
    ListShards,
    MappingConfig,
    MappingInUseError,
    Metric,
    NotSent,
    Read,
    Subscribe,
    Unsubscribe,
)
from infra.model.mapping.commands import FUNCTION_METRICS

log = logging.getLogger("infra.mapping")


class MappingRunner:
    """Runs from `start` to `stop`, in one event loop. What the machine is told is always later than what it was told.

    `moved` is called when there is something new in the machine's snapshot.
    """

    def __init__(
        self,
        machine: EventSourceMapping,
        streams: Streams,
        functions: Functions,
        deliver: DeliverDocument,
        *,
        clock: Callable[[], float],
        publish: PublishMetric | None = None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self.machine = machine
        self._deleted = False
        self.failure: Exception | None = None  # the machine broke: nothing is performed any more
        self._functions = functions
        self._deliver = deliver
        self._clock = clock
        self._publish = publish
        self._moved = moved
        self.gone = asyncio.Event()  # the mapping was deleted
        self._reading = MappingReading(machine, streams, self._feed, moved)
        self._now = float("-inf")
        self._alarm: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[None]] = set()  # invocations and deliveries

    def start(self) -> None:
        """Goes on with a mapping that was there before."""
        self._feed(self.machine.start)

    def create(self) -> None:
        self._feed(self.machine.create)

    def update(self, config: MappingConfig | None, *, enabled: bool | None) -> None:
        """Raises MappingInUseError."""
        self._feed(self.machine.update, config, enabled=enabled)

    def delete(self) -> None:
        """Raises MappingInUseError. `gone` is set when it is done; at once when the machine has failed."""
        self._feed(self.machine.delete)
        self._deleted = True
        if self.failure is not None:
            self.gone.set()

    async def stop(self, within_s: float) -> None:
        """Begins nothing more, waits for what is under way, and after `within_s` cuts it off."""
        self.machine.stop()
        if self._alarm is not None:
            self._alarm.cancel()
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while self._under_way and loop.time() < until:  # again, because a failed batch may still become a document
            await asyncio.wait(self._under_way, timeout=until - loop.time())
        if self._under_way:
            log.warning(
                "%s: %d invocations or deliveries did not end within %s s and are cut off: their records count as not "
                "processed",
                self.machine.config.uuid,
                len(self._under_way),
                within_s,
            )
        tasks = [*self._under_way, *self._reading.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _feed(self, tell: Callable[..., list[Command]], *arguments: Any, **named: Any) -> None:
        """Tells the machine something, performs what it wants, and sets the alarm for its deadline."""
        if self.failure is not None:
            return
        try:
            self._now = max(self._now, self._clock())
            self._perform(tell(self._now, *arguments, **named))
            self._set_alarm()
            if self.machine.gone:
                self.gone.set()
        except MappingInUseError:
            raise
        except Exception as error:
            # The machine's state cannot be trusted any more: stop this mapping, loudly; the stack goes on.
            self.failure = error
            self.machine.stop()
            if self._deleted:
                self.gone.set()
            log.exception("event source mapping %s has stopped: this is a fault of the model", self.machine.config.uuid)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        deadline = self.machine.deadline
        if deadline is not None:
            delay_s = max(0.0, deadline - self._clock())
            self._alarm = asyncio.get_running_loop().call_later(delay_s, self._feed, self.machine.wake_up)

    def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case ListShards() | AwaitRecords() | Read() | Subscribe() | Unsubscribe():
                    self._reading.perform(command)
                case Invoke():
                    self._begin(self._invoke(command))
                case Deliver():
                    self._begin(self._deliver_document(command))
                case Metric(name, value):
                    self._publish_metric(name, value)
                case Checkpoint(shard_id, position):
                    log.debug("%s: checkpoint %s", shard_id, position)
                    self._moved()
                case CompleteShard(shard_id):
                    log.info("%s: completely processed", shard_id)
                    self._moved()
                case NotSent(shard_id, number, event_bytes):
                    said = "%s: record %s makes an event of %d bytes, too large for an invocation: its lane waits"
                    log.error(said, shard_id, number, event_bytes)
                case BeginAnew():
                    uuid = self.machine.config.uuid
                    log.warning("mapping %s begins anew: its stream is another one of the same name", uuid)
                    self._moved()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _invoke(self, command: Invoke) -> None:
        outcome: InvokeOutcome
        try:
            outcome = await self._functions.invoke(command.function_arn, command.event(), request_id=command.request_id)
        except Exception as error:  # whatever it is: the batch must not be lost, so it is retried
            log.exception("%s: invocation %s failed", command.function_arn, command.request_id)
            outcome = ServiceError(f"ServiceException: {type(error).__name__}")
        self._feed(self.machine.invocation_finished, command.invocation_id, outcome)

    async def _deliver_document(self, command: Deliver) -> None:
        try:
            await self._deliver(command.destination_arn, command.key, command.body())
        except Exception as error:  # noqa: BLE001 - final whatever it is, as on AWS: counted, and told in one line
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            said = "%s: an on-failure document was not delivered to %s, its records are dropped: %s"
            log.error(said, command.key, command.destination_arn, why)
            self._feed(self.machine.not_delivered, command.delivery_id)
        else:
            self._feed(self.machine.delivered, command.delivery_id)

    def _publish_metric(self, name: str, value: float) -> None:
        if self._publish is None:
            return
        config = self.machine.config
        if name in FUNCTION_METRICS:
            self._publish("FunctionName", config.function_arn.split(":")[6], name, value)
        else:
            self._publish("EventSourceMappingUUID", config.uuid, name, value)
