"""/2015-03-31/functions as boto3 and the aws CLI ask for it."""

import asyncio
import base64
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.local import function_names
from infra.local.functions import FunctionService
from infra.local.http import Request, Response
from infra.model.function.refusals import RefusedError
from tests.support.function_service import REGION, run, until

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"
ECHO = """
def handler(event, context):
    print("hello from", context.invoked_function_arn)
    if event == "raise": raise ValueError("asked to")
    client = context.client_context
    return {"event": event, "arn": context.invoked_function_arn, "custom": client.custom if client else None}
"""


async def ask(
    service: FunctionService,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Response:
    return await service.handle(Request(method, f"/2015-03-31/functions{path}", query or {}, headers or {}, body))


async def invoke(service: FunctionService, body: Any = None, name: str = "fn", **headers: str) -> Response:
    named = {f"x-amz-{key.replace('_', '-')}": value for key, value in headers.items()}
    return await ask(service, "POST", f"/{name}/invocations", json.dumps(body).encode(), named)


def error(response: Response) -> tuple[int, str]:
    assert json.loads(response.body)["message"]
    return response.status, response.headers["x-amzn-errortype"]


def test_functions_are_listed_and_described(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        (listed,) = json.loads((await ask(service, "GET", "/")).body)["Functions"]
        assert (listed["FunctionName"], listed["FunctionArn"], listed["Timeout"]) == ("fn", ARN, 20)
        whole = json.loads((await ask(service, "GET", "/fn")).body)
        assert whole["Configuration"] == {**listed, "State": "Active", "LastUpdateStatus": "Successful"}
        assert whole["Concurrency"] == {"ReservedConcurrentExecutions": 5}
        assert json.loads((await ask(service, "GET", f"/{ARN}/configuration")).body) == whole["Configuration"]
        concurrency = await service.handle(Request("GET", "/2019-09-30/functions/fn/concurrency", {}, {}, b""))
        assert json.loads(concurrency.body) == {"ReservedConcurrentExecutions": 5}
        assert listed["Environment"] == {"Variables": {"A": "1"}}

    run(tmp_path, ECHO, scenario, reserved_concurrency=5, template_environment={"A": "1"})


def test_an_invocation_answers_with_the_result_the_version_and_a_request_id(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        response = await invoke(service, {"a": 1})
        assert response.status == 200
        assert json.loads(response.body)["event"] == {"a": 1}
        assert response.headers["x-amz-executed-version"] == "$LATEST"
        assert len(response.headers["x-amzn-requestid"]) == 36
        assert "x-amz-function-error" not in response.headers
        assert "x-amz-log-result" not in response.headers

    run(tmp_path, ECHO, scenario)


def test_a_function_error_is_200_with_its_header_and_document(tmp_path: Path) -> None:
    """fact 4.6: Unhandled"""

    async def scenario(service: FunctionService) -> None:
        response = await invoke(service, "raise")
        assert (response.status, response.headers["x-amz-function-error"]) == (200, "Unhandled")
        assert json.loads(response.body)["errorMessage"] == "asked to"

    run(tmp_path, ECHO, scenario)


def test_the_log_tail_is_of_this_invocation_alone(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        await invoke(service, 1)
        response = await invoke(service, 2, log_type="Tail")
        lines = base64.b64decode(response.headers["x-amz-log-result"]).decode().splitlines()
        assert [line.split()[0] for line in lines] == ["START", "hello", "END", "REPORT"]
        assert response.headers["x-amzn-requestid"] in lines[0]

    run(tmp_path, ECHO, scenario)


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("fn", ARN),
        ("fn:$LATEST", f"{ARN}:$LATEST"),
        ("function:fn", ARN),
        ("000000000000:function:fn", ARN),
        (ARN, ARN),
        (f"{ARN}:$LATEST", f"{ARN}:$LATEST"),
    ],
)
def test_names_and_arns_reach_the_function_and_it_sees_the_qualifier(tmp_path: Path, name: str, arn: str) -> None:
    """fact 11.18"""

    async def scenario(service: FunctionService) -> None:
        assert json.loads((await invoke(service, name=name)).body)["arn"] == arn

    run(tmp_path, ECHO, scenario)


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("other", 404, "ResourceNotFoundException"),
        ("fn:live", 404, "ResourceNotFoundException"),
        (f"{ARN}:3", 404, "ResourceNotFoundException"),
        (ARN.replace("us-east", "eu-west"), 404, "ResourceNotFoundException"),
        ("1" * 12 + ":function:fn", 403, "AccessDeniedException"),
        ("f n", 400, "ValidationException"),
        (":fn", 400, "ValidationException"),
        ("a:b:c", 400, "ValidationException"),
        ("x" * 65, 400, "InvalidParameterValueException"),
    ],
)
def test_what_does_not_exist_or_is_no_name_is_refused(tmp_path: Path, name: str, status: int, kind: str) -> None:
    async def scenario(service: FunctionService) -> None:
        assert error(await invoke(service, name=name)) == (status, kind)
        assert error(await ask(service, "GET", f"/{name}")) == (status, kind)

    run(tmp_path, ECHO, scenario)


