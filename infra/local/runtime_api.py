"""SHELL: the Lambda Runtime API (version 2018-06-01) for one execution environment, on a loopback socket of its own.

AWS: runtimes-api. The runtime long-polls /next, answers with /response or /error, and reports a failed init. This file
speaks the protocol and refuses what breaks it; what an answer means is decided by the listener's machine.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.local.runtime_http import BadRequestError, RequestReader, RuntimeRequest
from infra.model.function import PAYLOAD_BYTES_MAX

_PREFIX = "/2018-06-01/runtime/"
_PLACES_PATH = "/local/init/places"  # not AWS's: our launcher tells where in the code an init will fail
_PHRASES = {200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
_PHRASES |= {405: "Method Not Allowed", 413: "Payload Too Large", 431: "Request Header Fields Too Large"}


@dataclass(frozen=True, slots=True)
class Work:
    """One invocation as the runtime gets it; `deadline_ms` in epoch milliseconds."""

    request_id: str
    deadline_ms: int
    function_arn: str
    trace_id: str
    payload: bytes
    client_context: str | None = None


class RuntimeListener(Protocol):
    """What the runtime did, in the order in which it did it."""

    def on_ready(self) -> None: ...
    def on_fetched(self) -> None: ...
    def on_response(self, request_id: str, payload: bytes) -> None: ...
    def on_error(self, request_id: str, error_type: str, payload: bytes) -> None: ...
    def on_oversized(self, request_id: str, size: int) -> None: ...
    def on_init_error(self, error_type: str, payload: bytes) -> None: ...
    def on_init_places(self, places: Sequence[tuple[str, int]]) -> None: ...


class RuntimeApi:
    """`open`, then `deliver` one invocation at a time, then `close`."""

    def __init__(self, listener: RuntimeListener) -> None:
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._waiting: _Connection | None = None
        self._work: Work | None = None
        self._current: str | None = None  # request id of the invocation that the runtime has and has not answered
        self._ready = False
        self.address = ""

    async def open(self) -> None:
        """Listens on an ephemeral port of 127.0.0.1; `address` is then host:port."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), "127.0.0.1", 0, family=socket.AF_INET
        )
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    def deliver(self, work: Work) -> None:
        """Answers the waiting /next, or the next one that comes."""
        assert self._work is None, "one invocation at a time"
        self._work = work
        if self._waiting is not None:
            self._hand_over(self._waiting)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()

    # -- called by connections -------------------------------------------------------------------------------------

    def connected(self, connection: _Connection) -> None:
        self._connections.add(connection)

    def lost(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if self._waiting is connection:
            self._waiting = None

    def handle(self, request: RuntimeRequest, connection: _Connection) -> None:
        if (request.method, request.path) == ("POST", _PLACES_PATH) and not self._ready:
            connection.accept()
            self._listener.on_init_places(_places(request.body))
            return
        if not request.path.startswith(_PREFIX):
            connection.refuse(404, "InvalidPath", f"nothing is served at {request.path[:200]}")
            return
        match (request.method, request.path[len(_PREFIX) :].split("/")):
            case "GET", ["invocation", "next"]:
                self._next(connection)
            case "POST", ["invocation", request_id, "response" | "error" as kind]:
                self._answer(request_id, kind, request, connection)
            case "POST", ["init", "error"]:
                self._init_error(request, connection)
            case _, ["invocation", "next"] | ["invocation", _, "response" | "error"] | ["init", "error"]:
                connection.refuse(405, "InvalidMethod", f"{request.method} is not allowed here")
            case _:
                connection.refuse(404, "InvalidPath", f"nothing is served at {request.path[:200]}")

    def _next(self, connection: _Connection) -> None:
        if self._current is not None or self._waiting is not None:
            connection.refuse(403, "InvalidStateTransition", "the current invocation has not been answered yet")
            return
        self._waiting = connection
        if not self._ready:
            self._ready = True
            self._listener.on_ready()  # may deliver
        elif self._work is not None:
            self._hand_over(connection)

    def _hand_over(self, connection: _Connection) -> None:
        work, self._work, self._waiting = self._work, None, None
        assert work is not None
        self._current = work.request_id
        connection.send_work(work)
        self._listener.on_fetched()

    def _answer(self, request_id: str, kind: str, request: RuntimeRequest, connection: _Connection) -> None:
        if request_id != self._current:
            connection.refuse(400, "InvalidRequestID", f"no invocation {request_id[:64]} waits for an answer")
            return
        self._current = None
        if request.body is None:
            message = f"Exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes)."
            connection.refuse(413, "RequestEntityTooLarge", message)
            self._listener.on_oversized(request_id, request.size)
            return
        connection.accept()
        if kind == "response":
            self._listener.on_response(request_id, request.body)
        else:
            self._listener.on_error(request_id, _error_type(request, request.body), request.body)

    def _init_error(self, request: RuntimeRequest, connection: _Connection) -> None:
        if self._ready:
            connection.refuse(403, "InvalidStateTransition", "init is over")
            return
        connection.accept()
        body = request.body if request.body is not None else b"{}"
        self._listener.on_init_error(_error_type(request, body), body)


def _places(body: bytes | None) -> Sequence[tuple[str, int]]:
    """File and line of frames; nothing when the body is something else."""
    try:
        given = json.loads(body or b"[]")
        return [(str(file), int(line)) for file, line in given]
    except (ValueError, TypeError, RecursionError):
        return []


def _error_type(request: RuntimeRequest, body: bytes) -> str:
    """The header, or the document's own word: awslambdaric sends the header for init errors only."""
    header = request.headers.get("lambda-runtime-function-error-type")
    if header:
        return header
    try:
        document = json.loads(body)
    except ValueError:
        return "Runtime.Unknown"
    kind = document.get("errorType") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) and kind else "Runtime.Unknown"


