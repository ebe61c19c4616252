"""Everything that a handler can do with its result is survived, and the next invocation is served as if nothing was."""

import asyncio
import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from infra.local.functions import FunctionService
from infra.local.http import Request
from infra.model.function import FunctionError, Succeeded
from tests.support.function_service import answer, call, failure, run, until

EVALUATE = """
import datetime, decimal, os, sys, threading, time
class Odd:
    def __repr__(self): raise ValueError("no repr")
class Wordless(Exception):
    def __str__(self): raise ValueError("no str")
def deep(levels):
    nested = []
    for _ in range(levels): nested = [nested]
    return nested
def throw(error): raise error
def handler(event, context): return eval(event)
"""

RETURNED = [
    ("None", b"null"),
    ("''", b'""'),
    ("'ä'", '"ä"'.encode()),
    ("(1, 2)", b"[1, 2]"),
    ("{1: 2}", b'{"1": 2}'),
    ("decimal.Decimal('1.10')", b"1.10"),
    ("decimal.Decimal('NaN')", b"NaN"),
    ("float('nan')", b"NaN"),
    ("{'a': float('-inf')}", b'{"a": -Infinity}'),
    ("b'not json'", b"not json"),
    ("[b'x']", b'["x"]'),
    ("os.write(1, b'\\xff\\xfe')", b"2"),
]
FAILED = [
    ("{1, 2}", "Runtime.MarshalError"),
    ("object()", "Runtime.MarshalError"),
    ("Odd()", "Runtime.MarshalError"),
    ("{(1, 2): 3}", "Runtime.MarshalError"),
    ("datetime.datetime(2026, 1, 1)", "Runtime.MarshalError"),
    ("deep(100_000)", "Runtime.MarshalError"),
    ("(lambda: (yield))()", "Runtime.MarshalError"),
    ("10 ** 5_000", "Runtime.MarshalError"),
    ("'\\ud800'", "Runtime.ExitError"),
    ("throw(Exception('line\\r\\nbreak \\x00'))", "Exception"),
    ("throw(Exception('x' * 2_000_000))", "Exception"),
    ("throw(RecursionError('r'))", "RecursionError"),
    ("throw(type('E' * 300, (Exception,), {})('m'))", "E" * 300),
    ("throw(Wordless())", "Runtime.ExitError"),
    ("throw(BaseException('b'))", "Runtime.ExitError"),
    ("throw(KeyboardInterrupt())", "Runtime.ExitError"),
    ("throw(SystemExit(0))", "Runtime.ExitError"),
    ("'x' * 7_000_000", "Function.ResponseSizeTooLarge"),
    ("throw(Exception('x' * 7_000_000))", "Function.ResponseSizeTooLarge"),
    ("os.abort()", "Runtime.ExitError"),
    ("os.close(1) or os.close(2) or throw(OSError('no output'))", "Runtime.ExitError"),
    ("no such name", "SyntaxError"),
]


def test_whatever_a_handler_returns_or_raises_is_one_outcome_and_the_function_goes_on(tmp_path: Path) -> None:
    """facts 4.1, 4.6, 11.2, 11.10: a Decimal is a number; what cannot be JSON is Runtime.MarshalError"""

    async def scenario(service: FunctionService) -> None:
        for expression, payload in RETURNED:
            outcome = await call(service, expression)
            assert isinstance(outcome, Succeeded), (expression, outcome)
            assert outcome.payload == payload, expression
        for expression, kind in FAILED:
            outcome = await call(service, expression)
            assert isinstance(outcome, FunctionError), expression
            assert outcome.error_type == kind, expression
            document = json.loads(outcome.payload)
            assert document["errorType"] == outcome.error_type, expression
            assert isinstance(document["errorMessage"], str), expression
            assert await answer(service, "40 + 2") == 42, expression
        counters = service.counters("fn")
        assert counters.errors == len(FAILED)
        assert counters.invocations == len(RETURNED) + 2 * len(FAILED)
        assert counters.concurrent_executions == 0

    run(tmp_path, EVALUATE, scenario, timeout_s=30)


def test_what_is_not_json_reaches_the_caller_of_invoke_as_it_is(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        for expression, payload in (("b'not json'", b"not json"), ("float('nan')", b"NaN")):
            body = json.dumps(expression).encode()
            response = await service.handle(Request("POST", "/2015-03-31/functions/fn/invocations", {}, {}, body))
            assert (response.status, response.body) == (200, payload)

    run(tmp_path, EVALUATE, scenario)


def test_threads_and_children_of_a_handler_do_not_outlive_its_process(tmp_path: Path) -> None:
    """fact 11.15: the process is gone after a timeout, with everything that it has started"""
    source = f"""
import subprocess, sys, time
def handler(event, context):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
    time.sleep(60)
"""

    async def scenario(service: FunctionService) -> None:
        outcome = await call(service)
        assert isinstance(outcome, FunctionError)
        assert outcome.error_type == "Sandbox.Timedout"
        pid = int((tmp_path / "child").read_text())
        await until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())

    run(tmp_path, source, scenario, timeout_s=1)


def test_a_plain_exception_resets_nothing_and_a_timeout_takes_the_globals_and_leaves_tmp(tmp_path: Path) -> None:
    """fact 11.15"""
    source = """
import pathlib, tempfile, time
number = 0
kept = pathlib.Path(tempfile.gettempdir(), "kept")
def handler(event, context):
    global number
    if event == "write": number = 42; kept.write_text("content")
    elif event == "raise": raise ValueError("no")
    elif event == "hang": time.sleep(60)
    return [number, kept.read_text() if kept.exists() else None]
"""

    async def scenario(service: FunctionService) -> None:
        assert await answer(service, "write") == [42, "content"]
        assert isinstance(await call(service, "raise"), FunctionError)
        assert await answer(service) == [42, "content"]
        assert isinstance(await call(service, "hang"), FunctionError)
        assert await answer(service) == [0, "content"]

    run(tmp_path, source, scenario, timeout_s=1)


