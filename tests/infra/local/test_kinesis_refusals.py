"""What boto3 can ask of Kinesis and AWS refuses, in AWS's words where they were recorded; and the smaller operations."""

import json
from typing import Any

import pytest

from tests.support.kinesis_wire import ACCOUNT, Client

ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
WHERE = f"stream orders under account {ACCOUNT}"
ONE = "shardId-000000000000"


@pytest.fixture
def client() -> Client:
    made = Client()
    made.call("CreateStream", StreamName="orders", ShardCount=2)
    return made


def put(client: Client, stream: str = "orders", key: str = "0") -> str:
    """The sequence number of a record in the first shard (or the second: "1")."""
    hash_key = "0" if key == "0" else str(2**128 - 1)
    answer = client.call("PutRecord", StreamName=stream, PartitionKey="k", ExplicitHashKey=hash_key, Data="")
    return str(answer["SequenceNumber"])


# Iterators and reads


@pytest.mark.parametrize("shard_id", ["shardId-000000000007", "shardId-7", "7"])
def test_an_iterator_of_a_shard_that_is_not_there_names_it(client: Client, shard_id: str) -> None:
    assert client.refusal("GetShardIterator", StreamName="orders", ShardId=shard_id, ShardIteratorType="LATEST") == (
        "ResourceNotFoundException",
        f"Shard shardId-000000000007 in {WHERE} does not exist",
    )


def test_an_iterator_of_what_is_no_shard_id_is_not_found(client: Client) -> None:
    asked = {"StreamName": "orders", "ShardId": "nonsense", "ShardIteratorType": "LATEST"}
    told = ("ResourceNotFoundException", f"Could not find shard nonsense in {WHERE}.")
    assert client.refusal("GetShardIterator", **asked) == told


def test_a_sequence_number_of_another_shard_or_stream_is_refused(client: Client) -> None:
    client.call("CreateStream", StreamName="others", ShardCount=2)
    client.clock.now += 5  # a stream of another second
    client.call("CreateStream", StreamName="later", ShardCount=2)
    asked = {"StreamName": "orders", "ShardId": ONE, "ShardIteratorType": "AT_SEQUENCE_NUMBER"}
    second = put(client, key="1")
    assert client.refusal("GetShardIterator", **asked, StartingSequenceNumber=second) == (
        "InvalidArgumentException",
        "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with "
        f"{ONE}",
    )
    later = put(client, stream="later")
    assert client.refusal("GetShardIterator", **asked, StartingSequenceNumber=later) == (
        "InvalidArgumentException",
        f"StartingSequenceNumber {later} used in GetShardIterator on shard {ONE} in {WHERE} is invalid because it did "
        "not come from this stream.",
    )
    assert client.refusal("GetShardIterator", **asked, StartingSequenceNumber="17") == (
        "InvalidArgumentException",
        f"StartingSequenceNumber 17 used in GetShardIterator on shard {ONE} in {WHERE} is invalid.",
    )