class _Connection(asyncio.Protocol):
    """One kept connection of the runtime; requests on it are answered in order."""

    _transport: asyncio.Transport

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._reader = RequestReader(PAYLOAD_BYTES_MAX)
        self._continued = False
        self._keep_alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._api.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._api.lost(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while not self._transport.is_closing() and (request := self._reader.next_request()) is not None:
                self._continued = False
                self._keep_alive = request.keep_alive
                self._api.handle(request, self)
        except BadRequestError as bad:
            self._keep_alive = False
            self.refuse(bad.status, "InvalidRequest", str(bad))
            return
        if self._reader.continue_wanted and not self._continued:
            self._continued = True
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def abort(self) -> None:
        self._transport.abort()

    def accept(self) -> None:
        self._write(202, b'{"status":"OK"}\n', "application/json")

    def refuse(self, status: int, kind: str, message: str) -> None:
        body = json.dumps({"errorMessage": message, "errorType": kind}).encode()
        self._write(status, body, "application/json")

    def send_work(self, work: Work) -> None:
        """The content type must be exactly application/json: with anything else the handler would get bytes."""
        extra = "" if work.client_context is None else f"Lambda-Runtime-Client-Context: {work.client_context}\r\n"
        headers = (
            f"Lambda-Runtime-Aws-Request-Id: {work.request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {work.deadline_ms}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {work.function_arn}\r\n"
            f"Lambda-Runtime-Trace-Id: {work.trace_id}\r\n{extra}"
        )
        self._write(200, work.payload, "application/json", headers)

    def _write(self, status: int, body: bytes, content_type: str, headers: str = "") -> None:
        head = (
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n{headers}\r\n"
        ).encode("latin-1")
        if len(body) < 65_536:
            self._transport.write(head + body)
        else:  # no copy of a large payload
            self._transport.write(head)
            self._transport.write(body)
        if not self._keep_alive:
            self._transport.close()
