"""PURE: typed values out of evaluated properties, with CloudFormation's defaults and AWS's ranges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.intrinsics import BlueprintError, plain


@dataclass(frozen=True, slots=True)
class Properties:
    """Evaluated properties of one resource and their path in the template; every method raises BlueprintError."""

    values: Mapping[str, Any]
    path: str

    def below(self, name: str) -> "Properties":
        """The mapping `name`, empty when absent."""
        values = self.values.get(name, {})
        if not isinstance(values, Mapping):
            raise BlueprintError(f"{self.path}.{name}", "a mapping is needed here")
        return Properties(values, f"{self.path}.{name}")

    def string(self, name: str, default: str | None = None, allowed: tuple[str, ...] = ()) -> str:
        """A string; required when there is no default."""
        value = self._value(name, default)
        found = plain(value, f"{self.path}.{name}")
        if allowed and found not in allowed:
            raise BlueprintError(f"{self.path}.{name}", f"{found!r} is not allowed; allowed are {', '.join(allowed)}")
        return found

    def optional(self, name: str) -> str | None:
        """A string, or None when absent."""
        return self.string(name) if name in self.values else None

    def seconds(self, name: str) -> float | None:
        """A point in time in seconds since 1970, or None when absent."""
        value = self.optional(name)
        try:
            return None if value is None else float(value)
        except ValueError:
            raise BlueprintError(f"{self.path}.{name}", f"{value!r} is not a number of seconds since 1970") from None

    def integer(self, name: str, default: int | None, low: int, high: int, *, or_else: int | None = None) -> int:
        """A whole number from `low` to `high` (or exactly `or_else`); required when `default` is None."""
        value = plain(self._value(name, default), f"{self.path}.{name}")
        span = f"{low} to {high}" if or_else is None else f"{or_else} or {low} to {high}"
        try:
            number = int(value)
        except ValueError:
            raise BlueprintError(f"{self.path}.{name}", f"{value!r} is not a whole number; allowed is {span}") from None
        if not low <= number <= high and number != or_else:
            raise BlueprintError(f"{self.path}.{name}", f"{number} is not allowed; allowed is {span}")
        return number

    def boolean(self, name: str, default: bool) -> bool:
        """true or false, also as a string (a parameter's value)."""
        value = plain(self._value(name, default), f"{self.path}.{name}")
        if value not in ("true", "false"):
            raise BlueprintError(f"{self.path}.{name}", f"{value!r} is not allowed; allowed are true, false")
        return value == "true"

    def strings(self, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """A list of strings out of `allowed`, empty when absent."""
        values = self.values.get(name, [])
        if not isinstance(values, list) or any(value not in allowed for value in values):
            raise BlueprintError(f"{self.path}.{name}", f"{values!r} is not allowed; a list of {', '.join(allowed)} is")
        return tuple(values)

    def items(self, name: str) -> list["Properties"]:
        """A list of mappings, empty when absent."""
        values, path = self.values.get(name, []), f"{self.path}.{name}"
        if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
            raise BlueprintError(path, "a list of mappings is needed here")
        return [Properties(value, f"{path}[{index}]") for index, value in enumerate(values)]

    def _value(self, name: str, default: Any) -> Any:
        if name in self.values:
            return self.values[name]
        if default is None:
            raise BlueprintError(f"{self.path}.{name}", "is required")
        return default


CREATE_TABLE: Final = (
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
)
"""Properties of AWS::DynamoDB::Table that CreateTable takes under the same name (AWS: CreateTable)."""

_NUMBERS: Final = (
    *("ReadCapacityUnits", "WriteCapacityUnits", "RetentionInDays", "DelaySeconds", "MaximumMessageSize"),
    *("MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout", "maxReceiveCount"),
)


def create_table_parameters(name: str, properties: Properties) -> dict[str, Any]:
    """The arguments of CreateTable; numbers and booleans that were parameters have their own types again."""
    found: dict[str, Any] = {"TableName": name}
    for key in CREATE_TABLE:
        if key in properties.values:
            found[key] = typed(properties.values[key], f"{properties.path}.{key}")
    for key in ("AttributeDefinitions", "KeySchema"):
        if key not in found:
            raise BlueprintError(f"{properties.path}.{key}", "is required")
    return found


def typed(value: Any, path: str) -> Any:
    """`value` with numbers and booleans for the strings that parameters are."""
    if isinstance(value, list):
        return [typed(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        inside = Properties(value, path)
        return {
            key: inside.integer(key, None, 0, 2**31) if key in _NUMBERS else typed(item, f"{path}.{key}")
            for key, item in value.items()
        }
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
