"""PURE: what Lambda, Kinesis and DynamoDB publish about a function, an event source mapping, a stream and a table.

AWS: "Types of metrics for Lambda functions", "Monitoring Kinesis with CloudWatch", "DynamoDB metrics and dimensions";
facts 8.7 to 8.12. Only the dimensions that this project's alarms and dashboard use: FunctionName,
EventSourceMappingUUID, StreamName, ShardId, TableName.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.model.metrics.buffer import Dimensions, Measurement
from infra.model.shard import ShardCounters

LAMBDA = "AWS/Lambda"
KINESIS = "AWS/Kinesis"
DYNAMODB = "AWS/DynamoDB"

# ShardCounters' field -> name at the stream, name at the shard, unit. AWS publishes a stream's reads under other names.
_OF_SHARD = {
    "incoming_bytes": ("IncomingBytes", "IncomingBytes", "Bytes"),
    "incoming_records": ("IncomingRecords", "IncomingRecords", "Count"),
    "outgoing_bytes": ("GetRecords.Bytes", "OutgoingBytes", "Bytes"),
    "outgoing_records": ("GetRecords.Records", "OutgoingRecords", "Count"),
    "write_provisioned_throughput_exceeded": (*["WriteProvisionedThroughputExceeded"] * 2, "Count"),
    "read_provisioned_throughput_exceeded": (*["ReadProvisionedThroughputExceeded"] * 2, "Count"),
}
# What is counted of a metered table -> metric.
_OF_TABLE = {
    "throttled_writes": "WriteThrottleEvents",
    "throttled_reads": "ReadThrottleEvents",
    "write_units": "ConsumedWriteCapacityUnits",
    "read_units": "ConsumedReadCapacityUnits",
}


@dataclass(frozen=True, slots=True)
class Invocation:
    """One that has ended, or was throttled. Times are epoch seconds; `concurrent` is with this one."""

    function_name: str
    throttled: bool
    failed: bool = False
    began_s: float = 0.0
    duration_ms: float = 0.0
    concurrent: int = 0
    provisioned: bool = False  # ran on provisioned concurrency
    spilled_over: bool = False  # did not, because all of it was taken


def of_invocation(invocation: Invocation, now: float) -> Iterator[Measurement]:
    """Errors are stamped with the time the invocation began, so that they stand beside its Invocations."""
    dimensions = (("FunctionName", invocation.function_name),)
    if invocation.throttled:
        yield Measurement(LAMBDA, "Throttles", dimensions, "Count", 1, now)
        return
    began_s = invocation.began_s
    yield Measurement(LAMBDA, "Throttles", dimensions, "Count", 0, now)
    yield Measurement(LAMBDA, "Invocations", dimensions, "Count", 1, began_s)
    yield Measurement(LAMBDA, "Errors", dimensions, "Count", invocation.failed, began_s)
    yield Measurement(LAMBDA, "Duration", dimensions, "Milliseconds", invocation.duration_ms, now)
    yield Measurement(LAMBDA, "ConcurrentExecutions", dimensions, "Count", invocation.concurrent, now)
    if invocation.provisioned or invocation.spilled_over:
        on_it, beside_it = "ProvisionedConcurrencyInvocations", "ProvisionedConcurrencySpilloverInvocations"
        yield Measurement(LAMBDA, on_it, dimensions, "Count", invocation.provisioned, began_s)
        yield Measurement(LAMBDA, beside_it, dimensions, "Count", invocation.spilled_over, began_s)


def of_mapping(dimension: str, value_of_dimension: str, name: str, value: float, now: float) -> Measurement:
    """A metric of an event source mapping, or one that Lambda publishes for it under the function's name."""
    unit = "Milliseconds" if name == "IteratorAge" else "Count"
    return Measurement(LAMBDA, name, ((dimension, value_of_dimension),), unit, value, now)


def of_shards(
    stream_name: str, before: Mapping[str, ShardCounters], after: Mapping[str, ShardCounters], now: float
) -> Iterator[Measurement]:
    """What happened between two readings of a stream's counters, at the stream and at each shard. A quiet one has none.

    On AWS the shards' part has to be switched on (EnableEnhancedMonitoring).
    """
    of_stream: Dimensions = (("StreamName", stream_name),)
    totals = dict.fromkeys(_OF_SHARD, 0)
    for shard_id, counters in after.items():
        earlier = before.get(shard_id, ShardCounters())
        changes = {field: getattr(counters, field) - getattr(earlier, field) for field in _OF_SHARD}
        if not any(changes.values()):
            continue
        dimensions: Dimensions = (("ShardId", shard_id), *of_stream)
        for field, change in changes.items():
            _, name, unit = _OF_SHARD[field]
            totals[field] += change
            yield Measurement(KINESIS, name, dimensions, unit, change, now)
    if any(totals.values()):
        for field, total in totals.items():
            name, _, unit = _OF_SHARD[field]
            yield Measurement(KINESIS, name, of_stream, unit, total, now)


def of_tables(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]], now: float
) -> Iterator[Measurement]:
    """What happened between two countings of metered tables. A table without any of something has no measurement of it.

    On AWS a table without traffic publishes no consumed capacity either (AWS: "DynamoDB Metrics and dimensions").
    """
    for table, counts in after.items():
        for counted, name in _OF_TABLE.items():
            change = counts.get(counted, 0) - before.get(table, {}).get(counted, 0)
            if change:
                yield Measurement(DYNAMODB, name, (("TableName", table),), "Count", change, now)
