"""The template keeps the rules of operation: valid on AWS, encrypted, bounded, watched."""

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint

from infra.blueprint import Blueprint
from infra.blueprint.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
STACK = {"stack_name": "stream-processor", "account_id": "000000000000", "region": "us-east-1"}
STATEFUL = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Kinesis::Stream", "AWS::KMS::Key")


@pytest.fixture(scope="module")
def stack(template_text: str) -> Stack:
    return Stack(template_text, {}, **STACK)


def of_type(stack: Stack, *kinds: str) -> dict[str, dict[str, Any]]:
    return {key: stack.properties(key) for key, kind in stack.types().items() if kind in kinds}


def test_cfn_lint_finds_nothing_in_the_source(template_text: str) -> None:
    assert [str(match) for match in lint(template_text, config=ManualArgs(regions=["us-east-1", "eu-west-1"]))] == []


def test_cfn_lint_finds_nothing_in_what_cloudformation_gets(translated: dict[str, Any]) -> None:
    found = lint(json.dumps(translated), config=ManualArgs(regions=["us-east-1", "eu-west-1"]))
    assert [str(match) for match in found] == []


def test_cfn_lint_would_find_a_wrong_action_and_a_wrong_range(translated: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(translated))
    broken["Resources"]["StreamMapping"]["Properties"]["ParallelizationFactor"] = 11
    statement = broken["Resources"]["StreamFunctionRole"]["Properties"]["Policies"][1]["PolicyDocument"]["Statement"][0]
    statement["Action"] = ["dynamodb:TransactWriteItems"]
    rules = {match.rule.id for match in lint(json.dumps(broken), config=ManualArgs(regions=["us-east-1"]))}
    assert {"E3034", "W3037"} <= rules


def test_what_holds_data_outlives_the_stack(translated: dict[str, Any]) -> None:
    for logical_id, resource in translated["Resources"].items():
        if resource["Type"] in STATEFUL:
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), logical_id


def test_everything_stored_is_encrypted_with_the_stacks_key(stack: Stack) -> None:
    key = f"arn:aws:kms:us-east-1:000000000000:key/{stack.name('EncryptionKey')}"
    for logical_id, properties in of_type(stack, *STATEFUL, "AWS::Logs::LogGroup", "AWS::SNS::Topic").items():
        used = json.dumps(properties)
        assert key in used or stack.name("EncryptionKey") in used or logical_id == "EncryptionKey", logical_id
    assert stack.properties("EncryptionKey")["EnableKeyRotation"] is True
    for table in of_type(stack, "AWS::DynamoDB::Table").values():
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_buckets_are_private_and_take_no_plain_http(stack: Stack) -> None:
    for properties in of_type(stack, "AWS::S3::Bucket").values():
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (policy,) = of_type(stack, "AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    bucket = "arn:aws:s3:::stream-processor-failures-000000000000"
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
    assert statement["Resource"] == [bucket, f"{bucket}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_every_prefix_of_the_failure_bucket_expires(stack: Stack) -> None:
    rules = stack.properties("FailureBucket")["LifecycleConfiguration"]["Rules"]
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert days == {"aws/lambda/": "30", "quarantine/": "30"}
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_given_up_batches_are_kept_for_failure_days(template_text: str) -> None:
    rules = Stack(template_text, {"FailureDays": "90"}, **STACK).properties("FailureBucket")["LifecycleConfiguration"]
    assert [rule.get("ExpirationInDays") for rule in rules["Rules"]] == ["90", "30", None]


def test_an_address_is_subscribed_to_the_alarms_only_when_given(template_text: str, stack: Stack) -> None:
    assert "AlarmEmailSubscription" not in stack.types()
    given = Stack(template_text, {"AlarmEmail": "on-call@example.com"}, **STACK)
    assert given.properties("AlarmEmailSubscription") == {
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:stream-processor-alarms",
        "Protocol": "email",
        "Endpoint": "on-call@example.com",
    }


def test_the_mapping_is_bounded_and_loses_nothing_in_silence(blueprint: Blueprint) -> None:
    (mapping,) = blueprint.mappings
    assert mapping.retry_attempts_max >= 0
    assert 60 <= mapping.record_age_s_max < blueprint.streams[0].retention_hours * 3600 / 2
    assert mapping.bisect_batch_on_function_error
    assert mapping.report_batch_item_failures
    assert mapping.on_failure_destination_arn == blueprint.buckets[0].arn
    assert mapping.event_count_metrics
    assert mapping.starting_position == "TRIM_HORIZON"


def test_the_function_logs_into_a_group_of_the_template_that_forgets(blueprint: Blueprint) -> None:
    assert [group.name for group in blueprint.log_groups] == [blueprint.functions[0].log_group]
    assert all(group.properties["RetentionInDays"] for group in blueprint.log_groups)


def test_the_quarantine_index_has_everything_but_the_payload_and_the_traceback(blueprint: Blueprint) -> None:
    (table,) = [table for table in blueprint.tables if table.logical_id == "QuarantineTable"]
    (index,) = table.create_parameters["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by-reason"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["reason", "arrived_at"]
    assert not {"payload", "traceback"} & set(index["Projection"]["NonKeyAttributes"])
    assert table.expiry_attribute == "expires_at"


def test_every_parameter_says_what_it_is_and_is_bounded(translated: dict[str, Any]) -> None:
    for name, parameter in translated["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert "Default" in parameter, name
        bounds = {"AllowedValues", "AllowedPattern", "MinValue", "MaxValue"} & set(parameter)
        assert bounds & {"AllowedValues", "AllowedPattern"} or bounds == {"MinValue", "MaxValue"}, name


def test_no_name_is_hard_coded(template_text: str) -> None:
    renamed = Stack(template_text, {}, stack_name="other", account_id="123456789012", region="eu-west-1")
    for logical_id in renamed.types():
        text = json.dumps(renamed.properties(logical_id))
        assert "stream-processor" not in text, logical_id
        assert "us-east-1" not in text, logical_id
        assert "000000000000" not in text, logical_id


def test_the_environment_holds_no_secret_and_every_variable_is_documented(blueprint: Blueprint) -> None:
    documented = (ROOT / "processor" / "settings.py").read_text(encoding="utf-8")
    for name in blueprint.functions[0].environment:
        assert f'"{name}"' in documented
        assert not {"KEY", "SECRET", "TOKEN", "PASSWORD"} & set(name.split("_"))
