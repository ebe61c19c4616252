"""The blueprint agrees with AWS: with what AWS SAM makes of the template, evaluated with names written out here."""

from typing import Any

import pytest

from infra.blueprint import Blueprint, FunctionBlueprint
from infra.intrinsics import BlueprintError, Scope, evaluate

ACCOUNT, REGION, NAME = "000000000000", "us-east-1", "stream-processor"

# What Ref and Fn::GetAtt answer on AWS for the resources that the others refer to, from the pages of their types.
REFS = {
    "EventStream": f"{NAME}-events",
    "StreamFunction": f"{NAME}-stream",
    "ResultsTable": f"{NAME}-results",
    "QuarantineTable": f"{NAME}-quarantine",
    "FailureBucket": f"{NAME}-failures-{ACCOUNT}",
    "StreamFunctionLogGroup": f"/aws/lambda/{NAME}-stream",
    "AlarmTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{NAME}-alarms",
    "Dashboard": NAME,
    "EncryptionKey": "1234abcd-12ab-34cd-56ef-1234567890ab",
}
ARNS = {
    "EventStream": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{NAME}-events",
    "StreamFunction": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}-stream",
    "ResultsTable": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}-results",
    "QuarantineTable": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}-quarantine",
    "FailureBucket": f"arn:aws:s3:::{NAME}-failures-{ACCOUNT}",
    "EncryptionKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}
PSEUDO = {
    "AWS::StackName": NAME,
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}


@pytest.fixture(scope="module")
def deployed(translated: dict[str, Any], blueprint: Blueprint) -> dict[str, dict[str, Any]]:
    """Evaluated properties of every emulated resource of the translation; drawn names are the blueprint's."""
    drawn = {"StreamMapping": blueprint.mappings[0].uuid}
    role = {"StreamFunctionRole": blueprint.functions[0].role_arn}

    def attribute(logical_id: str, name: str, path: str) -> str:
        if name != "Arn":
            raise BlueprintError(path, name)
        return {**ARNS, **role}[logical_id]

    defaults = {name: str(parameter["Default"]) for name, parameter in translated["Parameters"].items()}
    scope = Scope(
        {**PSEUDO, **defaults},
        {},
        translated["Conditions"],
        lambda logical_id, path: {**REFS, **drawn}[logical_id],
        attribute,
    )
    emulated = (
        *("AWS::Kinesis::Stream", "AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::DynamoDB::Table"),
        *("AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::Logs::LogGroup"),
    )
    found = {
        logical_id: evaluate(resource["Properties"], logical_id, scope)
        for logical_id, resource in translated["Resources"].items()
        if resource["Type"] in emulated
    }
    found["Outputs"] = {name: evaluate(output["Value"], name, scope) for name, output in translated["Outputs"].items()}
    return found


def test_sam_adds_no_resource_of_its_own_and_drops_none(translated: dict[str, Any], blueprint: Blueprint) -> None:
    emulated = [
        resource.logical_id
        for kind in ("streams", "functions", "mappings", "tables", "buckets", "queues", "topics", "log_groups")
        for resource in getattr(blueprint, kind)
    ]
    unconditional = {key for key, resource in translated["Resources"].items() if "Condition" not in resource}
    assert sorted([*emulated, *blueprint.not_emulated]) == sorted(unconditional)
    assert set(translated["Resources"]) - unconditional == {"AlarmEmailSubscription"}


def test_the_stream_is_the_one_that_aws_creates(deployed: dict[str, dict[str, Any]], blueprint: Blueprint) -> None:
    (stream,), expected = blueprint.streams, deployed["EventStream"]
    assert stream.name == expected["Name"] == REFS["EventStream"]
    assert stream.arn == ARNS["EventStream"]
    assert stream.mode == expected["StreamModeDetails"]["StreamMode"]
    assert stream.shard_count == int(expected["ShardCount"])
    assert stream.retention_hours == int(expected["RetentionPeriodHours"])
    assert stream.encrypted == (expected["StreamEncryption"]["EncryptionType"] == "KMS")
    assert stream.record_size_kib_max == expected["MaxRecordSizeInKiB"]


