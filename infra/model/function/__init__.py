"""PURE: Lambda's side of an invocation: what comes out of it, its limits, and the life of execution environments."""

from infra.model.function.account import Account
from infra.model.function.commands import Command, Complete, Kill, Remove, Report, Send, Start
from infra.model.function.machine import (
    IDLE_S_MAX,
    INIT_S_MAX,
    PAYLOAD_BYTES_MAX,
    Counters,
    FunctionMachine,
    FunctionSettings,
)
from infra.model.function.outcomes import FunctionError, InvokeOutcome, ServiceError, Succeeded, Throttled

__all__ = [
    "IDLE_S_MAX",
    "INIT_S_MAX",
    "PAYLOAD_BYTES_MAX",
    "Account",
    "Command",
    "Complete",
    "Counters",
    "FunctionError",
    "FunctionMachine",
    "FunctionSettings",
    "InvokeOutcome",
    "Kill",
    "Remove",
    "Report",
    "Send",
    "ServiceError",
    "Start",
    "Succeeded",
    "Throttled",
]
