"""The Runtime API over a real socket, as a runtime other than awslambdaric might use it."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from infra.local.runtime_api import RuntimeApi, Work
from infra.model.function import PAYLOAD_BYTES_MAX
from tests.support.function_service import until

LIMIT_S = 20.0
ROOT = "/2018-06-01/runtime"
WORK = Work("id-1", 1_700_000_000_000, "arn:aws:lambda:fn", "Root=1-1-1", b'{"a": 1}')


class Recorder:
    """A listener that writes down what it is told; the first /next may be answered at once with `first`."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.api = RuntimeApi(self)
        self.first: Work | None = None

    def on_ready(self) -> None:
        self.events.append(("ready",))
        if self.first is not None:
            self.api.deliver(self.first)

    def on_fetched(self) -> None:
        self.events.append(("fetched",))

    def on_response(self, request_id: str, payload: bytes) -> None:
        self.events.append(("response", request_id, payload))

    def on_error(self, request_id: str, error_type: str, payload: bytes) -> None:
        self.events.append(("error", request_id, error_type, payload))

    def on_oversized(self, request_id: str, size: int) -> None:
        self.events.append(("oversized", request_id, size))

    def on_init_error(self, error_type: str, payload: bytes) -> None:
        self.events.append(("init_error", error_type, payload))

    def on_init_places(self, places: Sequence[tuple[str, int]]) -> None:
        self.events.append(("init_places", list(places)))


