"""PURE: sent = stored + quarantined + expired, by identity and by position, and duplicates applied = 0.

`Expectations` takes in what the stream acknowledged and what was given up; `reconcile` holds one window's chain of
pages against it. Nothing here counts events in the hope that the numbers match: every identity (64-bit digest) is
looked for, and every sum is compared exactly.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import NamedTuple, TypeAlias

from loadgen.identities import Identities
from loadgen.truth import Truth
from processor.core.effects import Number

WindowKey: TypeAlias = tuple[str, str]  # (pk, window)
EXACT = Context(prec=200)


class Position(NamedTuple):
    """Where the quarantine keeps it: `subsequence_number` None is the whole Kinesis record."""

    shard_id: str
    sequence_number: str
    subsequence_number: int | None


class Page(NamedTuple):
    """One item of a window's chain, as the results table has it."""

    events: int
    sums: tuple[Number | None, ...]
    ids: frozenset[str]


@dataclass(slots=True)
class Expected:
    """One window: identities that the stream acknowledged, their exact sums, and identities whose fate is unknown.

    `before`: identities that were there before the load; `changed_sums`: the sums that were there then, and on top the
    amounts of acknowledged identities that were not.
    """

    digests: Identities = field(default_factory=Identities)
    sums: list[Number | None] = field(default_factory=list)
    unknown: dict[str, tuple[Number | None, ...]] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    changed_sums: list[Number | None] = field(default_factory=list)


class Expectations:
    """Everything that must be found. Memory: 8 bytes per distinct event, nothing of its payload."""

    def __init__(self, measures: Sequence[str]) -> None:
        self.measures = tuple(measures)
        self.windows: dict[WindowKey, Expected] = {}
        self.quarantine: dict[Position, str] = {}
        self.events_acknowledged = 0
        self.events_failed = 0
        self.malformed_unknown = 0

    def there_before(self, key: WindowKey, pages: Sequence[Page]) -> None:
        """A window's chain as it was before the load: for every window that existed, before anything is sent."""
        window = self._window(*key)
        window.before = frozenset().union(*(page.ids for page in pages))
        for page in pages:
            window.changed_sums = added(window.changed_sums, page.sums)

    def known_before(self) -> dict[WindowKey, frozenset[str]]:
        """The identities that were there before, for the expectations of another sender."""
        return {key: window.before for key, window in self.windows.items() if window.before}

    def tell_before(self, known: Mapping[WindowKey, frozenset[str]]) -> None:
        for key, identities in known.items():
            self._window(*key).before = identities

    def acknowledged(self, truths: Iterable[Truth], shard_id: str, sequence_number: str) -> None:
        """A Kinesis record is in the stream, with these user records in this order."""
        for subsequence_number, truth in enumerate(truths):
            self.events_acknowledged += 1
            if truth.reason is not None:
                where = Position(shard_id, sequence_number, None if truth.whole else subsequence_number)
                self.quarantine[where] = truth.reason
                continue
            window = self.windows.get((truth.pk, truth.window)) or self._window(truth.pk, truth.window)
            if window.digests.add_new(truth.digest):
                window.sums = added(window.sums, truth.amounts)
                if window.before and truth.digest not in window.before:
                    window.changed_sums = added(window.changed_sums, truth.amounts)

    def failed(self, truths: Iterable[Truth], *, uncertain: bool) -> None:
        """A Kinesis record was given up; with `uncertain` it may be in the stream all the same."""
        for truth in truths:
            self.events_failed += 1
            if uncertain and truth.reason is not None:
                self.malformed_unknown += 1
            elif uncertain:
                self._window(truth.pk, truth.window).unknown[truth.digest] = truth.amounts

    def merge(self, other: "Expectations") -> None:
        """Take in what another sender of the same load put. It shares no window's identity with us, and it was told
        what was there before without its sums (`known_before`)."""
        for (pk, start), theirs in other.windows.items():
            window = self._window(pk, start)
            window.digests.absorb(theirs.digests)
            window.sums = added(window.sums, theirs.sums)
            window.changed_sums = added(window.changed_sums, theirs.changed_sums)
            window.unknown.update(theirs.unknown)
        self.quarantine.update(other.quarantine)
        self.events_acknowledged += other.events_acknowledged
        self.events_failed += other.events_failed
        self.malformed_unknown += other.malformed_unknown

    def _window(self, pk: str, start: str) -> Expected:
        window = self.windows.get((pk, start))
        if window is None:
            nothing: list[Number | None] = [None] * len(self.measures)
            window = self.windows[pk, start] = Expected(sums=nothing, changed_sums=nothing)
        return window

    @property
    def distinct_events(self) -> int:
        """Identities and quarantine positions that must be found."""
        return sum(len(window.digests) for window in self.windows.values()) + len(self.quarantine)


