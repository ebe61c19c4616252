"""The endpoint as its users see it: unmodified boto3 and the aws CLI over HTTP on an ephemeral loopback port."""

import json
import os
import random
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from mypy_boto3_kinesis import KinesisClient
from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef

from infra.local.kinesis import KinesisService
from infra.model.stream import Quotas
from tests.support.kinesis_endpoint import Endpoint

ACCOUNT = "000000000000"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint(KinesisService(ACCOUNT, "us-east-1", transition_s=0.0))
    yield served
    served.stop()


@pytest.fixture
def unlimited() -> Iterator[Endpoint]:
    quotas = Quotas(10**9, 10**12, 10**9, 10**12, 10**9)
    served = Endpoint(KinesisService(ACCOUNT, "us-east-1", transition_s=0.02, quotas=quotas))
    yield served
    served.stop()


def read_all(client: KinesisClient, stream: str) -> dict[str, list[bytes]]:
    """Every record by partition key, each shard after its parents, as a consumer must read."""
    shards = client.list_shards(StreamName=stream)["Shards"]
    found: dict[str, list[bytes]] = defaultdict(list)
    for shard in shards:  # in order of id, so parents come first
        iterator: str | None = client.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            answer = client.get_records(ShardIterator=iterator, Limit=1_000)
            for record in answer["Records"]:
                found[record["PartitionKey"]].append(record["Data"])
            iterator = answer.get("NextShardIterator")
            if answer["MillisBehindLatest"] == 0 and not answer["Records"]:
                break
    return found


def test_boto3_creates_puts_reads_describes_lists_and_deletes(endpoint: Endpoint) -> None:
    client = endpoint.client()
    client.create_stream(StreamName="orders", ShardCount=2, Tags={"team": "a"})
    client.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    written = client.put_record(StreamName="orders", PartitionKey="k", Data=b"\x00\xff")
    assert len(written["SequenceNumber"]) == 56
    many = client.put_records(
        StreamARN=f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders",
        Records=[
            *[PutRecordsRequestEntryTypeDef(PartitionKey=f"k{n}", Data=b"") for n in range(5)],
            {"PartitionKey": "x", "Data": b"last", "ExplicitHashKey": str(2**128 - 1)},
        ],
    )
    assert many["FailedRecordCount"] == 0
    assert many["Records"][-1]["ShardId"] == "shardId-000000000001"
    found = read_all(client, "orders")
    assert found == {"k": [b"\x00\xff"], "x": [b"last"], **{f"k{n}": [b""] for n in range(5)}}
    description = client.describe_stream(StreamName="orders")["StreamDescription"]
    assert (description["StreamStatus"], len(description["Shards"])) == ("ACTIVE", 2)
    assert client.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["OpenShardCount"] == 2
    assert client.list_streams()["StreamNames"] == ["orders"]
    assert client.list_tags_for_stream(StreamName="orders")["Tags"] == [{"Key": "team", "Value": "a"}]
    client.delete_stream(StreamName="orders")
    with pytest.raises(client.exceptions.ResourceNotFoundException) as error:
        client.describe_stream(StreamName="orders")
    assert error.value.response["Error"]["Message"] == f"Stream orders under account {ACCOUNT} not found."


def test_boto3_pages_shards_and_streams(endpoint: Endpoint) -> None:
    client = endpoint.client()
    for name in ("a", "b", "c"):
        client.create_stream(StreamName=name, ShardCount=5)
    page = client.list_shards(StreamName="a", MaxResults=2)
    sizes = [len(page["Shards"])]
    while token := page.get("NextToken"):
        page = client.list_shards(NextToken=token, MaxResults=2)
        sizes.append(len(page["Shards"]))
    assert sizes == [2, 2, 1]
    own_pages = client.get_paginator("list_shards").paginate(StreamName="a", PaginationConfig={"PageSize": 2})
    with pytest.raises(client.exceptions.InvalidArgumentException, match="cannot be provided together"):
        list(own_pages)  # as on AWS: boto/botocore issue 2009
    described = client.get_paginator("describe_stream").paginate(StreamName="a", PaginationConfig={"PageSize": 2})
    ids = [shard["ShardId"] for page in described for shard in page["StreamDescription"]["Shards"]]
    assert ids == [f"shardId-{n:012d}" for n in range(5)]
    streams = client.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2})
    assert [name for page in streams for name in page["StreamNames"]] == ["a", "b", "c"]


def test_a_put_above_the_quota_answers_200_and_names_each_record_that_failed(endpoint: Endpoint) -> None:
    client = endpoint.client()
    client.create_stream(StreamName="orders", ShardCount=1)
    answer = client.put_records(StreamName="orders", Records=[{"PartitionKey": "k", "Data": b"x" * 99_999}] * 12)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["FailedRecordCount"] == 2
    assert answer["Records"][-1] == {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": f"Rate exceeded for shard shardId-000000000000 in stream orders under account {ACCOUNT}.",
    }
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
        client.put_record(StreamName="orders", PartitionKey="k", Data=b"x" * 900_000)  # most of a second's worth


