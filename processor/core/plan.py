"""PURE: a whole batch in, the write plan out: deaggregate, validate, apply the rules, fold by item.

Every user record ends in exactly one of three ways: its effects are in the plan, it is a copy of one whose effects
are, or it is quarantined with its reason. The rules judge each record as it is, also where an earlier one had the same
identity, and identities are kept by item, as in the tables: so it makes no difference which records share a batch.
Every effect on one item becomes part of one write, and every write knows the Kinesis records that fed it.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Final

from processor.core.effects import Add, Record
from processor.core.errors import Malformed
from processor.core.events import Event, parse_all
from processor.core.planned import Contribution, ItemWrite, Plan, Quarantined
from processor.core.reading import Answer, Asked, Reading, Rules, RulesError, ask, ask_all, read
from processor.core.records import KinesisRecord, UserRecord, deaggregate
from processor.core.rule_results import Change, ItemKey
from processor.core.systemic import RecentOutcomes, Systemic, judge

__all__ = ["Contribution", "ItemKey", "ItemWrite", "Plan", "Quarantined", "RecentOutcomes", "Systemic", "plan"]

PARTITION_KEY_CHARACTERS_MAX: Final = 256
"""Kinesis' own limit; the keys inside of an aggregate have none and are cut for the quarantine item."""
PARSED_TOGETHER: Final = 32
"""User records that are parsed from one scan (json_objects), where a Kinesis record holds fewer. More gain nothing, and
one that is out of the ordinary sends its neighbours of the same scan the longer way."""


def plan(
    records: Sequence[KinesisRecord],
    rules: Rules,
    *,
    systemic_share: float,
    recent: RecentOutcomes | None = None,
) -> Plan:
    """Return the write plan of one batch. Never raises for what is in the records or what the rules do.

    The exception is MemoryError, which is no event's fault. `systemic_share`: systemic.judge. The order of the records
    decides only what has to be decided: which copy of an identity counts where copies differ, which `Record` of one
    key is first. The tables decide alike between batches: the first one written stays.
    """
    fold = _Fold(rules)
    for source, record in enumerate(records):
        fold.take(source, record)
    fold.apply_taken()
    remembered = (recent or RecentOutcomes()).followed_by(fold.raised)
    systemic = judge(fold.raised, remembered, systemic_share=systemic_share, first_traceback=fold.first_traceback or "")
    if systemic:
        return Plan({}, {}, {}, (), fold.events, fold.duplicates, systemic, remembered)
    written, latest = fold.items()
    aside = tuple(fold.quarantined)
    several = fold.several_totals
    return Plan(fold.adds, written, latest, aside, fold.events, fold.duplicates, None, remembered, several)


class _Item:
    """A `Record` or a `Latest` so far: what is to be written, and which Kinesis records and identities fed it."""

    __slots__ = ("change", "fed_by", "sources")

    def __init__(self, change: Change) -> None:
        self.change = change
        self.sources: set[int] = set()
        self.fed_by: set[str] = set()

    def write(self) -> ItemWrite:
        """Every record that touched the item is a source: none of them is done before the item is."""
        return ItemWrite(self.change.values, tuple(sorted(self.sources)), self.change.version)


