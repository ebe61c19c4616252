"""Faults on the wire of a real botocore client: refused, half applied, lost on the way there or back, and crashes.

A `FaultyWire` stands at botocore's event `before-send`, where the signed request is about to leave: what it returns is
taken for the answer, what it raises for a broken connection, and None lets the request pass.
"""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session

Action = Callable[[AWSPreparedRequest], AWSResponse | None]
Choice = Callable[[int, str, dict[str, Any]], Action | None]


class Crash(BaseException):
    """The process is gone: nothing catches it but the test."""


class FaultyWire:
    """Asks `choose` for every DynamoDB call: its number (from 0), its operation and its body."""

    def __init__(self, choose: Choice = lambda _number, _operation, _body: None) -> None:
        self.choose = choose
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def attach(self, client: Any) -> None:
        client.meta.events.register("before-send.dynamodb.*", self._before_send)

    def _before_send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        body = body_of(request)
        self.calls.append((operation, body))
        action = self.choose(len(self.calls) - 1, operation, body)
        return action(request) if action else None


def on_table(name: str, action: Action) -> Choice:
    """Every call that names this table."""
    return lambda _number, _operation, body: action if name in json.dumps(body) else None


def first_time(action: Action) -> Choice:
    """Every different call fails the first time that it is sent."""
    seen: set[str] = set()

    def choose(_number: int, operation: str, body: dict[str, Any]) -> Action | None:
        if operation != "BatchExecuteStatement":
            fresh = {json.dumps(body, sort_keys=True)}
        else:
            fresh = {json.dumps(statement["Parameters"][:2]) for statement in body["Statements"]}
        new = bool(fresh - seen)
        seen.update(fresh)
        return action if new else None

    return choose


def refused(code: str, status: int = 400) -> Action:
    """The call is answered with an error and has no effect."""
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "by the test"}).encode()
    return lambda request: _response(request, status, body)


def each_refused(code: str) -> Action:
    """Every second statement of the batch is applied, the others are answered with `code`; other calls pass."""

    def act(request: AWSPreparedRequest) -> AWSResponse | None:
        body = body_of(request)
        if "Statements" not in body:
            return None
        answer = json.loads(_send(request).content)
        if "Responses" not in answer:
            return None
        error = {"Error": {"Code": code, "Message": "by the test"}}
        kept = [response if index % 2 else error for index, response in enumerate(answer["Responses"])]
        return _response(request, 200, json.dumps({"Responses": kept}).encode())

    return act


def unreachable(request: AWSPreparedRequest) -> AWSResponse | None:
    """No answer, and no effect."""
    raise ReadTimeoutError(endpoint_url=request.url)


def answer_lost(request: AWSPreparedRequest) -> AWSResponse | None:
    """The call has its effect, but the answer never comes."""
    _send(request)
    raise ReadTimeoutError(endpoint_url=request.url)


def error_after_effect(request: AWSPreparedRequest) -> AWSResponse | None:
    """The call has its effect and is answered with a 500 all the same (AWS: Error handling with DynamoDB)."""
    _send(request)
    return refused("InternalServerError", 500)(request)


def crash_before(_request: AWSPreparedRequest) -> AWSResponse | None:
    raise Crash


def crash_after(request: AWSPreparedRequest) -> AWSResponse | None:
    _send(request)
    raise Crash


def body_of(request: AWSPreparedRequest) -> dict[str, Any]:
    """A DynamoDB request's JSON."""
    assert isinstance(request.body, bytes | str)
    found: dict[str, Any] = json.loads(request.body)
    return found


def _send(request: AWSPreparedRequest) -> AWSResponse:
    return URLLib3Session().send(request)


class _Raw(BytesIO):
    def stream(self, **_: object) -> Any:
        yield self.getvalue()


def _response(request: AWSPreparedRequest, status: int, body: bytes) -> AWSResponse:
    headers: Any = HeadersDict({"content-type": "application/x-amz-json-1.0"})
    return AWSResponse(request.url, status, headers, _Raw(body))
