"""PURE: the function in virtual time, by its counts: what a batch writes, how long it takes, and who is refused.

Which pages a batch writes is counted as `processor.core.pages` fills them: one page takes identities until it has 32 of
them or more, at most as many as fit one write unit; every page that a batch adds to is one write.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infra.plan.service import ServiceTimes
from processor.core.chain import SEALED_AT, capacity

PAGE_IDENTITIES_MAX = capacity(
    "loadgen.metered#run-0000000000-000000/key-000000", "2026-11-23T09:00:00Z", ("sum_bytes", "sum_quantity")
)
TABLE_BURST_S = 1.0  # what a table that gives so many units per second lets through at once


class Pages:
    """How far each key's open page is filled, and which page of it each environment has seen last.

    An environment that does not know the page which is open finds it by a write that is refused, and which costs as
    much as one that is not (fact 10.2).
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[int, int]] = {}  # key -> number of its open page, identities in it
        self._known: dict[int, dict[int, int]] = {}  # environment -> key -> page

    def writes(self, keys: Iterable[int], environment: int = 0) -> int:
        """Writes, refused ones too, of one batch with events of these keys."""
        held, made = self._held, 0
        known = self._known.setdefault(environment, {})
        for key, count in Counter(keys).items():
            page, filled = held.get(key, (0, 0))
            made += filled > 0 and known.get(key) != page
            left = count
            while left:
                if filled >= SEALED_AT:
                    page, filled = page + 1, 0
                taken = min(left, PAGE_IDENTITIES_MAX - filled)
                filled += taken
                left -= taken
                made += 1
            held[key] = page, filled
            known[key] = page
        return made


class Table:
    """Write units per second that a slice may use; None: no limit. What is too much waits, as the processor does."""

    def __init__(self, write_units_per_s: float | None) -> None:
        self._rate = write_units_per_s
        self._free_s = float("-inf")

    def wait_s(self, units: float, now_s: float) -> float:
        if self._rate is None:
            return 0.0
        self._free_s = max(self._free_s, now_s - TABLE_BURST_S) + units / self._rate
        return max(0.0, self._free_s - now_s)


@dataclass(slots=True)
class Ran:
    """One invocation: seconds from its begin to the commit, to its end, and what it wrote."""

    commit_s: float
    whole_s: float
    writes: int


@dataclass(slots=True)
class Function:
    """`pause_s`: of every batch, before the processor's own work. `cores`: that all executions share, if they do."""

    times: ServiceTimes
    memory_mb: int
    pause_s: float
    pages: Pages
    table: Table
    cores: int | None = None

    def run(self, keys: Sequence[int], now_s: float, environment: int = 0, running: int = 1) -> Ran:
        """`running`: executions at the same time, this one counted; those that pause leave the cores to others."""
        writes = self.pages.writes(keys, environment)
        inside_s = self.times.inside_s(len(keys), writes, self.memory_mb)
        if self.cores is not None:
            computing = running * inside_s / (inside_s + self.pause_s)
            inside_s *= max(1.0, computing / self.cores)
        inside_s += self.table.wait_s(writes, now_s + self.pause_s)
        outside_s = self.times.seconds(0, 0, self.memory_mb) - self.times.inside_s(0, 0, self.memory_mb)
        return Ran(self.pause_s + outside_s + inside_s, self.pause_s + outside_s + inside_s, writes)
