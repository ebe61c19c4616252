"""PURE: the resource types and properties that are known here, and how CloudFormation names each resource.

Two tables. IDENTITIES: what `Ref` and `Fn::GetAtt` answer (AWS: "Return values" of every resource type's page).
PROPERTIES: which properties of a resource type the local runtime reproduces and which it knows but leaves out; a type
or property in neither is refused by its path, so that nothing of a template is dropped without a word.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from infra.blueprint.parameters import stable_uuid
from infra.intrinsics import BlueprintError

EMULATED: Final = "emulated"
NOT_EMULATED: Final = "known, not emulated"


@dataclass(frozen=True, slots=True)
class Identity:
    """How a resource type is named. The strings are formats over name, arn, partition, region, account, url_suffix;
    a stream's consumer has stream_arn and created_s too.

    `ref` None: `Ref` to it is refused. `name_property` None: the name is a stable UUID.
    """

    name_property: str | None
    arn: str = ""
    ref: str | None = "{name}"
    attributes: Mapping[str, str] = field(default_factory=dict)
    name_limit: int = 255
    lower_case: bool = False


_ARN: Final = {"Arn": "{arn}"}

IDENTITIES: Final[Mapping[str, Identity]] = {
    "AWS::CloudWatch::Alarm": Identity(
        "AlarmName", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}", attributes=_ARN
    ),
    "AWS::CloudWatch::CompositeAlarm": Identity(
        "AlarmName", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}", attributes=_ARN
    ),
    "AWS::CloudWatch::Dashboard": Identity("DashboardName"),
    "AWS::DynamoDB::Table": Identity(
        "TableName", "arn:{partition}:dynamodb:{region}:{account}:table/{name}", attributes=_ARN
    ),
    "AWS::IAM::Role": Identity("RoleName", "arn:{partition}:iam::{account}:role/{name}", "{name}", _ARN, 64),
    "AWS::KMS::Alias": Identity("AliasName"),
    "AWS::KMS::Key": Identity(
        None, "arn:{partition}:kms:{region}:{account}:key/{name}", attributes={**_ARN, "KeyId": "{name}"}
    ),
    "AWS::Kinesis::Stream": Identity(
        "Name", "arn:{partition}:kinesis:{region}:{account}:stream/{name}", "{name}", _ARN, 128
    ),
    "AWS::Kinesis::StreamConsumer": Identity(
        "ConsumerName",
        "{stream_arn}/consumer/{name}:{created_s}",
        "{arn}",
        {
            "ConsumerARN": "{arn}",
            "ConsumerCreationTimestamp": "{created_s}",
            "ConsumerName": "{name}",
            "ConsumerStatus": "ACTIVE",
            "StreamARN": "{stream_arn}",
        },
        128,
    ),
    "AWS::Lambda::EventSourceMapping": Identity(
        None,
        "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{name}",
        attributes={"Id": "{name}", "EventSourceMappingArn": "{arn}"},
    ),
    "AWS::Logs::LogGroup": Identity(
        "LogGroupName",
        "arn:{partition}:logs:{region}:{account}:log-group:{name}",
        attributes={"Arn": "{arn}:*"},
        name_limit=512,
    ),
    "AWS::S3::Bucket": Identity(
        "BucketName",
        "arn:{partition}:s3:::{name}",
        attributes={
            **_ARN,
            "DomainName": "{name}.s3.{url_suffix}",
            "RegionalDomainName": "{name}.s3.{region}.{url_suffix}",
        },
        name_limit=63,
        lower_case=True,
    ),
    "AWS::S3::BucketPolicy": Identity(None, ref=None),
    "AWS::SNS::Subscription": Identity(None, ref=None),
    "AWS::SNS::Topic": Identity(
        "TopicName",
        "arn:{partition}:sns:{region}:{account}:{name}",
        "{arn}",
        {"TopicArn": "{arn}", "TopicName": "{name}"},
    ),
    "AWS::SNS::TopicPolicy": Identity(None, ref=None),
    "AWS::SQS::Queue": Identity(
        "QueueName",
        "arn:{partition}:sqs:{region}:{account}:{name}",
        "https://sqs.{region}.{url_suffix}/{account}/{name}",
        {**_ARN, "QueueName": "{name}", "QueueUrl": "https://sqs.{region}.{url_suffix}/{account}/{name}"},
        80,
    ),
    "AWS::SQS::QueuePolicy": Identity(None, ref=None),
    "AWS::Serverless::Function": Identity(
        "FunctionName", "arn:{partition}:lambda:{region}:{account}:function:{name}", "{name}", _ARN, 64
    ),
}

NOT_EMULATED_TYPES: Final = frozenset(
    {
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::KMS::Key",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
)
"""Known resource types that the local runtime does not create; their references must resolve all the same."""

PROPERTIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "AWS::DynamoDB::Table": {
        "AttributeDefinitions": EMULATED,
        "BillingMode": EMULATED,
        "DeletionProtectionEnabled": EMULATED,
        "GlobalSecondaryIndexes": EMULATED,
        "KeySchema": EMULATED,
        "LocalSecondaryIndexes": EMULATED,
        "ProvisionedThroughput": EMULATED,
        "TableName": EMULATED,
        "TimeToLiveSpecification": {"AttributeName": EMULATED, "Enabled": EMULATED},
        "ContributorInsightsSpecification": NOT_EMULATED,
        "PointInTimeRecoverySpecification": NOT_EMULATED,
        "SSESpecification": NOT_EMULATED,
        "Tags": NOT_EMULATED,
    },
    "AWS::Kinesis::Stream": {
        "MaxRecordSizeInKiB": EMULATED,
        "Name": EMULATED,
        "RetentionPeriodHours": EMULATED,
        "ShardCount": EMULATED,
        "StreamEncryption": {"EncryptionType": EMULATED, "KeyId": NOT_EMULATED},
        "StreamModeDetails": {"StreamMode": EMULATED},
        "DesiredShardLevelMetrics": NOT_EMULATED,
        "Tags": NOT_EMULATED,
    },
    "AWS::Kinesis::StreamConsumer": {
        "ConsumerName": EMULATED,
        "StreamARN": EMULATED,
        "Tags": NOT_EMULATED,
    },
    "AWS::Lambda::EventSourceMapping": {
        "BatchSize": EMULATED,
        "BisectBatchOnFunctionError": EMULATED,
        "DestinationConfig": {"OnFailure": {"Destination": EMULATED}},
        "Enabled": EMULATED,
        "EventSourceArn": EMULATED,
        "FilterCriteria": {"Filters": EMULATED},
        "FunctionName": EMULATED,
        "FunctionResponseTypes": EMULATED,
        "MaximumBatchingWindowInSeconds": EMULATED,
        "MaximumRecordAgeInSeconds": EMULATED,
        "MaximumRetryAttempts": EMULATED,
        "MetricsConfig": {"Metrics": EMULATED},
        "ParallelizationFactor": EMULATED,
        "StartingPosition": EMULATED,
        "StartingPositionTimestamp": EMULATED,
        "TumblingWindowInSeconds": EMULATED,
        "KmsKeyArn": NOT_EMULATED,
        "Tags": NOT_EMULATED,
    },
    "AWS::Logs::LogGroup": {
        "LogGroupName": EMULATED,
        "RetentionInDays": EMULATED,
        "KmsKeyId": NOT_EMULATED,
        "Tags": NOT_EMULATED,
    },
    "AWS::S3::Bucket": {
        "BucketName": EMULATED,
        "BucketEncryption": NOT_EMULATED,
        "LifecycleConfiguration": NOT_EMULATED,
        "OwnershipControls": NOT_EMULATED,
        "PublicAccessBlockConfiguration": NOT_EMULATED,
        "Tags": NOT_EMULATED,
        "VersioningConfiguration": NOT_EMULATED,
    },
    "AWS::SNS::Topic": {
        "DisplayName": EMULATED,
        "TopicName": EMULATED,
        "KmsMasterKeyId": NOT_EMULATED,
        "Tags": NOT_EMULATED,
    },
    "AWS::SQS::Queue": {
        "DelaySeconds": EMULATED,
        "MaximumMessageSize": EMULATED,
        "MessageRetentionPeriod": EMULATED,
        "QueueName": EMULATED,
        "ReceiveMessageWaitTimeSeconds": EMULATED,
        "RedrivePolicy": EMULATED,
        "VisibilityTimeout": EMULATED,
        "KmsDataKeyReusePeriodSeconds": NOT_EMULATED,
        "KmsMasterKeyId": NOT_EMULATED,
        "SqsManagedSseEnabled": NOT_EMULATED,
        "Tags": NOT_EMULATED,
    },
    "AWS::Serverless::Function": {
        "Architectures": EMULATED,
        "CodeUri": EMULATED,
        "Environment": {"Variables": EMULATED},
        "FunctionName": EMULATED,
        "Handler": EMULATED,
        "LoggingConfig": {"LogGroup": EMULATED},
        "MemorySize": EMULATED,
        "ReservedConcurrentExecutions": EMULATED,
        "Role": EMULATED,
        "Runtime": EMULATED,
        "Timeout": EMULATED,
        "CodeSigningConfigArn": NOT_EMULATED,
        "Description": NOT_EMULATED,
        "KmsKeyArn": NOT_EMULATED,
        "Tags": NOT_EMULATED,
        "Tracing": NOT_EMULATED,
    },
}


def check_properties(known: Mapping[str, Any], properties: Any, path: str) -> None:
    """Raises BlueprintError for the first property that `known` (a row of PROPERTIES) does not have."""
    if not isinstance(properties, Mapping):
        raise BlueprintError(path, "a mapping of properties is needed here")
    for name, value in properties.items():
        if name not in known:
            emulated = ", ".join(sorted(key for key, kind in known.items() if kind != NOT_EMULATED))
            ignored = ", ".join(sorted(key for key, kind in known.items() if kind == NOT_EMULATED)) or "none"
            raise BlueprintError(
                f"{path}.{name}", f"not supported; supported are {emulated}; known, not emulated: {ignored}"
            )
        if isinstance(known[name], Mapping):
            check_properties(known[name], value, f"{path}.{name}")


def check_type(kind: Any, path: str) -> None:
    """Raises BlueprintError for a resource type that is neither emulated nor known."""
    if not isinstance(kind, str) or kind not in IDENTITIES:
        emulated = ", ".join(sorted(PROPERTIES))
        known = ", ".join(sorted(NOT_EMULATED_TYPES))
        raise BlueprintError(path, f"{kind} is not supported; supported are {emulated}; known, not emulated: {known}")


def default_name(kind: str, stack_name: str, logical_id: str) -> str:
    """The physical name of a resource that has none: stack, logical id and 12 characters, cut to the type's limit.

    AWS: "Name Type". CloudFormation draws the suffix; here it follows from the two names, so it never changes.
    """
    identity = IDENTITIES[kind]
    if identity.name_property is None:
        return stable_uuid(stack_name, logical_id)
    suffix = base64.b32encode(hashlib.sha256(f"{stack_name}/{logical_id}".encode()).digest())[:12].decode()
    room = identity.name_limit - len(suffix) - 2
    stack = stack_name[: max(room - len(logical_id), room // 2)]
    name = f"{stack}-{logical_id[: room - len(stack)]}-{suffix}"
    return name.lower() if identity.lower_case else name
