"""Functions made, changed, published and deleted by an unmodified boto3, and what AWS refuses of it."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.function_code import UNZIPPED_BYTES_MAX
from infra.local.functions import FunctionService
from infra.model.function import Succeeded
from tests.support.function_service import ACCOUNT, LIMIT_S, REGION, blueprint
from tests.support.lambda_endpoint import LambdaEndpoint, lambda_endpoint, zipped

ARN = "arn:aws:lambda:us-east-1:000000000000:function"
WHO = """
import os
def handler(event, context):
    return {"arn": context.invoked_function_arn, "version": context.function_version, "say": os.environ.get("SAY"),
            "code": "%s", "memory": context.memory_limit_in_mb, "left_s": context.get_remaining_time_in_millis() / 1000}
"""
_names = (f"fn-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaEndpoint]:
    with lambda_endpoint(tmp_path_factory.mktemp("lambda")) as served:
        yield served


@pytest.fixture
def name() -> str:
    return next(_names)


def call(endpoint: LambdaEndpoint, name: str, event: Any = None, **more: Any) -> Any:
    response = endpoint.client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **more)
    assert "FunctionError" not in response, response["Payload"].read()
    return json.loads(response["Payload"].read())


def wait(condition: Any) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_function_is_created_invoked_and_described(endpoint: LambdaEndpoint, name: str) -> None:
    made = endpoint.create(name, WHO % "first", Environment={"Variables": {"SAY": "hello"}}, Timeout=7, MemorySize=256)
    assert (made["ResponseMetadata"]["HTTPStatusCode"], made["State"]) == (201, "Pending")
    endpoint.client.get_waiter("function_active_v2").wait(FunctionName=name)
    seen = call(endpoint, name)
    assert (seen["arn"], seen["version"], seen["say"], seen["code"]) == (f"{ARN}:{name}", "$LATEST", "hello", "first")
    assert seen["memory"] == "256"
    assert 6 < seen["left_s"] <= 7
    shown = endpoint.client.get_function(FunctionName=name)["Configuration"]
    assert shown["CodeSha256"] == made["CodeSha256"]
    assert (shown["State"], shown["LastUpdateStatus"], shown["Timeout"]) == ("Active", "Successful", 7)
    listed = [each["FunctionName"] for each in endpoint.client.list_functions()["Functions"]]
    assert name in listed
    assert endpoint.refused("create_function", **_plain(name)) == (
        409,
        "ResourceConflictException",
        f"Function already exist: {name}",
    )


def _plain(name: str, **changes: Any) -> dict[str, Any]:
    role = "arn:aws:iam::000000000000:role/r"
    code = {"ZipFile": zipped({"app.py": ""})}
    return {"FunctionName": name, "Runtime": "python3.13", "Role": role, "Handler": "a.b", "Code": code, **changes}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"Runtime": "nodejs22.x"}, "InvalidParameterValueException", "Value nodejs22.x at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: ["),
        ({"Runtime": "PYTHON3.13"}, "InvalidParameterValueException", "Value PYTHON3.13 at 'runtime' failed"),
        ({"Timeout": 901}, "ValidationException", "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900"),
        ({"MemorySize": 10_241}, "ValidationException", "Value '10241' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 10240"),
        ({"EphemeralStorage": {"Size": 10_241}}, "ValidationException", "'size'"),
        ({"Timeout": 901, "MemorySize": 10_241}, "ValidationException", "2 validation errors detected: "),
        ({"Role": "r1"}, "ValidationException", "1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:"),
        ({"Architectures": ["x86_64", "arm64"]}, "ValidationException", "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1"),
        ({"Architectures": ["X86_64"]}, "ValidationException", "Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"),
        ({"Handler": "with blank"}, "ValidationException", "'handler'"),
        ({"FunctionName": "invalid:function:name"}, "ValidationException", "Value 'invalid:function:name' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:"),
        ({"FunctionName": "fn:live"}, "InvalidParameterValueException", "has a qualifier"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "Reserved keys used in this request: AWS_REGION"),
        ({"Environment": {"Variables": {"LARGE": "x" * 4_096}}}, "InvalidParameterValueException", "exceeded the 4KB limit. String measured: {\"LARGE\":\"xxx"),
        ({"Environment": {"Variables": {"1A": "x"}}}, "ValidationException", "'environment.variables'"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again."),
        ({"Code": {"S3Bucket": "b12", "S3Key": "k"}}, "InvalidParameterValueException", "Code other than ZipFile is not reproduced"),
        ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]}, "InvalidParameterValueException", "Layers is not reproduced"),
        ({"VpcConfig": {"SubnetIds": ["s"]}}, "InvalidParameterValueException", "VpcConfig is not reproduced"),
        ({"PackageType": "Image"}, "InvalidParameterValueException", "PackageType Image is not reproduced"),
    ],
)  # fmt: skip
def test_what_aws_refuses_at_creation_is_refused_in_its_words(
    endpoint: LambdaEndpoint, name: str, changes: dict[str, Any], code: str, words: str
) -> None:
    """fact 11.14: timeout, memory, /tmp and environment have AWS's limits"""
    status, kind, message = endpoint.refused("create_function", **_plain(name, **changes))
    assert (status, kind) == (400, code)
    assert words in message
    assert endpoint.refused("get_function", FunctionName=name)[0] == 404