def added(sums: Sequence[Number | None], amounts: Sequence[Number | None]) -> list[Number | None]:
    """Exact sums; None is "no event had this measure", which is not 0."""
    return [
        total if amount is None else amount if total is None else plus(total, amount)
        for total, amount in zip(sums, amounts, strict=True)
    ]


def plus(one: Number, other: Number) -> Number:
    if type(one) is int and type(other) is int:
        return one + other
    return EXACT.add(one if type(one) is Decimal else Decimal(one), other if type(other) is Decimal else Decimal(other))


class WindowCheck(NamedTuple):
    """One window held against its chain.

    `stored`: acknowledged identities found. `unknown_stored`: of unknown fate and found. `missing`: acknowledged and
    not found. `applied_again`: times that an identity was found beyond the first, and counted events beyond the
    identities of their page. `foreign`: identities that are neither this load's nor were there before it. `sums`:
    "equal", "different", or "not checked" (foreign or missing identities are in the way); in a window with identities
    of others that were there before, the change is compared. `stored_before`: of `stored`, there before the load;
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

    @property
    def complete(self) -> bool:
        return not self.missing


def reconcile(expected: Expected, pages: Sequence[Page]) -> WindowCheck:
    """Compare one window with the whole chain of its pages."""
    found: set[str] = set()
    listed = counted = 0
    sums: list[Number | None] = [None] * len(expected.sums)
    for page in pages:
        found |= page.ids
        listed += len(page.ids)
        counted += page.events
        sums = added(sums, page.sums)
    unknown = {identity for identity in expected.unknown if identity not in expected.digests}
    missing = frozenset(identity for identity in expected.digests if identity not in found)
    unknown_stored = unknown & found
    before = expected.before & found
    stored_before = sum(identity in expected.digests for identity in before)
    foreign_before = len(before) - stored_before - len(before & unknown)
    foreign = len(found) - (len(expected.digests) - len(missing)) - len(unknown_stored) - foreign_before
    wanted = expected.changed_sums if foreign_before else expected.sums
    for identity in unknown_stored - (expected.before if foreign_before else frozenset()):
        wanted = added(wanted, expected.unknown[identity])
    compared = "equal" if all(map(same, wanted, sums)) else "different"
    return WindowCheck(
        stored=len(expected.digests) - len(missing),
        unknown_stored=len(unknown_stored),
        missing=missing,
        applied_again=(listed - len(found)) + abs(counted - listed),
        foreign=foreign,
        sums="not checked" if missing or foreign else compared,
        stored_before=stored_before,
        foreign_before=foreign_before,
    )


def same(one: Number | None, other: Number | None) -> bool:
    """Equal as numbers; a sum that is absent equals only a sum that is absent."""
    return one == other if one is not None and other is not None else one is other


@dataclass(frozen=True, slots=True)
class Ledger:
    """The account of a run. All counts are of distinct events (identities, or positions of malformed ones).

    `sent`: acknowledged by the stream. `copies`: deliberate duplicates acknowledged on top of that. `unknown`: never
    acknowledged, possibly in the stream; `unknown_stored` of them were found. `misfiled`: malformed and in quarantine
    under another reason than expected, `refused`: well-formed and in quarantine. `stored_before`: of `stored`, there
    before the load; `foreign_before`: events in the same windows that were, and that it did not send. What is found
    nowhere is `lost` when it was waited for, else `not_yet_found`; these terms always add up:
    sent = stored + quarantined + expired + lost + not_yet_found.
    """

    sent: int
    stored: int
    stored_before: int
    quarantined: int
    expired: int
    lost: int
    not_yet_found: int
    duplicates_applied: int
    sums_different: int
    sums_not_checked: int
    windows: int
    foreign: int
    foreign_before: int
    copies: int
    unknown: int
    unknown_stored: int
    misfiled: Mapping[str, int]
    refused: Mapping[str, int]
    expected_reasons: Mapping[str, int]
    found_reasons: Mapping[str, int]

    @property
    def balanced(self) -> bool:
        """Nothing lost, applied twice or there without being sent, every sum right, every refusal for its reason."""
        twice_or_never_sent = self.duplicates_applied or self.foreign
        wrong = self.lost or twice_or_never_sent or self.sums_different or self.misfiled or self.refused
        return not wrong and self.sent == self.stored + self.quarantined + self.expired


@dataclass(slots=True)
class Findings:
    """What was read back: the newest check of every window, quarantine reasons by position, and what expired."""

    checks: dict[WindowKey, WindowCheck] = field(default_factory=dict)
    reasons: dict[Position, str] = field(default_factory=dict)
    expired_digests: set[str] = field(default_factory=set)
    expired_positions: set[Position] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)  # digest of a well-formed event -> quarantine reason

    def found(self) -> int:
        """How many of the expected identities and positions were found stored or in quarantine."""
        return sum(check.stored for check in self.checks.values()) + len(self.reasons)


def settle(expected: Expectations, findings: Findings, *, waited: bool = True) -> Ledger:
    """Make up the account. Without `waited`, what is not there may still come: it is not yet found, and not lost."""
    checks = findings.checks
    empty = WindowCheck(0, 0, frozenset(), 0, 0, "not checked")
    missing = {
        identity
        for key, window in expected.windows.items()
        for identity in (checks[key].missing if key in checks else window.digests)
    }
    refused = {identity: findings.refused[identity] for identity in missing & findings.refused.keys()}
    expired = (missing - refused.keys()) & findings.expired_digests
    absent = expected.quarantine.keys() - findings.reasons.keys()
    absent_expired = absent & findings.expired_positions
    misfiled = Counter(
        f"{reason} instead of {expected.quarantine[position]}"
        for position, reason in findings.reasons.items()
        if reason != expected.quarantine[position]
    )
    verdicts = Counter(checks.get(key, empty).sums for key in expected.windows)
    nowhere = len(missing) - len(refused) - len(expired) + len(absent) - len(absent_expired)
    identities = sum(len(window.digests) for window in expected.windows.values())
    well_formed_acknowledged = expected.events_acknowledged - len(expected.quarantine)
    return Ledger(
        sent=identities + len(expected.quarantine),
        stored=sum(check.stored for check in checks.values()),
        stored_before=sum(check.stored_before for check in checks.values()),
        quarantined=len(findings.reasons) + len(refused),
        expired=len(expired) + len(absent_expired),
        lost=nowhere if waited else 0,
        not_yet_found=0 if waited else nowhere,
        duplicates_applied=sum(check.applied_again for check in checks.values()),
        sums_different=verdicts["different"],
        sums_not_checked=verdicts["not checked"],
        windows=len(expected.windows),
        foreign=sum(check.foreign for check in checks.values()),
        foreign_before=sum(check.foreign_before for check in checks.values()),
        copies=well_formed_acknowledged - identities,
        unknown=sum(
            identity not in window.digests for window in expected.windows.values() for identity in window.unknown
        )
        + expected.malformed_unknown,
        unknown_stored=sum(check.unknown_stored for check in checks.values()),
        misfiled=dict(misfiled),
        refused=dict(Counter(refused.values())),
        expected_reasons=dict(Counter(expected.quarantine.values())),
        found_reasons=dict(Counter(findings.reasons.values())),
    )
