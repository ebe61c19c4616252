"""Reserved and provisioned concurrency as an unmodified boto3 sets and sees them, with real environments."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.function_service import LIMIT_S
from tests.support.lambda_endpoint import LambdaEndpoint, lambda_endpoint

ARN = "arn:aws:lambda:us-east-1:000000000000:function"
WHERE = """
import os, pathlib, time
KIND = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
def handler(event, context):
    if event:
        pathlib.Path(event, KIND).touch()
        while not pathlib.Path(event, "go").exists():
            time.sleep(0.005)
    return KIND
"""
_names = (f"fn-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaEndpoint]:
    with lambda_endpoint(tmp_path_factory.mktemp("lambda")) as served:
        yield served


@pytest.fixture
def name(endpoint: LambdaEndpoint) -> Iterator[str]:
    name = next(_names)
    endpoint.create(name, WHERE, Publish=True)
    yield name
    endpoint.client.delete_function(FunctionName=name)


def kind(endpoint: LambdaEndpoint, name: str, event: str | None = None, **more: Any) -> str:
    response = endpoint.client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **more)
    assert "FunctionError" not in response, response["Payload"].read()
    return str(json.loads(response["Payload"].read()))


def wait(condition: Any) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def status(endpoint: LambdaEndpoint, name: str, qualifier: str) -> str:
    found = endpoint.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
    return str(found["Status"])


def test_reserved_concurrency_is_put_read_and_deleted(endpoint: LambdaEndpoint, name: str) -> None:
    """fact 8.1"""
    client = endpoint.client
    for reserved in (0, 1):
        put = client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
        assert put["ReservedConcurrentExecutions"] == reserved
    assert client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 1
    assert client.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 1}
    deleted = client.delete_function_concurrency(FunctionName=name)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=name)


def test_a_reservation_of_zero_stops_a_running_function_from_being_invoked_at_once(
    endpoint: LambdaEndpoint, name: str
) -> None:
    """facts 8.1, 8.6"""
    assert kind(endpoint, name) == "on-demand"
    endpoint.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(endpoint.client.exceptions.TooManyRequestsException) as raised:
        endpoint.client.invoke(FunctionName=name)
    response = raised.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert (response["Error"]["Code"], response["Error"]["Message"]) == ("TooManyRequestsException", "Rate Exceeded.")
    assert (response["Reason"], response["Type"]) == ("ReservedFunctionConcurrentInvocationLimitExceeded", "User")
    endpoint.client.delete_function_concurrency(FunctionName=name)
    assert kind(endpoint, name) == "on-demand"


@pytest.mark.parametrize(
    ("target", "reserved", "status_", "code", "message"),
    [
        ("absent", 1, 404, "ResourceNotFoundException", f"Function not found: {ARN}:absent:$LATEST"),
        ("{name}:1", 1, 400, "InvalidParameterValueException", "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN."),
        ("{name}", 901, 400, "InvalidParameterValueException", "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."),
        ("{name}", 1_001, 400, "InvalidParameterValueException", "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."),
    ],
)  # fmt: skip
def test_a_reservation_that_aws_refuses_is_refused_in_its_words(
    endpoint: LambdaEndpoint, name: str, target: str, reserved: int, status_: int, code: str, message: str
) -> None:
    """fact 8.1"""
    asked = {"FunctionName": target.format(name=name), "ReservedConcurrentExecutions": reserved}
    assert endpoint.refused("put_function_concurrency", **asked) == (status_, code, message)


def test_provisioned_concurrency_is_ready_before_it_is_invoked_and_the_rest_spills_over(
    endpoint: LambdaEndpoint, name: str, tmp_path: Path
) -> None:
    """facts 8.4, 11.21"""
    put = endpoint.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1
    )
    assert (put["ResponseMetadata"]["HTTPStatusCode"], put["Status"]) == (202, "IN_PROGRESS")
    assert put["RequestedProvisionedConcurrentExecutions"] == 1
    wait(lambda: status(endpoint, name, "1") == "READY")
    counters = endpoint.ask(lambda service: service.counters(name))
    assert (counters.invocations, len(endpoint.ask(lambda service: service.pids(name)))) == (0, 1)
    first = threading.Thread(target=kind, args=(endpoint, name, str(tmp_path)), kwargs={"Qualifier": "1"})
    first.start()
    wait((tmp_path / "provisioned-concurrency").exists)
    assert kind(endpoint, name, Qualifier="1") == "on-demand"
    assert kind(endpoint, name) == "on-demand"
    (tmp_path / "go").touch()
    first.join(LIMIT_S)
    assert (counters.provisioned_invocations, counters.spillover_invocations) == (1, 1)
    report = next(line for line in endpoint.ask(lambda service: service.log_lines(name)) if line.startswith("REPORT"))
    assert "Init Duration" in report  # the first to end was on demand, and cold


def test_latest_is_throttled_when_the_whole_reservation_is_provisioned(endpoint: LambdaEndpoint, name: str) -> None:
    """facts 8.4, 8.6"""
    client = endpoint.client
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    client.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    wait(lambda: status(endpoint, name, "1") == "READY")
    assert endpoint.refused("invoke", FunctionName=name)[:2] == (429, "TooManyRequestsException")
    assert kind(endpoint, name, Qualifier="1") == "provisioned-concurrency"
    assert endpoint.refused("put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=0)[2] == (
        " ReservedConcurrentExecutions  0 should not be lower than function's total provisioned concurrency [1]."
    )
    too_much = {"FunctionName": name, "Qualifier": "1", "ProvisionedConcurrentExecutions": 2}
    assert endpoint.refused("put_provisioned_concurrency_config", **too_much)[2] == (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )
    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert kind(endpoint, name) == "on-demand"


def test_provisioned_concurrency_of_an_alias_follows_it_to_another_version(endpoint: LambdaEndpoint, name: str) -> None:
    """fact 8.4"""
    client = endpoint.client
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    config = {"FunctionName": name, "ProvisionedConcurrentExecutions": 1}
    client.put_provisioned_concurrency_config(**config, Qualifier="live")
    wait(lambda: status(endpoint, name, "live") == "READY")
    assert kind(endpoint, name, Qualifier="live") == "provisioned-concurrency"
    assert endpoint.refused("put_provisioned_concurrency_config", **config, Qualifier="1") == (
        409,
        "ResourceConflictException",
        "Version is pointed by a Provisioned Concurrency alias",
    )
    client.update_function_configuration(FunctionName=name, Description="another")
    client.publish_version(FunctionName=name)
    client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    wait(lambda: status(endpoint, name, "live") == "READY")
    assert kind(endpoint, name, Qualifier="live") == "provisioned-concurrency"
    assert kind(endpoint, name, Qualifier="1") == "on-demand"
    listed = client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert [each["FunctionArn"] for each in listed] == [f"{ARN}:{name}:live"]
    client.delete_alias(FunctionName=name, Name="live")
    assert client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"] == []


def test_an_alias_of_a_provisioned_version_cannot_have_its_own(endpoint: LambdaEndpoint, name: str) -> None:
    """fact 8.4"""
    endpoint.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    config = {"FunctionName": name, "ProvisionedConcurrentExecutions": 1}
    endpoint.client.put_provisioned_concurrency_config(**config, Qualifier="1")
    assert endpoint.refused("put_provisioned_concurrency_config", **config, Qualifier="live") == (
        409,
        "ResourceConflictException",
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
    )


@pytest.mark.parametrize(
    ("operation", "arguments", "status_", "code", "message"),
    [
        ("get", {"Qualifier": "1"}, 404, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function"),
        ("get", {"FunctionName": "absent", "Qualifier": "noalias"}, 404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}:absent:noalias"),
        ("get", {"Qualifier": "noalias"}, 404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}:{{name}}:noalias"),
        ("get", {"Qualifier": "10"}, 404, "ResourceNotFoundException", f"Function not found: {ARN}:{{name}}:10"),
        ("get", {"Qualifier": "$LATEST"}, 400, "InvalidParameterValueException", "The function resource provided must be an alias or a published version."),
        ("delete", {"FunctionName": "absent", "Qualifier": "1"}, 404, "ResourceNotFoundException", f"Function not found: {ARN}:absent:1"),
        ("delete", {"Qualifier": "$LATEST"}, 400, "InvalidParameterValueException", "The function resource provided must be an alias or a published version."),
        ("put", {"Qualifier": "$LATEST", "ProvisionedConcurrentExecutions": 1}, 400, "InvalidParameterValueException", "Provisioned Concurrency Configs cannot be applied to unpublished function versions."),
        ("put", {"FunctionName": "absent", "Qualifier": "noalias", "ProvisionedConcurrentExecutions": 1}, 404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}:absent:noalias"),
        ("put", {"Qualifier": "10", "ProvisionedConcurrentExecutions": 1}, 404, "ResourceNotFoundException", f"Function not found: {ARN}:{{name}}:10"),
        ("put", {"Qualifier": "1", "ProvisionedConcurrentExecutions": 1_001}, 400, "InvalidParameterValueException", "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."),
        ("put", {"Qualifier": "1", "ProvisionedConcurrentExecutions": 901}, 400, "InvalidParameterValueException", "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."),
    ],
)  # fmt: skip
def test_what_aws_refuses_of_provisioned_concurrency_is_refused_in_its_words(
    endpoint: LambdaEndpoint,
    name: str,
    operation: str,
    arguments: dict[str, Any],
    status_: int,
    code: str,
    message: str,
) -> None:
    """fact 8.4: never on $LATEST"""
    answer = endpoint.refused(f"{operation}_provisioned_concurrency_config", **{"FunctionName": name, **arguments})
    assert answer == (status_, code, message.format(name=name))


def test_provisioned_concurrency_whose_init_fails_is_failed_and_says_why_once(
    endpoint: LambdaEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    name = next(_names)
    endpoint.create(name, "\nimport no_such_module", Publish=True)
    endpoint.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2
    )
    wait(lambda: status(endpoint, name, "1") == "FAILED")
    wait(lambda: endpoint.ask(lambda service: service.pids(name)) == [])
    found = endpoint.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert (found["StatusReason"], found["AvailableProvisionedConcurrentExecutions"]) == (
        "FUNCTION_ERROR_INIT_FAILURE",
        0,
    )
    messages = [record.getMessage() for record in caplog.records if record.name == "infra.functions"]
    assert len(messages) == 1
    assert "app.py:2: Runtime.ImportModuleError" in messages[0]
    endpoint.client.delete_function(FunctionName=name)
