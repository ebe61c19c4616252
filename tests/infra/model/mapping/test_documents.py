"""On-failure documents, to the byte; delivery; what moves the checkpoint."""

import json
from typing import Any

import pytest

from infra.model.function import FunctionError
from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber, Checkpoint
from infra.model.mapping.documents import timestamp
from infra.model.mapping.shard import lane_of
from tests.support.mapping_world import EPOCH_S, FIRST, FUNCTION, ONE, STREAM, UUID, World, raised

QUEUE = "arn:aws:sqs:us-east-1:111111111111:failures"
TOPIC = "arn:aws:sns:us-east-1:111111111111:failures"
BUCKET = "arn:aws:s3:::failures"


def discarding(destination_arn: str | None, **settings: Any) -> World:
    world = World(on_failure_destination_arn=destination_arn, retry_attempts_max=1, **settings)
    world.answer = raised
    world.put("é", data=b"\x00\xff")
    return world.start()


@pytest.mark.parametrize("destination_arn", [QUEUE, TOPIC])
def test_the_document_for_queues_and_topics_is_as_recorded_from_aws(destination_arn: str) -> None:
    """Facts 5.3, 5.4, 5.5, 5.7, 5.9: key order, no blanks, no record data."""
    world = discarding(destination_arn).run(5)
    [(_, deliver)] = world.documents
    arrived = timestamp(int(EPOCH_S * 1000))
    assert deliver.key == ""
    assert deliver.body().decode() == (
        f'{{"requestContext":{{"requestId":"{world.request_ids[-1]}","functionArn":"{FUNCTION}",'
        '"condition":"RetryAttemptsExhausted","approximateInvokeCount":2},'
        '"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},'
        f'"version":"1.0","timestamp":"{timestamp(int(EPOCH_S * 1000) + 200)}",'
        f'"KinesisBatchInfo":{{"shardId":"{ONE}","startSequenceNumber":"{FIRST}","endSequenceNumber":"{FIRST}",'
        f'"approximateArrivalOfFirstRecord":"{arrived}","approximateArrivalOfLastRecord":"{arrived}",'
        f'"batchSize":1,"streamArn":"{STREAM}"}}}}'
    )


def test_the_document_for_a_bucket_has_the_whole_event_as_a_string() -> None:
    """Fact 5.10: it can be taken out and given to the function as it is."""
    world = discarding(BUCKET).run(5)
    document = json.loads(world.documents[0][1].body())
    assert list(document) == [
        "requestContext",
        "responseContext",
        "version",
        "payload",
        "timestamp",
        "KinesisBatchInfo",
    ]
    assert document["payload"].encode() == world.invokes[0][1].event()


def test_the_key_in_a_bucket_names_mapping_shard_day_and_time() -> None:
    """Fact 5.11; EPOCH_S is 2026-09-19T08:53:20Z."""
    world = discarding(BUCKET).run(5)
    key = world.documents[0][1].key
    assert key.startswith(f"aws/lambda/{UUID}/{ONE}/2026/09/19/2026-09-19T08.53.20-")
    name = key.rsplit("20-", 1)[1]
    assert len(name) == 36
    assert name not in world.request_ids


def test_the_qualifier_of_the_function_is_kept() -> None:
    """Fact 5.6."""
    world = discarding(QUEUE, function_arn=FUNCTION + ":1").run(5)
    document = json.loads(world.documents[0][1].body())
    assert document["requestContext"]["functionArn"] == FUNCTION + ":1"
    assert document["responseContext"]["executedVersion"] == "1"
    assert world.invokes[0][1].function_arn == FUNCTION + ":1"


def test_the_version_to_which_an_alias_led_is_the_one_that_ran_last() -> None:
    """Fact 5.6."""
    world = discarding(QUEUE, function_arn=FUNCTION + ":live")
    versions = iter(("3", "4"))
    world.answer = lambda invoke: FunctionError(invoke.request_id, "E", b"{}", next(versions))
    world.run(5)
    document = json.loads(world.documents[0][1].body())
    assert document["requestContext"]["functionArn"] == FUNCTION + ":live"
    assert document["responseContext"]["executedVersion"] == "4"


