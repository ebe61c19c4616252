"""SHELL: tells the person at the terminal once that a function fails, and where its log is."""

import json
import logging
from pathlib import Path

from infra.model.function import FunctionError, InvokeOutcome, Report

log = logging.getLogger("infra.functions")

# The runtime's own errors before any event was seen: their text cannot hold anything of an event.
BEFORE_THE_EVENT = (
    "Runtime.ImportModuleError",
    "Runtime.HandlerNotFound",
    "Runtime.MalformedHandlerName",
    "Runtime.UserCodeSyntaxError",
)


class FailureNotices:
    """A report sink for FunctionService: one warning for each function and kind of error."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._told: set[tuple[str, str]] = set()

    def __call__(self, function_name: str, outcome: InvokeOutcome, _report: Report | None) -> None:
        if not isinstance(outcome, FunctionError) or (function_name, outcome.error_type) in self._told:
            return
        self._told.add((function_name, outcome.error_type))
        detail = _detail(outcome) if outcome.error_type in BEFORE_THE_EVENT else ""
        path = self._data_dir / "logs" / f"{function_name}.log"
        log.warning("%s failed: %s%s (said once; all of it is in %s)", function_name, outcome.error_type, detail, path)


def _detail(outcome: FunctionError) -> str:
    try:
        return f": {json.loads(outcome.payload)['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return ""
