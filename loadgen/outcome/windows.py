"""PURE: one window of the results table held against the chain of its pages: every identity, and every sum exactly."""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from itertools import chain
from typing import NamedTuple

from loadgen.offer.identities import Identities
from loadgen.offer.truth import Amounts
from processor.core.effects import Number

EXACT = Context(prec=200)
NOBODY = frozenset[str]()


class Page(NamedTuple):
    """One item of a window's chain, as the results table has it. `sums`: every number of it but `events`, by name."""

    events: int
    sums: Amounts
    ids: frozenset[str]


@dataclass(slots=True)
class Expected:
    """One window: identities that the stream acknowledged, their exact sums, and identities whose fate is unknown.

    `digests`: of events that are counted by this window, which is the first that they are added to; `also`: of events
    that are counted by another one and are added to this one too. `unknown` and `unknown_also` alike. `before`:
    identities that were there before the load; `changed_sums`: the sums that were there then, and on top the amounts
    of acknowledged identities that were not. A sum that no event has an amount for is absent, which is not 0.
    """

    digests: Identities = field(default_factory=Identities)
    sums: dict[str, Number] = field(default_factory=dict)
    unknown: dict[str, Amounts] = field(default_factory=dict)
    before: frozenset[str] = NOBODY
    changed_sums: dict[str, Number] = field(default_factory=dict)
    also: Identities | None = None
    unknown_also: dict[str, Amounts] = field(default_factory=dict)

    def take(self, identity: str, amounts: Amounts) -> None:
        """An acknowledged event that is counted by this window."""
        if self.digests.add_new(identity):
            self._add(identity, amounts)

    def take_all(self, numbers: Iterable[bytes], sums: Amounts) -> None:
        """Acknowledged events that are counted by this window, none of which was there before or comes twice: pieces of
        8 bytes per identity, and what their amounts add up to."""
        for some in numbers:
            self.digests.add_numbers(some)
        add(self.sums, sums)

    def take_also(self, identity: str, amounts: Amounts) -> None:
        """An acknowledged event that another window counts."""
        if self.also is None:
            self.also = Identities()
        if identity not in self.digests and self.also.add_new(identity):
            self._add(identity, amounts)

    def _add(self, identity: str, amounts: Amounts) -> None:
        add(self.sums, amounts)
        if self.before and identity not in self.before:
            add(self.changed_sums, amounts)

    def absorb(self, other: "Expected") -> None:
        """What another sender has acknowledged here; no identity is in both."""
        self.digests.absorb(other.digests)
        if other.also is not None:
            self.also = self.also or Identities()
            self.also.absorb(other.also)
        add(self.sums, other.sums)
        add(self.changed_sums, other.changed_sums)
        self.unknown.update(other.unknown)
        self.unknown_also.update(other.unknown_also)

    def has(self, identity: str) -> bool:
        return identity in self.digests or (self.also is not None and identity in self.also)


def add(sums: dict[str, Number], amounts: Amounts) -> None:
    """Add amounts to sums, exactly."""
    for name, amount in amounts.items():
        total = sums.get(name)
        sums[name] = amount if total is None else plus(total, amount)


def plus(one: Number, other: Number) -> Number:
    if type(one) is int and type(other) is int:
        return one + other
    return EXACT.add(one if type(one) is Decimal else Decimal(one), other if type(other) is Decimal else Decimal(other))


class WindowCheck(NamedTuple):
    """One window held against its chain.

    `stored`: acknowledged identities found that this window counts. `unknown_stored`: of unknown fate and found.
    `missing`: acknowledged, counted here and not found; `missing_also`: counted by another window and not found here.
    `applied_again`: times that an identity was found beyond the first, and counted events beyond the identities of
    their page. `foreign`: identities that are neither this load's nor were there before it. `sums`: "equal",
    "different", or "not checked" (foreign or missing identities are in the way); in a window with identities of others
    that were there before, the change is compared. `stored_before`: of `stored`, there before the load;
    `foreign_before`: identities of others that were.
    """

    stored: int
    unknown_stored: int
    missing: frozenset[str]
    applied_again: int
    foreign: int
    sums: str
    stored_before: int = 0
    foreign_before: int = 0
    missing_also: frozenset[str] = NOBODY

    @property
    def complete(self) -> bool:
        return not self.missing and not self.missing_also


def reconcile(expected: Expected, pages: Sequence[Page]) -> WindowCheck:
    """Compare one window with the whole chain of its pages."""
    found: set[str] = set()
    listed = counted = 0
    sums: dict[str, Number] = {}
    for page in pages:
        found |= page.ids
        listed += len(page.ids)
        counted += page.events
        add(sums, page.sums)
    also = expected.also or Identities()
    missing = frozenset(identity for identity in expected.digests if identity not in found)
    missing_also = frozenset(identity for identity in also if identity not in found)
    ours_found = len(expected.digests) - len(missing) + len(also) - len(missing_also)
    unknown = {**expected.unknown_also, **expected.unknown}
    unknown_found = {identity for identity in unknown if identity in found and not expected.has(identity)}
    before = expected.before & found
    foreign_before = len(before) - sum(map(expected.has, before)) - len(before & unknown_found)
    foreign = len(found) - ours_found - len(unknown_found) - foreign_before
    wanted = dict(expected.changed_sums if foreign_before else expected.sums)
    for identity in unknown_found - (expected.before if foreign_before else NOBODY):
        add(wanted, unknown[identity])
    return WindowCheck(
        stored=len(expected.digests) - len(missing),
        unknown_stored=len(unknown_found & expected.unknown.keys()),
        missing=missing,
        applied_again=(listed - len(found)) + abs(counted - listed),
        foreign=foreign,
        sums="not checked" if missing or missing_also or foreign else "equal" if wanted == sums else "different",
        stored_before=sum(identity in expected.digests for identity in before),
        foreign_before=foreign_before,
        missing_also=missing_also,
    )


def hold_beyond(
    expected: Expected, check: WindowCheck, beyond: MutableMapping[str, int]
) -> tuple[WindowCheck, frozenset[str]]:
    """Identities of this window among those that came into windows where nobody expects any.

    `beyond`: how many times each was found there; this window's are taken out of it. What is in its own window too was
    applied again, as often; the second value is what is not, and so is elsewhere.
    """
    if not beyond:
        return check, NOBODY
    own = {identity for identity in chain(expected.digests, expected.also or ()) if identity in beyond}
    away = own & (check.missing | check.missing_also)
    again = sum(beyond.pop(identity) for identity in own) - len(away)
    return check._replace(applied_again=check.applied_again + again), frozenset(away)
