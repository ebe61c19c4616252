"""SHELL: the service's own lines in a function's log (AWS: python-logging). No payload is ever in them."""

import json
import math
import re
from pathlib import Path

from infra.model.function import FunctionError, InvokeOutcome, Report, Succeeded


def lines_before(request_id: str) -> list[str]:
    return [f"START RequestId: {request_id} Version: $LATEST"]


def lines_of_init(outcome: InvokeOutcome, report: Report) -> list[str]:
    """What stands before the END of an invocation that init has not let begin."""
    assert isinstance(outcome, Succeeded | FunctionError)
    kind = outcome.error_type if isinstance(outcome, FunctionError) else ""
    status = "timeout" if kind == "Sandbox.Timedout" else f"error\tError Type: {kind}"
    return [
        f"INIT_REPORT Init Duration: {report.duration_ms:.2f} ms\tPhase: init\tStatus: {status}",
        *lines_before(outcome.request_id),
    ]


def init_error_text(error: FunctionError, task_root: Path) -> str:
    """The error of an init in one line, with the place in the function's own code when there is one."""
    document = json.loads(error.payload)
    frames = re.findall(r'File "([^"]+)", line (\d+)', "".join(document.get("stackTrace", [])))
    own = [f"{path}, line {line}" for path, line in frames if Path(path).is_relative_to(task_root)]
    place = f" ({own[-1]})" if own else ""
    return f"{error.error_type}: {document.get('errorMessage', '')}"[:2_000] + place


def lines_after(outcome: InvokeOutcome, report: Report, memory_mb: int, memory_max_mib: int) -> list[str]:
    """What went wrong in AWS's words when it was not the handler's own exception, then END and REPORT."""
    assert isinstance(outcome, Succeeded | FunctionError)
    status = ""
    lines: list[str] = []
    if isinstance(outcome, FunctionError):
        timeout = outcome.error_type == "Sandbox.Timedout"
        status = "\tStatus: timeout" if timeout else f"\tStatus: error\tError Type: {outcome.error_type}"
        if outcome.error_type in ("Sandbox.Timedout", "Runtime.ExitError", "Function.ResponseSizeTooLarge"):
            lines.append(json.loads(outcome.payload)["errorMessage"])
    billed_ms = math.ceil(report.duration_ms + (report.init_ms or 0.0))  # init is billed since August 2025
    init = "" if report.init_ms is None else f"\tInit Duration: {report.init_ms:.2f} ms"
    return [
        *lines,
        f"END RequestId: {outcome.request_id}",
        f"REPORT RequestId: {outcome.request_id}\tDuration: {report.duration_ms:.2f} ms\t"
        f"Billed Duration: {billed_ms} ms\tMemory Size: {memory_mb} MB\t"
        f"Max Memory Used: {memory_max_mib} MB{init}{status}",
    ]