def test_get_records_takes_the_arn_of_its_iterators_stream_only(client: Client) -> None:
    client.call("CreateStream", StreamName="others", ShardCount=1)
    asked = {"StreamName": "orders", "ShardId": ONE, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.call("GetShardIterator", **asked)["ShardIterator"]
    assert client.call("GetRecords", ShardIterator=iterator, StreamARN=ARN)["Records"] == []
    code, message = client.refusal("GetRecords", ShardIterator=iterator, StreamARN=ARN.replace("orders", "others"))
    assert (code, "others is not that of" in message) == ("InvalidArgumentException", True)
    elsewhere = ARN.replace(ACCOUNT, "999999999999")
    assert client.refusal("GetRecords", ShardIterator=iterator, StreamARN=elsewhere)[0] == "ResourceNotFoundException"


def test_splitting_and_merging_a_shard_that_is_not_there(client: Client) -> None:
    told = ("ResourceNotFoundException", f"Could not find shard shardId-9 in {WHERE}.")
    assert client.refusal("SplitShard", StreamName="orders", ShardToSplit="shardId-9", NewStartingHashKey="5") == told
    merge = {"StreamName": "orders", "ShardToMerge": ONE, "AdjacentShardToMerge": "shardId-9"}
    assert client.refusal("MergeShards", **merge) == told


# Tags


@pytest.mark.parametrize(
    ("operation", "members", "message"),
    [
        (
            "AddTagsToStream",
            {"Tags": {"k" * 129: "v"}},
            f"Value '{{{'k' * 129}=v}}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: "
            "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]",
        ),
        (
            "AddTagsToStream",
            {"Tags": {"k": "v" * 257}},
            f"Value '{{k={'v' * 257}}}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: "
            "[Member must have length less than or equal to 256, Member must have length greater than or equal to 0]",
        ),
        (
            "RemoveTagsFromStream",
            {"TagKeys": ["a", "k" * 129]},
            f"Value '[a, {'k' * 129}]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
            "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]",
        ),
        (
            "EnableEnhancedMonitoring",
            {"ShardLevelMetrics": ["Everything"]},
            "Value '[Everything]' at 'shardLevelMetrics' failed to satisfy constraint: Member must satisfy constraint: "
            "[Member must satisfy enum value set: [IncomingBytes, IncomingRecords, OutgoingBytes, OutgoingRecords, "
            "WriteProvisionedThroughputExceeded, ReadProvisionedThroughputExceeded, IteratorAgeMilliseconds, ALL]]",
        ),
    ],
)
def test_what_a_list_or_a_map_may_hold_is_told_for_the_whole(
    client: Client, operation: str, members: dict[str, Any], message: str
) -> None:
    told = ("ValidationException", f"1 validation error detected: {message}")
    assert client.refusal(operation, StreamName="orders", **members) == told


@pytest.mark.parametrize("text", ["abc;def", "abc\tdef", "abc\ndef", "abc,def"])
def test_characters_that_no_tag_can_have(client: Client, text: str) -> None:
    told = (
        "InvalidArgumentException",
        "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.",
    )
    assert client.refusal("AddTagsToStream", StreamName="orders", Tags={text: "1"}) == told
    assert client.refusal("AddTagsToStream", StreamName="orders", Tags={"a": text}) == told
    assert client.refusal("RemoveTagsFromStream", StreamName="orders", TagKeys=[text]) == told


def test_a_percent_sign_is_refused_in_words_of_its_own(client: Client) -> None:
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("AddTagsToStream", {"Tags": {"a": "100%"}}, "add tags to"),
        ("RemoveTagsFromStream", {"TagKeys": ["100%"]}, "remove tags from"),
    ]
    for operation, members, what in asked:
        assert client.refusal(operation, StreamName="orders", **members) == (
            "InvalidArgumentException",
            f"Failed to {what} {WHERE} because some tags contained illegal characters. The allowed characters are "
            "Unicode letters, white-spaces, '_',',','/','=','+','-','@'.",
        )


def test_letters_of_any_script_and_spaces_are_fine_in_tags(client: Client) -> None:
    client.call("AddTagsToStream", StreamName="orders", Tags={"\u00fc0 _.": "\u00e9 /=+-@:", "leer": ""})
    assert len(client.call("ListTagsForStream", StreamName="orders")["Tags"]) == 2


# Policies