def test_the_qualifier_may_be_a_parameter(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        for qualifier, status in (("$LATEST", 200), ("live", 404)):
            response = await ask(service, "POST", "/fn/invocations", b"1", query={"Qualifier": qualifier})
            assert response.status == status

    run(tmp_path, ECHO, scenario)


def test_a_throttle_is_429_with_its_reason(tmp_path: Path) -> None:
    """fact 8.6"""

    async def scenario(service: FunctionService) -> None:
        response = await invoke(service)
        assert error(response) == (429, "TooManyRequestsException")
        body = json.loads(response.body)
        assert body["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert (body["Type"], body["message"]) == ("User", "Rate Exceeded.")

    run(tmp_path, ECHO, scenario, reserved_concurrency=0)


def test_what_cannot_be_an_invocation_is_refused(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        large = b'"' + b"x" * 6_291_555 + b'"'
        assert error(await ask(service, "POST", "/fn/invocations", large)) == (413, "RequestTooLargeException")
        event = {"x-amz-invocation-type": "Event"}
        assert error(await ask(service, "POST", "/fn/invocations", large[:1] + large[-1_048_576:], event))[0] == 413
        assert error(await ask(service, "POST", "/fn/invocations", b"{")) == (400, "InvalidRequestContentException")
        assert error(await invoke(service, invocation_type="Later")) == (400, "ValidationException")
        for context in ("?", base64.b64encode(b"[]").decode(), base64.b64encode(b"{" * 3_000).decode()):
            assert error(await invoke(service, client_context=context))[0] == 400
        assert error(await ask(service, "POST", "/fn/policy")) == (501, "NotImplementedException")
        assert service.pids("fn") == []

    run(tmp_path, ECHO, scenario)


def test_what_is_missing_in_a_request_is_named(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        for path, members in [("", ["functionName"]), ("/fn/aliases", ["name", "functionVersion"])]:
            response = await ask(service, "POST", path, b"{}")
            assert error(response) == (400, "ValidationException")
            told = "; ".join(
                f"Value null at '{m}' failed to satisfy constraint: Member must not be null" for m in members
            )
            assert json.loads(response.body)["message"].endswith(f"detected: {told}")

    run(tmp_path, ECHO, scenario)


def test_the_client_context_arrives_and_cannot_add_a_header(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        context = base64.b64encode(b'{"custom":\r\n{"a": "b"}}').decode()
        assert json.loads((await invoke(service, client_context=context)).body)["custom"] == {"a": "b"}

    run(tmp_path, ECHO, scenario)


def test_an_invocation_without_a_body_has_an_empty_event(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        assert json.loads((await ask(service, "POST", "/fn/invocations")).body)["event"] == {}

    run(tmp_path, ECHO, scenario)


def test_a_dry_run_runs_nothing(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        response = await invoke(service, invocation_type="DryRun")
        assert (response.status, response.body) == (204, b"")
        assert service.counters("fn").invocations == 0

    run(tmp_path, ECHO, scenario)


def test_an_event_is_accepted_at_once_and_run(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        response = await invoke(service, 7, invocation_type="Event")
        assert (response.status, response.body) == (202, b"")
        assert service.counters("fn").invocations == 0
        await until(lambda: service.counters("fn").invocations == 1)
        assert any(response.headers["x-amzn-requestid"] in line for line in service.log_lines("fn"))

    run(tmp_path, ECHO, scenario)


def test_events_that_wait_for_a_retry_do_not_keep_the_service_from_stopping(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(service: FunctionService) -> None:
        for _ in range(12):
            assert (await invoke(service, "raise", invocation_type="Event")).status == 202
        await until(lambda: service.counters("fn").errors >= 2)
        await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING):
        run(tmp_path, ECHO, scenario)
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_name_is_spelled_out_from_what_the_caller_left_out() -> None:
    parse = function_names.parse
    name = parse("f", region=REGION, account_id="1" * 12)
    assert name.qualified_arn == f"arn:aws:lambda:{REGION}:111111111111:function:f"
    whole = parse(f"arn:aws-cn:lambda:{REGION}:111111111111:function:f:v", region=REGION, account_id="1" * 12)
    assert (whole.name, whole.qualifier) == ("f", "v")
    assert parse("f", region=REGION, account_id="1" * 12, qualifier="v").qualifier == "v"
    with pytest.raises(RefusedError, match="does not match the specified qualifier"):
        parse("f:v", region=REGION, account_id="1" * 12, qualifier="w")
    with pytest.raises(RefusedError, match="functionName"):
        parse("f/../g", region=REGION, account_id="1" * 12)
