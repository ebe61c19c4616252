"""PURE: the function in virtual time, by its counts: what a batch writes, how long it takes, and who is refused.

Which pages a batch writes is counted as `processor.core.pages` fills them: one page takes identities until it has 32 of
them or more, at most as many as fit one write unit; every page that a batch adds to is one write.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp
from random import Random

from infra.plan.machine import Shared
from infra.plan.service import ServiceTimes
from processor.core.chain import SEALED_AT, capacity

PAGE_IDENTITIES_MAX = capacity(
    "loadgen.metered#run-0000000000-000000/key-000000", "2026-11-23T09:00:00Z", ("sum_bytes", "sum_quantity")
)
TABLE_BURST_S = 1.0  # what a table that gives so many units per second lets through at once


class Before:
    """The state of the table somewhere within a window of the totals, for a load that has gone on for long.

    `rates`: events of each key in a whole window; a key behind them has `rest`. Of the `environments` one knows a page
    when it was the one that got one of the batches which filled it; `batches` there are in a window and lane.
    """

    def __init__(self, rates: Sequence[float], rest: float, environments: int, batches: float) -> None:
        self._rates, self._rest, self._environments, self._batches = rates, rest, environments, batches
        self._random = Random("before")  # noqa: S311 - repeatable, not secret

    def page(self, key: int) -> tuple[int, int]:
        """Number of the open page and identities in it; nothing for a key without an event yet in this window."""
        events = self._events(key)
        if self._random.random() < (1.0 - exp(-events)) / max(events, 1e-9):
            return 0, 0
        return 1, self._random.randint(1, SEALED_AT)

    def is_known(self, key: int, identities: int) -> bool:
        """Whether an environment knows the page with so many identities in it."""
        batches = identities / max(1.0, self._events(key) / self._batches)
        unseen = float((1.0 - 1.0 / self._environments) ** batches)
        return self._random.random() >= unseen

    def _events(self, key: int) -> float:
        return self._rates[key] if key < len(self._rates) else self._rest


class Pages:
    """How far each key's open page is filled, and which page of it each environment has seen last.

    An environment that does not know the page which is open finds it by a write that is refused, and which costs as
    much as one that is not (fact 10.2). `before`: what of a key was there before the run began.
    """

    def __init__(self, before: "Before | None" = None) -> None:
        self._before = before
        self._held: dict[int, tuple[int, int]] = {}  # key -> number of its open page, identities in it
        self._known: dict[int, dict[int, int]] = {}  # environment -> key -> page
        self._found: dict[int, tuple[int, int]] = {}  # key -> as it was before

    def writes(self, keys: Iterable[int], environment: int = 0) -> int:
        """Writes, refused ones too, of one batch with events of these keys."""
        held, made = self._held, 0
        known = self._known.setdefault(environment, {})
        for key, count in Counter(keys).items():
            if self._before is not None and key not in known:
                if key not in held:
                    held[key] = self._found[key] = self._before.page(key)
                found = self._found[key]
                if found[0] == held[key][0] and found[1] and self._before.is_known(key, found[1]):
                    known[key] = found[0]
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
    """One invocation: seconds from its begin to the commit, to its end, and the pages it wrote."""

    commit_s: float
    whole_s: float
    writes: int


@dataclass(slots=True)
class Function:
    """`pause_s`: of every batch, before the processor's own work. `machine`: that everything shares, if it does.
    `malformed`: share of the events; each is one write in quarantine, and none of a page.
    """

    times: ServiceTimes
    memory_mb: int
    pause_s: float
    pages: Pages
    table: Table
    machine: Shared | None = None
    malformed: float = 0.0
    _malformed_due: float = 0.0

    def run(self, keys: Sequence[int], now_s: float, environment: int = 0) -> Ran:
        self._malformed_due += self.malformed * len(keys)
        quarantined = int(self._malformed_due)
        self._malformed_due -= quarantined
        pages = self.pages.writes(keys[quarantined:], environment)
        writes = pages + quarantined
        inside_s = self.times.inside_s(len(keys), writes, self.memory_mb)
        begins_s = now_s + self.pause_s
        inside_s += self.table.wait_s(pages, begins_s)
        if self.machine is not None:
            inside_s += self.machine.wait_s(len(keys), writes, begins_s, inside_s)
        outside_s = self.times.seconds(0, 0, self.memory_mb) - self.times.inside_s(0, 0, self.memory_mb)
        return Ran(self.pause_s + outside_s + inside_s, self.pause_s + outside_s + inside_s, pages)
