"""SHELL: Kinesis Data Streams on this machine: the stream model at the real time, behind the real wire API.

`handle` answers any AWS SDK or CLI (JSON protocol). The other methods are for pollers inside this process; they use up
the same read quota as GetRecords does.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from infra.blueprint import StreamBlueprint
from infra.local.http import Request, Response
from infra.model.stream import Position, Quotas, ReadResult
from infra.model.stream_account import StreamAccount

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
            transition_s=0.0,
        )

    def shards(self, stream_arn: str) -> list[ShardView]:
        """Every shard that can still hold records, parents before their children."""
        now = self._clock()
        return [
            ShardView(s.shard_id, s.parent_id, s.adjacent_parent_id, s.starting_sequence_number, s.closed)
            for s in self._account.by_arn(stream_arn, now).shards(now)
        ]

    def start_position(
        self, stream_arn: str, shard_id: str, starting_position: str, timestamp_s: float | None = None
    ) -> Position:
        """TRIM_HORIZON, LATEST, or AT_TIMESTAMP with `timestamp_s`. StreamError if AWS would refuse it."""
        now = self._clock()
        return self._account.by_arn(stream_arn, now).position(shard_id, starting_position, now, timestamp_s=timestamp_s)

    def read(self, stream_arn: str, shard_id: str, position: Position, limit: int) -> ReadResult:
        """One GetRecords. Raises Throttled (with `ready_at_s`) when the shard's read quota is used up."""
        if position.shard_id != shard_id:
            raise ValueError(f"the position is one of {position.shard_id}, not of {shard_id}")
        now = self._clock()
        return self._account.by_arn(stream_arn, now).read(position, limit, now)

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
        raise NotImplementedError  # the wire follows
