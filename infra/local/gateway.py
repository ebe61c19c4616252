"""SHELL: the one endpoint on loopback. Decides by request which service answers; knows nothing of what they do.

Kinesis, Lambda and CloudFormation requests are answered by ours (`Handler`), everything else by the application
mounted behind (`Services.app`), whose lifespan is the server's lifespan.
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import parse_qsl

from infra.local.http import Request, Response
from infra.local.services import ENABLED, AsgiApp, Message, Receive, Send

log = logging.getLogger("infra.gateway")

# PutRecords carries up to 10 MiB of data (AWS: PutRecords), a third more in base64, and its keys; an asynchronous
# or synchronous Invoke carries 6 MB. What the mounted services take is more, but it is kept in memory here.
OWN_BODY_BYTES_MAX = 16 * 1024 * 1024
MOUNTED_BODY_BYTES_MAX = 64 * 1024 * 1024

KINESIS_TARGET = "Kinesis_20131202."
DYNAMODB_TARGET = "DynamoDB_20120810."
FUNCTIONS_PATH = "/2015-03-31/functions"
MAPPINGS_PATH = "/2015-03-31/event-source-mappings"
CLOUDFORMATION_VERSION = "2010-05-15"
LOCAL_PATH = "/_local/"
# Pages of the mounted services that would pull the rug from under a running stack (reset, configuration).
REFUSED_PATHS = ("/_ministack/", "/_localstack/")
HEALTH_PATHS = ("/_ministack/health", "/_localstack/health")


# Signing names of what is answered here and of what is mounted.
SIGNED_SERVICES = frozenset({"kinesis", "lambda", "cloudformation", *ENABLED})
_SCOPE = re.compile(r"/([a-z0-9-]+)/aws4_request")


class Handler(Protocol):
    async def handle(self, request: Request, /) -> Response: ...


class BodyTooLargeError(Exception):
    """The request's body is larger than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body is larger than {limit:,} bytes")
        self.limit = limit


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


