"""Tags of functions, and Invoke's arguments, by an unmodified boto3: what is kept, and what AWS refuses."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from infra.model.function.tags import RESOURCE
from tests.support.lambda_endpoint import LambdaEndpoint, lambda_endpoint

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"
AT = "failed to satisfy constraint: Member must"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaEndpoint]:
    with lambda_endpoint(tmp_path_factory.mktemp("lambda")) as served:
        served.create("fn", "def handler(event, context): print('x' * 5000 + 'the end'); return event", Tags={"A": "1"})
        yield served


def tags(endpoint: LambdaEndpoint) -> Any:
    return endpoint.client.list_tags(Resource=ARN)["Tags"]


def test_tags_are_added_put_over_and_taken_away(endpoint: LambdaEndpoint) -> None:
    assert tags(endpoint) == {"A": "1"}
    answer = endpoint.client.tag_resource(Resource=ARN, Tags={"A": "2", "B": "3", "C": "4"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert endpoint.client.get_function(FunctionName="fn")["Tags"] == {"A": "2", "B": "3", "C": "4"}
    endpoint.client.untag_resource(Resource=ARN, TagKeys=["A", "C", "none"])
    assert tags(endpoint) == {"B": "3"}


@pytest.mark.parametrize(
    ("operation", "arguments", "told"),
    [
        ("list_tags", {"Resource": ARN + "-2"}, (404, "ResourceNotFoundException", f"Function not found: {ARN}-2")),
        (
            "tag_resource",
            {"Resource": ARN + ":$LATEST", "Tags": {"a": "b"}},
            (
                400,
                "InvalidParameterValueException",
                "Tags on function aliases and versions are not supported. Please specify a function ARN.",
            ),
        ),
        (
            "tag_resource",
            {"Resource": "arn:aws:something", "Tags": {"a": "b"}},
            (
                400,
                "ValidationException",
                f"1 validation error detected: Value 'arn:aws:something' at 'resource' {AT} satisfy regular expression "
                f"pattern: {RESOURCE.pattern}",
            ),
        ),
        (
            "tag_resource",
            {"Resource": ARN, "Tags": {}},
            (400, "InvalidParameterValueException", "An error occurred and the request cannot be processed."),
        ),
        (
            "untag_resource",
            {"Resource": ARN, "TagKeys": []},
            (
                400,
                "ValidationException",
                f"1 validation error detected: Value null at 'tagKeys' {AT} not be null",
            ),
        ),
        (
            "tag_resource",
            {"Resource": ARN, "Tags": {str(number): "" for number in range(51)}},
            (400, "InvalidParameterValueException", "Number of tags exceeds resource tag limit."),
        ),
    ],
)
def test_what_cannot_be_tagged(
    endpoint: LambdaEndpoint, operation: str, arguments: dict[str, Any], told: tuple[int, str, str]
) -> None:
    """Recorded from AWS."""
    assert endpoint.refused(operation, **arguments) == told


def test_a_tail_is_the_last_four_kilobytes_of_the_log(endpoint: LambdaEndpoint) -> None:
    answer = endpoint.client.invoke(FunctionName="fn", LogType="Tail", Payload=b"1")
    log = base64.b64decode(answer["LogResult"])
    assert len(log) <= 4_096
    assert b"the end\n" in log
    assert b"REPORT RequestId: " in log
    assert "LogResult" not in endpoint.client.invoke(FunctionName="fn", LogType="None", Payload=b"1")


def test_an_invocation_of_another_kind_is_refused_with_all_that_is_wrong(endpoint: LambdaEndpoint) -> None:
    assert endpoint.refused("invoke", FunctionName="fn", LogType="Head", InvocationType="Later") == (
        400,
        "ValidationException",
        f"2 validation errors detected: Value 'Later' at 'invocationType' {AT} satisfy enum value set: [Event, "
        f"RequestResponse, DryRun]; Value 'Head' at 'logType' {AT} satisfy enum value set: [None, Tail]",
    )


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("add_permission", {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"}),
        ("create_function_url_config", {"AuthType": "NONE"}),
        ("put_function_event_invoke_config", {"MaximumRetryAttempts": 1}),
    ],
)
def test_an_operation_that_is_not_here_says_so_without_being_asked_again(
    endpoint: LambdaEndpoint, operation: str, arguments: dict[str, Any]
) -> None:
    status, code, message = endpoint.refused(operation, FunctionName="fn", **arguments)
    assert (status, code) == (501, "NotImplementedException")
    assert "is not served by the local stack" in message


def test_whoever_asks_for_everything_about_a_function_is_told_what_it_does_not_have(endpoint: LambdaEndpoint) -> None:
    nothing = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
    assert endpoint.refused("get_policy", FunctionName="fn") == nothing
    assert endpoint.refused("get_function_url_config", FunctionName="fn") == nothing
    assert endpoint.refused("get_function_event_invoke_config", FunctionName="fn") == (
        404,
        "ResourceNotFoundException",
        f"The function {ARN}:$LATEST doesn't have an EventInvokeConfig",
    )
    assert endpoint.client.list_function_url_configs(FunctionName="fn")["FunctionUrlConfigs"] == []
    assert "CodeSigningConfigArn" not in endpoint.client.get_function_code_signing_config(FunctionName="fn")
    assert endpoint.client.get_function_recursion_config(FunctionName="fn")["RecursiveLoop"] == "Terminate"
    assert endpoint.client.get_runtime_management_config(FunctionName="fn")["UpdateRuntimeOn"] == "Auto"
    for operation in ("get_policy", "get_function_code_signing_config", "get_runtime_management_config"):
        told = (404, "ResourceNotFoundException", f"Function not found: {ARN}-2")
        assert endpoint.refused(operation, FunctionName="fn-2") == told


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        (
            "list_functions",
            {"MaxItems": 10_002},
            f"Value '10002' at 'maxItems' {AT} have value less than or equal to 10000",
        ),
        (
            "list_aliases",
            {"FunctionName": "fn", "MaxItems": 10_001},
            f"Value '10001' at 'maxItems' {AT} have value less than or equal to 10000",
        ),
        (
            "get_function",
            {"FunctionName": "fn", "Qualifier": "which?"},
            f"Value 'which?' at 'qualifier' {AT} satisfy regular expression pattern: "
            r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
        ),
    ],
)
def test_what_does_not_fit_the_shape_of_a_request(
    endpoint: LambdaEndpoint, operation: str, arguments: dict[str, Any], message: str
) -> None:
    told = (400, "ValidationException", f"1 validation error detected: {message}")
    assert endpoint.refused(operation, **arguments) == told


def test_aliases_are_listed_in_pages(endpoint: LambdaEndpoint) -> None:
    endpoint.client.publish_version(FunctionName="fn")
    for name in ("a", "b", "c"):
        endpoint.client.create_alias(FunctionName="fn", Name=name, FunctionVersion="1")
    pages = endpoint.client.get_paginator("list_aliases").paginate(FunctionName="fn", PaginationConfig={"PageSize": 2})
    assert [[alias["Name"] for alias in page["Aliases"]] for page in pages] == [["a", "b"], ["c"]]
