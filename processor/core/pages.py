"""PURE: a window's identities and totals as a chain of pages, each written by statements that prove themselves.

The pages of (`pk`, window) are items with the sort keys `window`, `window#00001`, `window#00002`, ... A page holds the
identities it has counted (`ids`), their number (`events`) and their part of the totals. **Sealed** means
`events >= SEALED_AT`; a sealed page never changes again. Reading a total is summing the chain.

Why an identity is counted exactly once, whoever writes, in whatever order, with any crash or lost answer:

1. Within a page, the write's condition refuses an identity the page holds.
2. A writer puts an identity into page p+1 only when it knows every identity of the sealed pages 0..p, and it is not
   among them. Sealed pages take no more, so it cannot appear there later, not even by a statement that arrives late.
3. What a writer knows is always true: `Chain.sealed` is complete for all pages before `Chain.number`, and `Page.known`
   is a subset of what the open page holds. So a write under the condition `events = len(known)` that succeeds proves
   that the page held exactly `known`: that is how a writer seals a page and knows its content without reading it.

A page takes at most `capacity` identities: what fits one write unit, and never fewer than SEALED_AT. Two writers that
differ on the capacity (another set of measures) only differ on how full they fill a page.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, DivisionByZero, Inexact, InvalidOperation, Overflow
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING

from processor.core.chain import (
    IDENTITY_BYTES,
    LAST_PAGE,
    SEALED_AT,
    Chain,
    ChainFull,
    ForeignItem,
    Page,
    capacity,
    page_key,
)
from processor.core.effects import Number
from processor.core.sizes import value_bytes, write_units
from processor.core.statements import (
    CONDITION_FAILED,
    DUPLICATE_ITEM,
    AddToPage,
    Insert,
    Item,
    Outcome,
    ReadPages,
    Statement,
    Table,
    Value,
)

if TYPE_CHECKING:
    from processor.core.plan import Contribution

__all__ = [
    "CONFLICTS_MAX",
    "IDENTITY_BYTES",
    "LAST_PAGE",
    "SEALED_AT",
    "Chain",
    "ChainFull",
    "ForeignItem",
    "Page",
    "PageWriter",
    "capacity",
    "page_key",
]

OPERATORS_MAX = 300
"""Operators and functions one expression may have (AWS: DynamoDB quotas, expression parameters)."""

CONFLICTS_MAX = 200
"""Refused conditions in a row before a writer gives up. Each means that another writer got on, at most 32 per page."""

_PLAIN = frozenset({"pk", "sk", "events", "ids"})
_EXACT = Context(
    prec=60, rounding=ROUND_HALF_EVEN, Emin=-999, Emax=999, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero]
)
_INTEGER = frozenset({int})


class PageWriter:
    """Brings the contributions of one batch into one chain: `ask` for the next statement, tell `answer` or `read`.

    Order of calls: `ask`, then exactly one of `answer` (for a statement), `read` (for `ReadPages`) or neither (it was
    not sent). `ask` returns None when nothing is left. After an answer without effect, `ask` again repeats the
    statement or improves it. `applied` and `duplicates` list identities; an identity that turns up in a page after a
    write of it whose answer was lost counts as applied.
    """

    __slots__ = (
        "_asked",
        "_chunk",
        "_exact",
        "_names",
        "_ordered",
        "_room",
        "_sums",
        "_unsure",
        "applied",
        "chain",
        "conflicts",
        "duplicates",
        "pending",
        "pk",
        "window",
    )

    def __init__(self, pk: str, window: str, pending: Mapping[str, "Contribution"], chain: Chain) -> None:
        self.pk = pk
        self.window = window
        self.pending: dict[str, Contribution] = dict(pending)
        self.chain = chain
        self.applied: list[str] = []
        self.duplicates: list[str] = []
        self.conflicts = 0
        self._unsure: set[str] = set()
        self._chunk: tuple[str, ...] = ()
        self._asked = ""
        self._exact = False
        self._sums: dict[str, Number] = {}
        self._names = frozenset().union(*[contribution.amounts for contribution in pending.values()])
        self._ordered = sorted(self._names)
        self._room = capacity(pk, window, self._names)
        self._cut(chain.sealed)
        if chain.page is not None:
            self._cut(chain.page.known)

    @property
    def steps_left(self) -> int:
        """Roughly how many more statements this chain needs, one after the other: long chains should go first."""
        return len(self.pending) // SEALED_AT

    def sources(self) -> set[int]:
        """Indices of the Kinesis records whose contributions are not in the table yet, as far as known."""
        return {source for contribution in self.pending.values() for source in contribution.sources}

    def ask(self) -> Statement | ReadPages | None:
        """The next thing to do, or None when every identity is in a page. Raises `ChainFull`."""
        if not self.pending:
            return None
        self._asked = page_key(self.window, self.chain.number)
        if self.chain.unread:
            return ReadPages(self.pk, self._asked, page_key(self.window, LAST_PAGE))
        return self._insert() if self.chain.page is None else self._update(self.chain.page)

    def answer(self, outcome: Outcome) -> bool:
        """Take the outcome of the statement last asked for; True if it taught something, False if only time can help.

        Raises `ForeignItem` where the stored item is no page.
        """
        chain = self.chain
        if not outcome.code:
            self._written()
        elif outcome.item is not None:
            self._learn(outcome.item, own=False)
            self.conflicts += 1
        elif outcome.code == DUPLICATE_ITEM:
            # Known to exist, content unknown: a few identities are simply tried, for many reading comes first.
            self.conflicts += 1
            if len(self._chunk) < SEALED_AT:
                chain.page = Page(set(), set(self._sums))
            else:
                chain.unread = True
        elif outcome.code == CONDITION_FAILED:
            # A page that was there has gone: somebody deleted it. What was known about the chain is void.
            self.conflicts += 1
            chain.forget()
        else:
            return False
        return True

    def unsure(self) -> None:
        """The statement last asked for may have been applied, although no answer says so."""
        self._unsure.update(self._chunk)

    def read(self, pages: Sequence[Item], *, complete: bool) -> None:
        """Take the pages read, in order of their sort key; `complete` is False where the answer was cut off."""
        self.chain.unread = False
        for item in pages:
            if item["sk"] != page_key(self.window, self.chain.number):
                return  # written while we read: the page before it was not there yet, so it is asked for again
            self._learn(item, own=True)
            if self.chain.page is not None:
                return  # the open page; whatever follows was written after we read this one
        self.chain.unread = not complete

    def units(self) -> int:
        """Write units of the statement last asked for: the size of the page after it, as far as it is known."""
        held = len(self._chunk) + (len(self.chain.page.known) if self.chain.page else 0)
        if held <= self._room > SEALED_AT:
            return 1  # what the capacity is made for
        names = self.chain.page.names if self.chain.page else self._sums
        overhead = 18 + value_bytes(self.pk) + value_bytes(self._asked) + sum(len(name) + 6 for name in names)
        return write_units(overhead + held * IDENTITY_BYTES)

    def _insert(self) -> Insert:
        self._chunk = chunk = tuple(islice(self.pending, self._room))
        self._sums = self._add_up(chunk)
        self._exact = True
        attributes: dict[str, Value] = {"events": len(chunk), "ids": frozenset(chunk), **self._sums}
        return Insert(Table.RESULTS, self.pk, self._asked, attributes)

    def _update(self, page: Page) -> AddToPage:
        known = len(page.known)
        room = self._room
        if not page.names <= self._names:
            room = capacity(self.pk, self.window, self._names | page.names)
        operators = (OPERATORS_MAX - 8 - 6 * len(self._names)) // 3
        self._chunk = chunk = tuple(islice(self.pending, max(1, min(room - known, operators))))
        self._sums = sums = self._add_up(chunk)
        # A write that seals must leave its writer knowing the page: only under `events = known` does it (rule 3).
        self._exact = known + len(chunk) >= SEALED_AT
        bound = known if self._exact else min(SEALED_AT - 1, room - len(chunk))
        return AddToPage(self.pk, self._asked, sums, frozenset(sums.keys() - page.names), chunk, bound, self._exact)

    def _written(self) -> None:
        chain, chunk = self.chain, self._chunk
        self.conflicts = 0
        if chain.page is None:
            chain.page = Page(set(chunk), set(self._sums))
        else:
            chain.page.known.update(chunk)
            chain.page.names.update(self._sums)
        for identity in chunk:
            del self.pending[identity]
        self.applied.extend(chunk)
        if self._exact and len(chain.page.known) >= SEALED_AT:
            chain.seal()

    def _learn(self, item: Item, *, own: bool) -> None:
        events, ids = item.get("events"), item.get("ids")
        if not isinstance(events, int) or not isinstance(ids, frozenset):
            raise ForeignItem("the results table holds an item that is no page under a page's key: see the rules' keys")
        self.chain.page = Page(set(ids), set(item) - _PLAIN)
        self._cut(ids)
        if events >= SEALED_AT:
            self.chain.seal()
            # Whoever sealed it has probably written on: read the rest at once instead of stumbling from page to page.
            self.chain.unread = not own

    def _cut(self, known: "set[str] | frozenset[str]") -> None:
        if not known:
            return
        found = self.pending.keys() & known
        for identity in found:
            del self.pending[identity]
        if self._unsure:
            self.applied.extend(found & self._unsure)
            found -= self._unsure
        self.duplicates.extend(found)

    def _add_up(self, identities: Iterable[str]) -> dict[str, Number]:
        """Exact totals per amount; raises `decimal.Inexact` rather than round."""
        pending = self.pending
        contributed = [pending[identity].amounts for identity in identities]
        sums: dict[str, Number] = {}
        for name in self._ordered:
            values = [amounts[name] for amounts in contributed if name in amounts]
            if _INTEGER.issuperset(map(type, values)):
                if values:
                    sums[name] = sum(values)
            else:
                sums[name] = reduce(_EXACT.add, values)
        return sums
