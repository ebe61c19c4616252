"""Requests as bytes and answers as bytes: what is refused, with which error, in which words; and tokens over time."""

import asyncio
import base64
from typing import Any

import pytest

from infra.local.http import Request
from tests.support.kinesis_wire import ACCOUNT, Client, refused


@pytest.fixture
def client() -> Client:
    made = Client()
    made.call("CreateStream", StreamName="orders", ShardCount=1)
    return made


def test_an_unknown_operation_is_named(client: Client) -> None:
    code, message = client.refusal("CreateChannel")
    assert code == "UnknownOperationException"
    assert "Kinesis_20131202.CreateChannel is not an operation" in message
    request = Request("POST", "/", {}, {}, b"{}")
    assert refused(asyncio.run(client.service.handle(request)))[0] == "UnknownOperationException"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"text"', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_serialization_error(client: Client, body: bytes) -> None:
    assert refused(client.send("ListStreams", body))[0] == "SerializationException"


AT = "failed to satisfy constraint: Member must"
NAME = "[a-zA-Z0-9_.-]+"


@pytest.mark.parametrize(
    ("operation", "members", "message"),
    [
        ("CreateStream", {}, f"1 validation error detected: Value null at 'streamName' {AT} not be null"),
        (
            "CreateStream",
            {"StreamName": "", "ShardCount": 0},
            f"3 validation errors detected: Value '' at 'streamName' {AT} have length greater than or equal to 1; "
            f"Value '' at 'streamName' {AT} satisfy regular expression pattern: {NAME}; "
            f"Value '0' at 'shardCount' {AT} have value greater than or equal to 1",
        ),
        (
            "DescribeStream",
            {"StreamName": "a" * 129, "Limit": 10_001},
            f"2 validation errors detected: Value '{'a' * 129}' at 'streamName' {AT} have length less than or equal to "
            f"128; Value '10001' at 'limit' {AT} have value less than or equal to 10000",
        ),
        (
            "PutRecord",
            {"StreamName": "orders", "PartitionKey": "k" * 257, "Data": ""},
            f"1 validation error detected: Value '{'k' * 257}' at 'partitionKey' {AT} have length less than or equal "
            "to 256",
        ),
        (
            "PutRecord",
            {"StreamName": "orders", "PartitionKey": "k"},
            f"1 validation error detected: Value null at 'data' {AT} not be null",
        ),
        (
            "PutRecord",
            {"StreamName": "orders", "PartitionKey": "k", "Data": base64.b64encode(bytes(1_048_577)).decode()},
            "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]' at 'data' "
            f"{AT} have length less than or equal to 1048576",
        ),
        (
            "PutRecords",
            {"StreamName": "orders", "Records": []},
            f"1 validation error detected: Value '[]' at 'records' {AT} have length greater than or equal to 1",
        ),
        (
            "PutRecords",
            {"StreamName": "orders", "Records": [{"PartitionKey": "k", "Data": ""}, {"PartitionKey": "k"}]},
            f"1 validation error detected: Value null at 'records.2.member.data' {AT} not be null",
        ),
        (
            "PutRecords",
            {
                "StreamName": "orders",
                "Records": [{"PartitionKey": "", "Data": "", "ExplicitHashKey": "01"}, {"Data": ""}],
            },
            f"3 validation errors detected: Value '' at 'records.1.member.partitionKey' {AT} have length greater than "
            f"or equal to 1; Value '01' at 'records.1.member.explicitHashKey' {AT} satisfy regular expression pattern: "
            rf"0|([1-9]\d{{0,38}}); Value null at 'records.2.member.partitionKey' {AT} not be null",
        ),
        (
            "GetShardIterator",
            {"StreamName": "orders", "ShardId": "0", "ShardIteratorType": "FIRST"},
            f"1 validation error detected: Value 'FIRST' at 'shardIteratorType' {AT} satisfy enum value set: "
            "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
        ),
        (
            "RemoveTagsFromStream",
            {"StreamName": "orders", "TagKeys": []},
            f"1 validation error detected: Value '[]' at 'tagKeys' {AT} have length greater than or equal to 1",
        ),
    ],
)
def test_a_broken_constraint_is_told_as_aws_tells_it(
    client: Client, operation: str, members: dict[str, Any], message: str
) -> None:
    """Fact 9.7, among all constraints: keys of 1 to 256 characters."""
    assert client.refusal(operation, **members) == ("ValidationException", message)