def test_a_shard_that_was_split_ends_with_its_children(endpoint: Endpoint) -> None:
    client = endpoint.client()
    client.create_stream(StreamName="orders", ShardCount=1)
    client.put_record(StreamName="orders", PartitionKey="k", Data=b"before")
    client.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    iterator = client.get_shard_iterator(
        StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    answer = client.get_records(ShardIterator=iterator)
    assert [record["Data"] for record in answer["Records"]] == [b"before"]
    assert answer.get("NextShardIterator") is None
    assert [(child["ShardId"], child["ParentShards"]) for child in answer["ChildShards"]] == [
        ("shardId-000000000001", ["shardId-000000000000"]),
        ("shardId-000000000002", ["shardId-000000000000"]),
    ]


def test_resharding_under_load_loses_nothing_and_keeps_the_order_of_every_key(unlimited: Endpoint) -> None:
    client = unlimited.client()
    client.create_stream(StreamName="orders", ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    keys_per_producer, rounds = 4, 60
    failures: list[BaseException] = []

    def produce(producer: int) -> None:
        try:
            own = unlimited.client()
            for n in range(rounds):
                entries = [{"PartitionKey": f"{producer}-{k}", "Data": b"%d" % n} for k in range(keys_per_producer)]
                answer = own.put_records(StreamName="orders", Records=entries)  # type: ignore[arg-type] # plain dicts
                assert answer["FailedRecordCount"] == 0
        except BaseException as error:  # noqa: BLE001 - a thread's failure is told to the test
            failures.append(error)

    producers = [threading.Thread(target=produce, args=(n,)) for n in range(3)]
    for producer in producers:
        producer.start()
    chance, targets, changes = random.Random(7), [4, 3, 6, 4, 2, 3], 0
    for _ in range(20_000):
        if changes >= 3 and not any(producer.is_alive() for producer in producers):
            break
        try:
            if changes < len(targets):
                client.update_shard_count(
                    StreamName="orders", TargetShardCount=targets[changes], ScalingType="UNIFORM_SCALING"
                )
            else:
                shard = chance.choice(
                    client.list_shards(StreamName="orders", ShardFilter={"Type": "AT_LATEST"})["Shards"]
                )
                middle = sum(int(edge) for edge in shard["HashKeyRange"].values()) // 2  # type: ignore[call-overload] # the values are strings
                client.split_shard(StreamName="orders", ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))
            changes += 1
        except (client.exceptions.ResourceInUseException, client.exceptions.InvalidArgumentException):
            continue  # the last change is still under way, or has just closed the shard
    for producer in producers:
        producer.join()
    assert failures == []
    assert changes >= 3
    found = read_all(client, "orders")
    in_order = [b"%d" % n for n in range(rounds)]
    assert found == {f"{p}-{k}": in_order for p in range(3) for k in range(keys_per_producer)}


def test_settings_are_changed_and_reported_back(endpoint: Endpoint) -> None:
    client = endpoint.client()
    client.create_stream(StreamName="orders", StreamModeDetails={"StreamMode": "ON_DEMAND"}, MaxRecordSizeInKiB=2048)
    client.increase_stream_retention_period(StreamName="orders", RetentionPeriodHours=48)
    client.start_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    summary = client.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]
    assert summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert (summary["OpenShardCount"], summary["RetentionPeriodHours"], summary["EncryptionType"]) == (4, 48, "KMS")
    assert (summary.get("KeyId"), summary.get("MaxRecordSizeInKiB")) == ("alias/aws/kinesis", 2048)
    assert client.put_record(StreamName="orders", PartitionKey="k", Data=b"")["EncryptionType"] == "KMS"
    limits = client.describe_limits()
    assert (limits["OpenShardCount"], limits["OnDemandStreamCount"]) == (0, 1)
    client.stop_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    client.decrease_stream_retention_period(StreamName="orders", RetentionPeriodHours=24)
    summary = client.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]
    assert (summary["RetentionPeriodHours"], summary["EncryptionType"]) == (24, "NONE")


@pytest.mark.slow  # tests/integration/test_stack.py has the same over the whole endpoint
def test_the_aws_cli_creates_puts_reads_describes_and_lists(endpoint: Endpoint) -> None:
    command = shutil.which("aws")
    if command is None:
        pytest.skip("the aws CLI is not on PATH")
    credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    isolated = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_PAGER": ""}

    def aws(*arguments: str) -> Any:
        done = subprocess.run(
            [command, "--endpoint-url", endpoint.url, "--output", "json", "kinesis", *arguments],
            env={**os.environ, **credentials, **isolated},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    version = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    if version.returncode != 0:
        pytest.skip(f"the aws CLI on PATH does not start: {version.stderr.strip()}")
    data = "aGVsbG8=" if "aws-cli/2" in version.stdout else "hello"
    aws("create-stream", "--stream-name", "orders", "--shard-count", "1")
    put = aws("put-record", "--stream-name", "orders", "--partition-key", "k", "--data", data)
    assert put["ShardId"] == "shardId-000000000000"
    iterator = aws(
        "get-shard-iterator",
        "--stream-name",
        "orders",
        "--shard-id",
        put["ShardId"],
        "--shard-iterator-type",
        "AT_SEQUENCE_NUMBER",
        "--starting-sequence-number",
        put["SequenceNumber"],
    )["ShardIterator"]
    (record,) = aws("get-records", "--shard-iterator", iterator)["Records"]
    assert (record["Data"], record["SequenceNumber"]) == ("aGVsbG8=", put["SequenceNumber"])
    assert aws("describe-stream", "--stream-name", "orders")["StreamDescription"]["StreamStatus"] == "ACTIVE"
    assert aws("list-streams")["StreamNames"] == ["orders"]
