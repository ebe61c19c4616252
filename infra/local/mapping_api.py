"""SHELL: the wire of event source mappings, `/2015-03-31/event-source-mappings`: requests in, AWS-shaped answers out.

AWS: API_CreateEventSourceMapping, API_GetEventSourceMapping, API_ListEventSourceMappings,
API_UpdateEventSourceMapping, API_DeleteEventSourceMapping.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from infra.local.http import Request, Response
from infra.local.mapping_settings import Settings, serialization
from infra.model.mapping import MappingInUseError
from infra.model.mapping.errors import MappingError, mapping_not_found, range_failure, validation

_COLLECTION = "/event-source-mappings"
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_PAGE_MAX = 100  # AWS returns at most 100, also when MaxItems says more (AWS: API_ListEventSourceMappings)


class Described(Protocol):
    """One mapping as it is now; `last_modified_s` is epoch seconds."""

    @property
    def uuid(self) -> str: ...
    @property
    def event_source_arn(self) -> str: ...
    @property
    def function_arn(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def state(self) -> str: ...
    @property
    def last_processing_result(self) -> str: ...
    @property
    def last_modified_s(self) -> float: ...


class Mappings(Protocol):
    """The service. `create`, `update` and `delete` raise MappingError and MappingInUseError."""

    def all(self) -> Sequence[Described]: ...
    async def create(self, body: Mapping[str, Any], /) -> Described: ...
    async def update(self, uuid: str, body: Mapping[str, Any], /) -> Described: ...
    async def delete(self, uuid: str, /) -> Described: ...


async def answer(request: Request, mappings: Mappings) -> Response:
    """Answers one request; every error is an answer."""
    uuid = request.path.partition(_COLLECTION)[2].strip("/")
    try:
        return await _perform(request, uuid, mappings)
    except MappingInUseError as error:
        return _error(MappingError("ResourceInUseException", str(error)))
    except MappingError as error:
        return _error(error)


async def _perform(request: Request, uuid: str, mappings: Mappings) -> Response:
    match request.method, bool(uuid):
        case "GET", False:
            return _json(200, _list(request.query, mappings.all()))
        case "POST", False:
            return _json(202, describe(await mappings.create(_body(request))))
        case "GET", True:
            return _json(200, describe(found(mappings.all(), uuid)))
        case "PUT", True:
            return _json(202, describe(await mappings.update(uuid, _body(request))))
        case "DELETE", True:
            return _json(202, describe(await mappings.delete(uuid)))
    raise MappingError("MethodNotAllowedException", f"{request.method} {request.path} is not an operation", 405)


def found(mappings: Sequence[Described], uuid: str) -> Described:
    """Raises MappingError if there is none with this UUID."""
    for mapping in mappings:
        if mapping.uuid == uuid:
            return mapping
    raise mapping_not_found()


def describe(mapping: Described) -> dict[str, Any]:
    """EventSourceMappingConfiguration; the settings that were never made are not in it."""
    region, account_id = mapping.function_arn.split(":")[3:5]
    settings = dict(mapping.settings)
    starting = {name: settings.pop(name) for name in list(settings) if name.startswith("StartingPosition")}
    batching = ("BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor")
    return {
        "UUID": mapping.uuid,
        **starting,
        **{name: settings.pop(name) for name in batching},
        "EventSourceArn": mapping.event_source_arn,
        "EventSourceMappingArn": f"arn:aws:lambda:{region}:{account_id}:event-source-mapping:{mapping.uuid}",
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.last_modified_s,
        "LastProcessingResult": mapping.last_processing_result,
        "State": mapping.state,
        "StateTransitionReason": "User action",
        **settings,
    }


def _list(query: Mapping[str, str], mappings: Sequence[Described]) -> dict[str, Any]:
    source, function = query.get("EventSourceArn"), query.get("FunctionName")
    chosen = [
        mapping
        for mapping in sorted(mappings, key=lambda each: each.uuid)
        if (not source or mapping.event_source_arn == source)
        and (not function or _names(function, mapping.function_arn))
    ]
    limit = _limit(query.get("MaxItems", str(_PAGE_MAX)))
    marker = query.get("Marker", "")
    rest = [mapping for mapping in chosen if mapping.uuid > marker]
    page = rest[: min(limit, _PAGE_MAX)]
    listed: dict[str, Any] = {"EventSourceMappings": [describe(mapping) for mapping in page]}
    if len(page) < len(rest):
        listed["NextMarker"] = page[-1].uuid
    return listed


def _limit(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise serialization("MaxItems has to be a whole number")
    wrong = range_failure(int(text), "maxItems", 1, 10_000)
    if wrong is not None:
        raise validation([wrong])
    return int(text)


def _names(wanted: str, function_arn: str) -> bool:
    """A function is named by its ARN, by `account:function:name`, or by name; with its qualifier if it has one."""
    account_id, name = function_arn.split(":")[4], ":".join(function_arn.split(":")[6:])
    return wanted in (function_arn, name, f"{account_id}:function:{name}", f"function:{name}")


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise serialization("the body is not JSON") from error
    if not isinstance(body, dict):
        raise serialization("the body is not a JSON object")
    return body


def _json(status: int, content: Mapping[str, Any]) -> Response:
    return Response(status, json.dumps(content).encode(), {"content-type": "application/json"})


def _error(error: MappingError) -> Response:
    body = {"Type": "User", "Message": error.message, "message": error.message}
    headers = {"content-type": "application/json", "x-amzn-errortype": error.code}
    return Response(error.status, json.dumps(body).encode(), headers)
