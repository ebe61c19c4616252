"""PURE: what a commit asks of its shell, how long it waits before it asks again, and what it has counted in the end."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from processor.core.statements import ReadPages, Statement, Table

CALL_MAX = 25
"""Statements of one BatchExecuteStatement (AWS API reference)."""


class Call(NamedTuple):
    """Statements for one BatchExecuteStatement."""

    table: Table
    statements: tuple[Statement, ...]


class Wait(NamedTuple):
    """Nothing can be sent for `seconds`."""

    seconds: float


Step: TypeAlias = Call | ReadPages | Wait


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits before attempt n (from 1): random between 0 and min(cap_s, base_s * 2**(n-1)); all of it about 6 s."""

    attempts_max: int = 10
    base_s: float = 0.05
    cap_s: float = 3.0

    def wait_s(self, attempt: int, jitter: float) -> float:
        """Seconds to wait after `attempt` failures in a row; `jitter` is a random number in [0, 1)."""
        return jitter * min(self.cap_s, self.base_s * 2.0 ** (attempt - 1))


@dataclass(slots=True)
class Counts:
    """What a commit did so far. `write_units` is estimated from item sizes, refused conditions included."""

    items_written: int = 0
    write_units: int = 0
    calls: int = 0
    reads: int = 0
    retries: int = 0
