"""SHELL: what the event source mappings need of their surroundings."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from infra.local.http import Request, Response
from infra.model.function import InvokeOutcome
from infra.model.mapping.lineage import Shard
from infra.model.stream import Position, ReadResult
from infra.model.subscription import Subscription, SubscriptionEvent


class Streams(Protocol):
    """The stream as a poller sees it; `read` raises Throttled, all may raise StreamError.

    `latest` has the last sequence number of every shard listed; `wait` returns at the next put or reshard.
    """

    def shards(self, stream_arn: str, /) -> Sequence[Shard]: ...
    def start_position(
        self, stream_arn: str, shard_id: str, starting_position: str, timestamp_s: float | None = None, /
    ) -> Position: ...
    def read(self, stream_arn: str, shard_id: str, position: Position, limit: int, /) -> ReadResult: ...
    def latest(self, stream_arn: str, /) -> Mapping[str, int]: ...
    async def wait(self, stream_arn: str, timeout_s: float, /) -> None: ...
    def subscribe(
        self,
        consumer_arn: str,
        shard_id: str,
        starting_position: str,
        timestamp_s: float | None = None,
        /,
        *,
        sequence_number: int | None = None,
    ) -> Subscription: ...
    def events(self, subscription: Subscription, /) -> AsyncGenerator[SubscriptionEvent, None]: ...


class Functions(Protocol):
    """Lambda: Invoke, and `handle` for GetFunctionConfiguration (which names the execution role)."""

    async def invoke(self, function: str, payload: bytes, /, *, request_id: str) -> InvokeOutcome: ...
    async def handle(self, request: Request) -> Response: ...


class Function(NamedTuple):
    """`arn` has the qualifier with which the function was named; `role_arn` is its execution role."""

    arn: str
    role_arn: str


async def function_of(functions: Functions, name: str) -> Function:
    """The function of this name or ARN. Raises LookupError if there is none."""
    path = f"/2015-03-31/functions/{name}/configuration"
    response = await functions.handle(Request("GET", path, {}, {}, b""))
    if response.status != 200:
        raise LookupError(f"{name}: no such function (GetFunctionConfiguration answered {response.status})")
    described = json.loads(response.body)
    return Function(str(described["FunctionArn"]), str(described["Role"]))


# destination ARN, object key (empty for queues and topics), body
Deliver = Callable[[str, str, bytes], Awaitable[None]]
# dimension (EventSourceMappingUUID or FunctionName), its value, the metric's name, its value
PublishMetric = Callable[[str, str, str, float], None]
