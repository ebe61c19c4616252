"""How many invocations may run at once: the account's limit, what functions have reserved of it, requests per second.

AWS: lambda-concurrency, configuration-concurrency, scaling-behavior. A function with reserved concurrency has its own
share and can neither lend nor borrow; all others share what is left. Requests per second are limited to ten times the
concurrency of the share; the bucket holds one second's worth, which is a choice (AWS publishes the rate only).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from infra.model.bucket import Bucket

CONCURRENCY_MAX = 1_000  # per account and region, AWS's default quota
UNRESERVED_MIN = 100  # reserving must leave so many to the functions without a reservation
REQUESTS_PER_CONCURRENCY = 10  # requests/s for each unit of concurrency

CONCURRENT = "ConcurrentInvocationLimitExceeded"
RESERVED_CONCURRENT = "ReservedFunctionConcurrentInvocationLimitExceeded"
RATE = "FunctionInvocationRateLimitExceeded"
RESERVED_RATE = "ReservedFunctionInvocationRateLimitExceeded"


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


class Account:
    """One account's concurrency in one region; functions are registered before they are invoked."""

    def __init__(self, concurrency_max: int = CONCURRENCY_MAX, unreserved_min: int = UNRESERVED_MIN) -> None:
        self._unreserved_min = unreserved_min
        self._rest = _Share(concurrency_max, CONCURRENT, RATE)
        self._shares: dict[str, _Share] = {}

    def register(self, name: str, reserved: int | None) -> None:
        """`reserved` None: shares the rest; 0: every invocation is throttled. ValueError when AWS would refuse it."""
        if name in self._shares:
            raise ValueError(f"function {name} exists already; give it another name")
        if reserved is None:
            self._shares[name] = self._rest
            return
        left = self._rest.limit - reserved
        if reserved < 0 or left < self._unreserved_min:
            raise ValueError(
                f"reserved concurrency {reserved} of function {name} leaves {left} of the account's concurrency "
                f"unreserved; at least {self._unreserved_min} must stay: reserve less"
            )
        rest = _Share(left, CONCURRENT, RATE)
        rest.running = self._rest.running
        self._shares = {other: rest if share is self._rest else share for other, share in self._shares.items()}
        self._rest = rest
        self._shares[name] = _Share(reserved, RESERVED_CONCURRENT, RESERVED_RATE)

    def admit(self, name: str, now: float) -> str | None:
        """None: admitted, one unit is taken until `release`. Otherwise AWS's reason and nothing is taken."""
        share = self._shares[name]
        if share.running >= share.limit:
            return share.concurrent_reason
        if not share.requests.take(1, now):
            return share.rate_reason
        share.running += 1
        return None

    def release(self, name: str) -> None:
        share = self._shares[name]
        assert share.running > 0, f"function {name} released more than it was given"
        share.running -= 1

    def running(self, name: str) -> int:
        """Invocations now running in the share of function `name`."""
        return self._shares[name].running
