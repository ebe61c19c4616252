"""What can happen to a stack under load, one by one and all at once: the ledger balances in the end."""

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.support import witness
from tests.support.loads import Killer, Load, limit, reshard
from tests.support.local_stack import Up, until

pytestmark = pytest.mark.integration


def throttled(up: Up, table: str) -> int:
    """Writes refused since the limits were set."""
    counts = limit(up, table, "GET")["counts"]
    refused: int = counts.get("write_table", 0) + counts.get("write_partition", 0)
    return refused


def puts_refused(up: Up) -> float:
    """As CloudWatch has it."""
    now = datetime.now(UTC)
    points = up.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Kinesis",
        MetricName="WriteProvisionedThroughputExceeded",
        Dimensions=[{"Name": "StreamName", "Value": up.ready["stream"]}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(float(point["Sum"]) for point in points)


def parameters(*pairs: str) -> list[str]:
    return [part for pair in pairs for part in ("--parameter", pair)]


@pytest.mark.slow
def test_resharding_twice_under_load_keeps_the_order_of_every_key_while_calls_fail(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    """2 -> 4 -> 3 shards, 4 lanes each; every environment fails each 20th call in one of three ways. Facts 2.26, 2.27, 3.2."""
    template, seen = witness.write(tmp_path / "deployed", fail_every=20)
    up = start("--template", str(template), *parameters("BatchSize=30", "BatchingWindowSeconds=0"))
    arguments = ["--rate", "1000", "--duration", "25", "--aggregate", "off", "--keys", "300", "--skew", "0.8"]
    load = Load(up, tmp_path / "load", *arguments, "--duplicates", "0.05", "--malformed", "0.01")
    for shard_count in (4, 3):
        time.sleep(8)
        reshard(up, shard_count)
    report = load.balanced()

    assert report["ledger"]["expired"] == 0
    assert len(report["events_per_shard"]) >= 2 + 4 + 2
    calls = witness.read(seen)
    assert {call.fault for call in calls} == {None, "raises before", "raises after", "exits after"}
    assert sum(call.fault is not None for call in calls) >= 0.03 * len(calls)
    assert witness.concurrency(calls) > 4
    assert witness.out_of_order(calls) == []


@pytest.mark.slow
def test_a_table_that_is_slow_and_throttled_for_a_while_loses_nothing(stack: Up, tmp_path: Path) -> None:
    table = stack.ready["tables"][0]
    limit(stack, table, "PUT", write_units_per_s=30, burst_s=0, latency_ms=100)
    try:
        load = Load(stack, tmp_path / "load", "--rate", "600", "--duration", "2", "--keys", "100", "--settle", "1")
        until(lambda: throttled(stack, table) > 100, "throttled writes")
        time.sleep(0.5)
    finally:
        limit(stack, table, "DELETE")
    assert load.balanced()["ledger"]["expired"] == 0


@pytest.mark.slow  # as the real day, which is killed every second
def test_environments_killed_again_and_again_under_load_lose_nothing(stack: Up, tmp_path: Path) -> None:
    mixed = ["--duplicates", "0.1", "--malformed", "0.02"]
    load = Load(stack, tmp_path / "load", "--rate", "800", "--duration", "3", "--settle", "1", *mixed)
    with Killer(stack.process.pid, every_s=0.2) as killer:
        until(lambda: killer.killed >= 10, "ten kills")
    report = load.balanced()
    assert report["ledger"]["quarantined"] > 0


def test_the_same_batch_in_several_environments_at_the_same_moment_is_counted_once(stack: Up, unique: str) -> None:
    """The mapping delivers it as well. A malformed record of it is kept once."""
    copies, count = 6, 400
    payloads = [event(unique, number, f"s{number % 7}") for number in range(count)]
    records = put_and_read(stack, unique, [*payloads, b"not JSON"])
    batch = json.dumps({"Records": [as_lambda_sends(stack, *each) for each in records]}).encode()
    together = Barrier(copies)

    def invoke(_: int) -> tuple[dict[str, Any], str]:
        client = stack.client("lambda")
        together.wait(10)
        answer = client.invoke(FunctionName=stack.ready["functions"][0], Payload=batch)
        return json.load(answer["Payload"]), answer["ResponseMetadata"]["RequestId"]

    with ThreadPoolExecutor(copies) as pool:
        answers = list(pool.map(invoke, range(copies)))
    assert [answer for answer, _ in answers] == [{"batchItemFailures": []}] * copies
    assert len(log_streams(stack, [request_id for _, request_id in answers])) > 1

    put_and_read(stack, unique, [event(f"{unique}-behind", 0, "s")])
    until(lambda: stack.events(f"{unique}-behind") == 1, "the event behind the batch, in the same lane")
    found = {row["subject"]: (row["events"], row["sum_quantity"]) for row in stack.results(unique)}
    assert found == {f"s{index}": (len(range(index, count, 7)),) * 2 for index in range(7)}
    shard_id, malformed = records[-1]
    kept = stack.client("dynamodb").query(
        TableName=stack.ready["tables"][1],
        KeyConditionExpression="pk = :position",
        ExpressionAttributeValues={
            ":position": {"S": f"{stack.ready['stream']}/{shard_id}:{malformed['SequenceNumber']}"}
        },
    )
    assert kept["Count"] == 1


def event(kind: str, number: int, subject: str) -> bytes:
    fields = {"specversion": "1.0", "id": str(number), "source": "harm", "type": kind, "subject": subject}
    return json.dumps({**fields, "time": "2026-11-23T09:10:11Z", "data": {"quantity": 1}}).encode()


def put_and_read(up: Up, key: str, payloads: list[bytes]) -> list[tuple[str, dict[str, Any]]]:
    """Puts all of them under one partition key and reads them from the stream again, each with its shard."""
    kinesis, stream = up.client("kinesis"), up.ready["stream"]
    entries = [{"PartitionKey": key, "Data": payload} for payload in payloads]
    placed = kinesis.put_records(StreamName=stream, Records=entries)["Records"]
    shard_id = placed[0]["ShardId"]
    iterator = kinesis.get_shard_iterator(
        StreamName=stream,
        ShardId=shard_id,
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=placed[0]["SequenceNumber"],
    )["ShardIterator"]
    records = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert [record["SequenceNumber"] for record in records] == [each["SequenceNumber"] for each in placed]
    return [(shard_id, record) for record in records]


def as_lambda_sends(up: Up, shard_id: str, record: dict[str, Any]) -> dict[str, Any]:
    """One element of `Records` of a Kinesis event (AWS: Lambda, Example Kinesis event)."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "eventSourceARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{up.ready['stream']}",
    }


def log_streams(up: Up, request_ids: list[str]) -> set[str]:
    """The environments in which these requests ran."""
    group = f"/aws/lambda/{up.ready['functions'][0]}"
    pages = up.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern="START")
    started = {
        line["message"].split()[2]: line["logStreamName"]
        for page in pages
        for line in page["events"]
        if line["message"].startswith("START RequestId: ")
    }
    return {started[request_id] for request_id in request_ids}


@pytest.mark.slow
@pytest.mark.parametrize("retries", [100, 0])
def test_everything_at_once_and_the_ledger_balances(start: Callable[..., Up], tmp_path: Path, retries: int) -> None:
    """Duplicates, garbage, failing calls, killed environments, a throttled table, the put quota, two reshards.

    With retries nothing is given up, and every key's order holds; without, what is given up is in the bucket.
    Facts 2.26, 3.2, 4.2.
    """
    template, seen = witness.write(tmp_path / "deployed", fail_every=25)
    given = ("ShardCount=1", "BatchSize=100", "BatchingWindowSeconds=0", f"MaximumRetryAttempts={retries}")
    up = start("--template", str(template), *parameters(*given))
    table = up.ready["tables"][0]
    patience = "60" if retries else "25"
    # One shard takes 1 MiB a second, and this is nearly twice that.
    arguments = ["--rate", "900", "--event-bytes", "2048", "--duration", "25", "--aggregate", "off", "--keys", "500"]
    load = Load(
        up, tmp_path / "load", *arguments, "--duplicates", "0.1", "--malformed", "0.05", "--drain-timeout", patience
    )
    with Killer(up.process.pid, every_s=1.0) as killer:
        until(lambda: puts_refused(up) > 100, "puts beyond the quota")
        reshard(up, 2)
        limit(up, table, "PUT", write_units_per_s=50, burst_s=0, latency_ms=20)
        until(lambda: throttled(up, table) > 100, "throttled writes")
        reshard(up, 3)
        time.sleep(4)
        limit(up, table, "DELETE")
        until(lambda: killer.killed >= 15, "fifteen kills")
    # A machine that is too busy to start an environment in a second would get nowhere if this went on.
    report = load.balanced(240)
    assert report["numbers"]["throttled_attempts"] > 0
    assert report["ledger"]["quarantined"] > 0
    calls = witness.read(seen)
    assert {"raises before", "raises after", "exits after"} <= {call.fault for call in calls}
    if retries:
        assert report["ledger"]["expired"] == 0
        assert witness.out_of_order(calls) == []
