"""Functions in real child processes: what a caller and a function see of each other."""

import asyncio
import json
import logging
import os
import signal
from pathlib import Path

import pytest

from infra.local.functions import FunctionService
from infra.model.function import PAYLOAD_BYTES_MAX, Account, FunctionError, ServiceError, Succeeded, Throttled
from tests.support.function_service import LIMIT_S, answer, call, failure, run, until

ECHO = "def handler(event, context): return event"


def test_the_handlers_result_comes_back_under_the_request_id_that_was_given(tmp_path: Path) -> None:
    """facts 11.5, 11.6: under awslambdaric, with JSON decoded"""

    async def scenario(service: FunctionService) -> None:
        outcome = await call(service, {"x": "ä\n"}, "the-id")
        assert isinstance(outcome, Succeeded)
        assert (outcome.request_id, json.loads(outcome.payload)) == ("the-id", {"x": "ä\n"})

    run(tmp_path, ECHO, scenario)


def test_the_handler_sees_the_context_and_the_variables_that_lambda_gives(tmp_path: Path) -> None:
    """facts 11.7, 11.18"""
    source = """
import os, sys, tempfile, time
def handler(event, context):
    return {"id": context.aws_request_id, "arn": context.invoked_function_arn, "name": context.function_name,
            "memory": context.memory_limit_in_mb, "left_ms": context.get_remaining_time_in_millis(),
            "env": dict(os.environ), "cwd": os.getcwd(), "path": sys.path[0], "temporary": tempfile.gettempdir(),
            "task_root": sorted(os.listdir(os.environ["LAMBDA_TASK_ROOT"])), "zone": time.strftime("%Z")}
"""

    async def scenario(service: FunctionService) -> None:
        seen = await answer(service)
        assert seen["id"] == "request-1"
        assert seen["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:fn"
        assert (seen["name"], seen["memory"]) == ("fn", "256")
        assert 15_000 < seen["left_ms"] <= 20_000
        assert seen["cwd"] == seen["path"] == seen["env"]["LAMBDA_TASK_ROOT"]
        assert seen["task_root"] == ["shop"]
        assert seen["temporary"].startswith(str(tmp_path))
        assert seen["zone"] == "UTC"
        expected = {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": "fn",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "TZ": ":UTC",
            "_HANDLER": "shop.app.handler",
            "OWN": "from the caller",
            "TABLE": "from the template",
        }
        assert {name: seen["env"].get(name) for name in expected} == expected

    run(
        tmp_path,
        source,
        scenario,
        environment={"OWN": "from the caller", "AWS_REGION": "not to be overridden"},
        service_options={"endpoint_url": "http://127.0.0.1:1"},
        template_environment={"TABLE": "from the template", "OWN": "to be overridden"},
    )


def test_the_parents_own_variables_do_not_reach_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fact 11.12: multi-concurrent mode stays off"""
    monkeypatch.setenv("A_SECRET_OF_THE_SHELL", "x")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_LAMBDA_MAX_CONCURRENCY", "4")
    source = "import os\ndef handler(event, context): return sorted(os.environ)"

    async def scenario(service: FunctionService) -> None:
        names = await answer(service)
        assert not {"A_SECRET_OF_THE_SHELL", "AWS_PROFILE", "AWS_LAMBDA_MAX_CONCURRENCY"} & set(names)

    run(tmp_path, source, scenario)


def test_a_raised_exception_is_the_error_document_and_keeps_the_process(tmp_path: Path) -> None:
    """facts 4.1, 11.3, 11.15: a plain exception resets nothing"""
    source = """
import os
def handler(event, context):
    if event: raise KeyError("missing")
    return os.getpid()
"""

    async def scenario(service: FunctionService) -> None:
        pid = await answer(service)
        outcome = await call(service, True)
        assert isinstance(outcome, FunctionError)
        document = json.loads(outcome.payload)
        assert outcome.error_type == document["errorType"] == "KeyError"
        assert document["errorMessage"] == "'missing'"
        assert any("shop/app.py" in line for line in document["stackTrace"])
        assert await answer(service) == pid

    run(tmp_path, source, scenario)


def test_a_result_that_is_not_json_is_a_marshal_error(tmp_path: Path) -> None:
    """fact 11.10"""

    async def scenario(service: FunctionService) -> None:
        kind, message = await failure(service)
        assert kind == "Runtime.MarshalError"
        assert "not JSON serializable" in message

    run(tmp_path, "def handler(event, context): return object()", scenario)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("os._exit(3)", "exit status 3"),
        ("sys.exit(4)", "exit status 4"),
        ("os.kill(os.getpid(), 9)", "signal: killed"),
    ],
)
def test_a_process_that_ends_in_the_handler_is_an_exit_error_and_the_next_call_has_a_new_one(
    tmp_path: Path, statement: str, words: str
) -> None:
    """facts 4.1, 4.6, 11.15"""
    source = f"import os, sys\ndef handler(event, context):\n    if event: {statement}\n    return os.getpid()\n"

    async def scenario(service: FunctionService) -> None:
        pid = await answer(service)
        assert await failure(service, True) == (
            "Runtime.ExitError",
            f"RequestId: request-1 Error: Runtime exited with error: {words}",
        )
        assert await answer(service) != pid

    run(tmp_path, source, scenario)


def test_a_handler_over_its_timeout_is_killed_and_the_call_ends_with_awss_words(tmp_path: Path) -> None:
    """facts 4.1, 4.6, 11.8, 11.15"""
    source = """
import os, time
def handler(event, context):
    if event: time.sleep(60)
    return os.getpid()
"""

    async def scenario(service: FunctionService) -> None:
        pid = await answer(service)
        assert await failure(service, True) == (
            "Sandbox.Timedout",
            "RequestId: request-1 Error: Task timed out after 1.00 seconds",
        )
        assert await answer(service) != pid

    run(tmp_path, source, scenario, timeout_s=1)


def test_what_a_function_wrote_to_its_temporary_folder_outlives_its_process_but_not_the_service(tmp_path: Path) -> None:
    """fact 11.15"""
    source = """
import os, pathlib, tempfile
def handler(event, context):
    kept = pathlib.Path(tempfile.gettempdir(), "kept")
    if event: kept.write_text("here"); os._exit(1)
    return [kept.exists(), str(kept)]
"""
    paths: list[Path] = []

    async def scenario(service: FunctionService) -> None:
        assert (await answer(service))[0] is False
        assert (await failure(service, True))[0] == "Runtime.ExitError"
        exists, path = await answer(service)
        assert exists is True
        paths.append(Path(path))

    run(tmp_path, source, scenario)
    assert not paths[0].exists()


def test_a_response_above_the_quota_is_refused_and_the_function_goes_on(tmp_path: Path) -> None:
    """facts 1.13, 4.1, 11.2"""
    source = "def handler(event, context): return 'x' * event"

    async def scenario(service: FunctionService) -> None:
        assert len(await answer(service, PAYLOAD_BYTES_MAX - 2)) == PAYLOAD_BYTES_MAX - 2  # two quotes around it
        kind, message = await failure(service, PAYLOAD_BYTES_MAX - 1)
        assert kind == "Function.ResponseSizeTooLarge"
        assert str(PAYLOAD_BYTES_MAX) in message
        assert await answer(service, 1) == "x"

    run(tmp_path, source, scenario)


def test_a_payload_up_to_the_quota_arrives_and_a_larger_one_is_refused(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        assert await answer(service, "x" * (PAYLOAD_BYTES_MAX - 2)) == PAYLOAD_BYTES_MAX - 2
        outcome = await call(service, "x" * (PAYLOAD_BYTES_MAX - 1))
        assert isinstance(outcome, ServiceError)
        assert outcome.reason.startswith("RequestTooLargeException: ")

    run(tmp_path, "def handler(event, context): return len(event)", scenario)


@pytest.mark.parametrize(
    ("source", "handler", "kind"),
    [
        ("import no_such_module", "shop.app.handler", "Runtime.ImportModuleError"),
        ("def handler(:", "shop.app.handler", "Runtime.UserCodeSyntaxError"),
        (ECHO, "shop.app.absent", "Runtime.HandlerNotFound"),
        (ECHO, "shop.absent.handler", "Runtime.ImportModuleError"),
        (ECHO, "handler", "Runtime.MalformedHandlerName"),
        ("raise ValueError('at import')", "shop.app.handler", "ValueError"),
        ("import sys; sys.exit(7)", "shop.app.handler", "Runtime.ExitError"),
    ],
)
def test_a_function_that_does_not_start_is_an_error_each_time_and_is_announced_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str, handler: str, kind: str
) -> None:
    """fact 11.10"""

    async def scenario(service: FunctionService) -> None:
        for _ in range(3):
            assert (await failure(service))[0] == kind

    with caplog.at_level(logging.WARNING, "infra.functions"):
        run(tmp_path, source, scenario, handler=handler)
    (announced,) = (record.getMessage() for record in caplog.records if record.name == "infra.functions")
    assert kind in announced
    assert str(tmp_path / "data" / "logs" / "fn.log") in announced


@pytest.mark.parametrize(
    ("files", "handler", "announced"),
    [
        ({"app.py": "x = 1\ny = x / 0"}, "shop.app.handler", "shop/app.py:2: ZeroDivisionError: division by zero"),
        (
            {"app.py": "from shop import rules\n", "rules.py": "\n\nimport no_such_module\n"},
            "shop.app.handler",
            "shop/rules.py:3: Runtime.ImportModuleError: Unable to import module 'shop.app': No module named",
        ),
        ({"app.py": "\ndef handler(:"}, "shop.app.handler", "shop/app.py:2: Runtime.UserCodeSyntaxError: "),
        ({"app.py": ""}, "shop.app.handler", "shop/app.py: Runtime.HandlerNotFound: Handler 'handler' missing"),
        ({"app.py": "import json"}, "shop.absent.handler", "Runtime.ImportModuleError: Unable to import module 'shop."),
    ],
)
def test_what_fails_at_import_is_announced_with_its_file_and_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, files: dict[str, str], handler: str, announced: str
) -> None:
    for name, source in files.items():
        (tmp_path / "code" / "shop").mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / "shop" / name).write_text(source)

    async def scenario(service: FunctionService) -> None:
        outcome = await call(service)
        assert isinstance(outcome, FunctionError)
        if outcome.error_type == "Runtime.ImportModuleError":
            assert json.loads(outcome.payload)["stackTrace"] == []  # as on AWS

    with caplog.at_level(logging.WARNING, "infra.functions"):
        run(tmp_path, files["app.py"], scenario, handler=handler)
    (message,) = (record.getMessage() for record in caplog.records if record.name == "infra.functions")
    assert message.startswith(f"function fn does not start (handler {handler}): {announced}")


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGKILL, "killed"), (signal.SIGTERM, "terminated"), (signal.SIGSEGV, "segmentation fault")],
)
def test_a_process_that_a_signal_ended_during_init_is_told_as_such_and_not_as_an_error_of_the_code(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: signal.Signals, word: str
) -> None:
    async def scenario(service: FunctionService) -> None:
        assert (await failure(service))[0] == "Runtime.ExitError"

    with caplog.at_level(logging.WARNING, "infra.functions"):
        run(tmp_path, f"import os; os.kill(os.getpid(), {int(number)})", scenario)
    (message,) = (record.getMessage() for record in caplog.records if record.name == "infra.functions")
    assert f"fn: its process was ended by a signal while it started ({word})" in message
    assert "does not start" not in message
    assert ".py" not in message


def test_an_init_that_hangs_is_done_again_and_then_runs_into_the_functions_timeout(tmp_path: Path) -> None:
    """fact 11.13"""

    async def scenario(service: FunctionService) -> None:
        assert (await failure(service))[0] == "Sandbox.Timedout"
        assert service.counters("fn").cold_starts == 2

    run(tmp_path, "import time; time.sleep(60)", scenario, timeout_s=1, service_options={"init_s_max": 0.5})


def test_a_process_killed_between_invocations_costs_the_next_one_no_error(tmp_path: Path) -> None:
    source = "import os\ndef handler(event, context): return os.getpid()"

    async def scenario(service: FunctionService) -> None:
        pid = await answer(service)
        (seen,) = service.pids("fn")
        assert seen == pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: service.pids("fn") == [])
        assert await answer(service) != pid

    run(tmp_path, source, scenario)


def test_invocations_at_the_same_time_run_in_processes_of_their_own(tmp_path: Path) -> None:
    """fact 8.7: ConcurrentExecutions is a maximum"""
    source = "import os, time\ndef handler(event, context):\n    time.sleep(0.2)\n    return os.getpid()"

    async def scenario(service: FunctionService) -> None:
        pids = await asyncio.gather(*(answer(service) for _ in range(3)))
        assert len(set(pids)) == 3
        again = await asyncio.gather(*(answer(service) for _ in range(3)))
        assert set(again) == set(pids)
        assert service.counters("fn").concurrent_executions_max == 3
        assert service.counters("fn").invocations == 6

    run(tmp_path, source, scenario)


def test_reserved_concurrency_throttles_what_is_above_it(tmp_path: Path) -> None:
    """facts 8.1, 8.6"""
    source = "import time\ndef handler(event, context): time.sleep(0.3)"

    async def scenario(service: FunctionService) -> None:
        outcomes = await asyncio.gather(*(call(service) for _ in range(3)))
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Succeeded)]
        assert refused == [Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")] * 2

    run(tmp_path, source, scenario, reserved_concurrency=1)


def test_an_idle_process_ends_after_its_lifetime(tmp_path: Path) -> None:
    """fact 11.17"""

    async def scenario(service: FunctionService) -> None:
        await answer(service)
        await until(lambda: service.pids("fn") == [])
        assert await answer(service, 5) == 5

    run(tmp_path, ECHO, scenario, service_options={"idle_s_max": 0.1})


def test_stop_ends_an_invocation_that_runs_as_a_service_error(tmp_path: Path) -> None:
    started = tmp_path / "started"
    source = f"""
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def handler(event, context):
    pathlib.Path({str(started)!r}).touch()
    time.sleep(60)
"""

    async def scenario(service: FunctionService) -> None:
        running = asyncio.ensure_future(call(service))
        await until(started.exists)
        await asyncio.wait_for(service.stop(), LIMIT_S)
        assert isinstance(await running, ServiceError)
        assert isinstance(await call(service), ServiceError)

    run(tmp_path, source, scenario)


def test_a_caller_that_goes_away_leaves_the_invocation_running_to_its_end(tmp_path: Path) -> None:
    done = tmp_path / "done"
    source = f"import pathlib, time\ndef handler(e, c):\n    time.sleep(0.2)\n    pathlib.Path({str(done)!r}).touch()\n"

    async def scenario(service: FunctionService) -> None:
        running = asyncio.ensure_future(call(service))
        await asyncio.sleep(0)
        running.cancel()
        await until(done.exists)
        await until(lambda: service.counters("fn").invocations == 1)

    run(tmp_path, source, scenario)


def test_an_unknown_function_is_a_service_error(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        outcome = await service.invoke("other", b"{}", request_id="r")
        assert outcome == ServiceError(
            "ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:000000000000:function:other"
        )

    run(tmp_path, ECHO, scenario)


def test_an_account_limit_below_what_is_asked_throttles(tmp_path: Path) -> None:
    """facts 8.1, 8.6"""

    async def scenario(service: FunctionService) -> None:
        outcomes = await asyncio.gather(call(service), call(service))
        assert Throttled("ConcurrentInvocationLimitExceeded") in outcomes

    run(tmp_path, ECHO, scenario, service_options={"account": Account(1, unreserved_min=0)})
