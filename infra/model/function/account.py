"""How many invocations may run at once: the account's limit, what functions have of it for themselves, requests per s.

AWS: lambda-concurrency, configuration-concurrency, provisioned-concurrency, scaling-behavior. A function with reserved
concurrency has its own share and can neither lend nor borrow; all others share what is left. Provisioned concurrency
is taken out of the function's reservation, or out of what the account has unreserved, whether it is in use or not; what
is counted here is the rest: invocations on demand. Requests per second are limited to ten times the concurrency of the
share; the bucket holds one second's worth, which is a choice (AWS publishes the rate only).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from infra.model.bucket import Bucket

CONCURRENCY_MAX = 1_000  # per account and region, AWS's default quota
UNRESERVED_MIN = 100  # reserving must leave so many to the functions without a reservation
REQUESTS_PER_CONCURRENCY = 10  # requests/s for each unit of concurrency
GROWTH_MAX = 1_000  # environments that a function may gain at once ...
GROWTH_PER_S = 100.0  # ... and how fast that allowance comes back; it is never more than GROWTH_MAX

CONCURRENT = "ConcurrentInvocationLimitExceeded"
RESERVED_CONCURRENT = "ReservedFunctionConcurrentInvocationLimitExceeded"
RATE = "FunctionInvocationRateLimitExceeded"
RESERVED_RATE = "ReservedFunctionInvocationRateLimitExceeded"


class ConcurrencyRefusedError(ValueError):
    """AWS answers 400 InvalidParameterValueException with this message; nothing has changed."""


@dataclass(slots=True)
class _Share:
    """Concurrency that one function has for itself, or that all functions without a reservation have together."""

    limit: int
    concurrent_reason: str
    rate_reason: str
    requests: Bucket = field(init=False)
    running: int = 0

    def __post_init__(self) -> None:
        per_s = max(1, self.limit) * REQUESTS_PER_CONCURRENCY  # a share of 0 is refused before its rate is asked
        self.requests = Bucket(per_s, per_s)


@dataclass(slots=True)
class _Function:
    share: _Share
    growth: Bucket = field(default_factory=lambda: Bucket(GROWTH_PER_S, GROWTH_MAX))
    reserved: int | None = None
    provisioned: int = 0  # of all versions and aliases together
    running: int = 0  # on demand


class Account:
    """One account's concurrency in one region; functions are registered before they are invoked."""

    def __init__(self, concurrency_max: int = CONCURRENCY_MAX, unreserved_min: int = UNRESERVED_MIN) -> None:
        self.concurrency_max = concurrency_max
        self._unreserved_min = unreserved_min
        self._rest = _Share(concurrency_max, CONCURRENT, RATE)
        self._functions: dict[str, _Function] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    @property
    def unreserved(self) -> int:
        """The account's limit without what is reserved (AWS: GetAccountSettings)."""
        return self.concurrency_max - sum(function.reserved or 0 for function in self._functions.values())

    def register(self, name: str, reserved: int | None) -> None:
        """`reserved` None: shares the rest; 0: every invocation is throttled. Raises ConcurrencyRefusedError.

        ValueError: there is such a function already.
        """
        if name in self._functions:
            raise ValueError(f"function {name} exists already; give it another name")
        self._functions[name] = _Function(self._rest)
        if reserved is not None:
            try:
                self.reserve(name, reserved)
            except ConcurrencyRefusedError:
                del self._functions[name]
                raise

    def forget(self, name: str) -> None:
        """The function is deleted; none of its invocations may be running. Its share goes back to the account."""
        function = self._functions.pop(name)
        assert function.running == 0, f"function {name} was forgotten while it ran"
        self._divide()

    def reserve(self, name: str, reserved: int | None) -> None:
        """Changes the reservation at once; what runs goes on running. Raises ConcurrencyRefusedError.

        AWS: PutFunctionConcurrency, DeleteFunctionConcurrency.
        """
        function = self._functions[name]
        if reserved is not None:
            if reserved < function.provisioned:
                raise ConcurrencyRefusedError(
                    f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned "
                    f"concurrency [{function.provisioned}]."  # the blanks are AWS's
                )
            own = function.provisioned if function.reserved is None else function.reserved
            if self._rest.limit + own - reserved < self._unreserved_min:
                raise ConcurrencyRefusedError(
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    f"UnreservedConcurrentExecution below its minimum value of [{self._unreserved_min}]."
                )
        if function.reserved == reserved:
            return
        function.reserved = reserved
        self._divide()

    def provision(self, name: str, total: int) -> None:
        """`total`: provisioned concurrency of all the function's versions and aliases. Raises ConcurrencyRefusedError.

        AWS: PutProvisionedConcurrencyConfig. It is part of the reservation when there is one.
        """
        function = self._functions[name]
        if function.reserved is not None and total > function.reserved:
            raise ConcurrencyRefusedError(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                "function"
            )
        left = self._rest.limit + (function.provisioned if function.reserved is None else 0)
        if function.reserved is None and total > left:
            raise ConcurrencyRefusedError(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
                f"[{left}]."
            )
        if function.reserved is None and total > function.provisioned and left - total < self._unreserved_min:
            raise ConcurrencyRefusedError(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
                f"its minimum value of [{self._unreserved_min}]."
            )
        function.provisioned = total
        self._divide()

    def admit(self, name: str, now: float) -> str | None:
        """None: admitted on demand, one unit is taken until `release`. Otherwise AWS's reason and nothing is taken."""
        function = self._functions[name]
        share = function.share
        if share.running >= share.limit:
            return share.concurrent_reason
        if not share.requests.take(1, now):
            return share.rate_reason
        share.running += 1
        function.running += 1
        return None

    def release(self, name: str) -> None:
        function = self._functions[name]
        assert function.running > 0, f"function {name} released more than it was given"
        function.running -= 1
        function.share.running -= 1

    def grow(self, name: str, now: float) -> bool:
        """Whether the function may have one environment more at `now`; if so, that is taken from its allowance."""
        return self._functions[name].growth.take(1, now)

    def running(self, name: str) -> int:
        """Invocations now running in the share of function `name`."""
        return self._functions[name].share.running

    def reserved(self, name: str) -> int | None:
        """The function's reserved concurrency; None: it has none."""
        return self._functions[name].reserved

    def _divide(self) -> None:
        """Shares whose limit has changed are made anew, with what runs in them."""
        everyone = self._functions.values()
        taken = sum(each.provisioned if each.reserved is None else each.reserved for each in everyone)
        if self.concurrency_max - taken != self._rest.limit:
            self._rest = _Share(self.concurrency_max - taken, CONCURRENT, RATE)
        self._rest.running = sum(each.running for each in everyone if each.reserved is None)
        for each in everyone:
            if each.reserved is None:
                each.share = self._rest
            elif each.share.limit != each.reserved - each.provisioned or each.share.rate_reason == RATE:
                each.share = _Share(each.reserved - each.provisioned, RESERVED_CONCURRENT, RESERVED_RATE)
                each.share.running = each.running
