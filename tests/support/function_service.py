"""A FunctionService with one function `fn` in real child processes, and what tests ask of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.blueprint import FunctionBlueprint
from infra.local.functions import FunctionService
from infra.local.staging import stage
from infra.model.function import FunctionError, InvokeOutcome, Succeeded

ACCOUNT, REGION = "000000000000", "us-east-1"
LIMIT_S = 30.0  # of every wait: a guard against hanging, never a measure

Scenario = Callable[[FunctionService], Coroutine[Any, Any, None]]


def blueprint(**changes: Any) -> FunctionBlueprint:
    values: dict[str, Any] = {
        "logical_id": "Fn",
        "name": "fn",
        "arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn",
        "handler": "shop.app.handler",
        "runtime": "python3.13",
        "architecture": "x86_64",
        "code_uri": "shop",
        "memory_mb": 256,
        "timeout_s": 20,
        "reserved_concurrency": None,
        "environment": {},
        "role_arn": f"arn:aws:iam::{ACCOUNT}:role/fn-role",
        "log_group": "/aws/lambda/fn",
    }
    return FunctionBlueprint(**{**values, **changes})


@asynccontextmanager
async def running(
    folder: Path,
    source: str,
    *,
    environment: Mapping[str, str] | None = None,
    template_environment: Mapping[str, str] | None = None,
    service_options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[FunctionService]:
    """`source` is the function's module; `changes` are of its blueprint. No process of it is left afterwards."""
    code = folder / "code" / "shop"
    code.mkdir(parents=True, exist_ok=True)
    (code / "app.py").write_text(source)
    service = FunctionService(ACCOUNT, REGION, folder / "data", **(service_options or {}))
    task_root = stage(code, folder / "data" / "task-root")
    made = blueprint(environment=template_environment or {}, **changes)
    service.add(made, task_root=task_root, environment=environment or {})
    try:
        yield service
    finally:
        pids = service.pids("fn")
        await asyncio.wait_for(service.stop(), LIMIT_S)
        assert service.pids("fn") == []
        assert [pid for pid in pids if alive(pid)] == []


def run(folder: Path, source: str, scenario: Scenario, **options: Any) -> None:
    """`scenario` with a running service; tasks and sockets that outlive it fail the test."""

    async def main() -> None:
        async with running(folder, source, **options) as service:
            await scenario(service)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert left == set()

    asyncio.run(main())


def alive(pid: int) -> bool:
    """A zombie is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def call(service: FunctionService, event: Any = None, request_id: str = "request-1") -> InvokeOutcome:
    return await asyncio.wait_for(service.invoke("fn", json.dumps(event).encode(), request_id=request_id), LIMIT_S)


async def answer(service: FunctionService, event: Any = None) -> Any:
    """What the handler returned; anything but success fails the test."""
    outcome = await call(service, event)
    assert isinstance(outcome, Succeeded), outcome
    return json.loads(outcome.payload)


async def failure(service: FunctionService, event: Any = None) -> tuple[str, str]:
    """The error's type and message; anything but a function error fails the test."""
    outcome = await call(service, event)
    assert isinstance(outcome, FunctionError), outcome
    document = json.loads(outcome.payload)
    assert document["errorType"] == outcome.error_type
    return outcome.error_type, document["errorMessage"]


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
