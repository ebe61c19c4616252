"""SHELL: the wire of event source mappings, `/2015-03-31/event-source-mappings`: requests in, AWS-shaped answers out.

With their tags, `/2017-03-31/tags`. AWS: API_CreateEventSourceMapping, API_GetEventSourceMapping,
API_ListEventSourceMappings, API_UpdateEventSourceMapping, API_DeleteEventSourceMapping, API_TagResource.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from infra.local import tags_api
from infra.local.http import Request, Response
from infra.model.function.refusals import RefusedError
from infra.model.function.tags import no_mapping
from infra.model.mapping import MappingInUseError
from infra.model.mapping.errors import MappingError, mapping_not_found, serialization
from infra.model.mapping.listing import Mapped, page
from infra.model.mapping.response import not_json
from infra.model.mapping.settings import Settings

_COLLECTION = "/event-source-mappings"


class Described(Mapped, Protocol):
    """One mapping as it is now; `last_modified_s` is epoch seconds."""

    @property
    def settings(self) -> Settings: ...
    @property
    def state(self) -> str: ...
    @property
    def last_processing_result(self) -> str: ...
    @property
    def last_modified_s(self) -> float: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


class Mappings(Protocol):
    """The service. `create`, `update` and `delete` raise MappingError and MappingInUseError."""

    def all(self) -> Sequence[Described]: ...
    async def create(self, body: Mapping[str, Any], /) -> Described: ...
    async def update(self, uuid: str, body: Mapping[str, Any], /) -> Described: ...
    async def delete(self, uuid: str, /) -> Described: ...
    def tag(self, uuid: str, tags: Mapping[str, str], /) -> None: ...


async def answer(request: Request, mappings: Mappings) -> Response:
    """Answers one request; every error is an answer."""
    uuid = request.path.partition(_COLLECTION)[2].strip("/")
    try:
        tagged = tags_api.resource_of(request)
        return _tags(request, tagged, mappings) if tagged else await _perform(request, uuid, mappings)
    except RefusedError as refused:
        return _error(MappingError(refused.code, refused.message, refused.status))
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


def _tags(request: Request, arn: str, mappings: Mappings) -> Response:
    """ListTags, TagResource, UntagResource."""
    uuid = arn.rpartition(":")[2]
    mapping = next((each for each in mappings.all() if each.uuid == uuid and _arn(each) == arn), None)
    if mapping is None:
        raise no_mapping(arn)
    answer, tags = tags_api.perform(request, mapping.tags)
    if tags != mapping.tags:
        mappings.tag(uuid, tags)
    return answer


def _arn(mapping: Described) -> str:
    region, account_id = mapping.function_arn.split(":")[3:5]
    return f"arn:aws:lambda:{region}:{account_id}:event-source-mapping:{mapping.uuid}"


def found(mappings: Sequence[Described], uuid: str) -> Described:
    """Raises MappingError if there is none with this UUID."""
    for mapping in mappings:
        if mapping.uuid == uuid:
            return mapping
    raise mapping_not_found()


def describe(mapping: Described) -> dict[str, Any]:
    """EventSourceMappingConfiguration; the settings that were never made are not in it."""
    settings = dict(mapping.settings)
    starting = {name: settings.pop(name) for name in list(settings) if name.startswith("StartingPosition")}
    batching = ("BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor")
    return {
        "UUID": mapping.uuid,
        **starting,
        **{name: settings.pop(name) for name in batching},
        "EventSourceArn": mapping.event_source_arn,
        "EventSourceMappingArn": _arn(mapping),
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.last_modified_s,
        "LastProcessingResult": mapping.last_processing_result,
        "State": mapping.state,
        "StateTransitionReason": "User action",
        **settings,
    }


def _list(query: Mapping[str, str], mappings: Sequence[Described]) -> dict[str, Any]:
    shown, marker = page(query, mappings)
    listed: dict[str, Any] = {"EventSourceMappings": [describe(mapping) for mapping in shown]}
    return listed if marker is None else {**listed, "NextMarker": marker}


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}", parse_constant=not_json)
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