class Gateway:
    """The ASGI application. `local` answers `/_local/...`; `tables` stands in front of DynamoDB while it is active."""

    def __init__(
        self,
        mounted: AsgiApp,
        *,
        kinesis: Handler,
        functions: Handler,
        mappings: Handler,
        cloudformation: Handler,
        tables: "TableFront | None" = None,
    ) -> None:
        self._mounted = mounted
        self._kinesis = kinesis
        self._functions = functions
        self._mappings = mappings
        self._cloudformation = cloudformation
        self._tables = tables
        self.started = asyncio.Event()  # set once the mounted application has started

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._mounted(scope, receive, self._watching_start(send))
            return
        if scope["type"] != "http":
            await self._mounted(scope, receive, send)
            return
        headers = _headers(scope)
        try:
            await self._route(scope, headers, receive, send)
        except BodyTooLargeError as error:
            await _answer(send, _refusal(headers, 413, "RequestEntityTooLargeException", str(error)))
        except ClientGoneError:
            return

    def _watching_start(self, send: Send) -> Send:
        async def watching(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.started.set()

        return watching

    async def _route(
        self, scope: MutableMapping[str, Any], headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        path: str = scope["path"]
        target = headers.get("x-amz-target", "")
        if target.startswith(KINESIS_TARGET) or _signed_service(headers) == "kinesis":
            await self._ours(self._kinesis.handle, scope, headers, receive, send)
        elif path.startswith(FUNCTIONS_PATH):
            await self._ours(self._functions.handle, scope, headers, receive, send)
        elif path.startswith(MAPPINGS_PATH):
            await self._ours(self._mappings.handle, scope, headers, receive, send)
        elif path.startswith(LOCAL_PATH) and self._tables is not None:
            await self._ours(self._tables.configure, scope, headers, receive, send)
        elif path.startswith(REFUSED_PATHS) and path not in HEALTH_PATHS:
            message = f"{path} is not offered while `infra up` runs: stop it and start it again for a fresh stack"
            await _answer(send, _refusal(headers, 403, "AccessDeniedException", message))
        elif target.startswith(DYNAMODB_TARGET) and self._tables is not None and self._tables.active:
            request = _request(scope, headers, await _body(headers, receive, MOUNTED_BODY_BYTES_MAX))
            await _answer(send, await self._guarded(self._tables.handle, request))
        elif (service := _signed_service(headers)) is not None and service not in SIGNED_SERVICES:
            await _answer(send, _not_here(scope, headers, service))
        elif _is_form(scope, headers):
            await self._form(scope, headers, receive, send)
        else:
            await self._pass_on(scope, headers, _limited(headers, receive, MOUNTED_BODY_BYTES_MAX), send)

    async def _form(
        self, scope: MutableMapping[str, Any], headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """A query-protocol request: CloudFormation's are ours, SNS, STS, IAM and the others' are not."""
        body = await _body(headers, receive, OWN_BODY_BYTES_MAX)
        request = _request(scope, headers, body)
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) or request.query
        if fields.get("Version") == CLOUDFORMATION_VERSION or _signed_service(headers) == "cloudformation":
            await _answer(send, await self._guarded(self._cloudformation.handle, request))
        else:
            await self._pass_on(scope, headers, _replayed(body, receive), send)

    async def _pass_on(
        self, scope: MutableMapping[str, Any], headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """To the mounted application. What it cannot cope with is a 500 and one line in our log."""
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._mounted(scope, receive, watched)
        except (asyncio.CancelledError, BodyTooLargeError, ClientGoneError):
            raise
        except Exception as error:
            log.warning("%s %s was not understood: %s: %s", scope["method"], scope["path"], type(error).__name__, error)
            if has_begun:
                raise
            await _answer(send, _refusal(headers, 500, "InternalFailure", "the request was not understood"))

    async def _ours(
        self,
        handle: Callable[[Request], Awaitable[Response]],
        scope: MutableMapping[str, Any],
        headers: Mapping[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        request = _request(scope, headers, await _body(headers, receive, OWN_BODY_BYTES_MAX))
        await _answer(send, await self._guarded(handle, request))

    @staticmethod
    async def _guarded(handle: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        """What a service did not foresee is a 500 as AWS gives it, and a traceback in our own log only."""
        try:
            return await handle(request)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception(
                "%s %s %s failed in the local stack; please report this",
                request.method,
                request.path,
                request.headers.get("x-amz-target", ""),
            )
            return _refusal(request.headers, 500, "InternalFailure", "the local stack failed; its log says why")


class TableFront(Protocol):
    """What may stand in front of DynamoDB: capacity and latency."""

    @property
    def active(self) -> bool: ...

    async def handle(self, request: Request, /) -> Response: ...

    async def configure(self, request: Request, /) -> Response: ...


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _request(scope: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Request:
    query = dict(parse_qsl(scope.get("query_string", b"").decode("utf-8", "replace"), keep_blank_values=True))
    return Request(scope["method"], scope["path"], query, headers, body)


def _signed_service(headers: Mapping[str, str]) -> str | None:
    """The service named by the signature's credential scope, `key/date/region/service/aws4_request`."""
    match = _SCOPE.search(headers.get("authorization", ""))
    return match.group(1) if match else None


def _is_form(scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    if scope["path"] != "/":
        return False
    is_post_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return (scope["method"] == "POST" and is_post_form) or b"Action=" in scope.get("query_string", b"")


async def _body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    limited = _limited(headers, receive, limit)
    chunks: list[bytes] = []
    while True:
        message = await limited()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _limited(headers: Mapping[str, str], receive: Receive, limit: int) -> Receive:
    """`receive` that raises BodyTooLargeError once more than `limit` bytes were announced or have come."""
    announced = headers.get("content-length", "")
    seen = int(announced) if announced.isdecimal() and len(announced) < 20 else 0
    if seen > limit:
        raise BodyTooLargeError(limit)
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise BodyTooLargeError(limit)
        return message

    return limited


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, given again to the next reader."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _refusal(headers: Mapping[str, str], status: int, code: str, message: str) -> Response:
    """An error in the JSON form that every AWS client understands: the code in header and body."""
    version = "1.1" if "1.1" in headers.get("content-type", "") else "1.0"
    return Response(
        status,
        json.dumps({"__type": code, "message": message}).encode(),
        {"content-type": f"application/x-amz-json-{version}", "x-amzn-errortype": code},
    )


def _not_here(scope: Mapping[str, Any], headers: Mapping[str, str], service: str) -> Response:
    """A refusal that names the service, in the form (XML or JSON) that its client can read."""
    message = f"{service} is not part of the local stack, which has {', '.join(sorted(SIGNED_SERVICES))}"
    if not _is_form(scope, headers):
        return _refusal(headers, 400, "UnknownOperationException", message)
    error = f"<Code>InvalidAction</Code><Message>{message}</Message>"
    if service == "ec2":
        body = f"<Response><Errors><Error>{error}</Error></Errors></Response>"
    else:
        body = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
    return Response(400, body.encode(), {"content-type": "text/xml"})


async def _answer(send: Send, response: Response) -> None:
    headers = {
        "x-amzn-requestid": str(uuid.uuid4()),
        "date": formatdate(usegmt=True),
        **{name.lower(): value for name, value in response.headers.items()},
        "content-length": str(len(response.body)),
    }
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
