"""SHELL: the settings of a mapping in AWS's words: as requests have them, as answers show them, as they are kept.

`Settings` is a whole one: every property that a mapping has, defaults filled in. AWS: API_CreateEventSourceMapping,
API_UpdateEventSourceMapping, API_EventSourceMappingConfiguration. What the values may be is decided in
`infra.model.mapping.config`; here only their JSON types are looked at.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from infra.blueprint import MappingBlueprint
from infra.model.mapping import MappingConfig, Pace
from infra.model.mapping.config import check_names
from infra.model.mapping.errors import MappingError, failure, invalid_parameter, validation

Settings: TypeAlias = dict[str, Any]

REPORT = "ReportBatchItemFailures"
EVENT_COUNT = "EventCount"

# As AWS answers a creation that names nothing (fact 2.1). Numbers and flags are the machine's settings one to one.
DEFAULTS: Mapping[str, Any] = {
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "DestinationConfig": {"OnFailure": {}},
    "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": False,
    "MaximumRetryAttempts": -1,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
}
_PLAIN = {
    "BatchSize": "batch_size",
    "MaximumBatchingWindowInSeconds": "batching_window_s",
    "ParallelizationFactor": "parallelization_factor",
    "MaximumRecordAgeInSeconds": "record_age_s_max",
    "BisectBatchOnFunctionError": "bisect_batch_on_function_error",
    "MaximumRetryAttempts": "retry_attempts_max",
    "TumblingWindowInSeconds": "tumbling_window_s",
}
_STARTING = ("StartingPosition", "StartingPositionTimestamp")  # used once; an update cannot name them
_OF_REQUEST = ("EventSourceArn", "FunctionName", "Enabled", "Tags", "UUID")


def created(body: Mapping[str, Any]) -> Settings:
    """The settings of CreateEventSourceMapping's body. Raises MappingError."""
    settings = _changed({**DEFAULTS, "StartingPosition": ""}, body, [*_STARTING, *DEFAULTS])
    return {name: settings[name] for name in (*_STARTING, *DEFAULTS, *settings) if name in settings}


def updated(settings: Settings, body: Mapping[str, Any]) -> Settings:
    """What UpdateEventSourceMapping's body makes of them. Raises MappingError."""
    return _changed(settings, body, DEFAULTS)


def of_blueprint(blueprint: MappingBlueprint) -> Settings:
    """What a template says, as the body of the request that CloudFormation would make of it."""
    return created(
        {
            "StartingPosition": blueprint.starting_position,
            "StartingPositionTimestamp": blueprint.starting_position_timestamp_s,
            **{name: getattr(blueprint, attribute, DEFAULTS[name]) for name, attribute in _PLAIN.items()},
            "DestinationConfig": {"OnFailure": {"Destination": blueprint.on_failure_destination_arn or ""}},
            "FunctionResponseTypes": [REPORT] if blueprint.report_batch_item_failures else [],
            "MetricsConfig": {"Metrics": [EVENT_COUNT] if blueprint.event_count_metrics else []},
            "FilterCriteria": {"Filters": [{"Pattern": each} for each in getattr(blueprint, "filters", ())]},
        }
    )


def config_of(
    settings: Settings, *, uuid: str, event_source_arn: str, function_arn: str, role_arn: str, pace: Pace
) -> MappingConfig:
    """For the machine. Raises MappingError for values that AWS refuses."""
    return MappingConfig(
        uuid=uuid,
        function_arn=function_arn,
        event_source_arn=event_source_arn,
        role_arn=role_arn,
        starting_position=settings["StartingPosition"],
        starting_position_timestamp_s=settings.get("StartingPositionTimestamp"),
        report_batch_item_failures=REPORT in settings["FunctionResponseTypes"],
        on_failure_destination_arn=settings["DestinationConfig"]["OnFailure"].get("Destination"),
        event_count_metrics="MetricsConfig" in settings,
        filters=tuple(each["Pattern"] for each in settings.get("FilterCriteria", {}).get("Filters", ())),
        pace=pace,
        **{attribute: settings[name] for name, attribute in _PLAIN.items()},
    )


def _changed(settings: Mapping[str, Any], body: Mapping[str, Any], known: Any) -> Settings:
    names = (body.get("EventSourceArn"), body.get("FunctionName"))
    check_names(*(_text("a name", name) if name is not None else None for name in names))
    changed = dict(settings)
    accepted = {*known, "FilterCriteria", "MetricsConfig"}
    for name, value in body.items():
        if name in accepted and value is not None:
            value = _READERS[name](name, value)
            if value is None:
                changed.pop(name, None)
            else:
                changed[name] = value
        elif name not in accepted and name not in (*_OF_REQUEST, *_STARTING) and value is not None:
            raise invalid_parameter(f"{name} is not a setting of a mapping that reads a Kinesis stream.")
    return changed


# JSON types; None is a setting that is taken away.


def _typed(kind: type, word: str) -> Callable[[str, Any], Any]:
    def read(name: str, value: Any) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise serialization(f"{name} has to be {word}")
        return value

    return read


_number = _typed(int, "a whole number")
_flag = _typed(bool, "true or false")
_text = _typed(str, "a string")
_list = _typed(list, "a list")
_object = _typed(dict, "an object")


def _timestamp(name: str, value: Any) -> float:
    """Epoch seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise serialization(f"{name} has to be a number")
    return float(value)


def _response_types(name: str, value: Any) -> list[str]:
    wrong = [each for each in _list(name, value) if each != REPORT]
    if wrong or len(value) > 1:
        constraint = f"Member must satisfy constraint: [Member must satisfy enum value set: [{REPORT}]]"
        raise validation([failure(value, "functionResponseTypes", constraint)])
    return list(value)


def _destination(name: str, value: Any) -> Settings:
    on_failure = _object("OnFailure", _object(name, value).get("OnFailure") or {})
    unknown = [each for each in (*value, *on_failure) if each not in ("OnFailure", "Destination")]
    if unknown:
        raise invalid_parameter(f"{name}.{unknown[0]} is not a setting of a mapping that reads a Kinesis stream.")
    destination = _text("Destination", on_failure.get("Destination") or "")
    return {"OnFailure": {"Destination": destination} if destination else {}}


def _filters(name: str, value: Any) -> Settings | None:
    filters = _list("Filters", _object(name, value).get("Filters") or [])
    patterns = [_text("Pattern", _object("Filter", each).get("Pattern", "")) for each in filters]
    return {"Filters": [{"Pattern": pattern} for pattern in patterns]} if patterns else None


def _metrics(name: str, value: Any) -> Settings | None:
    metrics = _list("Metrics", _object(name, value).get("Metrics") or [])
    if any(each != EVENT_COUNT for each in metrics) or len(metrics) > 1:
        constraint = f"Member must satisfy constraint: [Member must satisfy enum value set: [{EVENT_COUNT}]]"
        raise validation([failure(metrics, "metricsConfig.metrics", constraint)])
    return {"Metrics": metrics} if metrics else None


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "StartingPosition": _text,
    "StartingPositionTimestamp": _timestamp,
    **{name: _flag if isinstance(DEFAULTS[name], bool) else _number for name in _PLAIN},
    "DestinationConfig": _destination,
    "FunctionResponseTypes": _response_types,
    "FilterCriteria": _filters,
    "MetricsConfig": _metrics,
}


def serialization(message: str) -> MappingError:
    return MappingError("SerializationException", message)