@pytest.mark.parametrize(("runtime", "payload"), [("python3.11", b'"\\u00e4"'), ("python3.13", '"ä"'.encode())])
def test_newer_runtimes_write_json_unescaped(tmp_path: Path, runtime: str, payload: bytes) -> None:
    """facts 11.5, 11.9"""

    async def scenario(service: FunctionService) -> None:
        outcome = await call(service, "'ä'")
        assert isinstance(outcome, Succeeded)
        assert outcome.payload == payload

    run(tmp_path, EVALUATE, scenario, runtime=runtime)


def test_an_idle_runtime_takes_signals_as_it_polls_beside_the_main_thread(tmp_path: Path) -> None:
    """fact 11.9"""
    source = f"""
import os, pathlib, signal
signal.signal(signal.SIGUSR1, lambda *_: pathlib.Path({str(tmp_path / "taken")!r}).touch())
def handler(event, context): return os.getpid()
"""

    async def scenario(service: FunctionService) -> None:
        os.kill(await answer(service), signal.SIGUSR1)
        await until((tmp_path / "taken").exists)
        assert service.counters("fn").invocations == 1

    run(tmp_path, source, scenario, runtime="python3.13")


def test_a_function_above_its_memory_is_killed_and_the_next_call_has_a_new_process(tmp_path: Path) -> None:
    """facts 4.1, 4.6, 11.14, 11.15"""
    source = """
import os, time
def handler(event, context):
    kept = b"x" * (event * 1_048_576)
    time.sleep(20 if event > 100 else 0)
    return os.getpid()
"""

    async def scenario(service: FunctionService) -> None:
        pid = await answer(service, 10)
        kind, message = await failure(service, 150)
        assert (kind, message.partition("Error: ")[2]) == (
            "Runtime.ExitError",
            "Runtime exited with error: signal: killed",
        )
        assert "Max Memory Used: 128 MB\tStatus: error" in service.log_lines("fn")[-1]
        assert await answer(service, 10) != pid

    run(tmp_path, source, scenario, memory_mb=128)


def test_a_function_has_as_many_descriptors_as_on_aws(tmp_path: Path) -> None:
    """fact 11.14"""
    source = """
import errno, os
def handler(event, context):
    opened = []
    try:
        while len(opened) < 2_000: opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return [errno.errorcode[error.errno], opened[-1]]
    finally:
        for number in opened: os.close(number)
"""

    async def scenario(service: FunctionService) -> None:
        assert await answer(service) == ["EMFILE", 1_023]
        assert await answer(service) == ["EMFILE", 1_023]

    run(tmp_path, source, scenario)


def test_each_invocation_has_its_trace_id_and_log_lines_carry_its_request_id(tmp_path: Path) -> None:
    """fact 11.11"""
    source = """
import logging, os
logging.getLogger().setLevel("INFO")
def handler(event, context):
    logging.info("hello")
    return os.environ["_X_AMZN_TRACE_ID"]
"""

    async def scenario(service: FunctionService) -> None:
        first, second = await answer(service), await answer(service)
        assert first.startswith("Root=1-")
        assert first != second
        (line, _) = [line for line in service.log_lines("fn") if line.startswith("[INFO]")]
        level, time, request_id, text = line.split("\t")
        assert (level, request_id, text) == ("[INFO]", "request-1", "hello")
        assert time.endswith("Z")

    run(tmp_path, source, scenario)


def test_the_remaining_time_counts_down_to_the_deadline_and_stops_at_zero(tmp_path: Path) -> None:
    """fact 11.7"""
    source = """
import time
def handler(event, context):
    before = context.get_remaining_time_in_millis()
    time.sleep(0.05)
    after = context.get_remaining_time_in_millis()
    real, time.time = time.time, lambda: real() + 100
    late = context.get_remaining_time_in_millis()
    time.time = real
    return [before, after, late]
"""

    async def scenario(service: FunctionService) -> None:
        before, after, late = await answer(service)
        assert 0 < after <= before - 50
        assert before <= 20_000
        assert late == 0

    run(tmp_path, source, scenario)


def test_the_figures_of_every_invocation_reach_the_sink(tmp_path: Path) -> None:
    """fact 8.7: begun at, without init, throttles apart"""
    seen: list[tuple[Any, ...]] = []
    options = {"report_sink": lambda *figures: seen.append(figures)}

    async def scenario(service: FunctionService) -> None:
        began_s = asyncio.get_running_loop().time()
        await call(service, "time.sleep(0.2)")
        await call(service, "throw(ValueError())")
        await asyncio.gather(call(service, "time.sleep(0.2)"), call(service))
        (_, first, cold), (_, second, _), (_, _, throttled), *_ = seen
        assert {name for name, _, _ in seen} == {"fn"}
        assert (type(first).__name__, type(second).__name__) == ("Succeeded", "FunctionError")
        assert began_s < cold.began_s
        assert cold.duration_ms >= 200
        assert cold.init_ms > 0
        assert throttled is None
        counters = service.counters("fn")
        assert (counters.invocations, counters.errors, counters.throttles) == (3, 1, 1)
        assert counters.concurrent_executions_max == 1
        reported = sum(report.duration_ms for _, _, report in seen if report is not None)
        assert math.isclose(counters.duration_ms, reported)

    run(tmp_path, EVALUATE, scenario, reserved_concurrency=1, service_options=options)
