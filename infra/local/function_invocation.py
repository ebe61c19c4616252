"""SHELL: the wire of Invoke: RequestResponse, Event and DryRun (AWS: API_Invoke)."""

from __future__ import annotations

import base64
import binascii
import json
import uuid

from infra.local.function_driver import Invoked
from infra.local.function_events import Event
from infra.local.function_host import FunctionHost
from infra.local.function_names import FunctionName
from infra.local.function_wire import Functions, error
from infra.local.http import Request, Response
from infra.model.function import PAYLOAD_BYTES_MAX, FunctionError, ServiceError, Succeeded, Throttled
from infra.model.function.queue import EVENT_BYTES_MAX
from infra.model.function.refusals import RefusedError, check_invocation

_CLIENT_CONTEXT_BYTES_MAX = 3_583


async def invoke(functions: Functions, name: str, request: Request) -> Response:
    kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
    log_type = request.headers.get("x-amz-log-type", "None")
    check_invocation(kind, log_type)
    host, found = functions.find(name, request.query.get("Qualifier"))
    host.record.version(found.qualifier)  # refused before what is sent is looked at
    _check(kind, request)
    context = request.headers.get("x-amz-client-context")
    # Written again, as it becomes a header of the Runtime API: a line break in the JSON would end that header.
    client_context = None if context is None else json.dumps(json.loads(base64.b64decode(context)))
    request_id = str(uuid.uuid4())
    if kind == "DryRun":
        return Response(204, b"", {"x-amzn-requestid": request_id})
    if kind == "Event":
        return _accept(host, found, request, request_id, client_context)
    invoked = await functions.run(
        host, request.body or b"{}", request_id=request_id, qualifier=found.qualifier, client_context=client_context
    )
    return _answer(invoked, request_id, tail=log_type == "Tail")


def _accept(
    host: FunctionHost, found: FunctionName, request: Request, request_id: str, client_context: str | None
) -> Response:
    if not host.events.accept(Event(request.body or b"{}", request_id, found.qualified_arn, client_context)):
        return _throttled("ConcurrentInvocationLimitExceeded")
    return Response(202, b"", {"x-amzn-requestid": request_id})


def _check(kind: str, request: Request) -> None:
    limit = EVENT_BYTES_MAX if kind == "Event" else PAYLOAD_BYTES_MAX
    if len(request.body) > limit:
        message = f"{len(request.body)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        raise RefusedError(413, "RequestTooLargeException", message)
    try:
        if request.body:
            json.loads(request.body)
    except (ValueError, RecursionError) as why:
        message = f"Could not parse request body into json: Could not parse payload into json: {why}"
        raise RefusedError(400, "InvalidRequestContentException", message) from why
    _check_context(request.headers.get("x-amz-client-context", ""))


def _check_context(context: str) -> None:
    try:
        decoded = json.loads(base64.b64decode(context, validate=True).decode("ascii")) if context else {}
    except (binascii.Error, ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict) or len(context) > _CLIENT_CONTEXT_BYTES_MAX:
        message = f"Client context must be base64 of a JSON object in ASCII, at most {_CLIENT_CONTEXT_BYTES_MAX} bytes"
        raise RefusedError(400, "InvalidRequestContentException", message)


def _throttled(reason: str) -> Response:
    answer = error(429, "TooManyRequestsException", "Rate Exceeded.", Reason=reason)
    return Response(answer.status, answer.body, {**answer.headers, "retry-after": "1"})


def _answer(invoked: Invoked, request_id: str, *, tail: bool) -> Response:
    match invoked.outcome:
        case Throttled(reason):
            return _throttled(reason)
        case ServiceError(reason):
            kind, _, message = reason.partition(": ")
            return error(500, kind, message)
        case Succeeded(_, payload, version) | FunctionError(_, _, payload, version):
            headers = {
                "content-type": "application/json",
                "x-amz-executed-version": version,
                "x-amzn-requestid": request_id,
            }
            if isinstance(invoked.outcome, FunctionError):
                headers["x-amz-function-error"] = "Unhandled"
            if tail:
                headers["x-amz-log-result"] = base64.b64encode(invoked.log_tail).decode("ascii")
            return Response(200, payload, headers)
