"""PURE: Lambda's side of an invocation: what comes out of it, its limits, and the life of execution environments."""

from infra.model.function.outcomes import FunctionError, InvokeOutcome, ServiceError, Succeeded, Throttled

__all__ = ["FunctionError", "InvokeOutcome", "ServiceError", "Succeeded", "Throttled"]
