"""SHELL: the wire of Lambda's functions: /2015-03-31/functions. Reads and invokes; only the template creates."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from typing import Any, Protocol

from infra.blueprint import FunctionBlueprint
from infra.local.function_driver import FunctionDriver, Invoked
from infra.local.function_events import EventInvoker
from infra.local.function_names import UnknownFunctionError
from infra.local.http import Request, Response
from infra.model.function import PAYLOAD_BYTES_MAX, FunctionError, ServiceError, Succeeded, Throttled
from infra.model.function.queue import EVENT_BYTES_MAX

# The concurrency operations have a later date in their paths than all others.
PREFIXES = ("/2015-03-31/functions", "/2019-09-30/functions")
_CLIENT_CONTEXT_BYTES_MAX = 3_583  # AWS: API_Invoke


class Functions(Protocol):
    """What the wire needs of the service. Both raise UnknownFunctionError."""

    def find(self, function_arn_or_name: str) -> tuple[FunctionDriver, str]: ...
    def events(self, function_arn_or_name: str) -> EventInvoker: ...
    @property
    def names(self) -> tuple[str, ...]: ...


def error(status: int, kind: str, message: str, **more: str) -> Response:
    """AWS's REST-JSON error: the type in a header, the message in the body."""
    body = {"Type": "User" if status < 500 else "Service", "message": message, **more}
    return Response(status, json.dumps(body).encode(), {"content-type": "application/json", "x-amzn-errortype": kind})


async def handle(functions: Functions, request: Request) -> Response:
    prefix = next((prefix for prefix in PREFIXES if request.path.startswith(prefix)), "")
    name, _, action = request.path.removeprefix(prefix).strip("/").partition("/")
    try:
        match (request.method, name, action):
            case "GET", "", "":
                found = [functions.find(each)[0].blueprint for each in functions.names]
                return _json({"Functions": [configuration(blueprint) for blueprint in found]})
            case "GET", _, "":
                return _json(_whole(_find(functions, name, request)[0]))
            case "GET", _, "configuration":
                return _json(configuration(_find(functions, name, request)[0].blueprint))
            case "GET", _, "concurrency":
                reserved = functions.find(name)[0].blueprint.reserved_concurrency
                return _json({} if reserved is None else {"ReservedConcurrentExecutions": reserved})
            case "POST", _, "invocations":
                return await _invoke(functions, name, request)
    except UnknownFunctionError as unknown:
        return error(404, "ResourceNotFoundException", f"Function not found: {unknown.arn}")
    message = f"{request.method} {request.path} is not served here: change the function in the template instead"
    return error(501, "NotImplementedException", message)


def configuration(blueprint: FunctionBlueprint) -> dict[str, Any]:
    """FunctionConfiguration, as far as the template says anything about it."""
    return {
        "FunctionName": blueprint.name,
        "FunctionArn": blueprint.arn,
        "Runtime": blueprint.runtime,
        "Role": blueprint.role_arn,
        "Handler": blueprint.handler,
        "Timeout": blueprint.timeout_s,
        "MemorySize": blueprint.memory_mb,
        "Version": "$LATEST",
        "Environment": {"Variables": dict(blueprint.environment)},
        "PackageType": "Zip",
        "Architectures": [blueprint.architecture],
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": blueprint.log_group},
    }


def _json(document: object) -> Response:
    return Response(200, json.dumps(document).encode(), {"content-type": "application/json"})


def _whole(driver: FunctionDriver) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "Configuration": configuration(driver.blueprint),
        "Code": {"RepositoryType": "local", "Location": driver.task_root.as_uri()},
    }
    if driver.blueprint.reserved_concurrency is not None:
        whole["Concurrency"] = {"ReservedConcurrentExecutions": driver.blueprint.reserved_concurrency}
    return whole


def _find(functions: Functions, name: str, request: Request) -> tuple[FunctionDriver, str]:
    """The qualifier may be in the name or in the query, as on AWS."""
    driver, arn = functions.find(name)
    qualifier = request.query.get("Qualifier")
    if qualifier is None or arn.endswith(f":{qualifier}"):
        return driver, arn
    return functions.find(f"{driver.blueprint.arn}:{qualifier}")


async def _invoke(functions: Functions, name: str, request: Request) -> Response:
    driver, arn = _find(functions, name, request)
    kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
    refused = _refuse(kind, request)
    if refused is not None:
        return refused
    payload = request.body or b"{}"
    context = request.headers.get("x-amz-client-context")
    # Written again, as it becomes a header of the Runtime API: a line break in the JSON would end that header.
    client_context = None if context is None else json.dumps(json.loads(base64.b64decode(context)))
    request_id = str(uuid.uuid4())
    if kind == "DryRun":
        return Response(204, b"", {"x-amzn-requestid": request_id})
    if kind == "Event":
        accepted = functions.events(name).accept(
            payload, request_id=request_id, function_arn=arn, client_context=client_context
        )
        if not accepted:
            return _throttled("ConcurrentInvocationLimitExceeded")
        return Response(202, b"", {"x-amzn-requestid": request_id})
    invoked = await driver.invoke(payload, request_id=request_id, function_arn=arn, client_context=client_context)
    return _answer(invoked, request_id, tail=request.headers.get("x-amz-log-type") == "Tail")


def _refuse(kind: str, request: Request) -> Response | None:
    if kind not in ("RequestResponse", "Event", "DryRun"):
        message = f"Value '{kind}' at 'invocationType' failed to satisfy constraint: RequestResponse, Event, DryRun"
        return error(400, "InvalidParameterValueException", message)
    limit = EVENT_BYTES_MAX if kind == "Event" else PAYLOAD_BYTES_MAX
    if len(request.body) > limit:
        message = f"{len(request.body)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        return error(413, "RequestTooLargeException", message)
    try:
        if request.body:
            json.loads(request.body)
    except ValueError as why:
        message = f"Could not parse request body into json: {why}"
        return error(400, "InvalidRequestContentException", message)
    context = request.headers.get("x-amz-client-context", "")
    try:
        decoded = json.loads(base64.b64decode(context, validate=True).decode("ascii")) if context else {}
    except (binascii.Error, ValueError):
        decoded = None
    if not isinstance(decoded, dict) or len(context) > _CLIENT_CONTEXT_BYTES_MAX:
        message = f"X-Amz-Client-Context must be a JSON object in base64, up to {_CLIENT_CONTEXT_BYTES_MAX} bytes"
        return error(400, "InvalidRequestContentException", message)
    return None


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
        case Succeeded(_, payload) | FunctionError(_, _, payload):
            headers = {
                "content-type": "application/json",
                "x-amz-executed-version": "$LATEST",
                "x-amzn-requestid": request_id,
            }
            if isinstance(invoked.outcome, FunctionError):
                headers["x-amz-function-error"] = "Unhandled"
            if tail:
                headers["x-amz-log-result"] = base64.b64encode(invoked.log_tail).decode("ascii")
            return Response(200, payload, headers)