def test_a_change_of_the_configuration_is_seen_by_the_next_invocation_and_only_by_latest(
    endpoint: LambdaEndpoint, name: str
) -> None:
    """fact 11.18: the ARN keeps its qualifier"""
    endpoint.create(name, WHO % "first", Environment={"Variables": {"SAY": "one"}})
    assert call(endpoint, name)["say"] == "one"
    published = endpoint.client.publish_version(FunctionName=name)
    assert (published["Version"], published["FunctionArn"]) == ("1", f"{ARN}:{name}:1")
    updated = endpoint.client.update_function_configuration(
        FunctionName=name, Timeout=9, Environment={"Variables": {"SAY": "two"}}
    )
    assert (updated["LastUpdateStatus"], updated["MemorySize"]) == ("InProgress", 128)
    endpoint.client.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert call(endpoint, name)["say"] == "two"
    old = call(endpoint, name, Qualifier="1")
    assert (old["say"], old["version"], old["arn"]) == ("one", "1", f"{ARN}:{name}:1")
    assert endpoint.client.invoke(FunctionName=f"{name}:1")["ExecutedVersion"] == "1"
    lines = endpoint.ask(lambda service: service.log_lines(name))
    assert {line.partition("Version: ")[2] for line in lines if line.startswith("START")} == {"$LATEST", "1"}


def test_new_code_runs_in_new_processes_and_what_runs_ends_with_the_old(endpoint: LambdaEndpoint, name: str) -> None:
    slow = "import time\ndef handler(event, context):\n    print('begun', flush=True)\n    time.sleep(event)\n    return 'old'"
    endpoint.create(name, slow)
    request = {"FunctionName": name, "Payload": b"0.5"}
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(endpoint.client.invoke(**request)["Payload"].read()))
    thread.start()
    wait(lambda: "begun" in endpoint.ask(lambda service: service.log_lines(name)))
    before = endpoint.client.get_function_configuration(FunctionName=name)
    updated = endpoint.client.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": WHO % "second"}))
    assert updated["CodeSha256"] != before["CodeSha256"]
    assert call(endpoint, name)["code"] == "second"
    thread.join(LIMIT_S)
    assert answers == [b'"old"']
    code = endpoint.ask(lambda service: service.surroundings.code_dir) / name
    wait(lambda: len(list(code.iterdir())) == 1)  # the old code is gone
    wait(lambda: len(endpoint.ask(lambda service: service.pids(name))) == 1)