class Runtime:
    """One connection to the API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, method: str, path: str, body: bytes = b"", headers: str = "") -> None:
        head = f"{method} {ROOT}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self._writer.write(head.encode() + body)
        await self._writer.drain()

    async def receive(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().rstrip()
        status, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split()[1]), headers, body

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> tuple[int, str]:
        """Status, and the error type of the answer if it has one."""
        await self.send(method, path, body, headers)
        status, _, answer = await self.receive()
        return status, json.loads(answer).get("errorType", "")

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def at_end(self) -> bool:
        return await self._reader.read(1) == b""

    def close(self) -> None:
        self._writer.close()


Connect = Callable[[], Coroutine[Any, Any, Runtime]]


def run(scenario: Callable[[Recorder, Connect], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        recorder = Recorder()
        await recorder.api.open()
        host, port = recorder.api.address.split(":")
        assert host == "127.0.0.1"
        runtimes: list[Runtime] = []

        async def connect() -> Runtime:
            runtime = Runtime(*await asyncio.open_connection(host, int(port)))
            runtimes.append(runtime)
            return runtime

        try:
            await asyncio.wait_for(scenario(recorder, connect), LIMIT_S)
        finally:
            recorder.api.close()
            for runtime in runtimes:
                runtime.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))

    asyncio.run(main())


async def take(recorder: Recorder, runtime: Runtime, work: Work = WORK) -> tuple[int, dict[str, str], bytes]:
    recorder.first = work
    await runtime.send("GET", "/invocation/next")
    return await runtime.receive()


def test_next_waits_for_work_and_carries_its_headers() -> None:
    """facts 11.1, 11.6, 11.7: application/json exactly, a deadline in whole milliseconds"""

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        await runtime.send("GET", "/invocation/next")
        await until(lambda: recorder.events == [("ready",)])
        recorder.api.deliver(WORK)
        status, headers, body = await runtime.receive()
        assert (status, body) == (200, b'{"a": 1}')
        assert headers["content-type"] == "application/json"
        assert headers["lambda-runtime-aws-request-id"] == "id-1"
        assert headers["lambda-runtime-deadline-ms"] == "1700000000000"
        assert headers["lambda-runtime-invoked-function-arn"] == "arn:aws:lambda:fn"
        assert headers["lambda-runtime-trace-id"] == "Root=1-1-1"
        assert "lambda-runtime-client-context" not in headers
        assert recorder.events == [("ready",), ("fetched",)]

    run(scenario)


def test_a_response_is_accepted_once_and_for_the_current_invocation_only() -> None:
    """fact 11.2"""

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        await take(recorder, runtime)
        assert await runtime.ask("POST", "/invocation/other/response", b"1") == (400, "InvalidRequestID")
        assert await runtime.ask("POST", "/invocation/id-1/response", b"1") == (202, "")
        assert await runtime.ask("POST", "/invocation/id-1/response", b"2") == (400, "InvalidRequestID")
        assert recorder.events == [("ready",), ("fetched",), ("response", "id-1", b"1")]

    run(scenario)


def test_an_error_has_the_type_of_its_header_or_of_its_document() -> None:
    """fact 11.3"""
    cases = [
        ("Lambda-Runtime-Function-Error-Type: From.Header\r\n", b'{"errorType": "Own"}', "From.Header"),
        ("", b'{"errorType": "Own"}', "Own"),
        ("", b"[]", "Runtime.Unknown"),
        ("", b"not json", "Runtime.Unknown"),
    ]

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        await take(recorder, runtime)
        for number, (header, body, kind) in enumerate(cases):
            if number:
                recorder.api.deliver(WORK)
                await runtime.send("GET", "/invocation/next")
                await runtime.receive()
            assert await runtime.ask("POST", "/invocation/id-1/error", body, header) == (202, "")
            assert recorder.events[-1] == ("error", "id-1", kind, body)

    run(scenario)


def test_a_response_of_the_quota_is_accepted_and_one_byte_more_is_413() -> None:
    """facts 1.13, 11.2: 6,291,556 bytes"""

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        await take(recorder, runtime)
        assert await runtime.ask("POST", "/invocation/id-1/response", b"1" * PAYLOAD_BYTES_MAX) == (202, "")
        assert len(recorder.events[-1][2]) == PAYLOAD_BYTES_MAX
        recorder.api.deliver(WORK)
        await runtime.send("GET", "/invocation/next")
        await runtime.receive()
        too_large = await runtime.ask("POST", "/invocation/id-1/response", b"1" * (PAYLOAD_BYTES_MAX + 1))
        assert too_large == (413, "RequestEntityTooLarge")
        assert recorder.events[-1] == ("oversized", "id-1", PAYLOAD_BYTES_MAX + 1)

    run(scenario)


def test_a_failed_init_is_reported_before_the_first_next_and_not_after_it() -> None:
    """fact 11.3"""

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        assert await runtime.ask("POST", "/init/error", b'{"errorType": "Own"}') == (202, "")
        assert recorder.events == [("init_error", "Own", b'{"errorType": "Own"}')]
        await take(recorder, runtime)
        assert await runtime.ask("POST", "/init/error", b"{}") == (403, "InvalidStateTransition")

    run(scenario)


def test_our_launchers_places_are_taken_before_init_is_over_and_nonsense_is_no_place() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        expected: list[list[tuple[str, int]]] = []
        for body, places in (
            (b'[["/a.py", 1], ["/b.py", 2]]', [("/a.py", 1), ("/b.py", 2)]),
            *((nonsense, []) for nonsense in (b"", b"{", b"[1]", b'{"a": 1}', b'[["/a.py", "x"]]', b"[" * 5_000)),
        ):
            head = f"POST /local/init/places HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            runtime.write(head.encode() + body)
            assert (await runtime.receive())[0] == 202
            expected.append(places)
        assert recorder.events == [("init_places", places) for places in expected]
        await take(recorder, runtime)
        runtime.write(b"POST /local/init/places HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]")
        assert (await runtime.receive())[0] == 404

    run(scenario)


def test_next_while_an_invocation_is_unanswered_or_another_next_waits_is_403() -> None:
    """fact 11.2"""

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        first, second = await connect(), await connect()
        await take(recorder, first)
        assert await second.ask("GET", "/invocation/next") == (403, "InvalidStateTransition")
        await first.ask("POST", "/invocation/id-1/response", b"1")
        await first.send("GET", "/invocation/next")
        await until(lambda: recorder.api._waiting is not None)
        assert await second.ask("GET", "/invocation/next") == (403, "InvalidStateTransition")

    run(scenario)


def test_work_for_a_runtime_whose_connection_broke_waits_for_its_next_one() -> None:
    """fact 11.1"""

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        first = await connect()
        await first.send("GET", "/invocation/next")
        await until(lambda: recorder.events != [])
        first.close()
        await until(lambda: recorder.api._waiting is None)
        recorder.api.deliver(WORK)
        assert recorder.events == [("ready",)]
        second = await connect()
        await second.send("GET", "/invocation/next")
        assert (await second.receive())[0] == 200
        assert recorder.events == [("ready",), ("fetched",)]

    run(scenario)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/restore/next", 404),
        ("POST", "/invocation/next", 405),
        ("GET", "/invocation/id-1/response", 405),
        ("GET", "/init/error", 405),
        ("POST", "/invocation/id-1/response/more", 404),
    ],
)
def test_other_paths_and_methods_are_refused_and_the_connection_is_kept(method: str, path: str, status: int) -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        assert (await runtime.ask(method, path))[0] == status
        assert (await take(recorder, runtime))[0] == 200

    run(scenario)


def test_what_is_not_http_is_answered_and_the_connection_ends() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        runtime.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await runtime.receive())[0] == 400
        assert await runtime.at_end()
        assert recorder.events == []

    run(scenario)


def test_chunked_responses_and_expected_continues_are_understood() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        await take(recorder, runtime)
        path = f"{ROOT}/invocation/id-1/response"
        runtime.write(f"POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode())
        assert (await runtime.receive())[0] == 100
        runtime.write(b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n")
        assert (await runtime.receive())[0] == 202
        assert recorder.events[-1] == ("response", "id-1", b"[1]")

    run(scenario)


def test_a_runtime_that_does_not_keep_its_connection_gets_its_work_first() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        runtime = await connect()
        await runtime.send("GET", "/invocation/next", headers="Connection: close\r\n")
        await until(lambda: recorder.events != [])
        recorder.api.deliver(WORK)
        assert (await runtime.receive())[2] == WORK.payload
        assert await runtime.at_end()

    run(scenario)