def test_501_records_are_refused_without_showing_any_of_them(client: Client) -> None:
    """Fact 9.4."""
    records = [{"PartitionKey": "secret", "Data": "c2VjcmV0"}] * 501
    code, message = client.refusal("PutRecords", StreamName="orders", Records=records)
    assert code == "ValidationException"
    assert message.endswith(
        "at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"
    )
    assert "secret" not in message


def test_no_more_than_ten_broken_constraints_are_told(client: Client) -> None:
    records = [{"PartitionKey": "", "Data": ""}] * 30
    assert client.refusal("PutRecords", StreamName="orders", Records=records)[1].startswith("10 validation errors")


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("CreateStream", {"StreamName": 5}),
        ("CreateStream", {"StreamName": "x", "ShardCount": "2"}),
        ("CreateStream", {"StreamName": "x", "ShardCount": True}),
        ("PutRecords", {"StreamName": "orders", "Records": {}}),
        ("PutRecords", {"StreamName": "orders", "Records": ["x"]}),
        ("PutRecord", {"StreamName": "orders", "PartitionKey": "k", "Data": 5}),
        ("PutRecord", {"StreamName": "orders", "PartitionKey": "k", "Data": "a"}),
        ("PutRecord", {"StreamName": "orders", "PartitionKey": "k", "Data": "aGk"}),
        ("PutRecord", {"StreamName": "orders", "PartitionKey": "k", "Data": "aG k="}),
        ("PutRecord", {"StreamName": "orders", "PartitionKey": "\ud800", "Data": ""}),
        ("ListShards", {"StreamName": "orders", "StreamCreationTimestamp": float("inf")}),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_serialization_error(
    client: Client, operation: str, members: dict[str, Any]
) -> None:
    assert client.refusal(operation, **members)[0] == "SerializationException"


def test_a_stream_that_is_not_there_is_not_found(client: Client) -> None:
    """Fact 9.13."""
    missing = ("ResourceNotFoundException", f"Stream nope under account {ACCOUNT} not found.")
    assert client.refusal("PutRecord", StreamName="nope", PartitionKey="k", Data="") == missing
    assert client.refusal("DescribeStreamSummary", StreamName="nope") == missing
    arn = f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/orders"
    assert client.refusal("DescribeStreamSummary", StreamARN=arn)[0] == "ResourceNotFoundException"
    assert client.refusal("DescribeStreamSummary")[0] == "InvalidArgumentException"


def test_a_name_is_taken_once(client: Client) -> None:
    assert client.refusal("CreateStream", StreamName="orders", ShardCount=1) == (
        "ResourceInUseException",
        f"Stream orders under account {ACCOUNT} already exists.",
    )


def test_too_many_shards_are_a_limit(client: Client) -> None:
    code, message = client.refusal("CreateStream", StreamName="big", ShardCount=20_000)
    assert code == "LimitExceededException"
    assert "Current shard count for the account: 1. Limit: 20000. Number of additional shards" in message


def test_a_stream_cannot_grow_past_the_limit_of_the_account(client: Client) -> None:
    client.call("CreateStream", StreamName="big", ShardCount=19_999)
    code, message = client.refusal(
        "SplitShard", StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey="9"
    )
    assert (code, "Number of additional shards that would have resulted from this request: 1." in message) == (
        "LimitExceededException",
        True,
    )
    scaled = {"StreamName": "orders", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}
    assert client.refusal("UpdateShardCount", **scaled)[0] == "LimitExceededException"