def test_a_mapping_on_a_consumer_names_the_consumer_in_events_and_documents() -> None:
    """Facts 1.8, 5.8."""
    consumer = STREAM + "/consumer/quick:1789808973"
    world = discarding(QUEUE, event_source_arn=consumer).run(5)
    [record] = json.loads(world.invokes[0][1].event())["Records"]
    assert record["eventSourceARN"] == consumer
    assert record["awsRegion"] == "us-east-1"
    assert json.loads(world.documents[0][1].body())["KinesisBatchInfo"]["streamArn"] == consumer


def test_an_oversized_record_has_a_document_without_response_and_with_its_payload() -> None:
    """Facts 1.14, 5.5."""
    world = World(on_failure_destination_arn=BUCKET, retry_attempts_max=0)
    world.put("a", data=bytes(5 * 1024 * 1024))
    world.start().run(5)
    document = json.loads(world.documents[0][1].body())
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert "responseContext" not in document
    assert len(json.loads(document["payload"])["Records"]) == 1


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (1_789_809_112_059, "2026-09-19T09:11:52.059Z"),
        (1_789_809_112_000, "2026-09-19T09:11:52.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_times_always_have_three_digits_of_milliseconds(time_ms: int, text: str) -> None:
    """Fact 5.7."""
    assert timestamp(time_ms) == text


def test_without_a_destination_the_records_are_dropped_and_counted() -> None:
    """Fact 8.10."""
    world = discarding(None, event_count_metrics=True).run(5)
    assert world.total("DroppedEventCount") == 1
    assert world.checkpoints == [
        Checkpoint(ONE, AtSequenceNumber(FIRST)),
        Checkpoint(ONE, AfterSequenceNumber(FIRST)),
    ]


def test_a_delivered_document_is_not_a_drop() -> None:
    """Fact 8.10."""
    world = discarding(QUEUE, event_count_metrics=True).run(5)
    assert world.total("DroppedEventCount") == 0
    assert world.total("OnFailureDestinationDeliveredEventCount") == 1


def test_a_delivery_that_fails_is_final() -> None:
    """Fact 5.13."""
    world = discarding(QUEUE, event_count_metrics=True)
    world.refusing = True
    world.run(60)
    assert len(world.documents) == 1
    assert world.total("DestinationDeliveryFailures") == 1
    assert world.total("DroppedEventCount") == 1
    assert world.total("OnFailureDestinationDeliveredEventCount") == 0
    assert world.checkpoints[-1] == Checkpoint(ONE, AfterSequenceNumber(FIRST))


@pytest.mark.parametrize("refusing", [False, True])
def test_the_checkpoint_moves_only_after_the_delivery_has_ended(refusing: bool) -> None:
    """Fact 5.14; the lane is blocked until then."""
    world = discarding(QUEUE)
    world.refusing = refusing
    world.delivery_s = 3
    world.put("é")
    world.run(3)
    assert [checkpoint.position for checkpoint in world.checkpoints] == [AtSequenceNumber(FIRST)]
    assert len(world.sent) == 2
    world.run(1)
    assert world.checkpoints[-1].position != AtSequenceNumber(FIRST)
    assert world.settled


def test_the_checkpoint_is_the_lowest_unfinished_record_over_all_lanes() -> None:
    """Fact 3.5."""
    world = World(parallelization_factor=2, batch_size=1)
    slow, quick = "key-0", next(f"key-{n}" for n in range(99) if lane_of(f"key-{n}", 2) != lane_of("key-0", 2))
    world.duration_s = lambda invoke: 10.0 if invoke.records[0].partition_key == slow else 1.0
    world.put(slow, quick, quick)
    world.start().run(5)
    assert sorted(world.sent) == [[0], [1], [2]]
    assert world.checkpoints == [Checkpoint(ONE, AtSequenceNumber(FIRST))]
    world.run(10)
    assert world.checkpoints[-1] == Checkpoint(ONE, AfterSequenceNumber(FIRST + 2))
