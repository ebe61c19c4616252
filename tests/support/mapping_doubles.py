"""The surroundings of event source mappings in memory: a stream without a wire, functions, destinations."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from infra.local.http import Request, Response
from infra.local.kinesis_pollers import KinesisPollers
from infra.model.function import InvokeOutcome, ServiceError, Succeeded
from infra.model.stream import Entry, Stream
from infra.model.stream_error import not_found


class StreamsInMemory(KinesisPollers):
    """One stream, its model without a wire; `put` and `change` wake those who wait."""

    def __init__(self, stream: Stream, clock: Callable[[], float]) -> None:
        super().__init__(self._by_arn, clock)
        self.stream = stream

    def put(self, entries: Sequence[Entry]) -> None:
        self.change(lambda now: self.stream.put(entries, now))

    def change(self, change: Callable[[float], object]) -> None:
        now = self._clock()
        change(now)
        self._waiting.changed(self.stream, now)

    def _by_arn(self, arn: str, _now: float) -> Stream:
        if arn != self.stream.arn:
            raise not_found(f"Stream {arn} not found.")
        return self.stream


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
