"""PURE: the settings of a mapping in AWS's words: as requests have them, as answers show them, as they are kept.

`Settings` is a whole one: every property that a mapping has, defaults filled in. AWS: API_CreateEventSourceMapping,
API_UpdateEventSourceMapping, API_EventSourceMappingConfiguration. What a value may be, and the default, is said by
`config`; here are the JSON types, and what a request as a whole may say.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from re import compile as pattern
from typing import Any, TypeAlias

from infra.model.function.tags import added
from infra.model.mapping.config import (
    MappingConfig,
    Pace,
    destination_failures,
    name_failures,
    range_failures,
    starting_position_failure,
)
from infra.model.mapping.errors import (
    failure,
    invalid_parameter,
    pattern_failure,
    serialization,
    unrecognized_source,
    validation,
)

Settings: TypeAlias = dict[str, Any]

REPORT = "ReportBatchItemFailures"
EVENT_COUNT = "EventCount"

# The numbers and flags, one to one with the configuration's.
PLAIN = {
    "BatchSize": "batch_size",
    "MaximumBatchingWindowInSeconds": "batching_window_s",
    "ParallelizationFactor": "parallelization_factor",
    "MaximumRecordAgeInSeconds": "record_age_s_max",
    "BisectBatchOnFunctionError": "bisect_batch_on_function_error",
    "MaximumRetryAttempts": "retry_attempts_max",
    "TumblingWindowInSeconds": "tumbling_window_s",
}
_DEFAULT_OF = {each.name: each.default for each in fields(MappingConfig)}
# As AWS answers a creation that names nothing (fact 2.1), in its order.
DEFAULTS: Mapping[str, Any] = {
    **{name: _DEFAULT_OF[PLAIN[name]] for name in list(PLAIN)[:3]},
    "DestinationConfig": {"OnFailure": {}},
    **{name: _DEFAULT_OF[PLAIN[name]] for name in list(PLAIN)[3:]},
    "FunctionResponseTypes": [],
}
_OPTIONAL = ("FilterCriteria", "MetricsConfig", "KMSKeyArn")
_STARTING = ("StartingPosition", "StartingPositionTimestamp")  # used once; an update cannot name them
_OF_REQUEST = ("EventSourceArn", "FunctionName", "Enabled", "Tags", "UUID")
_TIME_S_MAX = 10**300  # what a float and its milliseconds can hold
KMS_KEY = pattern(r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()")


def created(body: Mapping[str, Any]) -> Settings:
    """The settings of CreateEventSourceMapping's body. Raises MappingError."""
    settings = _changed({**DEFAULTS, "StartingPosition": ""}, body, [*_STARTING, *DEFAULTS])
    return {name: settings[name] for name in (*_STARTING, *DEFAULTS, *settings) if name in settings}


def updated(settings: Settings, body: Mapping[str, Any]) -> Settings:
    """What UpdateEventSourceMapping's body makes of them. Raises MappingError."""
    return _changed(settings, body, DEFAULTS)


def source_and_function(body: Mapping[str, Any]) -> tuple[str, str]:
    """The names in CreateEventSourceMapping's body, which `created` has seen. Raises MappingError."""
    source, function = body.get("EventSourceArn"), body.get("FunctionName")
    if function is None:
        raise validation([failure(None, "functionName", "Member must not be null")])
    if source is None:
        raise unrecognized_source()
    service = source.split(":")[2]
    if service != "kinesis":
        raise unrecognized_source(service)
    return str(source), str(function)


def enabled_of(body: Mapping[str, Any]) -> bool | None:
    """None: the body does not say. Raises MappingError."""
    enabled = body.get("Enabled")
    return None if enabled is None else bool(_flag("Enabled", enabled))


def tags_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Raises RefusedError for more than AWS keeps."""
    return added({}, _object("Tags", body.get("Tags") or {}))


def is_replaced(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """A template has changed what cannot be changed: CloudFormation would make another mapping.

    Both have `event_source_arn` and `settings`.
    """
    return before["event_source_arn"] != after["event_source_arn"] or any(
        before["settings"].get(name) != after["settings"].get(name) for name in _STARTING
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
        **{attribute: settings[name] for name, attribute in PLAIN.items()},
    )


def _changed(settings: Mapping[str, Any], body: Mapping[str, Any], known: Any) -> Settings:
    changed = dict(settings)
    accepted = {*known, *_OPTIONAL}
    given = {name: value for name, value in body.items() if value is not None}
    unknown = [name for name in given if name not in accepted and name not in (*_OF_REQUEST, *_STARTING)]
    if unknown:
        raise invalid_parameter(f"{unknown[0]} is not a setting of a mapping that reads a Kinesis stream.")
    read = {name: _READERS[name](name, value) for name, value in given.items() if name in accepted}
    names = [_text(name, given[name]) if name in given else None for name in ("EventSourceArn", "FunctionName")]
    failures = [*name_failures(*names), *_failures(read)]
    if failures:
        raise validation(failures)
    for name, value in read.items():
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed


def _failures(read: Mapping[str, Any]) -> Iterator[str]:
    """All that does not fit the shape of the request, as AWS tells it at once."""
    yield from range_failures({PLAIN[name]: value for name, value in read.items() if name in PLAIN})
    if read.get("StartingPosition"):
        yield from starting_position_failure(read["StartingPosition"])
    if "DestinationConfig" in read:
        yield from destination_failures(read["DestinationConfig"]["OnFailure"].get("Destination", ""))
    lists = {
        "functionResponseTypes": (read.get("FunctionResponseTypes"), REPORT),
        "metricsConfig.metrics": ((read.get("MetricsConfig") or {}).get("Metrics"), EVENT_COUNT),
    }
    for where, (values, accepted) in lists.items():
        if values and values != [accepted]:
            constraint = f"Member must satisfy constraint: [Member must satisfy enum value set: [{accepted}]]"
            if set(values) == {accepted}:
                constraint = "Member must have length less than or equal to 1"
            yield failure(f"[{', '.join(values)}]", where, constraint)
    key = pattern_failure(read.get("KMSKeyArn") or "", "kmsKeyArn", KMS_KEY)
    if key is not None:
        yield key


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
    if not abs(value) < _TIME_S_MAX:
        raise serialization(f"{name} has to be epoch seconds")
    return float(value)


def _texts(name: str, value: Any) -> list[str]:
    if not all(isinstance(each, str) for each in _list(name, value)):
        raise serialization(f"{name} has to be a list of strings")
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
    metrics = _texts("Metrics", _object(name, value).get("Metrics") or [])
    return {"Metrics": metrics} if metrics else None


def _key(name: str, value: Any) -> str | None:
    return _text(name, value) or None


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "StartingPosition": _text,
    "StartingPositionTimestamp": _timestamp,
    **{name: _flag if isinstance(DEFAULTS[name], bool) else _number for name in PLAIN},
    "DestinationConfig": _destination,
    "FunctionResponseTypes": _texts,
    "FilterCriteria": _filters,
    "MetricsConfig": _metrics,
    "KMSKeyArn": _key,
}
