"""PURE: sent = stored + quarantined + expired, by identity and by position, and duplicates applied = 0.

`Expectations` takes in what the stream acknowledged and what was given up; `reconcile` holds one window's chain of
pages against it, `ExpectedItem.check` one other item. Nothing here counts events in the hope that the numbers match:
every identity (64-bit digest) is looked for, and every sum is compared exactly.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from loadgen.offer.identities import Identities
from loadgen.offer.items import ExpectedItem, Item, ItemCheck, ItemKey
from loadgen.offer.truth import Known, Metered, Truth
from loadgen.outcome.tallies import Tallies
from loadgen.outcome.windows import Expected, Page, WindowCheck, add, reconcile

__all__ = ["Expectations", "Findings", "Ledger", "Page", "Position", "WindowCheck", "WindowKey", "reconcile", "settle"]

WindowKey: TypeAlias = tuple[str, str]  # (pk, window)


class Position(NamedTuple):
    """Where the quarantine keeps it: `subsequence_number` None is the whole Kinesis record."""

    shard_id: str
    sequence_number: str
    subsequence_number: int | None


class Expectations:
    """Everything that must be found. Memory: 8 bytes per distinct event and window, nothing of its payload; the keys of
    all items that rules ask for by `Record` and `Latest`.

    An event is counted once: by the first window that it is added to, or in `itemized` when it only writes other items,
    or in `without_effect`. `refused`: the identities of the well-formed events among `quarantine`.
    """

    def __init__(self, measures: Sequence[str] = ()) -> None:
        self.measures = tuple(measures)
        self._windows: dict[WindowKey, Expected] = {}
        self._tallies = Tallies()
        self._has_before = False
        self.items: dict[ItemKey, ExpectedItem] = {}
        self.items_before: dict[ItemKey, Item] = {}
        self.itemized, self.without_effect = Identities(), Identities()
        self.quarantine: dict[Position, str] = {}
        self.refused: dict[Position, str] = {}
        self.events_acknowledged = 0
        self.events_failed = 0
        self.unplaced_unknown = 0

    @property
    def windows(self) -> dict[WindowKey, Expected]:
        self._tallies.empty_into(self._window)
        return self._windows

    def there_before(self, key: WindowKey, pages: Sequence[Page]) -> None:
        """A window's chain as it was before the load: for every window that existed, before anything is sent."""
        window = self._window(key)
        self._has_before = True
        window.before = frozenset().union(*(page.ids for page in pages))
        for page in pages:
            add(window.changed_sums, page.sums)

    def known_before(self) -> dict[WindowKey, frozenset[str]]:
        """The identities that were there before, for the expectations of another sender."""
        return {key: window.before for key, window in self.windows.items() if window.before}

    def tell_before(self, known: Mapping[WindowKey, frozenset[str]]) -> None:
        self._has_before |= bool(known)
        for key, identities in known.items():
            self._window(key).before = identities

    def acknowledged(self, truths: Iterable[Known], shard_id: str, sequence_number: str) -> None:
        """A Kinesis record is in the stream, with these user records in this order."""
        events = truths if isinstance(truths, tuple) else tuple(truths)
        self.events_acknowledged += len(events)
        metered = [] if self._has_before else [event for event in events if type(event) is Metered]
        if metered:
            self._tallies.take(metered)
        if len(metered) == len(events):
            return
        for subsequence_number, event in enumerate(events):
            if type(event) is Truth:
                self._take(event, shard_id, sequence_number, subsequence_number)
            elif self._has_before:
                self._take(event.truth(), shard_id, sequence_number, subsequence_number)

    def _take(self, truth: Truth, shard_id: str, sequence_number: str, subsequence_number: int) -> None:
        if truth.reason is not None:
            where = Position(shard_id, sequence_number, None if truth.whole else subsequence_number)
            self.quarantine[where] = truth.reason
            if truth.digest:
                self.refused[where] = truth.digest
            return
        if truth.pk:
            self._window((truth.pk, truth.window)).take(truth.digest, truth.amounts)
        if truth.more is not None or not truth.pk:
            self._take_more(truth)

    def _take_more(self, truth: Truth) -> None:
        if not truth.has_effect:
            self.without_effect.add(truth.digest)
        if truth.more is None:
            return
        for one in truth.more.adds:
            self._window((one.pk, one.window)).take_also(truth.digest, one.amounts)
        for item in truth.more.items:
            self.items.setdefault((item.pk, item.sk), ExpectedItem()).take(truth.digest, item)
        if not truth.pk:
            self.itemized.add(truth.digest)

    def failed(self, truths: Iterable[Known], *, uncertain: bool) -> None:
        """A Kinesis record was given up; with `uncertain` it may be in the stream all the same."""
        for truth in truths:
            self.events_failed += 1
            if not uncertain:
                continue
            if truth.reason is not None or not truth.pk:
                self.unplaced_unknown += 1
            else:
                self._window((truth.pk, truth.window)).unknown[truth.digest] = truth.amounts
            if truth.reason is None and truth.more is not None:
                for one in truth.more.adds:
                    self._window((one.pk, one.window)).unknown_also[truth.digest] = one.amounts
                for item in truth.more.items:
                    expected = self.items.setdefault((item.pk, item.sk), ExpectedItem())
                    expected.unknown.add((item.version, item.content))

    def merge(self, other: "Expectations") -> None:
        """Take in what another sender of the same load put. It shares no window's identity with us, and it was told
        what was there before without its sums (`known_before`)."""
        for key, theirs in other.windows.items():
            self._window(key).absorb(theirs)
        for place, item in other.items.items():
            self.items.setdefault(place, ExpectedItem()).absorb(item)
        self.itemized.absorb(other.itemized)
        self.without_effect.absorb(other.without_effect)
        self.quarantine.update(other.quarantine)
        self.refused.update(other.refused)
        self.events_acknowledged += other.events_acknowledged
        self.events_failed += other.events_failed
        self.unplaced_unknown += other.unplaced_unknown

    def _window(self, key: WindowKey) -> Expected:
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Expected()
        return window

    def __getstate__(self) -> dict[str, object]:
        """For another process: what was counted, and nothing that counts on."""
        self._tallies.empty_into(self._window)
        return {**vars(self), "_tallies": Tallies()}

    @property
    def distinct_events(self) -> int:
        """Identities and quarantine positions that must be found."""
        return self.identities + len(self.quarantine)

    @property
    def identities(self) -> int:
        """Distinct well-formed events that have an effect."""
        return sum(len(window.digests) for window in self.windows.values()) + len(self.itemized)


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
    elsewhere: int = 0
    without_effect: int = 0
    superseded: int = 0
    items: int = 0
    items_different: int = 0

    @property
    def balanced(self) -> bool:
        """Nothing lost, applied twice or there without being sent, every sum right, every refusal for its reason."""
        twice_or_never_sent = self.duplicates_applied or self.foreign
        different = self.elsewhere or self.sums_different or self.items_different
        wrong = self.lost or twice_or_never_sent or different or self.misfiled or self.refused
        return not wrong and self.sent == self.stored + self.without_effect + self.quarantined + self.expired


