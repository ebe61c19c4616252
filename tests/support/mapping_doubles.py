"""The surroundings of event source mappings in memory: a stream without a wire, functions, destinations."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from infra.local.http import Request, Response
from infra.model.function import InvokeOutcome, ServiceError, Succeeded
from infra.model.stream import Entry, Position, ReadResult, Stream
from infra.model.stream_error import not_found
from infra.model.subscription import Subscription, SubscriptionEvent


@dataclass(frozen=True, slots=True)
class ShardInMemory:
    shard_id: str
    parent_shard_id: str | None
    adjacent_parent_shard_id: str | None
    starting_sequence_number: int
    closed: bool


class StreamsInMemory:
    """One stream, its model without a wire; `put` and `change` wake those who wait."""

    def __init__(self, stream: Stream, clock: Callable[[], float]) -> None:
        self.stream = stream
        self._clock = clock
        self._changed = asyncio.Event()

    def put(self, entries: Sequence[Entry]) -> None:
        self.change(lambda now: self.stream.put(entries, now))

    def change(self, change: Callable[[float], object]) -> None:
        change(self._clock())
        self._changed.set()
        self._changed = asyncio.Event()

    def shards(self, stream_arn: str) -> Sequence[ShardInMemory]:
        if "/consumer/" in stream_arn:
            self.stream.consumers.find(arn=stream_arn)
        elif stream_arn != self.stream.arn:
            raise not_found(f"Stream {stream_arn} not found.")
        found = self.stream.shards(self._clock())
        return [
            ShardInMemory(
                each.shard_id, each.parent_id, each.adjacent_parent_id, each.starting_sequence_number, each.closed
            )
            for each in found
        ]

    def start_position(
        self, _stream_arn: str, shard_id: str, starting_position: str, timestamp_s: float | None = None
    ) -> Position:
        return self.stream.position(shard_id, starting_position, self._clock(), timestamp_s=timestamp_s)

    def read(self, _stream_arn: str, _shard_id: str, position: Position, limit: int) -> ReadResult:
        return self.stream.read(position, limit, self._clock())

    def subscribe(
        self,
        consumer_arn: str,
        shard_id: str,
        starting_position: str,
        timestamp_s: float | None = None,
        *,
        sequence_number: int | None = None,
    ) -> Subscription:
        return self.stream.subscribe(
            self.stream.consumers.find(arn=consumer_arn),
            shard_id,
            starting_position,
            self._clock(),
            timestamp_s=timestamp_s,
            sequence_number=sequence_number,
        )

    async def events(self, subscription: Subscription) -> AsyncGenerator[SubscriptionEvent, None]:
        while not subscription.ended:
            event, due_s = self.stream.next_event(subscription, self._clock())
            if event is not None:
                yield event
            else:
                await self.wait("", due_s - self._clock())

    def latest(self, _stream_arn: str) -> Mapping[str, int]:
        return {each.shard_id: each.latest_sequence_number for each in self.stream.shards(self._clock())}

    async def wait(self, _stream_arn: str, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)


async def _succeed(request_id: str, _payload: bytes) -> InvokeOutcome:
    return Succeeded(request_id, b"null")


@dataclass
class FunctionsInMemory:
    """Keeps every call as (request id, payload); `answer` is awaited for the outcome. All exist but the `missing`."""

    answer: Callable[[str, bytes], Awaitable[InvokeOutcome]] = _succeed
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    missing: set[str] = field(default_factory=lambda: {"missing"})

    async def invoke(self, function: str, payload: bytes, /, *, request_id: str) -> InvokeOutcome:
        if function.rpartition(":function:")[2] in self.missing:
            return ServiceError(f"ResourceNotFoundException: Function not found: {function}")
        self.calls.append((request_id, payload))
        return await self.answer(request_id, payload)

    async def handle(self, request: Request) -> Response:
        name = request.path.split("/")[3].rpartition(":function:")[2]
        if name in self.missing:
            return Response(404, b"{}")
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
        role = f"arn:aws:iam::000000000000:role/{name.split(':')[0]}-role"
        return Response(200, json.dumps({"FunctionArn": arn, "Role": role}).encode())


@dataclass
class DestinationsInMemory:
    """Keeps every document as (ARN, key, body); while `refusing` is set, raises it instead."""

    documents: list[tuple[str, str, bytes]] = field(default_factory=list)
    refusing: Exception | None = None

    async def deliver(self, destination_arn: str, key: str, body: bytes) -> None:
        if self.refusing is not None:
            raise self.refusing
        self.documents.append((destination_arn, key, body))