def test_a_version_is_published_only_when_something_has_changed(endpoint: LambdaEndpoint, name: str) -> None:
    made = endpoint.create(name, Publish=True)
    assert (made["Version"], made["FunctionArn"]) == ("1", f"{ARN}:{name}:1")
    assert endpoint.client.publish_version(FunctionName=name)["Version"] == "1"
    endpoint.client.update_function_configuration(FunctionName=name, Description="changed")
    assert endpoint.client.publish_version(FunctionName=name)["Version"] == "2"
    versions = endpoint.client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1", "2"]
    current = made["CodeSha256"]
    assert endpoint.refused("publish_version", FunctionName=name, CodeSha256="other")[2] == (
        f"CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({current}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )
    assert endpoint.refused("publish_version", FunctionName=name, RevisionId="wrong")[:2] == (
        412,
        "PreconditionFailedException",
    )
    endpoint.client.delete_function(FunctionName=name, Qualifier="1")
    versions = endpoint.client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "2"]
    assert endpoint.refused("delete_function", FunctionName=name, Qualifier="$LATEST")[2] == (
        "$LATEST version cannot be deleted without deleting the function."
    )


def test_an_alias_names_a_version_and_the_function_sees_the_alias(endpoint: LambdaEndpoint, name: str) -> None:
    """fact 11.18"""
    endpoint.create(name, WHO % "first", Publish=True)
    made = endpoint.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert (made["AliasArn"], made["FunctionVersion"]) == (f"{ARN}:{name}:live", "1")
    seen = call(endpoint, f"{ARN}:{name}:live")
    assert (seen["arn"], seen["version"]) == (f"{ARN}:{name}:live", "1")
    outcome = asyncio.run_coroutine_threadsafe(
        endpoint.service.invoke(f"{ARN}:{name}:live", b"1", request_id="r"), endpoint.loop
    ).result(LIMIT_S)
    assert isinstance(outcome, Succeeded)
    assert outcome.version == "1"
    endpoint.client.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": WHO % "second"}), Publish=True)
    assert call(endpoint, name, Qualifier="live")["code"] == "first"
    endpoint.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert call(endpoint, name, Qualifier="live")["code"] == "second"
    assert endpoint.client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "2"
    listed = endpoint.client.list_aliases(FunctionName=name)["Aliases"]
    assert [alias["Name"] for alias in listed] == ["live"]
    assert endpoint.refused("delete_function", FunctionName=name, Qualifier="2")[1] == "ResourceConflictException"
    endpoint.client.delete_alias(FunctionName=name, Name="live")
    endpoint.client.delete_alias(FunctionName=name, Name="live")
    assert endpoint.refused("get_alias", FunctionName=name, Name="live") == (
        404,
        "ResourceNotFoundException",
        f"Cannot find alias arn: {ARN}:{name}:live",
    )
    assert endpoint.refused("invoke", FunctionName=name, Qualifier="live")[2] == (
        f"Function not found: {ARN}:{name}:live"
    )


def test_a_weighted_alias_shares_its_invocations(endpoint: LambdaEndpoint, name: str) -> None:
    endpoint.create(name, WHO % "first", Publish=True)
    endpoint.client.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": WHO % "second"}), Publish=True)
    weights = {"AdditionalVersionWeights": {"2": 1.0}}
    made = endpoint.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig=weights)
    assert made["RoutingConfig"] == weights
    assert call(endpoint, name, Qualifier="live")["code"] == "second"
    endpoint.client.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.0}})
    assert call(endpoint, name, Qualifier="live")["code"] == "first"


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"Name": "2024", "FunctionVersion": "1"}, 400, "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"),
        ({"Name": "taken", "FunctionVersion": "1"}, 409, "Alias already exists: arn:aws:lambda:"),
        ({"Name": "a", "FunctionVersion": "10"}, 404, "Function not found: "),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}, 400, "Invalid function version 1. Function version 1 is already included in routing configuration."),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1, "2": 0.1}}}, 400, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ({"Name": "a", "FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}, 400, "$LATEST is not supported for an alias pointing to more than 1 version"),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 2.0}}}, 400, "Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0"),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.5}}}, 400, "Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map keys must"),
    ],
)  # fmt: skip
def test_what_aws_refuses_of_an_alias_is_refused_in_its_words(
    endpoint: LambdaEndpoint, name: str, request_: dict[str, Any], status: int, words: str
) -> None:
    endpoint.create(name, Publish=True)
    endpoint.client.create_alias(FunctionName=name, Name="taken", FunctionVersion="1")
    answered, _, message = endpoint.refused("create_alias", FunctionName=name, **request_)
    assert answered == status
    assert words in message
    missing = endpoint.refused("update_alias", FunctionName=name, Name="gone", FunctionVersion="1")
    assert missing == (404, "ResourceNotFoundException", f"Alias not found: {ARN}:{name}:gone")


