"""SHELL: what each Kinesis operation accepts, member by member. The ranges are those of the public API reference.

`kinesis_check` holds an input against them. Members that are not named here are ignored, as AWS does, but for the
`ABSENT` ones, which mean something on AWS and nothing here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.model.stream_settings import SHARD_METRICS

PARTITION_KEY_MAX = 256


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
    keys: "Member | None" = None  # of a map
    values: "Member | None" = None


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


def _tags(*, required: bool = False) -> Member:
    keys, values = _text("key", 1, 128), _text("value", 0, 256)
    return Member("Tags", "map", required, least=1, most=200, keys=keys, values=values)


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
_TAG_KEYS = Member("TagKeys", "list", required=True, least=1, most=50, item=_text("member", 1, 128))
_SHARD_METRICS = Member(
    "ShardLevelMetrics", "list", required=True, least=1, most=7, item=_text("member", enum=(*SHARD_METRICS, "ALL"))
)
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
    "AddTagsToStream": (*_STREAM, _tags(required=True)),
    "CreateStream": (
        _name(required=True),
        _integer("ShardCount", 1, 100_000),
        _MODE,
        _tags(),
        _integer("MaxRecordSizeInKiB", 1024, 10240),
    ),
    "DecreaseStreamRetentionPeriod": _RETENTION,
    "DeleteStream": (*_STREAM, Member("EnforceConsumerDeletion", "boolean")),
    "DeregisterStreamConsumer": _CONSUMER,
    "DeleteResourcePolicy": (_RESOURCE,),
    "DescribeAccountSettings": (),
    "DescribeLimits": (),
    "DescribeStream": (*_STREAM, _integer("Limit", 1, 10_000), _shard_id("ExclusiveStartShardId")),
    "DescribeStreamConsumer": _CONSUMER,
    "DescribeStreamSummary": _STREAM,
    "DisableEnhancedMonitoring": (*_STREAM, _SHARD_METRICS),
    "EnableEnhancedMonitoring": (*_STREAM, _SHARD_METRICS),
    "GetRecords": (
        _text("ShardIterator", 1, 512, required=True),
        _integer("Limit", 1, 10_000),
        _arn(),
    ),
    "GetResourcePolicy": (_RESOURCE,),
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
    "PutResourcePolicy": (_RESOURCE, _text("Policy", required=True)),
    "RegisterStreamConsumer": (
        _arn(required=True),
        _consumer_name(required=True),
        _tags(),
    ),
    "RemoveTagsFromStream": (*_STREAM, _TAG_KEYS),
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
    "TagResource": (_RESOURCE, _tags(required=True)),
    "UntagResource": (_RESOURCE, _TAG_KEYS),
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
ABSENT = ("StreamId", "WarmThroughputMiBps", "RecordDistributionStrategy", "DryRun")