def test_the_largest_record_is_a_setting_of_the_stream(client: Client) -> None:
    """Fact 9.4."""
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
    record = {"StreamName": "orders", "PartitionKey": "k", "Data": base64.b64encode(bytes(2_000_000)).decode()}
    assert client.refusal("PutRecord", **record)[0] == "ValidationException"
    client.call("UpdateMaxRecordSize", StreamARN=arn, MaxRecordSizeInKiB=2048)
    assert client.call("PutRecord", **record)["ShardId"] == "shardId-000000000000"


def iterator(client: Client, kind: str = "TRIM_HORIZON") -> str:
    answer = client.call(
        "GetShardIterator", StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType=kind
    )
    token = answer["ShardIterator"]
    assert len(token) <= 512
    return str(token)


def test_an_iterator_lives_five_minutes(client: Client) -> None:
    """Fact 9.3."""
    token = iterator(client)
    client.clock.now += 300
    client.call("GetRecords", ShardIterator=token)
    client.clock.now += 1
    code, message = client.refusal("GetRecords", ShardIterator=token)
    assert code == "ExpiredIteratorException"
    assert message == (
        "Iterator expired. The iterator was created at time Tue Nov 14 22:13:20 UTC 2023 while right now it is Tue Nov "
        "14 22:18:21 UTC 2023 which is further in the future than the tolerated delay of 300000 milliseconds."
    )


def test_an_iterator_that_was_never_given_out_is_invalid(client: Client) -> None:
    token = iterator(client)
    raw = base64.b64decode(token)
    forged = base64.b64encode(raw.replace(b"shardId-000000000000", b"shardId-000000000001")).decode()
    assert forged != token
    for wrong in ("x", forged, token[:-4], token + "AAAA", base64.b64encode(b"{}" * 60).decode()):
        answer = client.refusal("GetRecords", ShardIterator=wrong)
        assert answer == ("InvalidArgumentException", "Invalid ShardIterator.")


def test_the_longest_stream_name_still_has_iterators_within_the_limit() -> None:
    client = Client()
    client.call("CreateStream", StreamName="n" * 128, ShardCount=1)
    answer = client.call("GetShardIterator", StreamName="n" * 128, ShardId="0", ShardIteratorType="LATEST")
    assert len(answer["ShardIterator"]) <= 512


def test_an_iterator_of_a_deleted_stream_does_not_read_its_successor(client: Client) -> None:
    token = iterator(client)
    client.call("DeleteStream", StreamName="orders")
    client.clock.now += 1
    client.call("CreateStream", StreamName="orders", ShardCount=1)
    assert client.refusal("GetRecords", ShardIterator=token)[0] == "ResourceNotFoundException"


def test_a_next_token_lives_five_minutes_and_stands_alone(client: Client) -> None:
    client.call("UpdateShardCount", StreamName="orders", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    first = client.call("ListShards", StreamName="orders", MaxResults=1, ShardFilter={"Type": "AT_LATEST"})
    assert [shard["ShardId"] for shard in first["Shards"]] == ["shardId-000000000001"]
    token = first["NextToken"]
    assert client.refusal("ListShards", NextToken=token, StreamName="orders")[0] == "InvalidArgumentException"
    assert client.refusal("ListStreams", NextToken=token)[0] == "InvalidArgumentException"
    rest = client.call("ListShards", NextToken=token)
    assert [shard["ShardId"] for shard in rest["Shards"]] == ["shardId-000000000002"]
    client.clock.now += 301
    assert client.refusal("ListShards", NextToken=token)[0] == "ExpiredNextTokenException"
    assert client.refusal("ListShards") == (
        "InvalidArgumentException",
        "Either NextToken or StreamName should be provided.",
    )


def test_get_records_beyond_the_quota_is_throttled_by_name(client: Client) -> None:
    """Fact 9.1."""
    token = iterator(client)
    for _ in range(5):
        client.call("GetRecords", ShardIterator=token)
    assert client.refusal("GetRecords", ShardIterator=token) == (
        "ProvisionedThroughputExceededException",
        f"Rate exceeded for shard shardId-000000000000 in stream orders under account {ACCOUNT}.",
    )


def test_tags_are_added_listed_in_pages_and_removed(client: Client) -> None:
    client.call("AddTagsToStream", StreamName="orders", Tags={"b": "2", "a": "1", "c": ""})
    page = client.call("ListTagsForStream", StreamName="orders", Limit=2)
    assert page == {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}], "HasMoreTags": True}
    client.call("RemoveTagsFromStream", StreamName="orders", TagKeys=["a", "zz"])
    rest = client.call("ListTagsForStream", StreamName="orders", ExclusiveStartTagKey="b")
    assert rest == {"Tags": [{"Key": "c", "Value": ""}], "HasMoreTags": False}
    for tags in ({"a;b": "x"}, {"a": "x;y"}, {str(n): "" for n in range(51)}):
        assert client.refusal("AddTagsToStream", StreamName="orders", Tags=tags)[0] == "InvalidArgumentException"


