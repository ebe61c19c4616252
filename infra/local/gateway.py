"""SHELL: the one endpoint on loopback. Decides by request which service answers; knows nothing of what they do.

Kinesis, Lambda and CloudFormation requests are answered by ours (`Handler`), everything else by the application
mounted behind (`Services.app`), whose lifespan is the server's lifespan.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

from infra.local.gateway_http import (
    BodyTooLargeError,
    ClientGoneError,
    answer,
    body_of,
    headers_of,
    is_form,
    refusal,
    replayed,
    request_of,
    signed_service,
    within,
)
from infra.local.http import Request, Response
from infra.local.services import ENABLED, AsgiApp, Message, Receive, Send

log = logging.getLogger("infra.gateway")

# PutRecords carries up to 10 MiB of data (AWS: PutRecords), a third more in base64, and its keys; an asynchronous
# or synchronous Invoke carries 6 MB. What the mounted services take is more, but it is kept in memory here.
OWN_BODY_BYTES_MAX = 16 * 1024 * 1024
MOUNTED_BODY_BYTES_MAX = 64 * 1024 * 1024

KINESIS_TARGET = "Kinesis_20131202."
DYNAMODB_TARGET = "DynamoDB_20120810."
# Lambda's operations have the date of their version in the path (2015-03-31, 2019-09-30, 2021-10-31, ...).
LAMBDA_PATH = re.compile(r"/20\d\d-\d\d-\d\d/(functions|event-source-mappings|tags)(?![^/])")
# Those among them that are about mappings: theirs, and the tags of one.
MAPPING_PATH = re.compile(r"/[0-9-]{10}/(event-source-mappings(?![^/])|tags/arn:[^/]*:event-source-mapping:)")
CLOUDFORMATION_VERSION = "2010-05-15"
LOCAL_PATH = "/_local/"
# Pages of the mounted services that would pull the rug from under a running stack (reset, configuration).
REFUSED_PATHS = ("/_ministack/", "/_localstack/")
HEALTH_PATHS = ("/_ministack/health", "/_localstack/health")
# Metrics and logs are handed over from time to time; whoever asks for them gets the newest.
OBSERVING = frozenset({"monitoring", "logs"})

# Signing names of what is answered here and of what is mounted.
SIGNED_SERVICES = frozenset({"kinesis", "lambda", "cloudformation", *ENABLED})


class Handler(Protocol):
    async def handle(self, request: Request, /) -> Response: ...


class Gateway:
    """The ASGI application. `tables` stands in front of DynamoDB while it is active, and answers `/_local/...`.

    `before_observing` is awaited before CloudWatch or CloudWatch Logs is asked anything.
    """

    def __init__(
        self,
        mounted: AsgiApp,
        *,
        kinesis: Handler,
        functions: Handler,
        mappings: Handler,
        cloudformation: Handler,
        tables: "TableFront | None" = None,
        before_observing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._mounted = mounted
        self._kinesis = kinesis
        self._functions = functions
        self._mappings = mappings
        self._cloudformation = cloudformation
        self._tables = tables
        self._before_observing = before_observing
        self.started = asyncio.Event()  # set once the mounted application has started

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._mounted(scope, receive, self._watching_start(send))
            return
        if scope["type"] != "http":
            await self._mounted(scope, receive, send)
            return
        headers = headers_of(scope)
        try:
            await self._route(scope, headers, receive, send)
        except BodyTooLargeError as error:
            await answer(send, refusal(headers, 413, "RequestEntityTooLargeException", str(error)))
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
        service = signed_service(headers)
        if target.startswith(KINESIS_TARGET) or service == "kinesis":
            await self._ours(self._kinesis.handle, scope, headers, receive, send)
        elif LAMBDA_PATH.match(path) is not None or service == "lambda":
            handler = self._mappings if MAPPING_PATH.match(path) else self._functions
            await self._ours(handler.handle, scope, headers, receive, send)
        elif path.startswith(LOCAL_PATH) and self._tables is not None:
            await self._ours(self._tables.configure, scope, headers, receive, send)
        elif path.startswith(REFUSED_PATHS) and path not in HEALTH_PATHS:
            message = f"{path} is not offered while `infra up` runs: stop it and start it again for a fresh stack"
            await answer(send, refusal(headers, 403, "AccessDeniedException", message))
        elif target.startswith(DYNAMODB_TARGET) and self._tables is not None and self._tables.active:
            request = request_of(scope, headers, await body_of(headers, receive, MOUNTED_BODY_BYTES_MAX))
            await answer(send, await self._guarded(self._tables.handle, request))
        elif service is not None and service not in SIGNED_SERVICES:
            await answer(send, _not_here(scope, headers, service))
        else:
            await self._to_mounted(scope, headers, receive, send)

    async def _to_mounted(
        self, scope: MutableMapping[str, Any], headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        if self._before_observing is not None and signed_service(headers) in OBSERVING:
            await self._before_observing()
        if is_form(scope, headers):
            await self._form(scope, headers, receive, send)
        else:
            await self._pass_on(scope, headers, within(headers, receive, MOUNTED_BODY_BYTES_MAX), send)

    async def _form(
        self, scope: MutableMapping[str, Any], headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """A query-protocol request: CloudFormation's are ours, SNS, STS, IAM and the others' are not."""
        body = await body_of(headers, receive, OWN_BODY_BYTES_MAX)
        request = request_of(scope, headers, body)
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) or request.query
        if fields.get("Version") == CLOUDFORMATION_VERSION or signed_service(headers) == "cloudformation":
            await answer(send, await self._guarded(self._cloudformation.handle, request))
        else:
            await self._pass_on(scope, headers, replayed(body, receive), send)

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
            await answer(send, refusal(headers, 500, "InternalFailure", "the request was not understood"))

    async def _ours(
        self,
        handle: Callable[[Request], Awaitable[Response]],
        scope: MutableMapping[str, Any],
        headers: Mapping[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        request = request_of(scope, headers, await body_of(headers, receive, OWN_BODY_BYTES_MAX))
        await answer(send, await self._guarded(handle, request), receive)

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
            return refusal(request.headers, 500, "InternalFailure", "the local stack failed; its log says why")


class TableFront(Protocol):
    """What may stand in front of DynamoDB: capacity and latency."""

    @property
    def active(self) -> bool: ...

    async def handle(self, request: Request, /) -> Response: ...

    async def configure(self, request: Request, /) -> Response: ...


def _not_here(scope: Mapping[str, Any], headers: Mapping[str, str], service: str) -> Response:
    """A refusal that names the service, in the form (XML or JSON) that its client can read."""
    message = f"{service} is not part of the local stack, which has {', '.join(sorted(SIGNED_SERVICES))}"
    if not is_form(scope, headers):
        return refusal(headers, 400, "UnknownOperationException", message)
    error = f"<Code>InvalidAction</Code><Message>{message}</Message>"
    if service == "ec2":
        body = f"<Response><Errors><Error>{error}</Error></Errors></Response>"
    else:
        body = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
    return Response(400, body.encode(), {"content-type": "text/xml"})
