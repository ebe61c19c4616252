"""SHELL: a stack's metrics through CloudWatch's GetMetricData; the same call on AWS and locally."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from loadgen.observing.readback import Stack
from loadgen.target.series import CLOUDWATCH, Series

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

AWS_RESOLUTION_S = 60  # AWS: "Metrics retention": these services publish at standard resolution
LOCAL_RESOLUTION_S = 10  # the local stack hands its measurements over this often
WRITE_EXCEEDED = "WriteProvisionedThroughputExceeded"
CONSUMED_WRITES, CONSUMED_READS = "ConsumedWriteCapacityUnits", "ConsumedReadCapacityUnits"
RESULTS, QUARANTINE = "results table", "quarantine table"


class Wanted(NamedTuple):
    """A metric of CloudWatch and the series that it becomes."""

    series: str
    unit: str
    namespace: str
    metric: str
    statistic: str
    dimension: str
    of: str = ""


# `dimension` and `of` are what of the stack the metric is asked for; see `_value`.
METRICS = (
    Wanted("records_put", "records", "AWS/Kinesis", "IncomingRecords", "Sum", "StreamName"),
    Wanted("bytes_put", "bytes", "AWS/Kinesis", "IncomingBytes", "Sum", "StreamName"),
    Wanted("records_read", "records", "AWS/Kinesis", "GetRecords.Records", "Sum", "StreamName"),
    Wanted("stream_write_throttles", "records", "AWS/Kinesis", WRITE_EXCEEDED, "Sum", "StreamName"),
    Wanted("read_throttles", "calls", "AWS/Kinesis", "ReadProvisionedThroughputExceeded", "Sum", "StreamName"),
    Wanted("invocations", "invocations", "AWS/Lambda", "Invocations", "Sum", "FunctionName"),
    Wanted("function_errors", "invocations", "AWS/Lambda", "Errors", "Sum", "FunctionName"),
    Wanted("lambda_throttles", "invocations", "AWS/Lambda", "Throttles", "Sum", "FunctionName"),
    Wanted("concurrent_executions", "invocations", "AWS/Lambda", "ConcurrentExecutions", "Maximum", "FunctionName"),
    Wanted("iterator_age_ms", "ms", "AWS/Lambda", "IteratorAge", "Maximum", "FunctionName"),
    Wanted("polled", "records", "AWS/Lambda", "PolledEventCount", "Sum", "EventSourceMappingUUID"),
    Wanted("invoked", "records", "AWS/Lambda", "InvokedEventCount", "Sum", "EventSourceMappingUUID"),
    Wanted("failed_invoke", "records", "AWS/Lambda", "FailedInvokeEventCount", "Sum", "EventSourceMappingUUID"),
    Wanted("dropped", "records", "AWS/Lambda", "DroppedEventCount", "Sum", "EventSourceMappingUUID"),
    Wanted("table_write_throttles", "accesses", "AWS/DynamoDB", "WriteThrottleEvents", "Sum", "TableName", RESULTS),
    Wanted("table_read_throttles", "accesses", "AWS/DynamoDB", "ReadThrottleEvents", "Sum", "TableName", RESULTS),
    Wanted("table_write_units", "write units", "AWS/DynamoDB", CONSUMED_WRITES, "Sum", "TableName", RESULTS),
    Wanted("table_read_units", "read units", "AWS/DynamoDB", CONSUMED_READS, "Sum", "TableName", RESULTS),
    Wanted("quarantine_throttles", "accesses", "AWS/DynamoDB", "WriteThrottleEvents", "Sum", "TableName", QUARANTINE),
    Wanted("quarantine_write_units", "write units", "AWS/DynamoDB", CONSUMED_WRITES, "Sum", "TableName", QUARANTINE),
)  # fmt: skip
STATISTICS = {"Sum": "sum", "Maximum": "max"}


class StackMetrics:
    """Asks about one stack."""

    def __init__(self, connection: "Connection", stack: Stack) -> None:
        self._connection, self._stack = connection, stack
        self.resolution_s = LOCAL_RESOLUTION_S if connection.target.endpoint_url else AWS_RESOLUTION_S

    def between(self, started_s: float, ended_s: float, wanted: Sequence[Wanted] = METRICS) -> list[Series]:
        """From one Unix time to another; seconds of the series count from `started_s`, and a period that began
        before it has a negative one. Raises botocore's errors."""
        first_s = int(started_s // self.resolution_s) * self.resolution_s
        pages = (
            self._connection.client("cloudwatch")
            .get_paginator("get_metric_data")
            .paginate(
                MetricDataQueries=[self._query(number, one) for number, one in enumerate(wanted)],
                StartTime=datetime.fromtimestamp(first_s, UTC),
                EndTime=datetime.fromtimestamp(ended_s + self.resolution_s, UTC),
                ScanBy="TimestampAscending",
            )
        )
        values: dict[str, dict[int, float]] = {}
        for page in pages:
            for result in page["MetricDataResults"]:
                points = zip(result["Timestamps"], result["Values"], strict=True)
                values.setdefault(result["Id"], {}).update(
                    (floor(at.timestamp() - started_s), value) for at, value in points
                )
        return self._series(wanted, values)

    def _query(self, number: int, wanted: Wanted) -> dict[str, object]:
        metric = {
            "Namespace": wanted.namespace,
            "MetricName": wanted.metric,
            "Dimensions": [{"Name": wanted.dimension, "Value": self._value(wanted)}],
        }
        return {
            "Id": f"m{number}",
            "MetricStat": {"Metric": metric, "Period": self.resolution_s, "Stat": wanted.statistic},
        }

    def _value(self, wanted: Wanted) -> str:
        stack = self._stack
        return {
            "StreamName": stack.stream,
            "FunctionName": stack.function,
            "EventSourceMappingUUID": stack.mapping_id,
            "TableName": stack.quarantine_table if wanted.of == QUARANTINE else stack.results_table,
        }[wanted.dimension]

    def _series(self, wanted: Sequence[Wanted], values: dict[str, dict[int, float]]) -> list[Series]:
        return [
            Series(
                one.series,
                one.unit,
                STATISTICS[one.statistic],
                f"{CLOUDWATCH} {one.namespace} {one.metric}",
                self.resolution_s,
                tuple(sorted(points.items())),
            )
            for number, one in enumerate(wanted)
            if (points := values.get(f"m{number}"))
        ]
