"""SHELL: what the files of Lambda's wire share: the service they speak for, requests and answers in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from infra.local.function_code import Code
from infra.local.function_driver import Invoked
from infra.local.function_host import FunctionHost, Surroundings
from infra.local.function_names import FunctionName
from infra.local.http import Request, Response
from infra.model.function import Account
from infra.model.function.configuration import Configuration
from infra.model.function.listing import items, marker
from infra.model.function.refusals import RefusedError


class Functions(Protocol):
    """What the wire needs of the service; `find` and `create` raise RefusedError."""

    account: Account
    clock: Callable[[], float]
    hosts: dict[str, FunctionHost]
    surroundings: Surroundings
    account_id: str
    region: str

    def find(self, function_arn_or_name: str, qualifier: str | None = None) -> tuple[FunctionHost, FunctionName]: ...
    def create(self, configuration: Configuration, code: Code, tags: Mapping[str, str]) -> FunctionHost: ...
    def delete(self, name: str) -> None: ...
    def keep(self) -> None: ...
    async def run(
        self,
        host: FunctionHost,
        payload: bytes,
        *,
        request_id: str,
        qualifier: str | None,
        client_context: str | None = None,
    ) -> Invoked: ...


def content(request: Request) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object. Raises RefusedError."""
    try:
        document = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "InvalidRequestContentException", "Could not parse request body into json") from error
    if not isinstance(document, dict):
        raise RefusedError(400, "InvalidRequestContentException", "The request body is not a JSON object")
    return document


def answer(document: object, status: int = 200) -> Response:
    return Response(status, json.dumps(document).encode(), {"content-type": "application/json"})


def page(request: Request, member: str, everything: Sequence[Mapping[str, Any]]) -> Response:
    """One page of a listing, by MaxItems and Marker. Raises RefusedError."""
    start = marker(request.query.get("Marker"))
    end = start + items(request.query.get("MaxItems"))
    shown: dict[str, Any] = {member: everything[start:end]}
    if end < len(everything):
        shown["NextMarker"] = str(end)
    return answer(shown)


def done() -> Response:
    """204: AWS's answer to what has been deleted."""
    return Response(204, b"", {"content-type": "application/json"})


def error(status: int, kind: str, message: str, **more: str) -> Response:
    """AWS's REST-JSON error: the type in a header, the message in the body."""
    body = {"Type": "User" if status < 500 else "Service", "message": message, **more}
    return Response(status, json.dumps(body).encode(), {"content-type": "application/json", "x-amzn-errortype": kind})
