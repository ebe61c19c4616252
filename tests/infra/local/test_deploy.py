"""What the blueprint names exists afterwards, and a resource that cannot be made is named."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.blueprint import (
    Blueprint,
    ConsumerBlueprint,
    FunctionBlueprint,
    MappingBlueprint,
    NamedBlueprint,
    StreamBlueprint,
    TableBlueprint,
)
from infra.local.deploy import DeployError, delivery, deploy
from infra.local.disk_trouble import reason
from infra.local.services import ServiceCallError, Services

PLACE = {"region": "us-east-1", "account_id": "000000000000"}


@dataclass
class Created:
    """Stands for the three services of ours: remembers what was added, in order."""

    order: list[str] = field(default_factory=list)
    task_roots: dict[str, Path] = field(default_factory=dict)

    def create_stream(self, blueprint: StreamBlueprint) -> None:
        self.order.append(blueprint.name)

    def create_consumer(self, blueprint: ConsumerBlueprint) -> None:
        self.order.append(blueprint.name)


@dataclass
class Functions:
    created: Created

    def add(self, blueprint: FunctionBlueprint, *, task_root: Path, environment: Mapping[str, str]) -> None:
        assert environment == {}
        self.created.order.append(blueprint.name)
        self.created.task_roots[blueprint.name] = task_root


@dataclass
class Mappings:
    created: Created

    def add(self, blueprint: MappingBlueprint) -> None:
        self.created.order.append(blueprint.uuid)


def named(kind: str, name: str, **properties: object) -> NamedBlueprint:
    return NamedBlueprint(f"Logical{kind}", name, f"arn:aws:{kind}:us-east-1:000000000000:{name}", properties)


def blueprint(**parts: object) -> Blueprint:
    lists = ["streams", "functions", "mappings", "tables", "buckets", "queues", "topics", "log_groups", "not_emulated"]
    empty: dict[str, object] = dict.fromkeys(lists, ())
    arguments = {"stack_name": "deploy", **PLACE, "outputs": {}, "parameters": {}, **empty, **parts}
    return Blueprint(**arguments)  # type: ignore[arg-type]  # the test's parts are of the right types


def perform(wanted: Blueprint, services: Services, tmp_path: Path, created: Created | None = None) -> Created:
    created = Created() if created is None else created
    asyncio.run(
        deploy(
            wanted,
            services=services,
            streams=created,
            functions=Functions(created),
            mappings=Mappings(created),
            template_dir=tmp_path,
            data_dir=tmp_path / "data",
        )
    )
    return created


def table(name: str) -> TableBlueprint:
    create = {
        "TableName": name,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    return TableBlueprint("LogicalTable", name, f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}", create, "ttl")


def function(code_uri: str) -> FunctionBlueprint:
    return FunctionBlueprint(
        logical_id="StreamFunction",
        name="deploy-f",
        arn="arn:aws:lambda:us-east-1:000000000000:function:deploy-f",
        handler="code.handler",
        runtime="python3.13",
        architecture="arm64",
        code_uri=code_uri,
        memory_mb=512,
        timeout_s=60,
        reserved_concurrency=None,
        environment={},
        role_arn="arn:aws:iam::000000000000:role/r",
        log_group="/aws/lambda/deploy-f",
    )


def test_tables_buckets_queues_topics_and_log_groups_exist_afterwards(services: Services, tmp_path: Path) -> None:
    redrive = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:deploy-dead-letters", "maxReceiveCount": 3}
    wanted = blueprint(
        tables=(table("deploy-table"),),
        buckets=(named("s3", "deploy-bucket"),),
        queues=(
            named("sqs", "deploy-queue", VisibilityTimeout=77, RedrivePolicy=redrive),
            named("sqs", "deploy-dead-letters"),
        ),
        topics=(named("sns", "deploy-topic"),),
        log_groups=(named("logs", "/deploy/group", RetentionInDays=30),),
    )
    perform(wanted, services, tmp_path)

    async def look() -> None:
        name = {"TableName": "deploy-table"}
        found = await services.call_json("DynamoDB_20120810.DescribeTimeToLive", name)
        assert found["TimeToLiveDescription"]["AttributeName"] == "ttl"
        assert (await services.call_s3("GET", "/deploy-bucket")).status == 200
        url = (await services.call_json("AmazonSQS.GetQueueUrl", {"QueueName": "deploy-queue"}))["QueueUrl"]
        request = {"QueueUrl": url, "AttributeNames": ["All"]}
        attributes = (await services.call_json("AmazonSQS.GetQueueAttributes", request))["Attributes"]
        assert attributes["VisibilityTimeout"] == "77"
        assert json.loads(attributes["RedrivePolicy"]) == redrive
        assert b"deploy-topic" in await services.call_query("ListTopics", "2010-03-31", {})
        groups = await services.call_json("Logs_20140328.DescribeLogGroups", {"logGroupNamePrefix": "/deploy/"})
        assert groups["logGroups"][0]["retentionInDays"] == 30

    asyncio.run(look())


def test_a_function_gets_a_copy_that_holds_only_its_own_folder(services: Services, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "handler.py").write_text("x = 1\n")
    (tmp_path / "beside.py").write_text("")
    created = perform(blueprint(functions=(function("code/"),)), services, tmp_path)
    task_root = created.task_roots["deploy-f"]
    assert [path.name for path in task_root.iterdir()] == ["code"]
    assert (task_root / "code" / "handler.py").read_text() == "x = 1\n"


def test_a_code_folder_that_is_missing_is_named_with_its_function(services: Services, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"StreamFunction: CodeUri nowhere/"):
        perform(blueprint(functions=(function("nowhere/"),)), services, tmp_path)


def test_a_copy_for_which_there_is_no_room_is_no_mistake_of_the_template(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "handler.py").write_text("x = 1\n")

    def full(source: str, into: str, **_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copystat", full)
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="No space left") as raised:
        perform(blueprint(functions=(function("code/"),)), services, tmp_path)
    assert reason(raised.value).endswith("handler.py: No space left on device")


def test_a_mapping_that_is_refused_is_named_with_the_reason(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_mappings: Mappings, _blueprint: MappingBlueprint) -> None:
        raise ValueError("Invalid filter pattern definition.")

    monkeypatch.setattr(Mappings, "add", refuse)
    mapping = SimpleNamespace(logical_id="StreamMapping")
    with pytest.raises(DeployError, match=r"StreamMapping: Invalid filter pattern definition\."):
        perform(blueprint(mappings=(mapping,)), services, tmp_path)


def test_a_resource_that_is_refused_is_named_with_the_services_reason(services: Services, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="LogicalTable could not be created: CreateTable: ValidationException"):
        perform(blueprint(tables=(table("x"),)), services, tmp_path)


def test_on_failure_documents_reach_bucket_queue_and_topic(services: Services, tmp_path: Path) -> None:
    wanted = blueprint(
        buckets=(named("s3", "deploy-failures"),),
        queues=(named("sqs", "deploy-failures"),),
        topics=(named("sns", "deploy-failures"),),
    )
    perform(wanted, services, tmp_path)
    deliver = delivery(services)

    async def scenario() -> None:
        key = "aws/lambda/uuid/shardId-000000000000/2026/11/23/2026-11-23T09.00.00-id"
        await deliver("arn:aws:s3:::deploy-failures", key, b'{"a": 1}')
        stored = await services.call_s3("GET", f"/deploy-failures/{key}")
        assert stored.body == b'{"a": 1}'
        assert stored.headers["content-type"] == "application/octet-stream"
        await deliver("arn:aws:sqs:us-east-1:000000000000:deploy-failures", "", '{"a": "é"}'.encode())
        url = (await services.call_json("AmazonSQS.GetQueueUrl", {"QueueName": "deploy-failures"}))["QueueUrl"]
        received = await services.call_json("AmazonSQS.ReceiveMessage", {"QueueUrl": url})
        assert received["Messages"][0]["Body"] == '{"a": "é"}'
        await deliver("arn:aws:sns:us-east-1:000000000000:deploy-failures", "", b"{}")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3:::deploy-no-such-bucket",
        "arn:aws:sqs:us-east-1:000000000000:deploy-no-such-queue",
        "arn:aws:sns:us-east-1:000000000000:deploy-no-such-topic",
    ],
)
def test_a_destination_that_does_not_exist_is_an_error_and_not_silence(services: Services, arn: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ServiceCallError):
            await delivery(services)(arn, "key", b"{}")

    asyncio.run(scenario())


def test_a_bucket_of_an_earlier_run_is_there_again_although_it_is_empty(services: Services, tmp_path: Path) -> None:
    (tmp_path / "data" / "ministack" / "s3" / PLACE["account_id"] / "deploy-empty").mkdir(parents=True)
    perform(blueprint(), services, tmp_path)
    assert asyncio.run(services.call_s3("GET", "/deploy-empty")).status == 200
