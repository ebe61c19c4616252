"""SHELL: the wire of event source mappings, `/2015-03-31/event-source-mappings`: reading, not yet changing.

AWS: API_ListEventSourceMappings, API_GetEventSourceMapping. The template decides which mappings exist, so creating,
updating and deleting are refused with what to do instead.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from infra.blueprint import MappingBlueprint
from infra.local.http import Request, Response

PATH = "/2015-03-31/event-source-mappings"
_PAGE_MAX = 100  # AWS returns at most 100, also when MaxItems says more (AWS: API_ListEventSourceMappings)


class Status(Protocol):
    """One mapping as it is now; `last_modified_s` is epoch seconds."""

    @property
    def blueprint(self) -> MappingBlueprint: ...
    @property
    def state(self) -> str: ...
    @property
    def last_processing_result(self) -> str: ...
    @property
    def last_modified_s(self) -> float: ...


def answer(request: Request, mappings: Sequence[Status]) -> Response:
    """Answers GET of the list and of one mapping; everything else is an AWS-shaped error."""
    rest = request.path.removeprefix(PATH).strip("/")
    if request.method != "GET":
        message = (
            f"{request.method} {request.path}: event source mappings come from the template here. "
            "Change the template or its parameters, and start the stack again."
        )
        return _error(400, "InvalidParameterValueException", message)
    if not rest:
        return _list(request.query, mappings)
    for mapping in mappings:
        if mapping.blueprint.uuid == rest:
            return _json(200, describe(mapping))
    return _error(404, "ResourceNotFoundException", "The resource you requested does not exist.")


def describe(mapping: Status) -> dict[str, Any]:
    """EventSourceMappingConfiguration."""
    blueprint = mapping.blueprint
    region, account_id = blueprint.function_arn.split(":")[3:5]
    destination = blueprint.on_failure_destination_arn
    described: dict[str, Any] = {
        "UUID": blueprint.uuid,
        "StartingPosition": blueprint.starting_position,
        "BatchSize": blueprint.batch_size,
        "MaximumBatchingWindowInSeconds": blueprint.batching_window_s,
        "ParallelizationFactor": blueprint.parallelization_factor,
        "EventSourceArn": blueprint.event_source_arn,
        "EventSourceMappingArn": f"arn:aws:lambda:{region}:{account_id}:event-source-mapping:{blueprint.uuid}",
        "FunctionArn": blueprint.function_arn,
        "LastModified": mapping.last_modified_s,
        "LastProcessingResult": mapping.last_processing_result,
        "State": mapping.state,
        "StateTransitionReason": "User action",
        "DestinationConfig": {"OnFailure": {"Destination": destination} if destination else {}},
        "MaximumRecordAgeInSeconds": blueprint.record_age_s_max,
        "BisectBatchOnFunctionError": blueprint.bisect_batch_on_function_error,
        "MaximumRetryAttempts": blueprint.retry_attempts_max,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if blueprint.report_batch_item_failures else [],
    }
    if blueprint.starting_position_timestamp_s is not None:
        described["StartingPositionTimestamp"] = blueprint.starting_position_timestamp_s
    if blueprint.event_count_metrics:
        described["MetricsConfig"] = {"Metrics": ["EventCount"]}
    return described


def _list(query: Mapping[str, str], mappings: Sequence[Status]) -> Response:
    source, function = query.get("EventSourceArn"), query.get("FunctionName")
    found = [
        mapping
        for mapping in sorted(mappings, key=lambda each: each.blueprint.uuid)
        if (not source or mapping.blueprint.event_source_arn == source)
        and (not function or _names(function, mapping.blueprint.function_arn))
    ]
    limit = query.get("MaxItems", str(_PAGE_MAX))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 10_000):
        return _error(400, "InvalidParameterValueException", f"MaxItems is {limit!r}; accepted: 1 to 10000")
    marker = query.get("Marker", "")
    rest = [mapping for mapping in found if mapping.blueprint.uuid > marker]
    page = rest[: min(int(limit), _PAGE_MAX)]
    listed: dict[str, Any] = {"EventSourceMappings": [describe(mapping) for mapping in page]}
    if len(page) < len(rest):
        listed["NextMarker"] = page[-1].blueprint.uuid
    return _json(200, listed)


def _names(wanted: str, function_arn: str) -> bool:
    """A function is named by its ARN, by `account:function:name`, or by name; with its qualifier if it has one."""
    account_id, name = function_arn.split(":")[4], ":".join(function_arn.split(":")[6:])
    return wanted in (function_arn, name, f"{account_id}:function:{name}", f"function:{name}")


def _json(status: int, content: Mapping[str, Any]) -> Response:
    return Response(status, json.dumps(content).encode(), {"content-type": "application/json"})


def _error(status: int, code: str, message: str) -> Response:
    body = json.dumps({"Type": "User", "Message": message, "message": message}).encode()
    return Response(status, body, {"content-type": "application/json", "x-amzn-errortype": code})