@dataclass(slots=True)
class Findings:
    """What was read back: the newest check of every window and item, quarantine reasons by position, and what became of
    identities that are not where they belong. `itemized`: how many events only their items prove."""

    checks: dict[WindowKey, WindowCheck] = field(default_factory=dict)
    reasons: dict[Position, str] = field(default_factory=dict)
    expired_digests: set[str] = field(default_factory=set)
    expired_positions: set[Position] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)  # digest of a well-formed event -> quarantine reason
    items: dict[ItemKey, ItemCheck] = field(default_factory=dict)
    itemized: int = 0
    elsewhere: set[str] = field(default_factory=set)  # identities in windows that are not theirs

    def found(self) -> int:
        """How many of the expected events and positions were found, each with all that it changes."""
        stored = sum(check.stored for check in self.checks.values())
        return stored + self.itemized - len(self.incomplete()) + len(self.reasons)

    def incomplete(self) -> set[str]:
        """Identities that are in the window that counts them, or in none, and of which something else is missing."""
        also = [check.missing_also for check in self.checks.values() if check.missing_also]
        beyond = set().union(*also, *(check.missing for check in self.items.values() if check.missing))
        return beyond.difference(*(check.missing for check in self.checks.values())) if beyond else beyond


def settle(expected: Expectations, findings: Findings, *, waited: bool = True) -> Ledger:
    """Make up the account. Without `waited`, what is not there may still come: it is not yet found, and not lost."""
    found = _with_what_was_never_read(expected, findings)
    checks, incomplete = found.checks, found.incomplete()
    missing = incomplete.union(*(check.missing for check in checks.values()))
    refused = {identity: found.refused[identity] for identity in missing & found.refused.keys()}
    expired = (missing - refused.keys()) & found.expired_digests
    elsewhere = (missing - refused.keys() - expired) & found.elsewhere
    absent = expected.quarantine.keys() - found.reasons.keys()
    absent_expired = absent & found.expired_positions
    accepted = {where for where in absent - absent_expired if expected.refused.get(where) in found.elsewhere}
    misfiled = Counter(
        f"{reason} instead of {expected.quarantine[position]}"
        for position, reason in found.reasons.items()
        if reason != expected.quarantine[position]
    )
    verdicts = Counter(check.sums for check in checks.values())
    nowhere = sum(len(check.missing) for check in checks.values()) + len(incomplete)
    nowhere += len(absent) - len(refused) - len(expired) - len(elsewhere) - len(absent_expired) - len(accepted)
    counted = expected.identities + len(expected.without_effect)
    return Ledger(
        sent=counted + len(expected.quarantine),
        stored=sum(check.stored for check in checks.values()) + len(expected.itemized) - len(incomplete),
        stored_before=sum(check.stored_before for check in checks.values()) + _itemized_before(expected, found),
        quarantined=len(found.reasons) + len(refused),
        expired=len(expired) + len(absent_expired),
        lost=nowhere if waited else 0,
        not_yet_found=0 if waited else nowhere,
        duplicates_applied=sum(check.applied_again for check in checks.values()),
        sums_different=verdicts["different"],
        sums_not_checked=verdicts["not checked"],
        windows=len(expected.windows),
        foreign=sum(check.foreign for check in checks.values()),
        foreign_before=sum(check.foreign_before for check in checks.values()),
        copies=expected.events_acknowledged - len(expected.quarantine) - counted,
        unknown=sum(
            identity not in window.digests for window in expected.windows.values() for identity in window.unknown
        )
        + expected.unplaced_unknown,
        unknown_stored=sum(check.unknown_stored for check in checks.values()),
        misfiled=dict(misfiled),
        refused=dict(Counter(refused.values())),
        expected_reasons=dict(Counter(expected.quarantine.values())),
        found_reasons=dict(Counter(found.reasons.values())),
        elsewhere=len(elsewhere) + len(accepted),
        without_effect=len(expected.without_effect),
        superseded=_superseded(expected, missing),
        items=len(expected.items),
        items_different=sum(check.different for check in found.items.values()),
    )


