"""What a function is given: the event, its batches, its order, and where reading begins."""

import base64
import itertools
import time

from tests.conformance.target import Target


def test_the_event_is_the_one_that_aws_documents(target: Target) -> None:
    """Facts 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 1.8, 1.9, 1.10."""
    stream, function = target.stream(), target.function()
    [number] = target.put(stream, ["hello"], keys=["a key"])
    target.mapping(stream, function)
    [call] = target.delivered(function, 1)
    record = call.first
    assert call.told == {}
    assert set(record) == {
        "kinesis", "eventSource", "eventVersion", "eventID", "eventName", "invokeIdentityArn", "awsRegion",
        "eventSourceARN",
    }  # fmt: skip
    arrived = record["kinesis"].pop("approximateArrivalTimestamp")
    assert abs(arrived - time.time()) < 600 and round(arrived * 1000) / 1000 == arrived
    assert record["kinesis"] == {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": "a key",
        "sequenceNumber": number,
        "data": base64.b64encode(b"hello").decode(),
    }
    assert record["eventID"] == f"shardId-000000000000:{number}"
    role = target.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    assert record["invokeIdentityArn"] == role
    assert record["eventSourceARN"] == target.describe(stream)["StreamARN"]


def test_trim_horizon_delivers_what_was_there_before_the_mapping_in_order_and_in_full_batches(target: Target) -> None:
    """Facts 2.21, 2.23, 2.11, 2.15: strictly one after the other."""
    stream, function = target.stream(), target.function(sleep_s=0.2)
    put = target.put(stream, [f"{place}" for place in range(25)])
    target.mapping(stream, function, BatchSize=10)
    calls = target.delivered(function, 25)
    assert [number for call in calls for number in call.sequence_numbers] == put
    assert [len(call.data) for call in calls] == [10, 10, 5]
    for earlier, later in itertools.pairwise(calls):
        assert earlier.ended is not None and earlier.ended <= later.began


def test_at_timestamp_begins_at_that_time(target: Target) -> None:
    """Fact 2.21."""
    stream, function = target.stream(), target.function()
    target.put(stream, ["before"])
    time.sleep(1.5)
    from_then_on = time.time() - 0.5
    target.put(stream, ["after"])
    target.mapping(stream, function, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=from_then_on)
    target.delivered(function, 1)
    assert [data for call in target.settled(function) for data in call.data] == ["after"]


def test_a_batching_window_gathers_records(target: Target) -> None:
    """Facts 2.11, 2.13."""
    stream, function = target.stream(), target.function()
    target.mapping(stream, function, BatchSize=100, MaximumBatchingWindowInSeconds=2)
    for place in range(4):
        target.put(stream, [f"{place}"])
        time.sleep(0.2)
    calls = target.delivered(function, 4)
    assert len(calls) <= 2  # one put may fall on the window's end


def test_a_batch_closes_before_its_event_passes_six_megabytes(target: Target) -> None:
    """Facts 1.12, 1.13: four records of 1 MiB fit, five do not."""
    stream, function = target.stream(), target.function()
    for place in range(6):
        target.put(stream, [f"{place}".encode() + bytes(1024 * 1024 - 10)])
        time.sleep(1.1)  # a shard takes 1 MiB per second
    target.mapping(stream, function, BatchSize=100)
    calls = target.delivered(function, 6)
    assert max(call.event_bytes for call in calls) <= 6_291_556
    assert [len(call.data) for call in calls] == [4, 2]


def test_lanes_run_side_by_side_and_each_partition_key_stays_in_order(target: Target) -> None:
    """Facts 3.1, 3.2."""
    stream, function = target.stream(), target.function(sleep_s=0.5)
    keys = [f"key {place}" for place in range(40)]
    target.put(stream, [f"{place:03}" for place in range(200)], keys=keys)
    target.mapping(stream, function, ParallelizationFactor=4, BatchSize=20)
    calls = target.delivered(function, 200)
    for key in keys:
        seen = [
            data
            for call in calls
            for data, partition_key in zip(call.data, call.partition_keys, strict=True)
            if partition_key == key
        ]
        assert seen == sorted(seen), key
    together = max(sum(1 for other in calls if other.began <= call.began < (other.ended or 0)) for call in calls)
    assert 2 <= together <= 4


def test_two_mappings_of_one_stream_each_get_every_record(target: Target) -> None:
    """Fact 2.10."""
    stream, functions = target.stream(), [target.function(), target.function()]
    target.put(stream, ["a", "b", "c"])
    for function in functions:
        target.mapping(stream, function)
    for function in functions:
        assert [data for call in target.delivered(function, 3) for data in call.data] == ["a", "b", "c"]


def test_filters_let_matching_records_through_and_nothing_else(target: Target) -> None:
    """Facts 6.2, 6.4, 6.5, 6.6."""
    stream, function = target.stream(), target.function()
    target.put(stream, ['{"kind": "wanted", "n": 1}', "not json", '{"kind": "other"}', '{"kind": "wanted", "n": 2}'])
    pattern = '{"data": {"kind": ["wanted"]}}'
    target.mapping(stream, function, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    target.delivered(function, 2)
    seen = [data for call in target.settled(function) for data in call.data]
    assert seen == ['{"kind": "wanted", "n": 1}', '{"kind": "wanted", "n": 2}']


def test_a_mapping_goes_on_at_its_checkpoint_after_being_disabled(target: Target) -> None:
    """Fact 2.24."""
    stream, function = target.stream(), target.function()
    target.put(stream, ["first"])
    mapping = target.mapping(stream, function)
    target.delivered(function, 1)
    client = target.client("lambda")
    client.update_event_source_mapping(UUID=mapping, Enabled=False)
    target.until(lambda: target.state(mapping) == "Disabled", "it is disabled")
    time.sleep(3 * target.settle_s)
    target.put(stream, ["second"])
    assert [data for call in target.settled(function) for data in call.data] == ["first"]
    client.update_event_source_mapping(UUID=mapping, Enabled=True)
    target.delivered(function, 2)
    assert [data for call in target.settled(function) for data in call.data] == ["first", "second"]
