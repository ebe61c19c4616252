"""SHELL: the stream's side of one event source mapping: lists, reads, follows and waits as the machine says."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from infra.local.mapping_ports import Streams
from infra.local.mapping_positions import resolve, subscribe
from infra.model.mapping import (
    AwaitRecords,
    EventSourceMapping,
    ListShards,
    Read,
    StartingPosition,
    Subscribe,
    Unsubscribe,
)
from infra.model.stream import Position, StreamError, Throttled

log = logging.getLogger("infra.mapping")

_AWAIT_S = 60.0  # then the machine is told all the same, which costs one read per shard
_AWAIT_FAILED_S = 1.0


class MappingReading:
    """Every result goes to the machine through `feed`, never before `perform` has returned.

    `moved` is called when there is something new in the machine's snapshot.
    """

    def __init__(
        self, machine: EventSourceMapping, streams: Streams, feed: Callable[..., None], moved: Callable[[], None]
    ) -> None:
        self._machine = machine
        self._streams = streams
        self._feed = feed
        self._moved = moved
        self._stream_arn = machine.config.event_source_arn
        self._listed = False
        self._awaiting: asyncio.Task[None] | None = None
        self._latest: Mapping[str, int] = {}
        self._subscribed: dict[str, asyncio.Task[None]] = {}  # by shard

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """What is waiting for the stream."""
        return [*self._subscribed.values(), *([self._awaiting] if self._awaiting else [])]

    def perform(self, command: ListShards | AwaitRecords | Read | Subscribe | Unsubscribe) -> None:
        loop = asyncio.get_running_loop()
        match command:
            case ListShards():
                loop.call_soon(self._list_shards)
            case AwaitRecords():
                self._awaiting = asyncio.create_task(self._await_records())
            case Read():
                # Later than the task above, which registers first: no put goes unnoticed in between.
                loop.call_soon(self._read, command)
            case Subscribe(shard_id):
                self._subscribed[shard_id] = asyncio.create_task(self._follow(command))
            case Unsubscribe(shard_id):
                loop.call_soon(self._unsubscribe, shard_id)

    def _list_shards(self) -> None:
        try:
            shards = self._streams.shards(self._stream_arn)
        except StreamError as error:
            self._feed(self._machine.shards_not_listed, str(error))
        except Exception as error:  # a fault of the stream's side: tried again like a refusal, but told
            log.exception("%s: listing the shards failed", self._stream_arn)
            self._feed(self._machine.shards_not_listed, type(error).__name__)
        else:
            self._feed(self._machine.shards_listed, shards)
            if not self._listed:  # what the starting position holds for is decided now
                self._listed = True
                self._moved()

    def _read(self, command: Read) -> None:
        position: Position | None = None
        try:
            position = resolve(self._streams, self._stream_arn, command)
            result = self._streams.read(self._stream_arn, command.shard_id, position, command.limit)
        except Throttled:
            self._feed(self._machine.read_throttled, command.shard_id, position)
        except StreamError as error:
            self._feed(self._machine.read_failed, command.shard_id, str(error))
        except Exception as error:  # as above
            log.exception("%s: reading %s failed", self._stream_arn, command.shard_id)
            self._feed(self._machine.read_failed, command.shard_id, type(error).__name__)
        else:
            self._feed(
                self._machine.records_read,
                command.shard_id,
                result.records,
                result.position,
                millis_behind_latest=result.millis_behind_latest,
                end_of_shard=result.end_of_shard,
            )
            if isinstance(command.position, StartingPosition):
                self._moved()

    async def _follow(self, command: Subscribe) -> None:
        """Feeds what a subscription gives, and in the end its end."""
        shard_id, reason = command.shard_id, None
        first = isinstance(command.position, StartingPosition)
        try:
            subscription = subscribe(self._streams, self._stream_arn, command)
            async with contextlib.aclosing(self._streams.events(subscription)) as events:
                async for event in events:
                    self._feed(
                        self._machine.records_pushed,
                        shard_id,
                        event.records,
                        event.continuation,
                        millis_behind_latest=event.millis_behind_latest,
                        end_of_shard=event.continuation is None,
                    )
                    if first:
                        self._moved()
                        first = False
        except asyncio.CancelledError:
            raise
        except StreamError as error:
            reason = str(error)
        except Exception as error:  # a fault of the stream's side: tried again like a refusal, but told
            log.exception("%s: the subscription to %s failed", self._stream_arn, shard_id)
            reason = type(error).__name__
        del self._subscribed[shard_id]
        self._feed(self._machine.subscription_ended, shard_id, reason)

    def _unsubscribe(self, shard_id: str) -> None:
        task = self._subscribed.pop(shard_id, None)
        if task is not None:  # else it has just ended by itself, and that was told
            task.cancel()
            self._feed(self._machine.subscription_ended, shard_id)

    async def _await_records(self) -> None:
        changed: Collection[str] | None = None
        try:
            changed = self._changed()
            if not changed:  # nothing came since it was last asked
                await self._streams.wait(self._stream_arn, _AWAIT_S)
                changed = self._changed()
        except StreamError:  # it is gone: reading says so
            await asyncio.sleep(_AWAIT_FAILED_S)
        except Exception:
            log.exception("%s: waiting for records failed; reading goes on at the base rate", self._stream_arn)
            await asyncio.sleep(_AWAIT_FAILED_S)
        self._feed(self._machine.stream_changed, changed)

    def _changed(self) -> Collection[str] | None:
        """The shards to which records came since it was last asked; None if the shards themselves changed."""
        before, self._latest = self._latest, self._streams.latest(self._stream_arn)
        if before.keys() != self._latest.keys():
            return None if before else ()
        return {shard_id for shard_id, number in self._latest.items() if before[shard_id] != number}
