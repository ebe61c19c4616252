"""What Lambda's API refuses, with AWS's status, code and words.

Many messages are those that AWS gave when it was asked (recordings of the public test suites of other emulators);
where AWS's own words are not known the message says what is wrong, where, and what is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RefusedError(Exception):
    """`status` and `code` as AWS answers; `message` is the text in the body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> RefusedError:
    return RefusedError(400, "InvalidParameterValueException", message)


def conflict(message: str) -> RefusedError:
    return RefusedError(409, "ResourceConflictException", message)


def not_found(message: str) -> RefusedError:
    return RefusedError(404, "ResourceNotFoundException", message)


def no_function(arn: str) -> RefusedError:
    """`arn` as it was asked for, with its qualifier."""
    return not_found(f"Function not found: {arn}")


def no_alias(arn: str) -> RefusedError:
    return not_found(f"Cannot find alias arn: {arn}")


def no_event_invoke_config(arn: str) -> RefusedError:
    return not_found(f"The function {arn} doesn't have an EventInvokeConfig")


def not_reproduced(what: str) -> RefusedError:
    """Something that AWS would accept and that would mean nothing here."""
    return invalid(f"{what} is not reproduced by the local stack; leave it out")


def wrong_revision(resource: str) -> RefusedError:
    """`resource` is `Function/GetAlias`, `Policy`, ...: what to call for the newest id."""
    message = (
        "The Revision Id provided does not match the latest Revision Id. "
        f"Call the Get{resource} API to retrieve the latest Revision Id"
    )
    return RefusedError(412, "PreconditionFailedException", message)


class Violations:
    """Constraints of the API's model that a request breaks: AWS tells all of them in one ValidationException."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, value: object, where: str, constraint: str) -> None:
        """`where` is the member's name in the API, in camel case."""
        shown = "null" if value is None else f"'{value}'"
        self.found.append(f"Value {shown} at '{where}' failed to satisfy constraint: {constraint}")

    def in_range(self, request: Mapping[str, Any], member: str, low: int, high: int) -> None:
        value = request.get(member)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int):
            raise RefusedError(400, "SerializationException", f"{member} is not a number")
        if value < low:
            self.add(value, camel(member), f"Member must have value greater than or equal to {low}")
        elif value > high:
            self.add(value, camel(member), f"Member must have value less than or equal to {high}")

    def check(self) -> None:
        """Raises RefusedError when anything was found."""
        if self.found:
            count = f"{len(self.found)} validation error{'s' if len(self.found) > 1 else ''} detected"
            raise RefusedError(400, "ValidationException", f"{count}: {'; '.join(self.found)}")


def needed(request: Mapping[str, Any], *members: str) -> None:
    """Raises RefusedError if one of them is missing."""
    violations = Violations()
    for member in members:
        if request.get(member) is None:
            violations.add(None, camel(member), "Member must not be null")
    violations.check()


def check_invocation(invocation_type: str, log_type: str) -> None:
    """Of Invoke. Raises RefusedError."""
    violations = Violations()
    for value, where, accepted in (
        (invocation_type, "invocationType", ("Event", "RequestResponse", "DryRun")),
        (log_type, "logType", ("None", "Tail")),
    ):
        if value not in accepted:
            violations.add(value, where, f"Member must satisfy enum value set: [{', '.join(accepted)}]")
    violations.check()


def camel(member: str) -> str:
    return member[:1].lower() + member[1:]


def text(request: Mapping[str, Any], member: str, default: str = "") -> str:
    """A string of the request. Raises RefusedError when it is something else."""
    value = request.get(member)
    if value is None:
        return default
    if not isinstance(value, str):
        raise RefusedError(400, "SerializationException", f"{member} is not a string")
    return value


def table(request: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    """A structure or map of the request. Raises RefusedError when it is something else."""
    value = request.get(member)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusedError(400, "SerializationException", f"{member} is not an object")
    return value
