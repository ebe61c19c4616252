"""Every request reaches the service it is meant for, whole; nothing a client sends ends in a traceback for it."""

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from infra.local import gateway as gateways
from infra.local.cloudformation import NAMESPACE, CloudFormationService, DeployedStack, StackResource
from infra.local.gateway import Gateway
from infra.local.http import Request, Response
from infra.local.services import Message, Receive, Send, ServiceCallError, Services


@dataclass
class Recorder:
    """A service that remembers requests and answers with its name, or raises."""

    name: str
    requests: list[Request] = field(default_factory=list)
    raising: Exception | None = None

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.raising is not None:
            raise self.raising
        return Response(200, self.name.encode(), {"Content-Type": "text/plain"})


class Mounted:
    """An ASGI application that remembers scopes and bodies, and has a lifespan."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.scopes: list[MutableMapping[str, Any]] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"mounted", "more_body": False})


class House:
    """A gateway in front of recorders."""

    def __init__(self) -> None:
        self.mounted = Mounted()
        self.kinesis, self.functions, self.mappings = Recorder("kinesis"), Recorder("functions"), Recorder("mappings")
        self.cloudformation = CloudFormationService()
        self.gateway = Gateway(
            self.mounted,
            kinesis=self.kinesis,
            functions=self.functions,
            mappings=self.mappings,
            cloudformation=self.cloudformation,
        )

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return asyncio.run(Services(self.gateway).call(method, path, headers=named, body=body))


@pytest.fixture
def house() -> House:
    return House()


def test_kinesis_requests_reach_kinesis_with_their_body(house: House) -> None:
    assert house.call("POST", "/", b"{}", x_amz_target="Kinesis_20131202.PutRecords").body == b"kinesis"
    assert house.kinesis.requests[0].body == b"{}"
    assert house.kinesis.requests[0].headers["x-amz-target"] == "Kinesis_20131202.PutRecords"


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/2015-03-31/functions/f/invocations", "functions"),
        ("/2015-03-31/functions", "functions"),
        ("/2015-03-31/event-source-mappings/", "mappings"),
        ("/2015-03-31/event-source-mappings/0-1", "mappings"),
        ("/2019-09-30/functions/f/concurrency", "functions"),
        ("/2021-10-31/functions/f/url", "functions"),
        ("/2031-01-01/event-source-mappings", "mappings"),
        ("/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:function:event-source-mapping", "functions"),
        ("/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:event-source-mapping:0-1", "mappings"),
    ],
)
def test_lambda_paths_reach_their_services(house: House, path: str, service: str) -> None:
    assert house.call("GET", path + "?MaxItems=5&Marker=").body == service.encode()
    recorder: Recorder = getattr(house, service)
    assert recorder.requests[0].path == path
    assert recorder.requests[0].query == {"MaxItems": "5", "Marker": ""}


def test_what_lambda_has_besides_functions_and_mappings_is_refused_by_lambda(house: House) -> None:
    scope = "AWS4-HMAC-SHA256 Credential=x/20261123/us-east-1/lambda/aws4_request, Signature=y"
    assert house.call("GET", "/2018-10-31/layers", authorization=scope).body == b"functions"


@pytest.mark.parametrize("path", ["/2015-03-31/functionsandmore", "/my-bucket/2015-03-31/functions/f"])
def test_a_path_that_only_resembles_lambdas_is_not_lambdas(house: House, path: str) -> None:
    assert house.call("GET", path).body == b"mounted"


@pytest.mark.parametrize(("service", "awaited"), [("monitoring", 1), ("logs", 1), ("dynamodb", 0), ("kinesis", 0)])
def test_what_is_not_handed_over_yet_is_handed_over_before_metrics_or_logs_are_asked(
    house: House, service: str, awaited: int
) -> None:
    calls = []

    async def hand_over() -> None:
        calls.append(len(house.mounted.bodies))

    house.gateway._before_observing = hand_over
    scope = f"AWS4-HMAC-SHA256 Credential=x/20261123/us-east-1/{service}/aws4_request, Signature=y"
    house.call("POST", "/", b"Action=X&Version=1", authorization=scope)
    assert calls == [0] * awaited


@pytest.mark.parametrize("target", ["DynamoDB_20120810.PutItem", "AmazonSQS.SendMessage", "Logs_20140328.PutLogEvents"])
def test_every_other_json_service_is_mounted(house: House, target: str) -> None:
    assert house.call("POST", "/", b'{"a": 1}', x_amz_target=target).body == b"mounted"
    assert house.mounted.bodies == [b'{"a": 1}']


def test_a_query_protocol_request_of_another_service_reaches_it_unread(house: House) -> None:
    form = urlencode({"Action": "Publish", "Version": "2010-03-31", "Message": "DescribeStacks"}).encode()
    assert house.call("POST", "/", form, content_type="application/x-www-form-urlencoded").body == b"mounted"
    assert house.mounted.bodies == [form]


@pytest.mark.parametrize("service", ["ec2", "autoscaling"])
def test_a_service_that_is_not_part_of_the_stack_is_refused_by_name_in_xml_where_its_client_reads_xml(
    house: House, service: str
) -> None:
    response = house.call(
        "POST",
        "/",
        b"Action=Describe&Version=2016-11-15",
        content_type="application/x-www-form-urlencoded",
        authorization=f"AWS4-HMAC-SHA256 Credential=x/20261123/us-east-1/{service}/aws4_request, Signature=y",
    )
    assert response.status == 400
    assert service in "".join(ElementTree.fromstring(response.body).itertext())
    assert house.mounted.bodies == []


def test_a_json_service_that_is_not_part_of_the_stack_is_refused_by_name(house: House) -> None:
    scope = "AWS4-HMAC-SHA256 Credential=x/20261123/us-east-1/firehose/aws4_request, Signature=y"
    response = house.call("POST", "/", b"{}", x_amz_target="Firehose_20150804.ListX", authorization=scope)
    assert json.loads(response.body)["message"].startswith("firehose is not part of the local stack")


def test_a_reset_of_the_mounted_services_is_refused_while_the_stack_runs(house: House) -> None:
    response = house.call("POST", "/_ministack/reset")
    assert response.status == 403
    assert house.mounted.bodies == []


def test_a_body_over_the_limit_is_refused_before_it_is_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "OWN_BODY_BYTES_MAX", 10)
    response = house.call("POST", "/", b"x" * 11, x_amz_target="Kinesis_20131202.PutRecords")
    assert response.status == 413
    assert "10 bytes" in json.loads(response.body)["message"]
    assert house.kinesis.requests == []


def test_a_body_that_lies_about_its_length_is_refused_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "MOUNTED_BODY_BYTES_MAX", 10)
    response = house.call("PUT", "/bucket/key", b"x" * 11, content_length="1")
    assert response.status == 413
    assert house.mounted.bodies == []


def test_an_unforeseen_failure_is_a_500_without_its_text(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.kinesis.raising = RuntimeError("inner secret")
    response = house.call("POST", "/", b"{}", x_amz_target="Kinesis_20131202.PutRecord")
    assert response.status == 500
    assert json.loads(response.body)["__type"] == "InternalFailure"
    assert b"secret" not in response.body
    assert "inner secret" in caplog.text


def test_what_the_mounted_services_cannot_cope_with_is_a_500_and_one_line_of_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    house.gateway._mounted = failing
    assert house.call("GET", "/bucket?x=\xff").status == 500
    assert "GET /bucket was not understood" in caplog.text
    assert "Traceback" not in caplog.text


def test_answers_have_a_length_a_request_id_and_a_date(house: House) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/2015-03-31/functions", "headers": [], "query_string": b""}
    asyncio.run(house.gateway(scope, receive, send))
    headers = dict(sent[0]["headers"])
    assert headers[b"content-length"] == b"9"
    assert {b"x-amzn-requestid", b"date", b"content-type"} <= headers.keys()


def test_the_lifespan_is_the_mounted_applications_and_its_start_is_seen(house: House) -> None:
    async def scenario() -> None:
        async def receive() -> Message:
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            assert message["type"] == "lifespan.startup.complete"

        assert not house.gateway.started.is_set()
        await house.gateway({"type": "lifespan"}, receive, send)
        assert house.gateway.started.is_set()

    asyncio.run(scenario())


# -- CloudFormation ------------------------------------------------------------------------------------------------

STACK = DeployedStack(
    name="mine",
    arn="arn:aws:cloudformation:us-east-1:000000000000:stack/mine/0-1",
    created_at=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    parameters={"ShardCount": "2", "Measures": "a<b"},
    outputs={"StreamName": "mine-events", "StreamArn": "arn:x&y"},
    resources=(StackResource("EventStream", "mine-events", "AWS::Kinesis::Stream"),),
)


def ask(house: House, **fields: str) -> tuple[int, ElementTree.Element]:
    form = urlencode({"Version": "2010-05-15", **fields}).encode()
    response = house.call("POST", "/", form, content_type="application/x-www-form-urlencoded; charset=utf-8")
    return response.status, ElementTree.fromstring(response.body)


def texts(root: ElementTree.Element, path: str) -> list[str | None]:
    return [found.text for found in root.iterfind("/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/")))]


@pytest.mark.parametrize("name", ["mine", STACK.arn, ""])
def test_the_stack_is_described_with_outputs_parameters_and_status(house: House, name: str) -> None:
    house.cloudformation.stack = STACK
    status, root = ask(house, Action="DescribeStacks", **({"StackName": name} if name else {}))
    assert status == 200
    member = "DescribeStacksResult/Stacks/member"
    assert texts(root, f"{member}/StackStatus") == ["CREATE_COMPLETE"]
    assert texts(root, f"{member}/Outputs/member/OutputValue") == ["mine-events", "arn:x&y"]
    assert texts(root, f"{member}/Parameters/member/ParameterValue") == ["2", "a<b"]


def test_an_unknown_stack_is_the_validation_error_that_aws_gives(house: House) -> None:
    house.cloudformation.stack = STACK
    status, root = ask(house, Action="DescribeStacks", StackName="other")
    assert status == 400
    assert texts(root, "Error/Code") == ["ValidationError"]
    assert texts(root, "Error/Message") == ["Stack with id other does not exist"]


def test_resources_are_listed(house: House) -> None:
    house.cloudformation.stack = STACK
    _, root = ask(house, Action="ListStackResources", StackName="mine")
    member = "ListStackResourcesResult/StackResourceSummaries/member"
    assert texts(root, f"{member}/PhysicalResourceId") == ["mine-events"]


def test_before_the_deployment_there_is_no_stack(house: House) -> None:
    assert texts(ask(house, Action="DescribeStacks")[1], "DescribeStacksResult/Stacks/member") == []
    assert ask(house, Action="DescribeStacks", StackName="mine")[0] == 400


@pytest.mark.parametrize("action", ["DeleteStack", "CreateStack", "Nonsense", ""])
def test_other_actions_are_refused_by_name(house: House, action: str) -> None:
    status, root = ask(house, Action=action, StackName="mine")
    assert status == 400
    (message,) = texts(root, "Error/Message")
    assert message is not None
    assert action in message


def test_a_refused_call_inside_the_process_says_operation_code_and_message(house: House) -> None:
    house.kinesis.raising = RuntimeError()
    with pytest.raises(ServiceCallError, match="ListStreams: InternalFailure"):
        asyncio.run(Services(house.gateway).call_json("Kinesis_20131202.ListStreams", {}))
