"""The four ways in which one Invoke can end, and the error documents that AWS writes for its own part.

`Throttled` and `ServiceError` happen before the handler runs: an event source mapping retries them without
counting them (AWS: kinesis-on-failure-destination). `FunctionError` means that the function was started: it counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned; `payload` is its document exactly as the runtime sent it, which need not be JSON.

    `version` is the one that ran, here and below: an alias leads to one.
    """

    request_id: str
    payload: bytes
    version: str = "$LATEST"


@dataclass(frozen=True, slots=True)
class FunctionError:
    """The handler raised, timed out, exited or answered too much.

    `error_type` is the document's `errorType` (an exception's name, `Sandbox.Timedout`, `Runtime.ExitError`, ...);
    `payload` is the error document, JSON. On the wire all of them are `X-Amz-Function-Error: Unhandled`.
    `signal` is the one that ended the process, in words, which is not the code's doing as a rule; else it is empty.
    """

    request_id: str
    error_type: str
    payload: bytes
    version: str = "$LATEST"
    signal: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """429 TooManyRequestsException; `reason` is AWS's word, one of those in `account.py`."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServiceError:
    """Nothing ran, and it was not a throttle: `reason` is AWS's exception name, then a colon and what happened."""

    reason: str


# The words that Lambda's supervisor (a Go program) has for them; the numbers are Linux's.
_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    3: "quit",
    4: "illegal instruction",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    11: "segmentation fault",
    13: "broken pipe",
    14: "alarm clock",
    15: "terminated",
}

InvokeOutcome: TypeAlias = Succeeded | FunctionError | Throttled | ServiceError


def error_document(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def timed_out(request_id: str, timeout_s: float) -> FunctionError:
    """As AWS words it: `RequestId: <id> Error: Task timed out after 1.00 seconds`."""
    message = f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
    return FunctionError(request_id, "Sandbox.Timedout", error_document("Sandbox.Timedout", message))


def exited(request_id: str, returncode: int) -> FunctionError:
    """`returncode` as `subprocess` has it: negative for a signal. Status 0 is an error too: a runtime never ends."""
    signal = _SIGNALS.get(-returncode, f"signal {-returncode}") if returncode < 0 else ""
    if signal:
        how = f"with error: signal: {signal}"
    elif returncode > 0:
        how = f"with error: exit status {returncode}"
    else:
        how = "without providing a reason"
    message = f"RequestId: {request_id} Error: Runtime exited {how}"
    document = error_document("Runtime.ExitError", message)
    return FunctionError(request_id, "Runtime.ExitError", document, signal=signal)


def response_too_large(request_id: str, size: int, limit: int) -> FunctionError:
    """`size` and `limit` in bytes."""
    message = f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({limit} bytes)."
    kind = "Function.ResponseSizeTooLarge"
    return FunctionError(request_id, kind, error_document(kind, message))
