"""PURE: what the control plane of event source mappings refuses, in the names and words of AWS.

Words are as recorded from AWS where a recording exists: the two `validation error detected` forms, `Stream not found`,
`Unrecognized event source.`, the mapping that exists already, `Invalid filter pattern definition.`. The others are this
project's own.
"""

from collections.abc import Iterable, Sequence
from re import Pattern


class MappingError(ValueError):
    """`code` is the name of AWS's exception, `message` its text, `status` the HTTP status. The caller's fault."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid_parameter(message: str) -> MappingError:
    return MappingError("InvalidParameterValueException", message)


def validation(failures: Iterable[str]) -> MappingError:
    """One error for everything that does not fit the shape of the request (AWS: its model's constraints)."""
    found = list(failures)
    errors = "error" if len(found) == 1 else "errors"
    return MappingError("ValidationException", f"{len(found)} validation {errors} detected: {'; '.join(found)}")


def failure(value: object, where: str, constraint: str) -> str:
    """`where` is the member's name as on the wire's inside: `batchSize`, `filterCriteria.filters.1.member.pattern`."""
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{where}' failed to satisfy constraint: {constraint}"


def range_failure(value: int, where: str, low: int, high: int) -> str | None:
    if value < low:
        return failure(value, where, f"Member must have value greater than or equal to {low}")
    if value > high:
        return failure(value, where, f"Member must have value less than or equal to {high}")
    return None


def enum_failure(value: str, where: str, accepted: Sequence[str]) -> str | None:
    if value in accepted:
        return None
    return failure(value, where, f"Member must satisfy enum value set: [{', '.join(accepted)}]")


def pattern_failure(value: str, where: str, accepted: Pattern[str]) -> str | None:
    if accepted.fullmatch(value):
        return None
    return failure(value, where, f"Member must satisfy regular expression pattern: {accepted.pattern}")


def starting_position_missing() -> MappingError:
    """Recorded: this one is an InvalidParameterValueException, although it reads like the others."""
    return invalid_parameter(
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
        "Member must not be null."
    )


def serialization(message: str) -> MappingError:
    """A value of another JSON type than the setting's."""
    return MappingError("SerializationException", message)


def unrecognized_source(service: str | None = None) -> MappingError:
    """No source at all (recorded), or one of another service than Kinesis."""
    if service in ("sqs", "dynamodb", "kafka", "mq", "rds"):  # AWS has these
        return invalid_parameter(f"The local stack reads Kinesis streams, not event sources of {service}.")
    return invalid_parameter("Unrecognized event source.")


def stream_not_found(stream_arn: str) -> MappingError:
    return invalid_parameter(f"Stream not found: {stream_arn}")


def mapping_exists(event_source_arn: str, function_name: str, uuid: str) -> MappingError:
    """The same function reads the same source already, as mapping `uuid`."""
    message = (
        f'The event source arn (" {event_source_arn} ") and function (" {function_name} ") provided mapping already '
        f"exists. Please update or delete the existing mapping with UUID {uuid}"
    )
    return MappingError("ResourceConflictException", message, 409)


def mapping_not_found() -> MappingError:
    return MappingError("ResourceNotFoundException", "The resource you requested does not exist.", 404)


def invalid_filter() -> MappingError:
    return invalid_parameter("Invalid filter pattern definition.")
