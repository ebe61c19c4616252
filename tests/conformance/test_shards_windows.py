"""Resharding, tumbling windows, enhanced fan-out, and the mapping's own metrics."""

import time
from datetime import UTC, datetime, timedelta

import aws_kinesis_agg.aggregator

from tests.conformance.target import Target


def test_the_children_of_a_split_wait_for_their_parent(target: Target) -> None:
    """Facts 2.26, 2.27."""
    stream, function = target.stream(), target.function(sleep_s=0.3)
    keys = [f"key {place}" for place in range(20)]
    target.put(stream, [f"old {place:02}" for place in range(20)], keys=keys)
    target.mapping(stream, function, BatchSize=5)
    kinesis = target.client("kinesis")
    kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    target.until(lambda: target.describe(stream)["StreamStatus"] == "ACTIVE", "the split is done")
    target.put(stream, [f"new {place:02}" for place in range(20)], keys=keys)
    calls = target.delivered(function, 40)
    seen = [data for call in calls for data in call.data]
    assert sorted(seen) == [f"{age} {place:02}" for age in ("new", "old") for place in range(20)]
    assert all(data.startswith("old") for data in seen[:20])


def test_a_tumbling_window_hands_its_state_on_and_ends_with_a_final_invocation(target: Target) -> None:
    """Facts 1.11, 7.1, 7.2, 7.5."""
    stream, function = target.stream(), target.function(state=True)
    target.mapping(stream, function, TumblingWindowInSeconds=2, BatchSize=1)
    for place in range(3):
        target.put(stream, [f"{place}"])
    time.sleep(2.5)
    target.put(stream, ["next window"])

    def ended() -> bool:
        return any(call.told["isFinalInvokeForWindow"] for call in target.invocations(function))

    target.until(ended, "the window was ended")
    calls = target.settled(function)
    windows = list(dict.fromkeys(call.told["window"]["start"] for call in calls))
    final = {}
    for window in windows:
        counted = 0
        for call in calls:
            if call.told["window"]["start"] == window:
                assert call.told["state"].get("records", 0) == counted
                counted += len(call.data)
                final[window] = call.told["isFinalInvokeForWindow"]
    assert final[windows[0]]
    assert sum(len(call.data) for call in calls) == 4


def test_enhanced_fan_out_takes_aggregates_apart(target: Target) -> None:
    """Facts 2.18, 3.9, 1.8."""
    stream, function = target.stream(), target.function()
    kinesis = target.client("kinesis")
    arn = target.describe(stream)["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="fan-out")["Consumer"]["ConsumerARN"]

    def active() -> bool:
        described = kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]
        return bool(described["ConsumerStatus"] == "ACTIVE")

    target.until(active, "the consumer is active")
    target.mapping(stream, function, source_arn=consumer)
    packer = aws_kinesis_agg.aggregator.RecordAggregator()
    for place in range(3):
        packer.add_user_record(f"inner {place}", f"data {place}".encode())
    _, _, packed = packer.clear_and_get().get_contents()
    [number] = target.put(stream, [packed], keys=["outer"])
    [call] = target.delivered(function, 3)
    assert list(call.data) == ["data 0", "data 1", "data 2"]
    assert list(call.partition_keys) == ["inner 0", "inner 1", "inner 2"]
    assert set(call.sequence_numbers) == {number}
    assert call.first["eventSourceARN"] == consumer


def test_a_standard_iterator_hands_an_aggregate_over_as_one_record(target: Target) -> None:
    """Fact 3.8."""
    stream, function = target.stream(), target.function()
    packer = aws_kinesis_agg.aggregator.RecordAggregator()
    for place in range(3):
        packer.add_user_record(f"inner {place}", f"data {place}".encode())
    _, _, packed = packer.clear_and_get().get_contents()
    target.put(stream, [packed], keys=["outer"])
    target.mapping(stream, function)
    [call] = target.delivered(function, 1)
    assert list(call.partition_keys) == ["outer"]


def test_a_mapping_that_asks_for_event_counts_publishes_them(target: Target) -> None:
    """Fact 8.10."""
    stream, function = target.stream(), target.function()
    began = datetime.now(UTC)
    target.put(stream, ["a", "b", "c"])
    mapping = target.mapping(stream, function, MetricsConfig={"Metrics": ["EventCount"]})
    target.delivered(function, 3)

    def total(name: str) -> float:
        points = target.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=name,
            Dimensions=[{"Name": "EventSourceMappingUUID", "Value": mapping}],
            StartTime=began - timedelta(minutes=1),
            EndTime=began + timedelta(minutes=10),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]  # fmt: skip
        return float(sum(point["Sum"] for point in points))

    target.until(lambda: total("PolledEventCount") == 3, "the records were counted as polled")
    target.until(lambda: total("InvokedEventCount") == 3, "the records were counted as invoked")
