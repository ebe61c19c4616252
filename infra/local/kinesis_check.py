"""SHELL: an input held against its operation's shape, and the words in which AWS refuses it.

A member of the wrong JSON type is a SerializationException; up to ten broken constraints are told in one
ValidationException.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.local.kinesis_shapes import ABSENT, OPERATIONS, PARTITION_KEY_MAX, Member
from infra.model.stream_error import StreamError, invalid_argument

_ERRORS_MAX = 10


def check(operation: str, body: Mapping[str, Any]) -> None:
    """Raises StreamError (SerializationException or ValidationException) unless `body` is a legal input.

    InvalidArgumentException for what AWS would take and this service does not have.
    """
    broken: list[str] = []
    for member in OPERATIONS[operation]:
        for message in _broken(member, body.get(member.name), ""):
            broken.append(message)
            if len(broken) == _ERRORS_MAX:
                raise invalid(broken)
    if broken:
        raise invalid(broken)
    for name in ABSENT:
        if body.get(name):
            raise invalid_argument(f"{name} is not reproduced by the local Kinesis; leave it out.")


def invalid(broken: list[str]) -> StreamError:
    plural = "s" if len(broken) > 1 else ""
    return StreamError("ValidationException", f"{len(broken)} validation error{plural} detected: {'; '.join(broken)}")


def constraint(value: str, path: str, text: str) -> str:
    """`value` as AWS shows it: quoted, or the word null."""
    return f"Value {value} at '{path}' failed to satisfy constraint: {text}"


def _broken(member: Member, value: Any, prefix: str) -> Iterator[str]:
    path = prefix + member.name[0].lower() + member.name[1:]
    if value is None:
        if member.required:
            yield constraint("null", path, "Member must not be null")
        return
    _check_kind(member.kind, value)
    texts = list(_broken_bounds(member, value))
    if texts:
        shown = f"'{_shown(member, value)}'"
        yield from (constraint(shown, path, text) for text in texts)
    for inner in member.members:
        yield from _broken(inner, value.get(inner.name), f"{path}.")
    if member.item and member.item.members and not all(map(_is_plain_entry, value)):
        for number, item in enumerate(value, 1):
            yield from _broken_item(member.item, item, f"{path}.{number}.")
    elif member.kind in ("list", "map"):
        shown = f"'{_shown(member, value)}'"
        yield from (constraint(shown, path, text) for text in _broken_parts(member, value))


def _broken_bounds(member: Member, value: Any) -> Iterator[str]:
    size = value if member.kind in ("integer", "timestamp") else len(value) if hasattr(value, "__len__") else 0
    word = "value" if member.kind == "integer" else "length"
    if member.enum and value not in member.enum:
        yield f"Member must satisfy enum value set: [{', '.join(member.enum)}]"
    if member.least is not None and size < member.least:
        yield f"Member must have {word} greater than or equal to {member.least}"
    if member.most is not None and size > member.most:
        yield f"Member must have {word} less than or equal to {member.most}"
    if member.pattern and not re.fullmatch(member.pattern, value):
        yield f"Member must satisfy regular expression pattern: {member.pattern}"


def _is_plain_entry(item: Any) -> bool:
    """Whether it is an ordinary record of PutRecords: the usual case, told 500 times a request without the long way."""
    if not isinstance(item, dict) or "ExplicitHashKey" in item:
        return False
    key = item.get("PartitionKey")
    return isinstance(key, str) and 0 < len(key) <= PARTITION_KEY_MAX


def _broken_parts(member: Member, value: Any) -> Iterator[str]:
    """The texts of a list, or the keys and values of a map: AWS shows the whole, and all that holds for each part."""
    parts = {
        "Member": (member.item, value if member.kind == "list" else ()),
        "Map keys": (member.keys, value),
        "Map value": (member.values, value.values() if member.kind == "map" else ()),
    }
    for word, (part, values) in parts.items():
        if part is None:
            continue
        for each in values:
            _check_kind(part.kind, each)
        if any(True for each in values for _ in _broken_bounds(part, each)):
            yield f"{word} must satisfy constraint: [{', '.join(_constraints(part))}]"


def _constraints(part: Member) -> Iterator[str]:
    if part.most is not None:
        yield f"Member must have length less than or equal to {part.most}"
    if part.least is not None:
        yield f"Member must have length greater than or equal to {part.least}"
    if part.enum:
        yield f"Member must satisfy enum value set: [{', '.join(part.enum)}]"


def _broken_item(item: Member, value: Any, prefix: str) -> Iterator[str]:
    _check_kind(item.kind, value)
    for inner in item.members:
        yield from _broken(inner, value.get(inner.name), f"{prefix}member.")


def _shown(member: Member, value: Any) -> str:
    """A value as a message shows it. Records are not shown: a payload has no place in a message."""
    if member.kind == "list":
        return f"[{', '.join(item if isinstance(item, str) else '...' for item in value)}]"
    if member.kind == "map":
        return "{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}"
    return str(value)


def _check_kind(kind: str, value: Any) -> None:
    if kind in ("list", "map", "structure"):
        good = isinstance(value, list if kind == "list" else dict)
    elif kind == "boolean":
        good = isinstance(value, bool)
    elif kind == "text":
        good = isinstance(value, str)
    else:
        whole = isinstance(value, int) and not isinstance(value, bool)
        good = whole or (kind == "timestamp" and isinstance(value, float) and math.isfinite(value))
    if not good:
        raise StreamError("SerializationException", unexpected(kind, value))


_WANTED = {
    "text": "an String",
    "integer": "an Integer",
    "boolean": "an Boolean",
    "timestamp": "milliseconds since epoch",
    "blob": "a Blob",
}
_NUMBER = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
_CLASSES = {bool: "class java.lang.Boolean", str: "class java.lang.String", int: _NUMBER, float: _NUMBER}


def unexpected(kind: str, value: Any) -> str:
    """A value of another JSON type than its member's, in the words that AWS was recorded with."""
    if isinstance(value, list):
        return "Start of list found where not expected"
    if isinstance(value, dict):
        return "Start of structure or map found where not expected."
    if kind in ("list", "map"):
        return f"Expected {kind} or null"
    if kind == "structure":
        return "Expected null"
    return f"{_CLASSES.get(type(value), 'null')} can not be converted to {_WANTED[kind]}"
