"""SHELL: the operations of the Kinesis API, each a translation between its JSON and one call of the model.

`OF_ACCOUNT` are called with (account, input, now), `OF_STREAM` with (stream, input, now) after the stream was found by
its name or ARN. Inputs have been checked by `kinesis_check.check`. None is AWS's empty answer.
"""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local import kinesis_wire as wire
from infra.local.cbor import Instant
from infra.local.kinesis_consumers import (
    deregister_consumer,
    describe_consumer,
    list_consumers,
    register_consumer,
)
from infra.local.kinesis_policies import delete_policy, get_policy, put_policy
from infra.local.kinesis_records import Input, Output, get_records, get_shard_iterator, put_record, put_records
from infra.local.kinesis_settings import (
    decrease_retention,
    disable_monitoring,
    enable_monitoring,
    increase_retention,
    start_encryption,
    stop_encryption,
    update_max_record_size,
    update_mode,
)
from infra.local.kinesis_tags import add_tags, list_resource_tags, list_tags, remove_tags, tag_resource, untag_resource
from infra.model import tags, tokens
from infra.model.shard_filter import filtered
from infra.model.stream import Stream
from infra.model.stream_account import ON_DEMAND_STREAMS_MAX, SHARDS_MAX, StreamAccount
from infra.model.stream_error import invalid_argument

_SHARDS_PER_DESCRIPTION = 100  # where the request sets no limit (AWS: DescribeStream, ListShards, ListStreams)
_SHARDS_PER_LIST = 1_000
_STREAMS_PER_LIST = 100


def addressed(account: StreamAccount, body: Input, now: float) -> Stream:
    """The stream that StreamARN or StreamName of the input names."""
    if body.get("StreamARN") is not None:
        stream = account.by_arn(body["StreamARN"], now)
        if body.get("StreamName") not in (None, stream.name):
            raise invalid_argument("StreamName and StreamARN name different streams.")
        return stream
    if body.get("StreamName") is None:
        raise invalid_argument("Either StreamName or StreamARN should be provided.")
    return account.stream(body["StreamName"], now)


# ---- streams


def create_stream(account: StreamAccount, body: Input, now: float) -> Output:
    shard_count = body.get("ShardCount")
    mode = (body.get("StreamModeDetails") or {}).get("StreamMode")
    where = f"stream {body['StreamName']} under account {account.account_id}"
    stream_tags = tags.added({}, body.get("Tags") or {}, where)
    stream = account.create(
        body["StreamName"],
        now,
        mode=mode or ("ON_DEMAND" if shard_count is None else "PROVISIONED"),  # recorded: four shards for a bare name
        shard_count=shard_count,
        record_size_kib_max=body.get("MaxRecordSizeInKiB") or 1024,
    )
    stream.tags = stream_tags
    return None


def delete_stream(stream: Stream, body: Input, now: float) -> Output:
    stream.delete(now, with_consumers=bool(body.get("EnforceConsumerDeletion")))
    return None


def _description(stream: Stream) -> dict[str, Any]:
    return {
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": stream.status,
        "StreamModeDetails": {"StreamMode": stream.mode},
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": Instant(int(stream.created_at_s)),
        "EnhancedMonitoring": [{"ShardLevelMetrics": list(stream.shard_metrics)}],
        "EncryptionType": "KMS" if stream.key_id else "NONE",
        **({"KeyId": stream.key_id} if stream.key_id else {}),
    }


def describe_stream(stream: Stream, body: Input, now: float) -> Output:
    start = body.get("ExclusiveStartShardId")
    shards = stream.shards(now)
    if start is not None:
        shards = filtered(shards, "AFTER_SHARD_ID", 0.0, shard_id=start, timestamp_s=None)
    limit = body.get("Limit") or _SHARDS_PER_DESCRIPTION
    page = {"Shards": [wire.shard(shard) for shard in shards[:limit]], "HasMoreShards": len(shards) > limit}
    return {"StreamDescription": _description(stream) | page}


def describe_stream_summary(stream: Stream, _: Input, __: float) -> Output:
    summary = _description(stream) | {
        "OpenShardCount": len(stream.open_shards),
        "ConsumerCount": len(stream.consumers),
        "MaxRecordSizeInKiB": stream.record_size_kib_max,
    }
    return {"StreamDescriptionSummary": summary}


def list_streams(account: StreamAccount, body: Input, now: float) -> Output:
    after = body.get("ExclusiveStartStreamName")
    if body.get("NextToken") is not None:
        after = tokens.unseal_next("ListStreams", body["NextToken"], now)[0]
    streams = [stream for stream in account.streams(now) if after is None or stream.name > after]
    limit = body.get("Limit") or _STREAMS_PER_LIST
    page, more = streams[:limit], len(streams) > limit
    shown = ("StreamName", "StreamARN", "StreamStatus", "StreamModeDetails", "StreamCreationTimestamp")
    output: dict[str, Any] = {
        "StreamNames": [stream.name for stream in page],
        "HasMoreStreams": more,
        "StreamSummaries": [{name: _description(stream)[name] for name in shown} for stream in page],
    }
    if more:
        output["NextToken"] = tokens.seal("ListStreams", [page[-1].name], now)
    return output


