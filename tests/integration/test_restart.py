"""`infra up --data-dir` killed in the middle of its work, and started again: nothing lost, nothing counted twice, and
what was done is not done again from the beginning."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.local_stack import Up, until

pytestmark = pytest.mark.integration

EVENTS, BATCH, SHARD = 400, 1, "shardId-000000000000"
PARAMETERS = {"ShardCount": 1, "ParallelizationFactor": 1, "BatchSize": BATCH, "BatchingWindowSeconds": 0}


def event(number: int) -> bytes:
    envelope = {"specversion": "1.0", "id": str(number), "source": "restart", "type": "restart", "subject": "s"}
    time = f"2026-11-23T{number % 24:02}:00:00Z"
    return json.dumps({**envelope, "time": time, "data": {"bytes": number}}).encode()


def put(up: Up) -> list[int]:
    """All events into the one shard, in order; their sequence numbers."""
    kinesis = up.client("kinesis")
    numbers: list[int] = []
    for first in range(0, EVENTS, 200):
        records = [{"Data": event(number), "PartitionKey": str(number)} for number in range(first, first + 200)]
        answer = kinesis.put_records(StreamName=up.ready["stream"], Records=records)
        assert answer["FailedRecordCount"] == 0
        numbers += [int(each["SequenceNumber"]) for each in answer["Records"]]
    return numbers


def kill(up: Up) -> None:
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()


def checkpoint(data: Path) -> int:
    """The lowest sequence number that is not settled, as on disk; 0 before any is."""
    (path,) = (data / "mappings").glob("*.json")
    position: dict[str, str] = json.loads(path.read_text())["snapshot"]["machine"]["shards"].get(SHARD, {})
    return int(position.get("sequence_number", 0)) + (position.get("type") == "AFTER_SEQUENCE_NUMBER")


def seen(data: Path) -> int:
    """How many events the function's invocations have been given in all runs together."""
    log = (data / "logs" / "stream-processor-stream.log").read_text()
    return sum(int(float(number)) for number in re.findall(r'"EventsIn":\[([0-9.]+)\]', log))


def totals(up: Up) -> tuple[int, int]:
    """Events counted, and the sum of their `bytes`."""
    rows = up.results("restart")
    return sum(row["events"] for row in rows), sum(int(row["sum_bytes"]) for row in rows)


def test_killed_half_way_it_goes_on_at_the_checkpoint_and_counts_every_event_once(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    """Facts 2.16, 2.24, 2.25, 3.5: the checkpoint is the mapping's, and survives; what was not settled comes again."""
    data = tmp_path / "data"
    given = [text for name, value in PARAMETERS.items() for text in ("--parameter", f"{name}={value}")]
    up = start("--data-dir", str(data), *given)
    up.client("s3").create_bucket(Bucket="mine")
    numbers = put(up)
    until(lambda: up.events("restart") >= EVENTS // 4 and checkpoint(data) > numbers[0], "a quarter of the events")
    kill(up)
    at = checkpoint(data)
    behind = sum(number >= at for number in numbers)
    before = seen(data)
    assert before < EVENTS

    up = start("--data-dir", str(data), *given)
    assert up.events("restart") >= EVENTS // 4, "the table was kept"
    up.client("s3").put_object(Bucket="mine", Key="k", Body=b"")  # the bucket as well, empty as it was
    until(lambda: up.events("restart") >= EVENTS, "all events")
    until(lambda: checkpoint(data) == numbers[-1] + 1, "the checkpoint behind the last event")
    assert totals(up) == (EVENTS, sum(range(EVENTS)))
    assert seen(data) - before == behind
    assert up.stop() == 0


def test_buckets_queues_and_topics_are_there_again_with_their_settings(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    """Also if nothing is in them, on another port, and those that were deleted are not."""
    up = start("--data-dir", str(tmp_path / "data"))
    s3, sqs, sns = (up.client(service) for service in ("s3", "sqs", "sns"))
    for name in ("empty", "versioned", "deleted"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    s3.delete_bucket(Bucket="deleted")
    queue = sqs.create_queue(QueueName="mine", Attributes={"VisibilityTimeout": "7"}, tags={"a": "b"})["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "0", "MessageRetentionPeriod": "600"})
    sqs.delete_queue(QueueUrl=sqs.create_queue(QueueName="deleted")["QueueUrl"])
    sqs.send_message(QueueUrl=queue, MessageBody="not kept")
    topic = sns.create_topic(Name="mine")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    kill(up)

    up = start("--data-dir", str(tmp_path / "data"))
    s3, sqs, sns = (up.client(service) for service in ("s3", "sqs", "sns"))
    names = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert {"empty", "versioned"} <= names and "deleted" not in names
    s3.put_object(Bucket="empty", Key="k", Body=b"")
    assert s3.get_bucket_versioning(Bucket="versioned")["Status"] == "Enabled"
    (queue,) = sqs.list_queues()["QueueUrls"]
    assert queue.startswith(up.endpoint_url)
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (attributes["VisibilityTimeout"], attributes["MessageRetentionPeriod"]) == ("7", "600")
    assert attributes["ApproximateNumberOfMessages"] == "0"
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"a": "b"}
    sns.publish(TopicArn=topic, Message="after")
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == "after"
    assert up.stop() == 0
