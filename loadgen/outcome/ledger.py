"""PURE: sent = stored + quarantined + expired, by identity and by position, and duplicates applied = 0.

`Findings` of the tables are held against the `Expectations`: `reconcile` holds one window's chain of pages against it,
`ExpectedItem.check` one other item, and `settle` makes up the account of them all.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from loadgen.offer.items import ItemCheck, ItemKey
from loadgen.outcome.expectations import Expectations, Position, WindowKey
from loadgen.outcome.windows import Page, WindowCheck, reconcile

__all__ = ["Expectations", "Findings", "Ledger", "Page", "Position", "WindowCheck", "WindowKey", "reconcile", "settle"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The account of a run. All counts are of distinct events (identities, or positions of malformed ones).

    `sent`: acknowledged by the stream. `copies`: deliberate duplicates acknowledged on top of that. `unknown`: never
    acknowledged, possibly in the stream; `unknown_stored` of them were found. `misfiled`: malformed and in quarantine
    under another reason than expected, `refused`: well-formed and in quarantine. `stored_before`: of `stored`, there
    before the load; `foreign_before`: events in the same windows that were, and that it did not send. `unexpected`:
    items in quarantine at other positions of its Kinesis records, beyond the `refused`; `quarantined_others`: items
    that arrived since it began, at positions that it has no acknowledgement of.
    `windows_not_read`: the tables did not answer any more before they were. What is found
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
    unexpected: Mapping[str, int] = field(default_factory=dict)
    quarantined_others: int = 0
    broken: int = 0
    windows_not_read: int = 0

    @property
    def balanced(self) -> bool:
        """Nothing lost, applied twice or there without being sent, every sum right, every refusal for its reason, and
        nothing of it in quarantine that does not belong there."""
        twice_or_never_sent = self.duplicates_applied or self.foreign
        different = self.elsewhere or self.sums_different or self.items_different or self.broken
        wrong = self.lost or twice_or_never_sent or different or self.misfiled or self.refused or self.unexpected
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
    unexpected: dict[Position, str] = field(default_factory=dict)  # reasons, in records of this load
    identities: dict[Position, str] = field(default_factory=dict)  # of well-formed events that were not expected there
    others: int = 0  # items in quarantine that came meanwhile and are not known to be this load's
    broken: dict[str, str] = field(default_factory=dict)  # why, by table and key
    unchecked: list[str] = field(default_factory=list)  # what could not be looked at, and why

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
        unexpected=dict(
            Counter(
                reason for position, reason in found.unexpected.items() if found.identities.get(position) not in refused
            )
        ),
        quarantined_others=found.others,
        broken=len(found.broken),
        windows_not_read=len(expected.windows.keys() - findings.checks.keys()),
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