def test_the_function_is_the_one_that_aws_creates(deployed: dict[str, dict[str, Any]], blueprint: Blueprint) -> None:
    (function,), expected = blueprint.functions, deployed["StreamFunction"]
    assert function == FunctionBlueprint(
        logical_id="StreamFunction",
        name=expected["FunctionName"],
        arn=ARNS["StreamFunction"],
        handler=expected["Handler"],
        runtime=expected["Runtime"],
        architecture=expected["Architectures"][0],
        code_uri="../processor/",
        memory_mb=int(expected["MemorySize"]),
        timeout_s=int(expected["Timeout"]),
        reserved_concurrency=expected.get("ReservedConcurrentExecutions"),
        environment=expected["Environment"]["Variables"],
        role_arn=expected["Role"],
        log_group=expected["LoggingConfig"]["LogGroup"],
    )
    assert function.name == REFS["StreamFunction"]


def test_the_mapping_is_the_one_that_aws_creates(deployed: dict[str, dict[str, Any]], blueprint: Blueprint) -> None:
    (mapping,), expected = blueprint.mappings, deployed["StreamMapping"]
    assert mapping.event_source_arn == expected["EventSourceArn"] == ARNS["EventStream"]
    assert mapping.function_arn == expected["FunctionName"] == ARNS["StreamFunction"]
    assert mapping.starting_position == expected["StartingPosition"]
    assert mapping.batch_size == int(expected["BatchSize"])
    assert mapping.batching_window_s == int(expected["MaximumBatchingWindowInSeconds"])
    assert mapping.parallelization_factor == int(expected["ParallelizationFactor"])
    assert mapping.bisect_batch_on_function_error == expected["BisectBatchOnFunctionError"]
    assert mapping.retry_attempts_max == int(expected["MaximumRetryAttempts"])
    assert mapping.record_age_s_max == int(expected["MaximumRecordAgeInSeconds"])
    assert mapping.report_batch_item_failures == (expected["FunctionResponseTypes"] == ["ReportBatchItemFailures"])
    assert mapping.on_failure_destination_arn == expected["DestinationConfig"]["OnFailure"]["Destination"]
    assert mapping.event_count_metrics == (expected["MetricsConfig"]["Metrics"] == ["EventCount"])


@pytest.mark.parametrize("logical_id", ["ResultsTable", "QuarantineTable"])
def test_a_table_is_the_one_that_aws_creates(
    deployed: dict[str, dict[str, Any]], blueprint: Blueprint, logical_id: str
) -> None:
    (table,) = [table for table in blueprint.tables if table.logical_id == logical_id]
    expected = deployed[logical_id]
    parameters = dict(table.create_parameters)
    assert (table.name, table.arn) == (REFS[logical_id], ARNS[logical_id])
    assert parameters.pop("DeletionProtectionEnabled") == (expected["DeletionProtectionEnabled"] == "true")
    assert parameters == {key: expected[key] for key in parameters}
    unlike_create_table = {"PointInTimeRecoverySpecification", "SSESpecification", "TimeToLiveSpecification"}
    assert set(expected) - set(parameters) - unlike_create_table == {"DeletionProtectionEnabled"}
    assert table.expiry_attribute == expected.get("TimeToLiveSpecification", {}).get("AttributeName")


def test_bucket_topic_and_log_group_are_those_that_aws_creates(
    deployed: dict[str, dict[str, Any]], blueprint: Blueprint
) -> None:
    (bucket,), (topic,), (group,) = blueprint.buckets, blueprint.topics, blueprint.log_groups
    assert bucket.name == deployed["FailureBucket"]["BucketName"] == REFS["FailureBucket"]
    assert bucket.arn == ARNS["FailureBucket"]
    assert topic.name == deployed["AlarmTopic"]["TopicName"]
    assert topic.arn == REFS["AlarmTopic"]
    assert group.name == deployed["StreamFunctionLogGroup"]["LogGroupName"] == REFS["StreamFunctionLogGroup"]
    assert group.properties["RetentionInDays"] == int(deployed["StreamFunctionLogGroup"]["RetentionInDays"])


def test_the_outputs_are_those_that_aws_shows(deployed: dict[str, dict[str, Any]], blueprint: Blueprint) -> None:
    assert blueprint.outputs == deployed["Outputs"]
    assert set(blueprint.outputs) == {
        *("StreamName", "StreamArn", "FunctionName", "MappingId", "ResultsTableName", "QuarantineTableName"),
        *("FailureBucketName", "AlarmTopicArn", "DashboardName"),
    }
