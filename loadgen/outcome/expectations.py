"""PURE: what must be in the tables after a load: every identity, every position of a malformed event, every other item.

`Expectations` takes in what the stream acknowledged and what was given up. Nothing here counts events in the hope that
the numbers match: every identity (64-bit digest) is kept to be looked for, and every sum exactly.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from loadgen.offer.columns import Rows
from loadgen.offer.identities import Identities
from loadgen.offer.items import ExpectedItem, Item, ItemKey
from loadgen.offer.truth import Known, Metered, Truth
from loadgen.outcome.tallies import Tallies
from loadgen.outcome.windows import Expected, Page, add

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
        if isinstance(truths, Rows) and not self._has_before:
            self.events_acknowledged += len(truths)
            self._tallies.take_rows(truths)
            return
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
