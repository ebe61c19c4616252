"""PURE: a whole batch in, the write plan out: deaggregate, validate, apply the rules, fold by item.

Every user record ends in exactly one of three ways: its effects are in the plan, it is a copy of one whose effects
are, or it is quarantined with its reason. The rules judge each record as it is, also where an earlier one had the same
identity, and identities are kept by item, as in the tables: so it makes no difference which records share a batch.
Every effect on one item becomes part of one write, and every write knows the Kinesis records that fed it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from processor.core.effects import Add, Effect, Number, Record, Scalar
from processor.core.errors import Malformed, Reason, Refused
from processor.core.events import Event, parse_all
from processor.core.records import KinesisRecord, UserRecord, deaggregate
from processor.core.rule_results import BadEffectError, Change, ItemKey, changes, trace
from processor.core.systemic import RecentOutcomes, Systemic, judge

__all__ = ["Contribution", "ItemKey", "ItemWrite", "Plan", "Quarantined", "RecentOutcomes", "Systemic", "plan"]

PARTITION_KEY_CHARACTERS_MAX: Final = 256
"""Kinesis' own limit; the keys inside of an aggregate have none and are cut for the quarantine item."""
PARSED_TOGETHER: Final = 32
"""User records that are parsed from one scan (json_objects), where a Kinesis record holds fewer. More gain nothing, and
one that is out of the ordinary sends its neighbours of the same scan the longer way."""
REFUSED_CHARACTERS_MAX: Final = 256


class Contribution(NamedTuple):
    """What one event identity adds to one window, and the Kinesis records (indices) of the batch that carried it."""

    amounts: Mapping[str, Number]
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """One item to be written whole; `version` is None for a `Record` and set for a `Latest`.

    `attributes` holds neither the key nor `version`; `sources` are the Kinesis records (indices) that fed the item.
    """

    attributes: Mapping[str, Scalar]
    sources: tuple[int, ...]
    version: int | str | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One user record, or a whole Kinesis record (`subsequence_number` None), to be kept instead of applied."""

    source: int
    subsequence_number: int | None
    reason: Reason
    detail: str
    traceback: str | None
    partition_key: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one batch asks for. With `systemic` set nothing is to be written and the batch is reported.

    `adds`: (pk, window) -> digest -> contribution. `records`, `latest`: (pk, sk) -> the one write of that item.
    `events` counts user records, a malformed Kinesis record as one; `duplicates` the copies: records of an identity
    that an earlier one of the batch had, with no item that this identity had not fed.
    `recent` is to be passed to the next call. `several_totals`: some event adds to more than one item; otherwise every
    identity under an item is an event of its own.
    """

    adds: Mapping[ItemKey, Mapping[str, Contribution]]
    records: Mapping[ItemKey, ItemWrite]
    latest: Mapping[ItemKey, ItemWrite]
    quarantined: tuple[Quarantined, ...]
    events: int
    duplicates: int
    systemic: Systemic | None = None
    recent: RecentOutcomes = field(default_factory=RecentOutcomes)
    several_totals: bool = False


def plan(
    records: Sequence[KinesisRecord],
    rules: Callable[[Event], Iterable[Effect]],
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

    def __init__(self, rules: Callable[[Event], Iterable[Effect]]) -> None:
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
        self._taken += users
        self._taken_from += [source] * len(users)
        if len(self._taken) >= PARSED_TOGETHER:
            self.apply_taken()

    def apply_taken(self) -> None:
        """Parse and apply the user records taken in since the last time."""
        users, sources = self._taken, self._taken_from
        self._taken, self._taken_from = [], []
        for source, user, found in zip(sources, users, parse_all([user.data for user in users]), strict=True):
            why = found if isinstance(found, Malformed) else self._apply(source, found, user.data)
            if why is not None:
                self._set_aside(source, user.subsequence_number, user.partition_key, user.data, why)

    def _apply(self, source: int, event: Event, payload: bytes) -> Malformed | None:
        """Take in one event; return why the rules do not take it.

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
        answer = self._ask(event)
        if isinstance(answer, Malformed):
            self.raised[digest] = self.raised.get(digest, False) or isinstance(answer, _RulesError)
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

    def _ask(self, event: Event) -> list[Change] | Malformed:
        """Return what the rules want changed, or why they do not take the event."""
        try:
            wanted = changes(self._rules(event))
            self._check_kinds(wanted)
        except MemoryError:
            raise
        except Malformed as bad:
            return bad
        except Refused as refused:
            return Malformed(Reason.RULES_REFUSED, _message(refused))
        except BadEffectError as unusable:
            return self._rules_error(str(unusable), None)
        except Exception as error:  # noqa: BLE001 - rules are an adopter's code and may raise anything
            return self._rules_error(f"{type(error).__name__} in the rules", trace(error))
        return wanted

    def _check_kinds(self, wanted: list[Change]) -> None:
        """One item is of one kind, and its versions are of one type, within the batch and within the event."""
        kinds = self._kinds
        if len(wanted) == 1 and kinds.get(wanted[0].key, wanted[0].kind) is wanted[0].kind:
            return  # nearly always
        own: dict[ItemKey, type] = {}
        for kind, key, _, _ in wanted:
            others = kinds.get(key) or own.setdefault(key, kind)
            if kind is not others:
                raise BadEffectError(
                    f"an item that other effects treat as {_kind_text(others)} is treated as {_kind_text(kind)}"
                )

    def _rules_error(self, detail: str, traceback: str | None) -> "_RulesError":
        self.first_traceback = self.first_traceback or traceback or detail
        return _RulesError(detail, traceback)

    def _set_aside(self, source: int, position: int | None, partition_key: str, payload: bytes, bad: Malformed) -> None:
        traceback = bad.traceback if isinstance(bad, _RulesError) else None
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


class _RulesError(Malformed):
    """A bug in the rules, on its way to quarantine."""

    def __init__(self, detail: str, traceback: str | None) -> None:
        super().__init__(Reason.RULES_ERROR, detail)
        self.traceback = traceback


def _message(refused: Refused) -> str:
    """Return the adopter's own words, cut, and safe to store and to print."""
    text = refused.args[0] if refused.args and isinstance(refused.args[0], str) else "refused without a message"
    return text.encode("utf-8", "replace").decode()[:REFUSED_CHARACTERS_MAX]


def _kind_text(kind: type) -> str:
    return kind.__name__ if kind in (Add, Record) else f"Latest with a version of type {kind.__name__}"
