"""SHELL: what each Kinesis operation accepts, and the words in which AWS refuses the rest.

The ranges are those of the public API reference. A member of the wrong JSON type is a SerializationException; up to ten
broken constraints are told in one ValidationException. Members that are not named here are ignored, as AWS does.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.model.stream_error import StreamError

PARTITION_KEY_MAX = 256
_ERRORS_MAX = 10


@dataclass(frozen=True, slots=True)
class Member:
    """`least` and `most` bound a number's value, or the length of a text, list or map."""

    name: str
    kind: str  # text, integer, timestamp, boolean, list, map or structure
    required: bool = False
    least: int | None = None
    most: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    members: tuple["Member", ...] = ()  # of a structure
    item: "Member | None" = None  # of a list


def _text(name: str, least: int | None = None, most: int | None = None, **rest: Any) -> Member:
    return Member(name, "text", least=least, most=most, **rest)


def _integer(name: str, least: int | None = None, most: int | None = None, *, required: bool = False) -> Member:
    return Member(name, "integer", required, least, most)


def _shard_id(name: str, *, required: bool = False) -> Member:
    return _text(name, 1, 128, pattern="[a-zA-Z0-9_.-]+", required=required)


def _number(name: str, digits_max: int, *, required: bool = False) -> Member:
    return _text(name, pattern=rf"0|([1-9]\d{{0,{digits_max}}})", required=required)


def _name(*, required: bool = False) -> Member:
    return _text("StreamName", 1, 128, pattern="[a-zA-Z0-9_.-]+", required=required)