def test_states_take_the_time_they_are_given() -> None:
    client = Client(transition_s=2.0)
    client.call("CreateStream", StreamName="orders", ShardCount=1)

    def status() -> str:
        return str(
            client.call("DescribeStreamSummary", StreamName="orders")["StreamDescriptionSummary"]["StreamStatus"]
        )

    assert status() == "CREATING"
    client.clock.now += 2
    assert status() == "ACTIVE"
    client.call("SplitShard", StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey="9")
    assert status() == "UPDATING"
    client.clock.now += 2
    assert status() == "ACTIVE"
    client.call("DeleteStream", StreamName="orders")
    assert status() == "DELETING"
    assert client.refusal("CreateStream", StreamName="orders", ShardCount=1)[0] == "ResourceInUseException"
    client.clock.now += 2
    assert client.refusal("DescribeStreamSummary", StreamName="orders")[0] == "ResourceNotFoundException"


def test_put_records_answers_200_with_an_outcome_for_each_record_in_its_order(client: Client) -> None:
    """Fact 9.5: not atomic, FailedRecordCount, an error code and text in the place of each record that was refused."""
    data = base64.b64encode(bytes(300_000)).decode()
    records = [{"PartitionKey": "large", "Data": data}] * 4 + [{"PartitionKey": "small", "Data": ""}]
    answer = client.call("PutRecords", StreamName="orders", Records=records)
    assert answer["FailedRecordCount"] == 1
    refused_one = answer["Records"][3]
    assert refused_one == {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": f"Rate exceeded for shard shardId-000000000000 in stream orders under account {ACCOUNT}.",
    }
    for place in (0, 1, 2, 4):
        assert set(answer["Records"][place]) == {"SequenceNumber", "ShardId"}
    numbers = [int(answer["Records"][place]["SequenceNumber"]) for place in (0, 1, 2, 4)]
    assert numbers == sorted(numbers)


def test_a_record_that_is_sent_again_goes_behind_those_that_were_taken(client: Client) -> None:
    """Fact 9.6: so the order of one key is lost by a retry, unless it is put one by one."""
    data = base64.b64encode(bytes(600_000)).decode()
    records = [{"PartitionKey": "k", "Data": part} for part in (data, data, "")]
    answer = client.call("PutRecords", StreamName="orders", Records=records)
    assert "ErrorCode" in answer["Records"][1]
    client.clock.now += 1
    again = client.call("PutRecords", StreamName="orders", Records=[records[1]])
    assert int(again["Records"][0]["SequenceNumber"]) > int(answer["Records"][2]["SequenceNumber"])


def test_put_record_with_a_sequence_number_for_ordering_goes_behind_it(client: Client) -> None:
    """Fact 9.6."""
    number = client.call("PutRecord", StreamName="orders", PartitionKey="k", Data="")["SequenceNumber"]
    for _ in range(3):
        after = client.call(
            "PutRecord", StreamName="orders", PartitionKey="k", Data="", SequenceNumberForOrdering=number
        )["SequenceNumber"]
        assert int(after) > int(number)
        number = after


