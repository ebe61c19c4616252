"""SHELL: a Blueprint becomes running resources: our own services by their Python surface, the others by wire calls.

The wire calls are the ones that any AWS client makes (CreateTable, PutBucket, CreateQueue, ...), made without a socket
and without a client library: a client library in this process would cost more memory than all services together.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from infra.blueprint import (
    Blueprint,
    ConsumerBlueprint,
    FunctionBlueprint,
    MappingBlueprint,
    NamedBlueprint,
    StreamBlueprint,
)
from infra.local.services import ServiceCallError, Services, kept_buckets
from infra.local.staging import stage
from infra.model.stream_error import StreamError

SNS_VERSION = "2010-03-31"

# CloudFormation's property of AWS::SQS::Queue -> the attribute of CreateQueue (AWS: API Reference of SQS).
QUEUE_ATTRIBUTES = {
    "VisibilityTimeout": "VisibilityTimeout",
    "MessageRetentionPeriod": "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "DelaySeconds": "DelaySeconds",
    "MaximumMessageSize": "MaximumMessageSize",
    "RedrivePolicy": "RedrivePolicy",
}
QUEUE_EXISTS = ("QueueNameExists", "QueueAlreadyExists")

Deliver = Callable[[str, str, bytes], Awaitable[None]]


class DeployError(Exception):
    """A resource could not be made; the text names it and says what to do."""


class Streams(Protocol):
    def create_stream(self, blueprint: StreamBlueprint, /) -> object: ...
    def create_consumer(self, blueprint: ConsumerBlueprint, /) -> object: ...


class Functions(Protocol):
    def add(self, blueprint: FunctionBlueprint, /, *, task_root: Path, environment: Mapping[str, str]) -> object: ...


class Mappings(Protocol):
    def add(self, blueprint: MappingBlueprint, /) -> object: ...


async def deploy(
    blueprint: Blueprint,
    *,
    services: Services,
    streams: Streams,
    functions: Functions,
    mappings: Mappings,
    template_dir: Path,
    data_dir: Path,
) -> None:
    """Creates everything the blueprint names, in the order in which one needs the other.

    Raises DeployError, and OSError when the data directory cannot be written.

    `template_dir` is what CodeUri is relative to; code is copied below `data_dir`. Mappings are added last and do not
    poll yet.
    """
    _create_streams(streams, blueprint)
    await _create_named(services, blueprint)
    for name in kept_buckets(data_dir, blueprint.account_id):
        await _attempt(f"bucket {name} of an earlier run", _create_missing_bucket(services, name, blueprint.region))
    for table in blueprint.tables:
        await _attempt(table.logical_id, _create_table(services, table.create_parameters, table.expiry_attribute))
    for function in blueprint.functions:
        task_root = _stage(function, template_dir, data_dir)
        try:
            functions.add(function, task_root=task_root, environment={})
        except ValueError as error:
            raise DeployError(f"{function.logical_id}: {error}") from error
    for mapping in blueprint.mappings:
        try:
            mappings.add(mapping)
        except ValueError as error:
            raise DeployError(f"{mapping.logical_id}: {error}") from error


def _create_streams(streams: Streams, blueprint: Blueprint) -> None:
    creating: list[tuple[str, Callable[[], object]]] = [
        *((stream.logical_id, partial(streams.create_stream, stream)) for stream in blueprint.streams),
        *((consumer.logical_id, partial(streams.create_consumer, consumer)) for consumer in blueprint.consumers),
    ]
    for logical_id, create in creating:
        try:
            create()
        except StreamError as error:
            raise DeployError(f"{logical_id} could not be created: {error}") from error


def _stage(function: FunctionBlueprint, template_dir: Path, data_dir: Path) -> Path:
    try:
        return stage(template_dir / function.code_uri, data_dir / "functions" / function.logical_id)
    except (FileNotFoundError, ValueError) as error:
        raise DeployError(f"{function.logical_id}: CodeUri {function.code_uri}: {error}") from error


async def _create_named(services: Services, blueprint: Blueprint) -> None:
    for bucket in blueprint.buckets:
        await _attempt(bucket.logical_id, _create_bucket(services, bucket.name, blueprint.region))
    # A dead-letter queue must exist before the queue that names it.
    for queue in sorted(blueprint.queues, key=lambda queue: "RedrivePolicy" in queue.properties):
        await _attempt(queue.logical_id, _create_queue(services, queue))
    for topic in blueprint.topics:
        await _attempt(topic.logical_id, services.call_query("CreateTopic", SNS_VERSION, {"Name": topic.name}))
    for group in blueprint.log_groups:
        await _attempt(group.logical_id, _create_log_group(services, group))


async def _attempt(logical_id: str, creating: Awaitable[object]) -> None:
    try:
        await creating
    except ServiceCallError as error:
        raise DeployError(f"{logical_id} could not be created: {error}") from error


async def _create_table(services: Services, parameters: Mapping[str, Any], expiry_attribute: str | None) -> None:
    await services.call_json("DynamoDB_20120810.CreateTable", parameters)
    if expiry_attribute is not None:
        specification = {"AttributeName": expiry_attribute, "Enabled": True}
        await services.call_json(
            "DynamoDB_20120810.UpdateTimeToLive",
            {"TableName": parameters["TableName"], "TimeToLiveSpecification": specification},
        )


async def _create_bucket(services: Services, name: str, region: str) -> None:
    constraint = f"<LocationConstraint>{region}</LocationConstraint>"
    body = "" if region == "us-east-1" else f"<CreateBucketConfiguration>{constraint}</CreateBucketConfiguration>"
    try:
        await services.call_s3("PUT", f"/{name}", body.encode())
    except ServiceCallError as error:
        if error.code != "BucketAlreadyOwnedByYou":  # it is there already, with its objects, from an earlier run
            raise


async def _create_missing_bucket(services: Services, name: str, region: str) -> None:
    try:
        await services.call_s3("HEAD", f"/{name}")
    except ServiceCallError:
        await _create_bucket(services, name, region)


async def _create_queue(services: Services, queue: NamedBlueprint) -> None:
    attributes = {
        attribute: value if isinstance(value, str) else json.dumps(value)
        for name, attribute in QUEUE_ATTRIBUTES.items()
        if (value := queue.properties.get(name)) is not None
    }
    try:
        await services.call_json("AmazonSQS.CreateQueue", {"QueueName": queue.name, "Attributes": attributes})
    except ServiceCallError as error:
        if error.code not in QUEUE_EXISTS:  # from an earlier run, set otherwise than the template says now
            raise
        found = await services.call_json("AmazonSQS.GetQueueUrl", {"QueueName": queue.name})
        await services.call_json(
            "AmazonSQS.SetQueueAttributes", {"QueueUrl": found["QueueUrl"], "Attributes": attributes}
        )


async def _create_log_group(services: Services, group: NamedBlueprint) -> None:
    name = {"logGroupName": group.name}
    await services.call_json("Logs_20140328.CreateLogGroup", name, version="1.1")
    days = group.properties.get("RetentionInDays")
    if days is not None:
        await services.call_json(
            "Logs_20140328.PutRetentionPolicy", {**name, "retentionInDays": int(days)}, version="1.1"
        )


def delivery(services: Services) -> Deliver:
    """`deliver(destination_arn, key, body)`: an on-failure document into a bucket, a queue or a topic.

    `key` is the object's key in a bucket; queues and topics have none. Raises ServiceCallError when it is refused and
    ValueError for another kind of destination. AWS: "Capturing discarded batches", facts 5.1 and 5.11.
    """

    async def deliver(destination_arn: str, key: str, body: bytes) -> None:
        service = destination_arn.split(":")[2]
        resource = destination_arn.split(":", 5)[5]
        if service == "s3":
            await services.call_s3("PUT", f"/{resource}/{key}", body, content_type="application/octet-stream")
        elif service == "sqs":
            account_id = destination_arn.split(":")[4]
            found = await services.call_json(
                "AmazonSQS.GetQueueUrl", {"QueueName": resource, "QueueOwnerAWSAccountId": account_id}
            )
            message = {"QueueUrl": found["QueueUrl"], "MessageBody": body.decode()}
            await services.call_json("AmazonSQS.SendMessage", message)
        elif service == "sns":
            message = {"TopicArn": destination_arn, "Message": body.decode()}
            await services.call_query("Publish", SNS_VERSION, message)
        else:
            raise ValueError(f"{destination_arn}: on-failure documents go to a bucket, a queue or a topic")

    return deliver