def test_a_deleted_function_is_gone_with_its_code_and_processes_and_its_name_is_free(
    endpoint: LambdaEndpoint, name: str
) -> None:
    endpoint.create(name, WHO % "first")
    call(endpoint, name)
    (pid,) = endpoint.ask(lambda service: service.pids(name))
    endpoint.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=800)
    assert endpoint.client.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    gone = (404, "ResourceNotFoundException", f"Function not found: {ARN}:{name}")
    assert endpoint.refused("get_function", FunctionName=name) == gone
    assert endpoint.refused("delete_function", FunctionName=name) == gone
    assert endpoint.refused("invoke", FunctionName=name) == gone
    endpoint.create(name, WHO % "another")
    assert call(endpoint, name)["code"] == "another"
    assert endpoint.client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions") is None
    wait(lambda: pid not in endpoint.ask(lambda service: service.pids(name)))
    code = endpoint.ask(lambda service: service.surroundings.code_dir) / name
    wait(lambda: len(list(code.iterdir())) == 1)
    assert call(endpoint, name)["code"] == "another"


def test_of_creations_at_the_same_time_one_wins_and_the_others_leave_no_code(
    endpoint: LambdaEndpoint, name: str
) -> None:
    statuses: list[int] = []

    def create() -> None:
        try:
            statuses.append(endpoint.create(name)["ResponseMetadata"]["HTTPStatusCode"])
        except endpoint.client.exceptions.ResourceConflictException:
            statuses.append(409)

    threads = [threading.Thread(target=create) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert sorted(statuses) == [201, 409, 409, 409, 409]
    code = endpoint.ask(lambda service: service.surroundings.code_dir) / name
    assert len(list(code.iterdir())) == 1


def test_what_runs_when_its_function_is_deleted_ends_by_itself(endpoint: LambdaEndpoint, name: str) -> None:
    slow = "import time\ndef handler(event, context):\n    print('begun', flush=True)\n    time.sleep(0.3)\n    return 'done'"
    endpoint.create(name, slow)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(call(endpoint, name)))
    thread.start()
    wait(lambda: "begun" in endpoint.ask(lambda service: service.log_lines(name)))
    endpoint.client.delete_function(FunctionName=name)
    assert endpoint.refused("invoke", FunctionName=name)[0] == 404
    thread.join(LIMIT_S)
    assert answers == ["done"]
    wait(lambda: not endpoint.ask(lambda service: name in service.account))
    environments = endpoint.ask(lambda service: service.surroundings.data_dir) / "environments" / name
    assert list(environments.iterdir()) == []


def test_an_event_to_an_alias_is_run_by_its_version(endpoint: LambdaEndpoint, name: str) -> None:
    endpoint.create(name, "def handler(event, context): print('ran', context.function_version)", Publish=True)
    endpoint.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    accepted = endpoint.client.invoke(FunctionName=name, Qualifier="live", InvocationType="Event", Payload=b"1")
    assert accepted["StatusCode"] == 202
    wait(lambda: "ran 1" in endpoint.ask(lambda service: service.log_lines(name)))