def test_a_resource_policy_is_put_shown_and_deleted(client: Client) -> None:
    """As recorded: a stream without one has an empty object for a policy."""
    assert client.call("GetResourcePolicy", ResourceARN=ARN) == {"Policy": "{}"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:PutRecord"}]})
    assert client.call("PutResourcePolicy", ResourceARN=ARN, Policy=policy) is None
    assert client.call("GetResourcePolicy", ResourceARN=ARN) == {"Policy": policy}
    assert client.call("DeleteResourcePolicy", ResourceARN=ARN) is None
    assert client.refusal("DeleteResourcePolicy", ResourceARN=ARN) == (
        "ResourceNotFoundException",
        f"No resource policy found for resource ARN {ARN}",
    )


def test_a_consumer_has_a_policy_of_its_own(client: Client) -> None:
    arn = client.call("RegisterStreamConsumer", StreamARN=ARN, ConsumerName="quick")["Consumer"]["ConsumerARN"]
    client.call("PutResourcePolicy", ResourceARN=arn, Policy='{"Statement": [{}]}')
    assert client.call("GetResourcePolicy", ResourceARN=ARN) == {"Policy": "{}"}
    assert client.call("GetResourcePolicy", ResourceARN=arn) == {"Policy": '{"Statement": [{}]}'}


@pytest.mark.parametrize("policy", ["", "{", "[]", "{}", '{"Statement": []}', '{"Statement": "' + "x" * 20_481 + '"}'])
def test_what_is_no_policy_is_refused(client: Client, policy: str) -> None:
    assert client.refusal("PutResourcePolicy", ResourceARN=ARN, Policy=policy)[0] == "InvalidArgumentException"
    assert client.call("GetResourcePolicy", ResourceARN=ARN) == {"Policy": "{}"}


def test_a_policy_of_a_stream_that_is_not_there(client: Client) -> None:
    nowhere = ARN.replace("orders", "nowhere")
    told = ("ResourceNotFoundException", f"Stream nowhere under account {ACCOUNT} not found.")
    assert client.refusal("PutResourcePolicy", ResourceARN=nowhere, Policy='{"Statement": [{}]}') == told
    assert client.refusal("GetResourcePolicy", ResourceARN=nowhere) == told


# Settings


def test_enhanced_monitoring_is_switched_on_and_off_by_metric(client: Client) -> None:
    def shown() -> Any:
        return client.call("DescribeStreamSummary", StreamName="orders")["StreamDescriptionSummary"][
            "EnhancedMonitoring"
        ]

    two = ["IncomingBytes", "IteratorAgeMilliseconds"]
    assert client.call("EnableEnhancedMonitoring", StreamName="orders", ShardLevelMetrics=two) == {
        "StreamName": "orders",
        "CurrentShardLevelMetrics": [],
        "DesiredShardLevelMetrics": two,
        "StreamARN": ARN,
    }
    assert shown() == [{"ShardLevelMetrics": two}]
    answer = client.call("DisableEnhancedMonitoring", StreamARN=ARN, ShardLevelMetrics=["IncomingBytes"])
    assert answer["DesiredShardLevelMetrics"] == ["IteratorAgeMilliseconds"]
    answer = client.call("EnableEnhancedMonitoring", StreamName="orders", ShardLevelMetrics=["ALL"])
    assert len(answer["DesiredShardLevelMetrics"]) == 7
    client.call("DisableEnhancedMonitoring", StreamName="orders", ShardLevelMetrics=["ALL"])
    assert shown() == [{"ShardLevelMetrics": []}]


def test_a_stream_that_is_changing_takes_no_further_change() -> None:
    client = Client(transition_s=10.0)
    client.call("CreateStream", StreamName="orders", ShardCount=1)
    client.clock.now += 10
    client.call("EnableEnhancedMonitoring", StreamName="orders", ShardLevelMetrics=["ALL"])
    told = ("ResourceInUseException", f"Stream orders under account {ACCOUNT} not ACTIVE, instead in state UPDATING")
    changes: list[tuple[str, dict[str, Any]]] = [
        ("EnableEnhancedMonitoring", {"ShardLevelMetrics": ["ALL"]}),
        ("IncreaseStreamRetentionPeriod", {"RetentionPeriodHours": 48}),
        ("StartStreamEncryption", {"EncryptionType": "KMS", "KeyId": "alias/mine"}),
        ("UpdateShardCount", {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}),
        ("SplitShard", {"ShardToSplit": ONE, "NewStartingHashKey": "5"}),
    ]
    for operation, members in changes:
        assert client.refusal(operation, StreamName="orders", **members) == told


def test_account_settings_say_that_nothing_is_committed(client: Client) -> None:
    assert client.call("DescribeAccountSettings") == {"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}}


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("PutRecords", {"StreamName": "orders", "Records": [{"PartitionKey": "k", "Data": ""}], "DryRun": True}),
        ("CreateStream", {"StreamName": "new", "WarmThroughputMiBps": 100}),
        ("CreateStream", {"StreamName": "new", "ShardCount": 1, "RecordDistributionStrategy": "AUTO"}),
        ("DescribeStreamSummary", {"StreamName": "orders", "StreamId": "abcdefghijabcdefghij-abc"}),
    ],
)
def test_what_is_not_reproduced_is_refused_and_not_passed_over(
    client: Client, operation: str, members: dict[str, Any]
) -> None:
    code, message = client.refusal(operation, **members)
    assert (code, "is not reproduced by the local Kinesis" in message) == ("InvalidArgumentException", True)
    assert client.call("ListStreams")["StreamNames"] == ["orders"]