def _with_what_was_never_read(expected: Expectations, findings: Findings) -> Findings:
    """A window or an item that was never read has nothing."""
    unread = {
        key: WindowCheck(
            0, 0, frozenset(window.digests), 0, 0, "not checked", missing_also=frozenset(window.also or ())
        )
        for key, window in expected.windows.items()
        if key not in findings.checks
    }
    items = {key: item.check(None, None) for key, item in expected.items.items() if key not in findings.items}
    return replace(findings, checks={**findings.checks, **unread}, items={**findings.items, **items})


def _itemized_before(expected: Expectations, findings: Findings) -> int:
    """Events that only write items, all of which read as they did before the load."""
    if not expected.items_before:
        return 0
    now: set[str] = set()
    before: set[str] = set()
    for key, item in expected.items.items():
        unchanged = findings.items[key].before
        (before if unchanged else now).update(item.deciding, item.older or ())
    return sum(identity in expected.itemized for identity in before - now)


def _superseded(expected: Expectations, missing: set[str]) -> int:
    """Events that are in no window, and of whose items every one has been replaced by a newer one."""
    older = {identity for item in expected.items.values() for identity in item.older or ()}
    deciding = {identity for item in expected.items.values() if older for identity in item.deciding}
    return sum(identity in expected.itemized for identity in older - deciding - missing)
