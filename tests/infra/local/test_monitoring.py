"""Logs and metrics reach the mounted services whole, in bounded memory, and never stand in the data path's way."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.local import monitoring as monitorings
from infra.local.log_keeper import EVENT_BYTES, LogKeeper
from infra.local.monitoring import Monitoring
from infra.local.services import ServiceCallError, Services
from infra.model.function import Counters, FunctionError, Report, ServiceError, Succeeded, Throttled
from infra.model.shard import ShardCounters

NOW = 1_795_430_000.0
GET = "GraniteServiceVersion20100801.GetMetricStatistics"


class Counted:
    """Stands for the functions."""

    def counters(self, _name: str) -> Counters:
        return Counters(concurrent_executions=2)


class Shards:
    def __init__(self, *stream_arns: str) -> None:
        self.incoming = 0
        self._stream_arns = stream_arns

    def stream_arns(self) -> Sequence[str]:
        return self._stream_arns

    def counters(self, _arn: str) -> Mapping[str, ShardCounters]:
        return {"shardId-0": ShardCounters(incoming_records=self.incoming)}


@dataclass
class Metered:
    counts: dict[str, dict[str, float]] = field(default_factory=dict)

    def counted(self) -> Mapping[str, Mapping[str, float]]:
        return {table: dict(counts) for table, counts in self.counts.items()}


def statistics(services: Services, namespace: str, metric: str, **dimensions: str) -> dict[str, Any]:
    asked = {
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        "StartTime": NOW - 600,
        "EndTime": NOW + 600,
        "Period": 3600,
        "Statistics": ["Sum", "SampleCount", "Maximum"],
        "ExtendedStatistics": ["p50"],
    }
    (found,) = asyncio.run(services.call_json(GET, asked))["Datapoints"]
    point: dict[str, Any] = found
    return point


def messages(services: Services, group: str) -> list[str]:
    asked = services.call_json("Logs_20140328.FilterLogEvents", {"logGroupName": group}, version="1.1")
    return [event["message"] for event in asyncio.run(asked)["events"]]


def test_lines_are_in_the_group_and_stream_of_their_environment_in_order(services: Services) -> None:
    async def scenario() -> None:
        monitoring = Monitoring(services, clock=lambda: NOW)
        for number in range(1_234):
            monitoring.log_line("/aws/lambda/order", f"stream-{number % 2}", f"line {number}")
        await monitoring.hand_over()

    asyncio.run(scenario())
    found = messages(services, "/aws/lambda/order")
    assert sorted(found) == sorted(f"line {number}" for number in range(1_234))
    evens = [line for line in found if int(line.split()[1]) % 2 == 0]
    assert evens == [f"line {number}" for number in range(0, 1_234, 2)]


def test_metrics_embedded_in_a_line_are_published_and_the_line_is_kept(services: Services) -> None:
    line = json.dumps(
        {
            "_aws": {
                "Timestamp": int(NOW * 1000),
                "CloudWatchMetrics": [
                    {"Namespace": "Mine", "Dimensions": [["service"]], "Metrics": [{"Name": "Count", "Unit": "Count"}]}
                ],
            },
            "service": "embedded",
            "Count": 5,
        }
    )

    async def scenario() -> None:
        monitoring = Monitoring(services, clock=lambda: NOW)
        for _ in range(3):
            monitoring.log_line("/aws/lambda/embedded", "s", line)
        await monitoring.hand_over()

    asyncio.run(scenario())
    point = statistics(services, "Mine", "Count", service="embedded")
    assert (point["Sum"], point["SampleCount"], point["Maximum"]) == (15, 3, 5)
    assert messages(services, "/aws/lambda/embedded") == [line] * 3


def test_what_ran_on_provisioned_concurrency_and_what_spilled_over_is_published(services: Services) -> None:
    async def scenario() -> None:
        monitoring = Monitoring(services, clock=lambda: NOW)
        began_s = asyncio.get_running_loop().time()
        for provisioned in (True, True, False):
            report = Report(began_s, 10.0, None, provisioned=provisioned, spilled_over=not provisioned)
            monitoring.invocation("warm", Succeeded("1", b""), report)
        await monitoring.hand_over()

    asyncio.run(scenario())
    for name, count in (("ProvisionedConcurrencyInvocations", 2), ("ProvisionedConcurrencySpilloverInvocations", 1)):
        point = statistics(services, "AWS/Lambda", name, FunctionName="warm")
        assert (point["Sum"], point["SampleCount"]) == (count, 3)


def test_invocations_errors_throttles_durations_and_concurrency_are_published(services: Services) -> None:
    """Facts 8.7, 8.8."""

    async def scenario() -> None:
        monitoring = Monitoring(services, clock=lambda: NOW)
        monitoring.attach(Counted(), Shards(), Metered())
        began_s = asyncio.get_running_loop().time()
        monitoring.invocation("g", Succeeded("1", b""), Report(began_s, 10.0, None))
        monitoring.invocation("g", FunctionError("2", "E", b"{}"), Report(began_s, 30.0, None))
        monitoring.invocation("g", Throttled("r"), None)
        monitoring.invocation("g", ServiceError("r"), None)
        monitoring.mapping_metric("FunctionName", "g", "IteratorAge", 42)
        monitoring.mapping_metric("EventSourceMappingUUID", "u", "PolledEventCount", 7)
        await monitoring.hand_over()

    asyncio.run(scenario())
    found = {
        name: statistics(services, "AWS/Lambda", name, FunctionName="g")
        for name in ("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "IteratorAge")
    }
    assert {name: point["Sum"] for name, point in found.items() if name != "ConcurrentExecutions"} == {
        "Invocations": 2,
        "Errors": 1,
        "Throttles": 1,
        "Duration": 40,
        "IteratorAge": 42,
    }
    assert found["ConcurrentExecutions"]["Maximum"] == 3
    assert found["Duration"]["ExtendedStatistics"]["p50"] == 20
    assert statistics(services, "AWS/Lambda", "PolledEventCount", EventSourceMappingUUID="u")["Sum"] == 7


def test_a_streams_metrics_are_what_came_between_two_readings(services: Services) -> None:
    async def scenario() -> None:
        shards = Shards("arn:aws:kinesis:us-east-1:000000000000:stream/between")
        monitoring = Monitoring(services, clock=lambda: NOW)
        monitoring.attach(Counted(), shards, Metered())
        for shards.incoming in (4, 4, 9):
            await monitoring.hand_over()

    asyncio.run(scenario())
    assert statistics(services, "AWS/Kinesis", "IncomingRecords", StreamName="between")["Sum"] == 9
    by_shard = {"StreamName": "between", "ShardId": "shardId-0"}
    assert statistics(services, "AWS/Kinesis", "IncomingRecords", **by_shard)["SampleCount"] == 2


def test_refused_accesses_of_a_table_are_its_throttle_events_and_served_ones_its_consumed_capacity(
    services: Services,
) -> None:
    async def scenario() -> None:
        tables = Metered()
        monitoring = Monitoring(services, clock=lambda: NOW)
        monitoring.attach(Counted(), Shards(), tables)
        first: dict[str, float] = {"throttled_writes": 2, "write_units": 30}
        later: dict[str, float] = {"throttled_writes": 7, "throttled_reads": 1, "write_units": 41, "read_units": 0.5}
        for counts in (first, first, later):
            tables.counts = {"t": counts}
            await monitoring.hand_over()

    asyncio.run(scenario())
    point = statistics(services, "AWS/DynamoDB", "WriteThrottleEvents", TableName="t")
    assert (point["Sum"], point["SampleCount"]) == (7, 2)
    assert statistics(services, "AWS/DynamoDB", "ReadThrottleEvents", TableName="t")["Sum"] == 1
    assert statistics(services, "AWS/DynamoDB", "ConsumedWriteCapacityUnits", TableName="t")["Sum"] == 41
    assert statistics(services, "AWS/DynamoDB", "ConsumedReadCapacityUnits", TableName="t")["Sum"] == 0.5


def test_lines_beyond_the_limit_are_counted_and_said_and_the_rest_arrives(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(monitorings, "LINES_MAX", 3)

    async def scenario() -> Monitoring:
        monitoring = Monitoring(services, clock=lambda: NOW)
        for number in range(5):
            monitoring.log_line("/aws/lambda/bounded", "s", str(number))
        await monitoring.hand_over()
        monitoring.log_line("/aws/lambda/bounded", "s", "later")
        await monitoring.hand_over()
        return monitoring

    assert asyncio.run(scenario()).dropped_lines == 2
    assert messages(services, "/aws/lambda/bounded") == ["0", "1", "2", "later"]
    assert caplog.text.count("not in CloudWatch: 2 log lines") == 1


def test_a_refused_call_costs_its_part_only_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(Services):
        async def call_json(self, target: str, _payload: Mapping[str, Any], *, version: str = "1.0") -> dict[str, Any]:
            raise ServiceCallError(target, 400, "Refused", version)

    async def scenario() -> Monitoring:
        monitoring = Monitoring(Refusing(app=None), clock=lambda: NOW)  # type: ignore[arg-type]  # never called
        monitoring.log_line("g", "s", "line")
        monitoring.mapping_metric("FunctionName", "f", "IteratorAge", 1)
        await monitoring.hand_over()
        return monitoring

    monitoring = asyncio.run(scenario())
    assert (monitoring.dropped_lines, monitoring.dropped_measurements) == (1, 1)
    assert "1 log lines" in caplog.text


def test_a_fault_of_the_handing_over_is_told_and_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Services):
        async def call_json(self, target: str, _payload: Mapping[str, Any], *, version: str = "1.0") -> dict[str, Any]:
            raise RuntimeError(target, version)

    async def scenario() -> None:
        monitoring = Monitoring(Broken(app=None), clock=lambda: NOW)  # type: ignore[arg-type]  # never called
        monitoring.log_line("g", "s", "line")
        await monitoring.hand_over()

    asyncio.run(scenario())
    assert "metrics and logs of this round are lost" in caplog.text


def test_streams_written_least_recently_go_when_there_is_no_room(services: Services) -> None:
    async def scenario() -> None:
        keeper = LogKeeper(services, kept_bytes_max=3 * (EVENT_BYTES + 1))
        for number, stream in enumerate("abacd"):
            await keeper.put("/aws/lambda/room", stream, [(number, str(number))])

    asyncio.run(scenario())
    assert messages(services, "/aws/lambda/room") == ["3", "4"]


def test_a_stream_that_a_user_deleted_is_made_again(services: Services) -> None:
    async def scenario() -> None:
        keeper = LogKeeper(services)
        await keeper.put("/aws/lambda/deleted", "s", [(1, "one")])
        names = {"logGroupName": "/aws/lambda/deleted"}
        await services.call_json("Logs_20140328.DeleteLogGroup", names, version="1.1")
        await keeper.put("/aws/lambda/deleted", "s", [(2, "two")])

    asyncio.run(scenario())
    assert messages(services, "/aws/lambda/deleted") == ["two"]
