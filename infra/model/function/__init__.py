"""PURE: Lambda's side of an invocation: what comes out of it, its limits, and the life of execution environments."""

from infra.model.function.account import Account, ConcurrencyRefusedError
from infra.model.function.commands import Command, Complete, InitFailed, Kill, Remove, Report, Send, Start
from infra.model.function.machine import FunctionMachine
from infra.model.function.outcomes import FunctionError, InvokeOutcome, ServiceError, Succeeded, Throttled
from infra.model.function.settings import (
    IDLE_S_MAX,
    INIT_S_MAX,
    LIFETIME_S_MAX,
    PAYLOAD_BYTES_MAX,
    Counters,
    FunctionSettings,
    Provisioned,
)

__all__ = [
    "IDLE_S_MAX",
    "INIT_S_MAX",
    "LIFETIME_S_MAX",
    "PAYLOAD_BYTES_MAX",
    "Account",
    "Command",
    "Complete",
    "ConcurrencyRefusedError",
    "Counters",
    "FunctionError",
    "FunctionMachine",
    "FunctionSettings",
    "InitFailed",
    "InvokeOutcome",
    "Kill",
    "Provisioned",
    "Remove",
    "Report",
    "Send",
    "ServiceError",
    "Start",
    "Succeeded",
    "Throttled",
]
