"""PURE: a token bucket, the arithmetic behind every quota per second.

A bucket starts full, unless it is told otherwise, and is refilled continuously at `rate_per_s` up to `capacity`. Time
only moves forward for it: a `now` that lies before the last one seen (a clock set back) refills nothing and takes
nothing away.
"""

# Epoch seconds in a float are exact to about 0.24 microseconds, so a token due at t may be 1e-7 short of whole at t.
# Forgiving one microsecond of refill makes `ready_at` a time at which `take` really succeeds.
_FORGIVEN_S = 1e-6


class Bucket:
    """`take(n, now)` is True and spends n tokens, or is False and spends nothing.

    An n above the capacity is admitted by a full bucket only, which then owes the rest and refuses everything until the
    debt is refilled: that is how a Kinesis record larger than a second's quota draws on burst capacity
    (AWS: Kinesis guide, "Handle large records").
    """

    __slots__ = ("_level", "_seen_s", "capacity", "rate_per_s")

    def __init__(self, rate_per_s: float, capacity: float, level: float | None = None) -> None:
        if rate_per_s <= 0 or capacity <= 0:
            raise ValueError(f"a bucket needs a rate and a capacity above 0, not {rate_per_s} and {capacity}")
        self.rate_per_s = rate_per_s
        self.capacity = capacity
        self._level = float(capacity if level is None else min(level, capacity))
        self._seen_s: float | None = None

    def level(self, now: float) -> float:
        """Tokens at `now`; negative while a debt is being refilled."""
        if self._seen_s is None or now > self._seen_s:
            if self._seen_s is not None and self._level < self.capacity:
                self._level = min(self.capacity, self._level + (now - self._seen_s) * self.rate_per_s)
            self._seen_s = now
        return self._level

    def can_take(self, n: float, now: float) -> bool:
        """Whether `take(n, now)` would succeed; spends nothing."""
        return self.level(now) + self.rate_per_s * _FORGIVEN_S >= min(n, self.capacity)

    def take(self, n: float, now: float) -> bool:
        if not self.can_take(n, now):
            return False
        self._level -= n
        return True

    def spend(self, n: float, now: float) -> None:
        """Spends n tokens without asking, for a cost known only after the fact. The level may become negative."""
        self._level = self.level(now) - n

    def ready_at(self, n: float, now: float) -> float:
        """The earliest time, not before `now`, at which `take(n, …)` succeeds if nothing else is taken."""
        missing = min(n, self.capacity) - self.level(now)
        return now if missing <= 0 else now + missing / self.rate_per_s