def test_an_on_demand_stream_takes_no_shard_count(client: Client) -> None:
    mode = {"StreamMode": "ON_DEMAND"}
    assert client.refusal("CreateStream", StreamName="new", ShardCount=1, StreamModeDetails=mode) == (
        "ValidationException",
        "ShardCount is not expected when StreamMode=ON_DEMAND",
    )


def test_a_consumer_that_is_being_created_takes_no_subscription() -> None:
    client = Client(transition_s=10.0)
    client.call("CreateStream", StreamName="orders", ShardCount=1)
    client.clock.now += 10
    consumer = client.call("RegisterStreamConsumer", StreamARN=ARN, ConsumerName="quick")["Consumer"]
    position = {"Type": "LATEST"}
    asked = {"ConsumerARN": consumer["ConsumerARN"], "ShardId": ONE, "StartingPosition": position}
    assert client.refusal("SubscribeToShard", **asked) == (
        "ResourceInUseException",
        f"Consumer quick with creation timestamp {int(client.clock.now)} under stream: orders , account {ACCOUNT} is "
        "not in ACTIVE status.",
    )


# Types


@pytest.mark.parametrize(
    ("operation", "members", "message"),
    [
        ("DescribeStream", {"StreamName": True}, "class java.lang.Boolean can not be converted to an String"),
        (
            "DescribeStream",
            {"StreamName": 23},
            "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String",
        ),
        ("DescribeStream", {"StreamName": []}, "Start of list found where not expected"),
        ("DescribeStream", {"StreamName": {}}, "Start of structure or map found where not expected."),
        ("DescribeStream", {"Limit": "23"}, "class java.lang.String can not be converted to an Integer"),
        (
            "GetShardIterator",
            {"StreamName": "orders", "ShardId": ONE, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": "23"},
            "class java.lang.String can not be converted to milliseconds since epoch",
        ),
        ("PutRecords", {"StreamName": "orders", "Records": "23"}, "Expected list or null"),
        ("PutRecords", {"StreamName": "orders", "Records": {}}, "Start of structure or map found where not expected."),
        ("PutRecords", {"StreamName": "orders", "Records": ["23"]}, "Expected null"),
        ("AddTagsToStream", {"StreamName": "orders", "Tags": 23}, "Expected map or null"),
        (
            "AddTagsToStream",
            {"StreamName": "orders", "Tags": {"a": 23}},
            "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String",
        ),
        (
            "PutRecord",
            {"StreamName": "orders", "PartitionKey": "k", "Data": True},
            "class java.lang.Boolean can not be converted to a Blob",
        ),
    ],
)
def test_a_value_of_another_type_is_told_as_aws_tells_it(
    client: Client, operation: str, members: dict[str, Any], message: str
) -> None:
    assert client.refusal(operation, **members) == ("SerializationException", message)
