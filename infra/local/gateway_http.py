"""SHELL: ASGI's messages as our Request and Response: bodies with a limit, errors that every AWS client can read."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncGenerator, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from infra.local.http import Request, Response
from infra.local.services import Message, Receive, Send

_SCOPE = re.compile(r"/([a-z0-9-]+)/aws4_request")


class BodyTooLargeError(Exception):
    """The request's body is larger than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body is larger than {limit:,} bytes")
        self.limit = limit


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def request_of(scope: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Request:
    query_string = scope.get("query_string", b"").decode("utf-8", "replace")
    query = dict(parse_qsl(query_string, keep_blank_values=True))
    return Request(scope["method"], scope["path"], query, headers, body, query_string)


def signed_service(headers: Mapping[str, str]) -> str | None:
    """The service named by the signature's credential scope, `key/date/region/service/aws4_request`."""
    match = _SCOPE.search(headers.get("authorization", ""))
    return match.group(1) if match else None


def is_form(scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    if scope["path"] != "/":
        return False
    is_post_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return (scope["method"] == "POST" and is_post_form) or b"Action=" in scope.get("query_string", b"")


async def body_of(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    receive = within(headers, receive, limit)
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def within(headers: Mapping[str, str], receive: Receive, limit: int) -> Receive:
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


def replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, given again to the next reader."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def refusal(headers: Mapping[str, str], status: int, code: str, message: str) -> Response:
    """An error in the JSON form that every AWS client understands: the code in header and body."""
    version = "1.1" if "1.1" in headers.get("content-type", "") else "1.0"
    return Response(
        status,
        json.dumps({"__type": code, "message": message}).encode(),
        {"content-type": f"application/x-amz-json-{version}", "x-amzn-errortype": code},
    )


async def answer(send: Send, response: Response, receive: Receive | None = None) -> None:
    """Sends a response. One in pieces needs `receive`, which tells when the client has gone."""
    headers = {
        "x-amzn-requestid": str(uuid.uuid4()),
        "date": formatdate(usegmt=True),
        **{name.lower(): value for name, value in response.headers.items()},
    }
    if response.chunks is None:
        headers["content-length"] = str(len(response.body))
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    more = response.chunks is not None
    await send({"type": "http.response.body", "body": response.body, "more_body": more})
    if response.chunks is not None:
        await _stream(send, response.chunks, receive)


async def _stream(send: Send, chunks: AsyncGenerator[bytes, None], receive: Receive | None) -> None:
    """Sends the pieces until there are no more, or the client has gone."""

    async def pieces() -> None:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def client_gone() -> None:
        while receive is not None and (await receive())["type"] != "http.disconnect":
            pass

    sending = asyncio.create_task(pieces())
    watched = {sending} if receive is None else {sending, asyncio.create_task(client_gone())}
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in watched:
            task.cancel()
        await asyncio.gather(*watched, return_exceptions=True)
        await chunks.aclose()
    if not sending.cancelled():
        sending.result()  # what broke the pieces breaks the connection: its end must not look like the body's
    await send({"type": "http.response.body", "body": b"", "more_body": False})
