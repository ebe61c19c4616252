"""SHELL: asks CloudWatch, CloudWatch Logs and the services themselves what happened during a load.

The same calls on AWS and locally. Whatever cannot be had (no permission, no such operation) is left out and said in
`missing`: a load's account does not depend on it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.ops.errors import CommandError, explained
from loadgen.function_log import Batch, Invocation, read
from loadgen.limits import Capacity
from loadgen.readback import Stack
from loadgen.series import Series, of_function

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

AWS_RESOLUTION_S = 60  # AWS: "Metrics retention": these services publish at standard resolution
LOCAL_RESOLUTION_S = 10  # the local stack hands its measurements over this often
LOG_PAGE_MAX = 10_000  # AWS: FilterLogEvents
LOG_SPAN_MS = 60_000
QUERIES_MAX = 500  # AWS: GetMetricData
AWS_LOGS_WAIT_S = 10.0  # log lines are searchable after seconds; metrics are there after one to three minutes
WRITE_EXCEEDED = "WriteProvisionedThroughputExceeded"
LOG_PATTERNS = ('"_aws"', "REPORT")


class Wanted(NamedTuple):
    """A metric of CloudWatch and the series that it becomes."""

    series: str
    unit: str
    namespace: str
    metric: str
    statistic: str
    dimension: str


# `dimension` is what of the stack the metric is asked for; see `_value`.
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
    Wanted("table_write_throttles", "accesses", "AWS/DynamoDB", "WriteThrottleEvents", "Sum", "TableName"),
    Wanted("table_read_throttles", "accesses", "AWS/DynamoDB", "ReadThrottleEvents", "Sum", "TableName"),
    Wanted("table_write_units", "write units", "AWS/DynamoDB", "ConsumedWriteCapacityUnits", "Sum", "TableName"),
)  # fmt: skip
STATISTICS = {"Sum": "sum", "Maximum": "max"}


@dataclass(slots=True)
class Observed:
    """What was there to be had. `missing`: sentences on what was not."""

    capacity: Capacity = field(default_factory=Capacity)
    series: list[Series] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


class Observer:
    """Asks about one stack. `is_interrupted` ends waiting and paging early."""

    def __init__(self, connection: "Connection", stack: Stack, is_interrupted: Callable[[], bool]) -> None:
        self._connection, self._stack, self._is_interrupted = connection, stack, is_interrupted
        self._where = str(connection.target)

    def observe(self, started_s: float, ended_s: float, metrics_wait_s: float) -> Observed:
        """Everything between two Unix times. Never raises CommandError."""
        found = Observed()
        self._try(found, "the stack's capacity", lambda: self._capacity(found))
        self._wait(ended_s + (0.0 if self._connection.target.endpoint_url else AWS_LOGS_WAIT_S))
        self._try(found, "the function's log", lambda: self._log(found, started_s, ended_s))
        self._wait(ended_s + metrics_wait_s)
        self._try(found, "CloudWatch's metrics", lambda: self._metrics(found, started_s, ended_s))
        found.series += of_function(found.batches, found.invocations, started_s, found.capacity.batch_size)
        return found

    def _try(self, found: Observed, what: str, ask: Callable[[], None]) -> None:
        try:
            with explained(self._where):
                ask()
        except CommandError as error:
            found.missing.append(f"{what}: {error}")

    def _wait(self, until_s: float) -> None:
        while not self._is_interrupted() and (left_s := until_s - time.time()) > 0:
            time.sleep(min(left_s, 0.2))

    def _capacity(self, found: Observed) -> None:
        client, stack = self._connection.client, self._stack
        summary = client("kinesis").describe_stream_summary(StreamName=stack.stream)["StreamDescriptionSummary"]
        mapping = client("lambda").get_event_source_mapping(UUID=stack.mapping_id)
        function = client("lambda").get_function_configuration(FunctionName=stack.function)
        reserved = client("lambda").get_function_concurrency(FunctionName=stack.function)
        account = client("lambda").get_account_settings()["AccountLimit"]
        table = client("dynamodb").describe_table(TableName=stack.results_table)["Table"]
        provisioned = table.get("ProvisionedThroughput", {}).get("WriteCapacityUnits") or None
        on_demand = table.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits")
        found.capacity = Capacity(
            stream_mode=summary.get("StreamModeDetails", {}).get("StreamMode"),
            shards=summary["OpenShardCount"],
            parallelization_factor=mapping.get("ParallelizationFactor", 1),
            batch_size=mapping["BatchSize"],
            batching_window_s=mapping.get("MaximumBatchingWindowInSeconds", 0),
            timeout_s=function["Timeout"],
            memory_mb=function["MemorySize"],
            reserved_concurrency=reserved.get("ReservedConcurrentExecutions"),
            account_concurrency=account["ConcurrentExecutions"],
            table_write_units_per_s=provisioned or (on_demand if on_demand and on_demand > 0 else None),
        )

    def _log(self, found: Observed, started_s: float, ended_s: float) -> None:
        for pattern in LOG_PATTERNS:
            for at_ms, line in self._lines(pattern, int(started_s * 1000), int(ended_s * 1000) + 1):
                said = read(at_ms, line)
                if isinstance(said, Batch):
                    found.batches.append(said)
                elif isinstance(said, Invocation):
                    found.invocations.append(said)

    def _lines(self, pattern: str, start_ms: int, end_ms: int) -> Iterator[tuple[int, str]]:
        span_ms = LOG_SPAN_MS
        while start_ms < end_ms and not self._is_interrupted():
            until_ms = min(end_ms, start_ms + span_ms)
            lines, whole = self._span(pattern, start_ms, until_ms - 1)
            if not whole and span_ms > 1:
                span_ms = max(1, span_ms // 4)  # the local service has no second page: ask for less at a time
                continue
            yield from lines
            start_ms = until_ms

    def _span(self, pattern: str, start_ms: int, last_ms: int) -> tuple[list[tuple[int, str]], bool]:
        """Both ends included; (lines, whether they are all)."""
        asked: dict[str, Any] = {
            "logGroupName": f"/aws/lambda/{self._stack.function}",
            "filterPattern": pattern,
            "startTime": start_ms,
            "endTime": last_ms,
        }
        lines: list[tuple[int, str]] = []
        while not self._is_interrupted():
            answer = self._connection.client("logs").filter_log_events(**asked)
            events = answer["events"]
            lines += ((event["timestamp"], event["message"]) for event in events)
            token = answer.get("nextToken")
            if not token:
                return lines, len(events) < LOG_PAGE_MAX
            asked["nextToken"] = token
        return lines, True

    def _metrics(self, found: Observed, started_s: float, ended_s: float) -> None:
        resolution_s = LOCAL_RESOLUTION_S if self._connection.target.endpoint_url else AWS_RESOLUTION_S
        first_s = int(started_s // resolution_s) * resolution_s
        queries = [
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": wanted.namespace,
                        "MetricName": wanted.metric,
                        "Dimensions": [{"Name": wanted.dimension, "Value": self._value(wanted.dimension)}],
                    },
                    "Period": resolution_s,
                    "Stat": wanted.statistic,
                },
            }
            for number, wanted in enumerate(METRICS)
        ]
        pages = (
            self._connection.client("cloudwatch")
            .get_paginator("get_metric_data")
            .paginate(
                MetricDataQueries=queries,
                StartTime=datetime.fromtimestamp(first_s, UTC),
                EndTime=datetime.fromtimestamp(ended_s + resolution_s, UTC),
                ScanBy="TimestampAscending",
            )
        )
        values: dict[str, dict[int, float]] = {}
        for page in pages:
            for result in page["MetricDataResults"]:
                points = zip(result["Timestamps"], result["Values"], strict=True)
                values.setdefault(result["Id"], {}).update(
                    (round(at.timestamp() - started_s), value) for at, value in points
                )
        found.series += _as_series(values, resolution_s)

    def _value(self, dimension: str) -> str:
        stack = self._stack
        return {
            "StreamName": stack.stream,
            "FunctionName": stack.function,
            "EventSourceMappingUUID": stack.mapping_id,
            "TableName": stack.results_table,
        }[dimension]


def _as_series(values: dict[str, dict[int, float]], resolution_s: int) -> Sequence[Series]:
    return [
        Series(
            wanted.series,
            wanted.unit,
            STATISTICS[wanted.statistic],
            f"CloudWatch {wanted.namespace} {wanted.metric}",
            resolution_s,
            tuple(sorted(points.items())),
        )
        for number, wanted in enumerate(METRICS)
        if (points := values.get(f"m{number}"))
    ]