def test_operations_that_are_not_served_say_so(endpoint: LambdaEndpoint, name: str) -> None:
    endpoint.create(name)
    status, code, message = endpoint.refused(
        "add_permission",
        FunctionName=name,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    assert (status, code) == (501, "NotImplementedException")
    assert "is not served by the local stack" in message


def test_lists_come_in_pages(endpoint: LambdaEndpoint) -> None:
    for _ in range(3):
        endpoint.create(next(_names))
    pages = list(endpoint.client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) > 1
    found = [each["FunctionName"] for page in pages for each in page["Functions"]]
    assert sorted(set(found)) == sorted(found) == endpoint.ask(lambda service: sorted(service.names))
    assert endpoint.refused("list_functions", FunctionVersion="invalid")[2].endswith("enum value set: [ALL]")


def test_the_accounts_limits_and_use_are_told(endpoint: LambdaEndpoint, name: str) -> None:
    """fact 8.1"""
    before = endpoint.client.get_account_settings()
    endpoint.create(name)
    endpoint.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=10)
    after = endpoint.client.get_account_settings()
    assert after["AccountLimit"]["ConcurrentExecutions"] == 1_000
    unreserved = "UnreservedConcurrentExecutions"
    assert before["AccountLimit"][unreserved] - after["AccountLimit"][unreserved] == 10
    assert after["AccountUsage"]["FunctionCount"] == before["AccountUsage"]["FunctionCount"] + 1
    assert after["AccountLimit"]["CodeSizeUnzipped"] == UNZIPPED_BYTES_MAX
    endpoint.client.delete_function(FunctionName=name)


def test_functions_made_through_the_api_are_there_again_after_a_restart(tmp_path: Path) -> None:
    with lambda_endpoint(tmp_path) as first:
        first.create("fn", WHO % "first", Publish=True, Tags={"a": "b"}, Environment={"Variables": {"SAY": "hello"}})
        first.client.update_function_code(FunctionName="fn", ZipFile=zipped({"app.py": WHO % "second"}))
        first.client.create_alias(FunctionName="fn", Name="live", FunctionVersion="1")
        first.client.put_provisioned_concurrency_config(
            FunctionName="fn", Qualifier="live", ProvisionedConcurrentExecutions=1
        )
        first.client.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=3)
        first.create("gone")
        first.client.delete_function(FunctionName="gone")
        before = first.client.get_function(FunctionName="fn")
        assert call(first, "fn")["code"] == "second"
    with lambda_endpoint(tmp_path) as second:
        after = second.client.get_function(FunctionName="fn")
        for part in ("Configuration", "Code", "Concurrency", "Tags"):
            assert after[part] == before[part]
        assert [each["FunctionName"] for each in second.client.list_functions()["Functions"]] == ["fn"]
        assert call(second, "fn")["code"] == "second"
        old = call(second, "fn", Qualifier="live")
        assert (old["code"], old["version"], old["say"]) == ("first", "1", "hello")
        wait(lambda: second.service.hosts["fn"].machine("1") is not None)
        config = {"FunctionName": "fn", "Qualifier": "live"}
        wait(lambda: second.client.get_provisioned_concurrency_config(**config)["Status"] == "READY")
        second.client.update_function_configuration(FunctionName="fn", Description="changed")
        assert second.client.publish_version(FunctionName="fn")["Version"] == "2"


def test_a_function_of_the_template_takes_the_place_of_one_of_that_name_from_an_earlier_run(tmp_path: Path) -> None:
    with lambda_endpoint(tmp_path) as first:
        first.create("fn", WHO % "of the api")
        first.client.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=900)
    service = FunctionService(ACCOUNT, REGION, tmp_path / "data")
    service.add(blueprint(reserved_concurrency=5), task_root=tmp_path, environment={})
    assert service.account.reserved("fn") == 5
    assert service.hosts["fn"].record.latest.code == str(tmp_path)
    service.keep()
    assert FunctionService(ACCOUNT, REGION, tmp_path / "data").names == ()


@pytest.mark.parametrize("kept", ["", "{", "[1]", '[{"record": {"latest": {}}, "reserved": null}]', '{"a": 1}'])
def test_kept_functions_that_cannot_be_read_are_told_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: str
) -> None:
    (tmp_path / "functions-of-the-api.json").write_text(kept)
    assert FunctionService(ACCOUNT, REGION, tmp_path).names == ()
    assert "functions of an earlier run are lost" in caplog.text