def _arn(*, required: bool = False) -> Member:
    return _text("StreamARN", 1, 2048, pattern=r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+", required=required)


def _consumer_name(*, required: bool = False) -> Member:
    return _text("ConsumerName", 1, 128, pattern="[a-zA-Z0-9_.-]+", required=required)


def _consumer_arn(*, required: bool = False) -> Member:
    pattern = r"(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+"
    return _text("ConsumerARN", 1, 2048, pattern=pattern, required=required)


_STREAM = (_name(), _arn())
_CONSUMER = (_arn(), _consumer_name(), _consumer_arn())
_RESOURCE = _text("ResourceARN", 1, 2048, pattern=r"arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel)/\S+", required=True)
_MODE = Member(
    "StreamModeDetails",
    "structure",
    members=(_text("StreamMode", required=True, enum=("PROVISIONED", "ON_DEMAND")),),
)
_ENCRYPTION = (*_STREAM, _text("EncryptionType", required=True, enum=("NONE", "KMS")))
_KEY = _text("KeyId", 1, 2048, required=True)
_RETENTION = (*_STREAM, _integer("RetentionPeriodHours", required=True))
_PUT = (_text("PartitionKey", 1, PARTITION_KEY_MAX, required=True), _number("ExplicitHashKey", 38))
_ITERATOR_TYPES = ("AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON")
_FILTER_TYPES = (
    "AFTER_SHARD_ID",
    "AT_TRIM_HORIZON",
    "FROM_TRIM_HORIZON",
    "AT_LATEST",
    "AT_TIMESTAMP",
    "FROM_TIMESTAMP",
)

# Data is looked at where it is decoded (kinesis_wire.entry): its limit is a setting of the stream.
OPERATIONS: Mapping[str, tuple[Member, ...]] = {
    "AddTagsToStream": (*_STREAM, Member("Tags", "map", required=True, least=1, most=200)),
    "CreateStream": (
        _name(required=True),
        _integer("ShardCount", 1, 100_000),
        _MODE,
        Member("Tags", "map", least=1, most=200),
        _integer("MaxRecordSizeInKiB", 1024, 10240),
    ),
    "DecreaseStreamRetentionPeriod": _RETENTION,
    "DeleteStream": (*_STREAM, Member("EnforceConsumerDeletion", "boolean")),
    "DeregisterStreamConsumer": _CONSUMER,
    "DescribeLimits": (),
    "DescribeStream": (*_STREAM, _integer("Limit", 1, 10_000), _shard_id("ExclusiveStartShardId")),
    "DescribeStreamConsumer": _CONSUMER,
    "DescribeStreamSummary": _STREAM,
    "GetRecords": (
        _text("ShardIterator", 1, 512, required=True),
        _integer("Limit", 1, 10_000),
        _arn(),
    ),
    "GetShardIterator": (
        *_STREAM,
        _shard_id("ShardId", required=True),
        _text("ShardIteratorType", required=True, enum=_ITERATOR_TYPES),
        _number("StartingSequenceNumber", 128),
        Member("Timestamp", "timestamp"),
    ),
    "IncreaseStreamRetentionPeriod": _RETENTION,
    "ListShards": (
        *_STREAM,
        _text("NextToken", 1, 1_048_576),
        _shard_id("ExclusiveStartShardId"),
        _integer("MaxResults", 1, 10_000),
        Member("StreamCreationTimestamp", "timestamp"),
        Member(
            "ShardFilter",
            "structure",
            members=(
                _text("Type", required=True, enum=_FILTER_TYPES),
                _shard_id("ShardId"),
                Member("Timestamp", "timestamp"),
            ),
        ),
    ),
    "ListStreamConsumers": (
        _arn(required=True),
        _text("NextToken", 1, 1_048_576),
        _integer("MaxResults", 1, 10_000),
        Member("StreamCreationTimestamp", "timestamp"),
    ),
    "ListStreams": (
        _integer("Limit", 1, 10_000),
        _text("ExclusiveStartStreamName", 1, 128, pattern="[a-zA-Z0-9_.-]+"),
        _text("NextToken", 1, 1_048_576),
    ),
    "ListTagsForStream": (*_STREAM, _text("ExclusiveStartTagKey", 1, 128), _integer("Limit", 1, 50)),
    "ListTagsForResource": (_RESOURCE,),
    "MergeShards": (
        *_STREAM,
        _shard_id("ShardToMerge", required=True),
        _shard_id("AdjacentShardToMerge", required=True),
    ),
    "PutRecord": (*_STREAM, *_PUT, _number("SequenceNumberForOrdering", 128)),
    "PutRecords": (
        *_STREAM,
        Member("Records", "list", required=True, least=1, most=500, item=Member("member", "structure", members=_PUT)),
    ),
    "RegisterStreamConsumer": (
        _arn(required=True),
        _consumer_name(required=True),
        Member("Tags", "map", least=1, most=200),
    ),
    "RemoveTagsFromStream": (
        *_STREAM,
        Member("TagKeys", "list", required=True, least=1, most=50, item=_text("member", 1, 128)),
    ),
    "SplitShard": (
        *_STREAM,
        _shard_id("ShardToSplit", required=True),
        _number("NewStartingHashKey", 38, required=True),
    ),
    "StartStreamEncryption": (*_ENCRYPTION, _KEY),
    "StopStreamEncryption": (*_ENCRYPTION, _KEY),
    "SubscribeToShard": (
        _consumer_arn(required=True),
        _shard_id("ShardId", required=True),
        Member(
            "StartingPosition",
            "structure",
            required=True,
            members=(
                _text("Type", required=True, enum=_ITERATOR_TYPES),
                _number("SequenceNumber", 128),
                Member("Timestamp", "timestamp"),
            ),
        ),
    ),
    "TagResource": (_RESOURCE, Member("Tags", "map", required=True, least=1, most=200)),
    "UntagResource": (
        _RESOURCE,
        Member("TagKeys", "list", required=True, least=1, most=50, item=_text("member", 1, 128)),
    ),
    "UpdateMaxRecordSize": (_arn(required=True), _integer("MaxRecordSizeInKiB", 1024, 10240, required=True)),
    "UpdateShardCount": (
        *_STREAM,
        _integer("TargetShardCount", 1, required=True),
        _text("ScalingType", required=True, enum=("UNIFORM_SCALING",)),
    ),
    "UpdateStreamMode": (
        _arn(required=True),
        Member("StreamModeDetails", "structure", required=True, members=_MODE.members),
    ),
}


def check(operation: str, body: Mapping[str, Any]) -> None:
    """Raises StreamError (SerializationException or ValidationException) unless `body` is a legal input."""
    broken: list[str] = []
    for member in OPERATIONS[operation]:
        for message in _broken(member, body.get(member.name), ""):
            broken.append(message)
            if len(broken) == _ERRORS_MAX:
                raise invalid(broken)
    if broken:
        raise invalid(broken)


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
    if member.item and not all(map(_is_plain_entry, value)):
        for number, item in enumerate(value, 1):
            yield from _broken_item(member.item, item, f"{path}.{number}.")


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


def _broken_item(item: Member, value: Any, prefix: str) -> Iterator[str]:
    if not item.members:
        yield from _broken(item, value, prefix)
        return
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
        raise StreamError("SerializationException", f"{_json_type(value)} can not be converted to {kind}")


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    names = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", list: "START_ARRAY", dict: "START_OBJECT"}
    return names.get(type(value), "NULL_VALUE")
