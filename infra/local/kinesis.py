"""SHELL: Kinesis Data Streams on this machine: the stream model at the real time, behind the real wire API.

`handle` answers any AWS SDK or CLI (JSON protocol). The other methods are for pollers inside this process; they use up
the same read quota as GetRecords does.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra.blueprint import StreamBlueprint
from infra.local import kinesis_operations, kinesis_shapes, kinesis_wire
from infra.local.http import Request, Response
from infra.model.shard import ShardCounters
from infra.model.stream import Position, Quotas, ReadResult, Stream, StreamError
from infra.model.stream_account import StreamAccount

# After these a waiting poller has something to find: records, or other shards.
_WAKING = frozenset({"PutRecord", "PutRecords", "SplitShard", "MergeShards", "UpdateShardCount", "DeleteStream"})
DEFAULT_KEY_ID = "alias/aws/kinesis"


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard as a poller sees it. A parent that is no longer listed has passed out of retention: it counts as read."""

    shard_id: str
    parent_shard_id: str | None
    adjacent_parent_shard_id: str | None
    starting_sequence_number: int
    closed: bool


class KinesisService:
    """For one event loop. `transition_s` is how long CREATING, UPDATING and DELETING last over the API."""

    def __init__(
        self,
        account_id: str,
        region: str,
        clock: Callable[[], float] = time.time,
        *,
        transition_s: float = 0.2,
        quotas: Quotas | None = None,
    ) -> None:
        self._clock = clock
        self._account = StreamAccount(account_id, region, transition_s=transition_s, quotas=quotas)
        self._changed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def create_stream(self, blueprint: StreamBlueprint) -> None:
        """Creates the stream of a template; it is ACTIVE at once."""
        self._account.create(
            blueprint.name,
            self._clock(),
            mode=blueprint.mode,
            shard_count=blueprint.shard_count,
            retention_hours=blueprint.retention_hours,
            record_size_kib_max=blueprint.record_size_kib_max,
            key_id=DEFAULT_KEY_ID if blueprint.encrypted else None,
            ready=True,
        )

    def shards(self, stream_arn: str) -> list[ShardView]:
        """Every shard that can still hold records, parents before their children. StreamError if the stream is gone."""
        now = self._clock()
        return [
            ShardView(s.shard_id, s.parent_id, s.adjacent_parent_id, s.starting_sequence_number, s.closed)
            for s in self._account.by_arn(stream_arn, now).shards(now)
        ]

    def start_position(
        self,
        stream_arn: str,
        shard_id: str,
        starting_position: str,
        timestamp_s: float | None = None,
        *,
        sequence_number: int | None = None,
    ) -> Position:
        """One of AWS's five shard iterator types, with what it needs. StreamError if AWS would refuse it.

        Not counted against the 5 GetShardIterator per second.
        """
        now = self._clock()
        return self._account.by_arn(stream_arn, now).position(
            shard_id, starting_position, now, sequence_number=sequence_number, timestamp_s=timestamp_s
        )

    def read(self, stream_arn: str, shard_id: str, position: Position, limit: int) -> ReadResult:
        """One GetRecords. Raises Throttled (with `ready_at_s`) when the shard's read quota is used up."""
        if position.shard_id != shard_id:
            raise ValueError(f"the position is one of {position.shard_id}, not of {shard_id}")
        now = self._clock()
        return self._account.by_arn(stream_arn, now).read(position, limit, now)

    def counters(self, stream_arn: str) -> dict[str, ShardCounters]:
        """By shard id, what happened since the shard was opened: a copy, to subtract an earlier one from."""
        now = self._clock()
        return {s.shard_id: replace(s.counters) for s in self._account.by_arn(stream_arn, now).shards(now)}

    async def wait(self, stream_arn: str, timeout_s: float) -> None:
        """Returns at the next put or reshard on that stream, or after `timeout_s`.

        What happened before the call does not wake it: read first, then wait, without an `await` in between.
        """
        event = self._changed[stream_arn]
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return

    async def handle(self, request: Request) -> Response:
        """Answers one request of the wire API; every error is an answer."""
        try:
            operation, body = kinesis_wire.decode(request)
            kinesis_shapes.check(operation, body)
            return kinesis_wire.success(self._perform(operation, body))
        except StreamError as error:
            return kinesis_wire.failure(error)
        except UnicodeEncodeError:  # a lone surrogate: JSON can write it, UTF-8 cannot
            return kinesis_wire.failure(StreamError("SerializationException", "A string is not valid Unicode."))

    def _perform(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        now = self._clock()
        if operation in kinesis_operations.OF_ACCOUNT:
            return kinesis_operations.OF_ACCOUNT[operation](self._account, body, now)
        stream = kinesis_operations.addressed(self._account, body, now)
        more_shards = kinesis_operations.additional_shards(operation, stream, body)
        if more_shards > 0:
            self._account.check_shard_limit(more_shards, now)
        output = kinesis_operations.OF_STREAM[operation](stream, body, now)
        if operation in _WAKING:
            self._wake(stream.arn)
            if stream.deadline is not None:
                asyncio.get_running_loop().call_later(stream.deadline - now, self._wake_when_due, stream)
        return output

    def _wake_when_due(self, stream: Stream) -> None:
        """A change that takes time becomes visible at its deadline: whoever waits looks again then."""
        now = self._clock()
        if stream.deadline is not None and now < stream.deadline:  # the loop's clock was a little ahead of ours
            delay_s = max(0.001, stream.deadline - now)
            asyncio.get_running_loop().call_later(delay_s, self._wake_when_due, stream)
        else:
            self._wake(stream.arn)

    def _wake(self, stream_arn: str) -> None:
        event = self._changed.pop(stream_arn, None)
        if event:
            event.set()
