"""Functions in real child processes: what a caller, an operator and a function see of them."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.blueprint import FunctionBlueprint
from infra.local.functions import FunctionService
from infra.local.staging import stage
from infra.model.function import Account, FunctionError, InvokeOutcome, ServiceError, Succeeded, Throttled

ACCOUNT, REGION = "000000000000", "us-east-1"
LIMIT_S = 30.0  # of every wait in this file: a guard against hanging, never a measure

Changes = dict[str, Any]


def blueprint(**changes: Any) -> FunctionBlueprint:
    values: Changes = {
        "logical_id": "Fn", "name": "fn", "arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn",
        "handler": "shop.app.handler", "runtime": "python3.13", "architecture": "x86_64", "code_uri": "shop",
        "memory_mb": 256, "timeout_s": 20, "reserved_concurrency": None, "environment": {}, "role_arn": "arn:r",
        "log_group": "/aws/lambda/fn",
    }  # fmt: skip
    return FunctionBlueprint(**{**values, **changes})


@asynccontextmanager
async def running(
    tmp_path: Path, source: str, *, environment: Mapping[str, str] | None = None, **changes: Any
) -> AsyncIterator[FunctionService]:
    """A service with one function `fn` whose module has `source`; nothing of it is left afterwards."""
    code = tmp_path / "work" / "shop"
    code.mkdir(parents=True)
    (code / "app.py").write_text(source)
    service_changes = {name: changes.pop(name) for name in ("account", "idle_s_max", "init_s_max") if name in changes}
    service = FunctionService(ACCOUNT, REGION, tmp_path / "data", **service_changes)
    task_root = stage(code, tmp_path / "data" / "task-root")
    service.add(blueprint(**changes), task_root=task_root, environment=environment or {})
    try:
        yield service
    finally:
        pids = service.pids("fn")
        await asyncio.wait_for(service.stop(), LIMIT_S)
        assert service.pids("fn") == []
        assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def call(service: FunctionService, event: Any = None, request_id: str = "request-1") -> InvokeOutcome:
    return await asyncio.wait_for(service.invoke("fn", json.dumps(event).encode(), request_id=request_id), LIMIT_S)


async def answer(service: FunctionService, event: Any = None) -> Any:
    outcome = await call(service, event)
    assert isinstance(outcome, Succeeded), outcome
    return json.loads(outcome.payload)


async def failure(service: FunctionService, event: Any = None) -> tuple[str, Any]:
    outcome = await call(service, event)
    assert isinstance(outcome, FunctionError), outcome
    return outcome.error_type, json.loads(outcome.payload)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def test_the_handlers_result_comes_back_with_the_request_id_that_was_given(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, "def handler(event, context): return {'got': event}") as service:
            outcome = await call(service, {"x": "ä\n"}, "the-id")
            assert isinstance(outcome, Succeeded)
            assert outcome.request_id == "the-id"
            assert json.loads(outcome.payload) == {"got": {"x": "ä\n"}}

    asyncio.run(scenario())
