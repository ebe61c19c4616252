"""What happens to a batch that fails: retries, their budget, partial responses, bisect, and where it ends."""

import json
import time
from typing import Any

from tests.conformance.target import Target, unique


def queue(target: Target) -> tuple[str, str]:
    """A new queue's URL and ARN."""
    sqs = target.client("sqs")
    url = sqs.create_queue(QueueName=unique())["QueueUrl"]
    target.undo.callback(sqs.delete_queue, QueueUrl=url)
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def document(target: Target, url: str) -> dict[str, Any]:
    """The first document in the queue."""
    sqs = target.client("sqs")
    [message] = target.until(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "a document is in the queue"
    )
    found: dict[str, Any] = json.loads(message["Body"])
    return found


def failing(target: Target, **behaviour: Any) -> tuple[str, str]:
    return target.stream(), target.function(poison="bad", **behaviour)


def to(arn: str) -> dict[str, Any]:
    return {"OnFailure": {"Destination": arn}}


def test_a_failing_batch_is_tried_again_as_it_is_and_then_described_to_the_destination(target: Target) -> None:
    """Facts 4.1, 4.5, 4.7, 5.3, 5.5, 5.9."""
    stream, function = failing(target)
    url, arn = queue(target)
    put = target.put(stream, ["good", "bad"])
    mapping = target.mapping(stream, function, MaximumRetryAttempts=1, DestinationConfig=to(arn))
    found = document(target, url)
    calls = target.settled(function)
    assert [call.data for call in calls] == [["good", "bad"]] * 2
    assert calls[0].request_id == calls[1].request_id == found["requestContext"]["requestId"]
    assert found["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert found["requestContext"]["approximateInvokeCount"] == 2
    assert found["responseContext"] == {
        "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"
    }  # fmt: skip
    batch = found["KinesisBatchInfo"]
    assert (batch["startSequenceNumber"], batch["endSequenceNumber"], batch["batchSize"]) == (put[0], put[1], 2)
    assert "payload" not in found and mapping


def test_progress_starts_the_retry_budget_anew(target: Target) -> None:
    """Facts 4.8, 4.14, 5.5: record 5 is seen five times, the document says 4, functionError is a written null."""
    stream, function = failing(target, partial=True)
    url, arn = queue(target)
    target.put(stream, ["0", "1", "2", "3", "4", "5 bad"])
    target.mapping(
        stream, function, BatchSize=3, MaximumRetryAttempts=3, DestinationConfig=to(arn),
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )  # fmt: skip
    found = document(target, url)
    calls = target.settled(function)
    assert [call.data for call in calls] == [["0", "1", "2"], ["3", "4", "5 bad"], *[["5 bad"]] * 4]
    assert found["requestContext"]["approximateInvokeCount"] == 4
    assert found["responseContext"]["functionError"] is None


def test_batch_item_failures_are_ignored_by_a_mapping_that_does_not_ask_for_them(target: Target) -> None:
    """Fact 4.11: silent loss."""
    stream, function = failing(target, partial=True)
    target.put(stream, ["bad"])
    target.mapping(stream, function)
    target.delivered(function, 1)
    assert len(target.settled(function)) == 1


def test_bisect_ends_the_left_half_before_the_right_one_begins(target: Target) -> None:
    """Facts 4.19, 4.20, 4.23."""
    stream, function = failing(target)
    target.put(stream, ["0", "1 bad", "2", "3", "4"])
    target.mapping(stream, function, BisectBatchOnFunctionError=True, MaximumRetryAttempts=0)
    target.delivered(function, 12)
    assert [call.data for call in target.settled(function)] == [
        ["0", "1 bad", "2", "3", "4"], ["0", "1 bad"], ["0"], ["1 bad"], ["2", "3", "4"]
    ]  # fmt: skip


def test_a_partial_response_with_bisect_splits_at_the_returned_number(target: Target) -> None:
    """Fact 4.21, recorded: 1, 2, 3, 4 of which 2 fails."""
    stream, function = failing(target, partial=True)
    target.put(stream, ["1", "2 bad", "3", "4"])
    target.mapping(
        stream, function, BisectBatchOnFunctionError=True, MaximumRetryAttempts=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )  # fmt: skip
    target.delivered(function, 11)
    assert [call.data for call in target.settled(function)] == [
        ["1", "2 bad", "3", "4"], ["2 bad", "3", "4"], ["2 bad"], ["2 bad"], ["3", "4"]
    ]  # fmt: skip


def test_throttles_use_up_no_retries(target: Target) -> None:
    """Fact 4.3: with a budget of none, nothing is given up while the function is throttled."""
    stream, function = target.stream(), target.function()
    client = target.client("lambda")
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    target.put(stream, ["kept"])
    target.mapping(stream, function, MaximumRetryAttempts=0)
    time.sleep(3 * target.settle_s)
    assert target.invocations(function) == []
    client.delete_function_concurrency(FunctionName=function)
    assert [call.data for call in target.delivered(function, 1)] == [["kept"]]


def test_a_failing_lane_leaves_the_others_of_its_shard_running(target: Target) -> None:
    """Fact 3.4."""
    stream, function = failing(target)
    keys = [f"key {place}" for place in range(8)]
    target.put(stream, ["bad", *[f"{place}" for place in range(1, 40)]], keys=keys)
    target.mapping(stream, function, ParallelizationFactor=10, BatchSize=1)
    others = {f"{place}" for place in range(1, 40) if place % 8}

    def all_others() -> bool:
        return others <= {data for call in target.invocations(function) for data in call.data}

    assert target.until(all_others, "the other keys' records were delivered")


def test_a_bucket_gets_the_whole_event_as_a_string(target: Target) -> None:
    """Facts 5.10, 5.11."""
    stream, function = failing(target)
    s3, bucket = target.client("s3"), unique()
    s3.create_bucket(Bucket=bucket)

    def empty() -> None:
        for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=each["Key"])
        s3.delete_bucket(Bucket=bucket)

    target.undo.callback(empty)
    put = target.put(stream, ["bad"])
    mapping = target.mapping(stream, function, MaximumRetryAttempts=0, DestinationConfig=to(f"arn:aws:s3:::{bucket}"))
    [found] = target.until(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), "a document is in the bucket")
    assert found["Key"].startswith(f"aws/lambda/{mapping}/shardId-000000000000/")
    content = json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    event = json.loads(content["payload"])
    assert [record["kinesis"]["sequenceNumber"] for record in event["Records"]] == put
