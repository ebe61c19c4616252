"""SHELL: the service's own lines in a function's log (AWS: python-logging). No payload is ever in them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.model.function import FunctionError, InvokeOutcome, Report, Succeeded


def lines_before(request_id: str, version: str) -> list[str]:
    return [f"START RequestId: {request_id} Version: {version}"]


def lines_of_init(outcome: InvokeOutcome, report: Report, version: str) -> list[str]:
    """What stands before the END of an invocation that init has not let begin."""
    assert isinstance(outcome, Succeeded | FunctionError)
    kind = outcome.error_type if isinstance(outcome, FunctionError) else ""
    status = "timeout" if kind == "Sandbox.Timedout" else f"error\tError Type: {kind}"
    return [
        f"INIT_REPORT Init Duration: {report.duration_ms:.2f} ms\tPhase: init\tStatus: {status}",
        *lines_before(outcome.request_id, version),
    ]


def init_failure_text(
    name: str, handler: str, error: FunctionError, places: Sequence[tuple[str, int]], task_root: Path
) -> str:
    """What an operator is told of an init that failed. A process that was killed says nothing about the code."""
    if error.signal:
        return f"function {name}: its process was ended by a signal while it started ({error.signal})"
    return f"function {name} does not start (handler {handler}): {_init_error_text(error, places, task_root, handler)}"


def _init_error_text(error: FunctionError, places: Sequence[tuple[str, int]], task_root: Path, handler: str) -> str:
    """The error of an init in one line: `processor/rules.py:12: ImportError: ...`, as far as the place is known.

    `places`: file and line, the deepest cause last. The last one in the function's own code is taken, else the
    handler's module; paths are relative to the task root, as in the sources.
    """
    text = f"{error.error_type}: {_object(error.payload).get('errorMessage', '')}"[:2_000]
    own = [(Path(file), line) for file, line in places if Path(file).is_relative_to(task_root)]
    if own:
        path, line = own[-1]
        return f"{path.relative_to(task_root)}:{line}: {text}"
    module = handler.rpartition(".")[0].replace("/", ".").replace(".", "/")
    files = (f"{module}.py", f"{module}/__init__.py") if module else ()
    found = next((file for file in files if (task_root / file).is_file()), None)
    return text if found is None else f"{found}: {text}"


def _object(payload: bytes) -> dict[str, Any]:
    """What a runtime sent need not be JSON."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def lines_after(outcome: InvokeOutcome, report: Report, memory_mb: int, memory_max_mib: int) -> list[str]:
    """What went wrong in AWS's words when it was not the handler's own exception, then END and REPORT."""
    assert isinstance(outcome, Succeeded | FunctionError)
    status = ""
    lines: list[str] = []
    if isinstance(outcome, FunctionError):
        timeout = outcome.error_type == "Sandbox.Timedout"
        status = "\tStatus: timeout" if timeout else f"\tStatus: error\tError Type: {outcome.error_type}"
        if outcome.error_type in ("Sandbox.Timedout", "Runtime.ExitError", "Function.ResponseSizeTooLarge"):
            lines.append(str(_object(outcome.payload).get("errorMessage", "")))
    billed_ms = math.ceil(report.duration_ms + (report.init_ms or 0.0))  # init is billed since August 2025
    init = "" if report.init_ms is None else f"\tInit Duration: {report.init_ms:.2f} ms"
    return [
        *lines,
        f"END RequestId: {outcome.request_id}",
        f"REPORT RequestId: {outcome.request_id}\tDuration: {report.duration_ms:.2f} ms\t"
        f"Billed Duration: {billed_ms} ms\tMemory Size: {memory_mb} MB\t"
        f"Max Memory Used: {min(memory_max_mib, memory_mb)} MB{init}{status}",
    ]
