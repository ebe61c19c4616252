"""What CloudWatch and CloudWatch Logs say of a running stack is what happened in it, asked as one asks AWS."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_stack import Up, until

pytestmark = pytest.mark.integration

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Stream: {Type: AWS::Kinesis::Stream, Properties: {Name: seen, ShardCount: 2}}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: seen
      CodeUri: task/
      Handler: task.module.handler
      Runtime: python3.13
      Timeout: 1
      ReservedConcurrentExecutions: 0
      Role: arn:aws:iam::000000000000:role/seen
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref Function
      EventSourceArn: !GetAtt Stream.Arn
      StartingPosition: TRIM_HORIZON
      MetricsConfig: {Metrics: [EventCount]}
"""

SOURCE = """
import json, time
def handler(event, context):
    if event == "sleep":
        time.sleep(5)
    if event == "raise":
        raise ValueError
    records = event.get("Records", [])
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [
            {"Namespace": "Mine", "Dimensions": [["who"]], "Metrics": [{"Name": "Seen", "Unit": "Count"}]}]},
        "who": "seen", "Seen": len(records)}))
"""


def stack(start: Callable[..., Up], tmp_path: Path, template: str = TEMPLATE) -> Up:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "module.py").write_text(SOURCE)
    (tmp_path / "template.yaml").write_text(template)
    return start("--template", str(tmp_path / "template.yaml"))


def statistic(up: Up, namespace: str, metric: str, statistic: str = "Sum", **dimensions: str) -> float | None:
    now = datetime.now(UTC)
    points = up.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    values: list[float] = [point[statistic] for point in points]
    if not values:
        return None
    return max(values) if statistic == "Maximum" else sum(values)


def test_metrics_and_logs_tell_what_functions_mapping_and_stream_did(start: Callable[..., Up], tmp_path: Path) -> None:
    """Facts 8.7, 8.8, 8.10."""
    up = stack(start, tmp_path, TEMPLATE.replace("      ReservedConcurrentExecutions: 0\n", ""))
    records: list[dict[str, Any]] = [{"PartitionKey": str(number), "Data": b"x"} for number in range(40)]
    up.client("kinesis").put_records(StreamName="seen", Records=records)
    until(lambda: statistic(up, "Mine", "Seen", who="seen") == 40, "40 records in the function's own metric")
    client = up.client("lambda")
    for payload in (b'"raise"', b'"sleep"'):
        assert client.invoke(FunctionName="seen", Payload=payload)["FunctionError"] == "Unhandled"

    function = {"FunctionName": "seen"}
    runs = statistic(up, "AWS/Lambda", "Invocations", **function)
    assert runs is not None
    assert statistic(up, "AWS/Lambda", "Errors", **function) == 2
    assert statistic(up, "AWS/Lambda", "Duration", "SampleCount", **function) == runs
    assert 1_000 <= (statistic(up, "AWS/Lambda", "Duration", "Maximum", **function) or 0) < 3_000
    assert 0 <= (statistic(up, "AWS/Lambda", "IteratorAge", "Maximum", **function) or -1) < 30_000
    mapping = {"EventSourceMappingUUID": client.list_event_source_mappings()["EventSourceMappings"][0]["UUID"]}
    assert statistic(up, "AWS/Lambda", "PolledEventCount", **mapping) == 40
    assert statistic(up, "AWS/Lambda", "InvokedEventCount", **mapping) == 40
    assert statistic(up, "AWS/Kinesis", "IncomingRecords", StreamName="seen") == 40
    by_shard = [
        statistic(up, "AWS/Kinesis", "IncomingRecords", StreamName="seen", ShardId=f"shardId-00000000000{number}") or 0
        for number in range(2)
    ]
    assert min(by_shard) > 0
    assert sum(by_shard) == 40

    logs = up.client("logs")
    found = logs.filter_log_events(logGroupName="/aws/lambda/seen", filterPattern="REPORT")["events"]
    assert len(found) == runs
    assert "Status: timeout" in found[-1]["message"]
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/seen")["logStreams"]
    assert {event["logStreamName"] for event in found} <= {stream["logStreamName"] for stream in streams}


def test_a_function_without_concurrency_is_throttled_and_not_invoked(start: Callable[..., Up], tmp_path: Path) -> None:
    """Facts 8.1, 8.7."""
    up = stack(start, tmp_path)
    up.client("kinesis").put_record(StreamName="seen", PartitionKey="k", Data=b"x")
    until(lambda: statistic(up, "AWS/Lambda", "Throttles", FunctionName="seen"), "a throttle in CloudWatch")
    assert statistic(up, "AWS/Lambda", "Invocations", FunctionName="seen") is None
    assert statistic(up, "AWS/Lambda", "Errors", FunctionName="seen") is None
    reserved = up.client("lambda").get_function_concurrency(FunctionName="seen")
    assert reserved["ReservedConcurrentExecutions"] == 0
