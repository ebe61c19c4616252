"""The mapping service over a stream, functions and destinations in memory, in virtual time: no sleeps, no sockets.

`Lambda` is the wire as an unmodified botocore writes and reads it.
"""

import asyncio
import base64
import json
import selectors
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import botocore.session
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from infra.blueprint import MappingBlueprint
from infra.local.http import Request
from infra.local.mappings import DELAYS, MappingService
from infra.model.mapping import Delays, Pace
from infra.model.stream import Entry, Stream
from tests.support.mapping_doubles import DestinationsInMemory, FunctionsInMemory, StreamsInMemory

EPOCH_S = 1_789_808_000.0
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/events"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:work"
BUCKET = "arn:aws:s3:::failures"


class Jump(selectors.SelectSelector):
    """Waits for no time: the loop's clock jumps to its next timer."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "the test waits for something that cannot come any more"
        if timeout > 0:
            self.loop.now_s += max(timeout, 1e-6)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = EPOCH_S
        selector = Jump()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-6  # a timer is due when its time has come, within what a float can tell apart

    def time(self) -> float:
        return self.now_s


class House:
    """One stream, one mapping (none with `templates` False), one function; `await` only virtual time."""

    def __init__(
        self,
        *,
        templates: bool = True,
        data_dir: Path | None = None,
        stream: Stream | None = None,
        delays: Delays = DELAYS,
        pace: Pace | None = None,
        **settings: Any,
    ) -> None:
        self.clock = asyncio.get_running_loop().time
        self.stream = stream or new_stream(self.clock())
        self.streams = StreamsInMemory(self.stream, self.clock)
        self.functions = FunctionsInMemory()
        self.destinations = DestinationsInMemory()
        self.metrics: list[tuple[str, str, str, float]] = []
        self.service = MappingService(
            self.streams,
            self.functions,
            self.destinations.deliver,
            self.clock,
            publish_metric=lambda *metric: self.metrics.append(metric),
            pace=pace,
            delays=delays,
            data_dir=data_dir,
        )
        self.wire = Lambda(self.service)
        if templates:
            self.service.add(blueprint(**settings))

    def put(self, *values: str, key: str = "k") -> None:
        self.streams.put([Entry(key, value.encode()) for value in values])

    @property
    def delivered(self) -> list[list[str]]:
        return [values(payload) for _, payload in self.functions.calls]

    async def until(self, condition: Callable[[], bool], within_s: float = 300.0) -> None:
        end = self.clock() + within_s
        while not condition():
            assert self.clock() < end, "it did not come"
            await asyncio.sleep(0.01)

    async def get(self, path: str = "", **query: str) -> tuple[int, dict[str, Any]]:
        request = Request("GET", f"/2015-03-31/event-source-mappings/{path}", query, {}, b"")
        response = await self.service.handle(request)
        return response.status, json.loads(response.body)


class Lambda:
    """`await call(operation, **arguments)` as boto3's client would, but sends also what that would not; refusals are
    ClientError."""

    _model = botocore.session.get_session().get_service_model("lambda")

    def __init__(self, service: MappingService) -> None:
        self._service = service

    async def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        model: Any = self._model.operation_model(operation)
        sent = create_serializer("rest-json", include_validation=False).serialize_to_request(arguments, model)
        body = sent["body"].encode() if isinstance(sent["body"], str) else bytes(sent["body"])
        query = {name: str(value) for name, value in sent["query_string"].items()}
        again = urlencode(sent["query_string"], doseq=True)
        path = unquote(sent["url_path"])
        response = await self._service.handle(Request(sent["method"], path, query, {}, body, again))
        answer = {"status_code": response.status, "headers": response.headers, "body": response.body}
        parsed: dict[str, Any] = create_parser("rest-json").parse(answer, model.output_shape)
        if response.status >= 300:
            raise ClientError(parsed, operation)  # type: ignore[arg-type] # botocore's stubs want a TypedDict
        return parsed

    async def refused(self, operation: str, **arguments: Any) -> tuple[int, str, str]:
        """Status, code and message of a call that must fail."""
        try:
            answer = await self.call(operation, **arguments)
        except ClientError as error:
            response = error.response
            status = response["ResponseMetadata"]["HTTPStatusCode"]
            return status, response["Error"]["Code"], response["Error"]["Message"]
        raise AssertionError(f"{operation} was not refused: {answer}")


def new_stream(now: float) -> Stream:
    return Stream("events", account_id="000000000000", region="us-east-1", shard_count=1, now=now)


def blueprint(**settings: Any) -> MappingBlueprint:
    defaults: dict[str, Any] = {
        "logical_id": "StreamMapping",
        "uuid": "11111111-2222-3333-4444-555555555555",
        "function_arn": FUNCTION,
        "event_source_arn": STREAM,
        "starting_position": "TRIM_HORIZON",
        "starting_position_timestamp_s": None,
        "enabled": True,
        "batch_size": 100,
        "batching_window_s": 0,
        "parallelization_factor": 1,
        "bisect_batch_on_function_error": False,
        "retry_attempts_max": -1,
        "record_age_s_max": -1,
        "report_batch_item_failures": False,
        "on_failure_destination_arn": None,
        "event_count_metrics": True,
    }
    return MappingBlueprint(**{**defaults, **settings})


def values(payload: bytes) -> list[str]:
    return [base64.b64decode(record["kinesis"]["data"]).decode() for record in json.loads(payload)["Records"]]


def run(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test)
