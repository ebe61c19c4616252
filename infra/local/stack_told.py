"""SHELL: what `infra up` tells of its stack: one line when it is ready, and what CloudFormation answers with."""

import os
from datetime import UTC, datetime

from infra.blueprint import Blueprint
from infra.blueprint.parameters import pseudo
from infra.local.cloudformation import DeployedStack, StackResource


def ready_line(blueprint: Blueprint, endpoint_url: str) -> dict[str, object]:
    """What `infra up` prints when ready: names, not ARNs."""
    return {
        "endpoint_url": endpoint_url,
        "region": blueprint.region,
        "stack_name": blueprint.stack_name,
        "stream": blueprint.streams[0].name if blueprint.streams else None,
        "functions": [function.name for function in blueprint.functions],
        "tables": [table.name for table in blueprint.tables],
        "queues": [queue.name for queue in blueprint.queues],
        "buckets": [bucket.name for bucket in blueprint.buckets],
        "api_url": None,
        "console_url": None,
        "pid": os.getpid(),
    }


def deployed_stack(blueprint: Blueprint) -> DeployedStack:
    """What CloudFormation's reads answer with."""
    named = (
        ("AWS::S3::Bucket", blueprint.buckets),
        ("AWS::SQS::Queue", blueprint.queues),
        ("AWS::SNS::Topic", blueprint.topics),
        ("AWS::Logs::LogGroup", blueprint.log_groups),
        ("AWS::Kinesis::Stream", blueprint.streams),
        ("AWS::Lambda::Function", blueprint.functions),
        ("AWS::DynamoDB::Table", blueprint.tables),
    )
    resources = [StackResource(part.logical_id, part.name, kind) for kind, parts in named for part in parts]
    resources += [
        StackResource(consumer.logical_id, consumer.arn, "AWS::Kinesis::StreamConsumer")
        for consumer in blueprint.consumers
    ]
    resources += [
        StackResource(mapping.logical_id, mapping.uuid, "AWS::Lambda::EventSourceMapping")
        for mapping in blueprint.mappings
    ]
    return DeployedStack(
        name=blueprint.stack_name,
        arn=pseudo(blueprint.stack_name, blueprint.account_id, blueprint.region)["AWS::StackId"],
        created_at=datetime.now(UTC),
        parameters=blueprint.parameters,
        outputs=blueprint.outputs,
        resources=tuple(resources),
    )