def test_the_last_answer_of_a_closed_shard_names_its_children_and_has_no_iterator(client: Client) -> None:
    """Fact 9.9."""
    client.call("PutRecord", StreamName="orders", PartitionKey="k", Data="")
    start = {"StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.call("GetShardIterator", **start)["ShardIterator"]
    client.call("SplitShard", StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey="4096")
    last = client.call("GetRecords", ShardIterator=iterator)
    assert len(last["Records"]) == 1
    assert last["MillisBehindLatest"] == 0
    assert "NextShardIterator" not in last
    assert [(child["ShardId"], child["ParentShards"]) for child in last["ChildShards"]] == [
        ("shardId-000000000001", ["shardId-000000000000"]),
        ("shardId-000000000002", ["shardId-000000000000"]),
    ]
    assert last["ChildShards"][0]["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": "4095"}


def test_the_shard_count_is_updated_in_time_while_records_are_put() -> None:
    """Fact 9.11."""
    client = Client(transition_s=2.0)
    client.call("CreateStream", StreamName="orders", ShardCount=1)
    client.clock.now += 2
    answer = client.call("UpdateShardCount", StreamName="orders", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (1, 2)

    def summary() -> tuple[str, int]:
        got = client.call("DescribeStreamSummary", StreamName="orders")["StreamDescriptionSummary"]
        return got["StreamStatus"], got["OpenShardCount"]

    assert summary() == ("UPDATING", 1)
    assert client.call("PutRecord", StreamName="orders", PartitionKey="k", Data="")["ShardId"].endswith("0")
    refusal = client.refusal("UpdateShardCount", StreamName="orders", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    assert refusal[0] == "ResourceInUseException"
    client.clock.now += 2
    assert summary() == ("ACTIVE", 2)
    refusal = client.refusal("UpdateShardCount", StreamName="orders", TargetShardCount=5, ScalingType="UNIFORM_SCALING")
    assert refusal[0] == "LimitExceededException"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ("ON_DEMAND", 4)),
        ({"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}, ("ON_DEMAND", 4)),
        ({"ShardCount": 3}, ("PROVISIONED", 3)),
        ({"ShardCount": 3, "StreamModeDetails": {"StreamMode": "PROVISIONED"}}, ("PROVISIONED", 3)),
    ],
)
def test_a_stream_made_without_shards_and_mode_is_on_demand(
    client: Client, members: dict[str, Any], expected: tuple[str, int]
) -> None:
    """Fact 9.12: four open shards were recorded for a stream whose creation names nothing but itself."""
    client.call("CreateStream", StreamName="made", **members)
    summary = client.call("DescribeStreamSummary", StreamName="made")["StreamDescriptionSummary"]
    assert (summary["StreamModeDetails"]["StreamMode"], summary["OpenShardCount"]) == expected


def test_the_mode_of_a_stream_is_switched_twice_a_day_and_its_shards_stay(client: Client) -> None:
    """Fact 9.12."""
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"

    def switch(mode: str) -> dict[str, Any]:
        return {"StreamARN": arn, "StreamModeDetails": {"StreamMode": mode}}

    client.call("CreateStream", StreamName="elastic", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    summary = client.call("DescribeStreamSummary", StreamName="elastic")["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["StreamModeDetails"]) == (4, {"StreamMode": "ON_DEMAND"})
    client.call("UpdateStreamMode", **switch("ON_DEMAND"))
    summary = client.call("DescribeStreamSummary", StreamName="orders")["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["StreamModeDetails"]) == (1, {"StreamMode": "ON_DEMAND"})
    assert client.call("DescribeLimits")["OnDemandStreamCount"] == 2
    client.call("UpdateStreamMode", **switch("PROVISIONED"))
    assert client.refusal("UpdateStreamMode", **switch("ON_DEMAND"))[0] == "LimitExceededException"
    client.clock.now += 86_401
    client.call("UpdateStreamMode", **switch("ON_DEMAND"))