def describe_limits(account: StreamAccount, _: Input, now: float) -> Output:
    return {
        "ShardLimit": SHARDS_MAX,
        "OpenShardCount": account.open_shard_count(now),
        "OnDemandStreamCount": account.on_demand_count(now),
        "OnDemandStreamCountLimit": ON_DEMAND_STREAMS_MAX,
    }


def describe_settings(_: StreamAccount, __: Input, ___: float) -> Output:
    """What streams of the account cost at least; there is nothing to pay here."""
    return {"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}}


# ---- shards


def list_shards(account: StreamAccount, body: Input, now: float) -> Output:
    token = body.get("NextToken")
    beside = [name for name in ("StreamName", "StreamARN", "ExclusiveStartShardId") if body.get(name) is not None]
    if token is not None and beside:  # so boto3's own paginator fails here from the second page on, as it does on AWS
        raise invalid_argument(f"NextToken and {beside[0]} cannot be provided together.")
    if token is None and beside in ([], ["ExclusiveStartShardId"]):
        raise invalid_argument("Either NextToken or StreamName should be provided.")
    if token is not None:
        name, last, kind, shard_id, timestamp_s = tokens.unseal_next("ListShards", token, now)
        stream = account.stream(name, now)
    else:
        stream = addressed(account, body, now)
        chosen = body.get("ShardFilter") or {}
        last = body.get("ExclusiveStartShardId")
        kind, shard_id, timestamp_s = (chosen.get(part) for part in ("Type", "ShardId", "Timestamp"))
    shards = filtered(
        stream.shards(now),
        kind or "FROM_TRIM_HORIZON",
        stream.trim_horizon_s(now),
        shard_id=shard_id,
        timestamp_s=timestamp_s,
    )
    if last is not None:
        shards = filtered(shards, "AFTER_SHARD_ID", 0.0, shard_id=last, timestamp_s=None)
    limit = body.get("MaxResults") or _SHARDS_PER_LIST
    output: dict[str, Any] = {"Shards": [wire.shard(shard) for shard in shards[:limit]]}
    if len(shards) > limit:
        rest = [stream.name, shards[limit - 1].shard_id, kind, shard_id, timestamp_s]
        output["NextToken"] = tokens.seal("ListShards", rest, now)
    return output


def additional_shards(operation: str, stream: Stream, body: Input) -> int:
    """How many more shards than now the account has after the operation."""
    if operation == "UpdateShardCount":
        return int(body["TargetShardCount"]) - len(stream.open_shards)
    return int(operation == "SplitShard")


def split_shard(stream: Stream, body: Input, now: float) -> Output:
    stream.split(body["ShardToSplit"], int(body["NewStartingHashKey"]), now)
    return None


def merge_shards(stream: Stream, body: Input, now: float) -> Output:
    stream.merge(body["ShardToMerge"], body["AdjacentShardToMerge"], now)
    return None


def update_shard_count(stream: Stream, body: Input, now: float) -> Output:
    target = body["TargetShardCount"]
    current = stream.scale(target, now)
    return {
        "StreamName": stream.name,
        "CurrentShardCount": current,
        "TargetShardCount": target,
        "StreamARN": stream.arn,
    }


OF_ACCOUNT: Mapping[str, Callable[[StreamAccount, Input, float], Output]] = {
    "CreateStream": create_stream,
    "DeleteResourcePolicy": delete_policy,
    "DeregisterStreamConsumer": deregister_consumer,
    "DescribeAccountSettings": describe_settings,
    "DescribeLimits": describe_limits,
    "DescribeStreamConsumer": describe_consumer,
    "GetRecords": get_records,
    "GetResourcePolicy": get_policy,
    "ListShards": list_shards,
    "ListStreamConsumers": list_consumers,
    "ListStreams": list_streams,
    "ListTagsForResource": list_resource_tags,
    "PutResourcePolicy": put_policy,
    "RegisterStreamConsumer": register_consumer,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
OF_STREAM: Mapping[str, Callable[[Stream, Input, float], Output]] = {
    "AddTagsToStream": add_tags,
    "DecreaseStreamRetentionPeriod": decrease_retention,
    "DeleteStream": delete_stream,
    "DescribeStream": describe_stream,
    "DescribeStreamSummary": describe_stream_summary,
    "DisableEnhancedMonitoring": disable_monitoring,
    "EnableEnhancedMonitoring": enable_monitoring,
    "GetShardIterator": get_shard_iterator,
    "IncreaseStreamRetentionPeriod": increase_retention,
    "ListTagsForStream": list_tags,
    "MergeShards": merge_shards,
    "PutRecord": put_record,
    "PutRecords": put_records,
    "RemoveTagsFromStream": remove_tags,
    "SplitShard": split_shard,
    "StartStreamEncryption": start_encryption,
    "StopStreamEncryption": stop_encryption,
    "UpdateMaxRecordSize": update_max_record_size,
    "UpdateShardCount": update_shard_count,
    "UpdateStreamMode": update_mode,
}
