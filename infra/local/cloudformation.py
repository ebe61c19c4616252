"""SHELL: the few CloudFormation reads with which users and tools find names: the stack, its outputs, its resources.

The stack is what `infra up` deployed; changing it is not offered. AWS: DescribeStacks, ListStackResources
(query protocol, version 2010-05-15).
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from infra.local.http import Request, Response

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
CHANGES = ["CreateStack", "UpdateStack", "DeleteStack", "CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet"]


@dataclass(frozen=True, slots=True)
class StackResource:
    """`kind` is the template's Type, e.g. `AWS::Kinesis::Stream`."""

    logical_id: str
    physical_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """What was deployed. `parameters` are the values used, defaults included."""

    name: str
    arn: str
    created_at: datetime
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    resources: tuple[StackResource, ...]


class CloudFormationService:
    """Answers for one stack; `stack` is None until it is deployed."""

    def __init__(self) -> None:
        self.stack: DeployedStack | None = None

    async def handle(self, request: Request) -> Response:
        text = request.body.decode("utf-8", "replace")
        fields = {**request.query, **dict(parse_qsl(text, keep_blank_values=True))}
        action = fields.get("Action", "")
        name = fields.get("StackName") or None
        if action in CHANGES:
            message = f"{action} is not offered here: the stack is what `infra up` deployed. Stop it and start it again"
            return _error("InvalidAction", message)
        if action not in ("DescribeStacks", "ListStacks", "ListStackResources", "DescribeStackResources"):
            return _error("InvalidAction", f"Could not find operation {action} for version 2010-05-15")
        stack = self.stack
        if action == "ListStacks":
            members = "" if stack is None else f"<member>{_summary(stack)}</member>"
            return _result(action, f"<StackSummaries>{members}</StackSummaries>")
        if name is None and action != "DescribeStacks":
            return _error("ValidationError", "1 validation error detected: StackName must be given")
        if name is not None and (stack is None or name not in (stack.name, stack.arn)):
            return _error("ValidationError", _unknown(action, name))
        if action == "DescribeStacks":
            members = "" if stack is None else f"<member>{_stack(stack)}</member>"
            return _result(action, f"<Stacks>{members}</Stacks>")
        assert stack is not None
        members = "".join(f"<member>{_resource(stack, resource)}</member>" for resource in stack.resources)
        listed = "StackResourceSummaries" if action == "ListStackResources" else "StackResources"
        return _result(action, f"<{listed}>{members}</{listed}>")


def _unknown(action: str, name: str) -> str:
    if action == "DescribeStacks":
        return f"Stack with id {name} does not exist"
    return f"Stack '{name}' does not exist"


def _tags(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _summary(stack: DeployedStack) -> str:
    return _tags(
        {
            "StackId": stack.arn,
            "StackName": stack.name,
            "CreationTime": _time(stack.created_at),
            "StackStatus": "CREATE_COMPLETE",
        }
    )


def _stack(stack: DeployedStack) -> str:
    parameters = "".join(
        "<member>" + _tags({"ParameterKey": key, "ParameterValue": value}) + "</member>"
        for key, value in stack.parameters.items()
    )
    outputs = "".join(
        "<member>" + _tags({"OutputKey": key, "OutputValue": value}) + "</member>"
        for key, value in stack.outputs.items()
    )
    return (
        f"{_summary(stack)}<DisableRollback>false</DisableRollback><Capabilities/><NotificationARNs/><Tags/>"
        f"<Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs>"
    )


def _resource(stack: DeployedStack, resource: StackResource) -> str:
    return _tags(
        {
            "StackId": stack.arn,
            "StackName": stack.name,
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.kind,
            "LastUpdatedTimestamp": _time(stack.created_at),
            "Timestamp": _time(stack.created_at),
            "ResourceStatus": "CREATE_COMPLETE",
        }
    )


def _result(action: str, inner: str) -> Response:
    body = (
        f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{inner}</{action}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(200, body.encode(), {"content-type": "text/xml"})


def _error(code: str, message: str) -> Response:
    body = (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Response(400, body.encode(), {"content-type": "text/xml"})