class _Fold:
    """The batch so far. Nothing of an event is taken in before all of it is known to be good."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._taken: list[UserRecord] = []
        self._taken_from: list[int] = []
        # identity -> the first payload that the rules took, and what it changes; and the same of other payloads
        self._accepted: dict[str, tuple[bytes, list[Change]]] = {}
        self._variants: dict[bytes, list[Change]] = {}
        self._kinds: dict[ItemKey, type] = {}
        self._items: dict[ItemKey, _Item] = {}
        self._more_sources: dict[tuple[ItemKey, str], list[int]] = {}
        self.adds: dict[ItemKey, dict[str, Contribution]] = {}
        self.quarantined: list[Quarantined] = []
        self.raised: dict[str, bool] = {}
        self.first_traceback: str | None = None
        self.events = 0
        self.duplicates = 0
        self.several_totals = False

    def take(self, source: int, record: KinesisRecord) -> None:
        """Take in one Kinesis record, the `source`-th of the batch; `apply_taken` is to be called after the last."""
        try:
            users = deaggregate(record)
        except Malformed as bad:
            self.apply_taken()  # what is set aside stays in the order of the stream
            self.events += 1
            self._set_aside(source, None, record.partition_key, record.data, bad)
            return
        self.events += len(users)
        if len(users) >= PARSED_TOGETHER:
            self.apply_taken()
            self._take_aggregate(source, users)
            return
        self._taken += users
        self._taken_from += [source] * len(users)
        if len(self._taken) >= PARSED_TOGETHER:
            self.apply_taken()

    def apply_taken(self) -> None:
        """Parse and apply the user records taken in since the last time."""
        users, sources = self._taken, self._taken_from
        if users:
            self._taken, self._taken_from = [], []
            self._apply_all(sources, users, parse_all([user.data for user in users]), repeat(None))

    def _take_aggregate(self, source: int, users: Sequence[UserRecord]) -> None:
        """Take in a large aggregate: as one, if all of it is ordinary and new to the batch, as nearly always."""
        reading = read(users)
        answers: Iterable[Answer | None] = repeat(None)
        if reading.identities is not None and self.raised.keys().isdisjoint(reading.identities):
            asked = ask_all(reading, self._rules)
            if self._add_all(source, reading, asked):
                return
            answers = asked.answers
        self._apply_all(repeat(source), users, reading.found, answers)

    def _add_all(self, source: int, reading: Reading, asked: Asked) -> bool:
        """Fold in events whose identities are new to the batch, if each adds to one item and to nothing else.

        Return False, and nothing was done, if not. It comes to the same as `_apply` for each.
        """
        wanted, kinds = asked.adds, self._kinds
        if wanted is None or reading.identities is None or any(kinds.get(key, Add) is not Add for key in wanted):
            return False
        sources = (source,)
        for key, amounts in wanted.items():
            item = self.adds.get(key)
            if item is None:
                item = self.adds[key] = {}
                kinds[key] = Add
            if len(amounts) < 4:
                for digest, values in amounts.items():
                    item[digest] = tuple.__new__(Contribution, (values, sources))  # as in records.deaggregate
            else:  # the same of all of them, without a call in Python for each
                new = map(tuple.__new__, repeat(Contribution), zip(amounts.values(), repeat(sources)))
                item.update(zip(amounts, new, strict=True))
        taken = zip(reading.payloads, asked.answers, strict=True)
        self._accepted.update(zip(reading.identities, taken, strict=True))  # type: ignore[arg-type]  # none is Malformed
        self.raised.update(reading.identities)
        return True

    def _apply_all(
        self,
        sources: Iterable[int],
        users: Sequence[UserRecord],
        found: Sequence[Event | Malformed],
        answers: Iterable[Answer | None],
    ) -> None:
        """Apply user records one by one; `sources` and `answers` may be endless."""
        for user, source, event, answer in zip(users, sources, found, answers):  # noqa: B905 # some are endless
            why = event if isinstance(event, Malformed) else self._apply(source, event, user.data, answer)
            if why is not None:
                self._set_aside(source, user.subsequence_number, user.partition_key, user.data, why)

    def _apply(self, source: int, event: Event, payload: bytes, answer: Answer | None) -> Malformed | None:
        """Take in one event; return why the rules do not take it. `answer`: the rules', if they were asked.

        The rules are asked about every payload that they have not taken yet, whatever its identity: what they refuse
        is set aside under its own position, as it would be in a batch of its own.
        """
        digest = event.digest
        known = self._accepted.get(digest)
        if known is not None:
            wanted = known[1] if known[0] == payload else self._variants.get(payload)
            if wanted is not None:
                self.duplicates += 1
                self._fold(source, digest, wanted)
                return None
        if answer is None:
            answer = ask(self._rules, event)
        if not isinstance(answer, Malformed):
            if known is None and len(answer) == 1 and self._add(source, digest, answer[0]):
                self._accepted[digest] = payload, answer
                self.raised.setdefault(digest, False)
                return None
            answer = self._of_known_kinds(answer)
        if isinstance(answer, Malformed):
            self.raised[digest] = self.raised.get(digest, False) or isinstance(answer, RulesError)
            return answer
        if len(answer) > 1 and sum(change.kind is Add for change in answer) > 1:
            self.several_totals = True
        changed = self._fold(source, digest, answer)
        if known is None:
            self._accepted[digest] = payload, answer
            self.raised.setdefault(digest, False)
        else:
            self._variants[payload] = answer
            self.duplicates += not changed
        return None

    def _add(self, source: int, digest: str, change: Change) -> bool:
        """What `_fold` does with an `Add` of an identity that is new to the batch; False, and nothing was done, if it
        is something else, or does not go with what the item is."""
        if change.kind is not Add:
            return False
        item = self.adds.get(change.key)
        if item is None:
            if change.key in self._kinds:
                return False
            item = self.adds[change.key] = {}
            self._kinds[change.key] = Add
        item[digest] = tuple.__new__(Contribution, (change.values, (source,)))
        return True

    def _fold(self, source: int, digest: str, wanted: list[Change]) -> bool:
        """Fold in what an event changes; return whether any of the items was not fed by this identity before.

        Of copies on one item the first one counts, as in the tables; a `Latest` goes by its version.
        """
        changed = False
        for change in wanted:
            kind, key, values, version = change
            if kind is Add:
                identities = self.adds.get(key)
                if identities is None:
                    identities = self.adds[key] = {}
                    self._kinds[key] = Add
                elif digest in identities:
                    self._more_sources.setdefault((key, digest), []).append(source)
                    continue
                identities[digest] = tuple.__new__(Contribution, (values, (source,)))  # as in records.deaggregate
                changed = True
                continue
            item = self._items.get(key)
            if item is None:
                item = self._items[key] = _Item(change)
                self._kinds[key] = kind
            elif version is not None and version > item.change.version:  # type: ignore[operator]  # of one type: kinds
                item.change = change
            changed = changed or digest not in item.fed_by
            item.fed_by.add(digest)
            item.sources.add(source)
        return changed

    def _of_known_kinds(self, wanted: list[Change]) -> Answer:
        """One item is of one kind, and its versions are of one type, within the batch and within the event."""
        kinds = self._kinds
        if len(wanted) == 1 and kinds.get(wanted[0].key, wanted[0].kind) is wanted[0].kind:
            return wanted  # nearly always
        own: dict[ItemKey, type] = {}
        for kind, key, _, _ in wanted:
            others = kinds.get(key) or own.setdefault(key, kind)
            if kind is not others:
                text = f"an item that other effects treat as {_kind_text(others)} is treated as {_kind_text(kind)}"
                return RulesError(text, None)
        return wanted

    def _set_aside(self, source: int, position: int | None, partition_key: str, payload: bytes, bad: Malformed) -> None:
        traceback = None
        if isinstance(bad, RulesError):
            traceback = bad.traceback
            self.first_traceback = self.first_traceback or traceback or bad.detail
        key = partition_key[:PARTITION_KEY_CHARACTERS_MAX]
        self.quarantined.append(Quarantined(source, position, bad.reason, bad.detail, traceback, key, payload))

    def items(self) -> tuple[dict[ItemKey, ItemWrite], dict[ItemKey, ItemWrite]]:
        """Return records and latest, and complete the sources in `adds`."""
        for (key, digest), more in self._more_sources.items():
            amounts, (first,) = self.adds[key][digest]
            self.adds[key][digest] = Contribution(amounts, tuple(sorted({first, *more})))
        records: dict[ItemKey, ItemWrite] = {}
        latest: dict[ItemKey, ItemWrite] = {}
        for key, item in self._items.items():
            (records if item.change.kind is Record else latest)[key] = item.write()
        return records, latest


def _kind_text(kind: type) -> str:
    return kind.__name__ if kind in (Add, Record) else f"Latest with a version of type {kind.__name__}"
