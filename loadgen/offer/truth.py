"""PURE: what must be in the tables when an event has been processed, according to the stack's own rules.

Nothing of the rules is written a second time here: the identity is `processor.core.events.digest`, and what an event
changes is what the rules' `effects` return, checked as the processor checks it. Only for generated events under the
rules that come with the processor the answers are remembered by what they depend on (the partition key by the subject,
the window by the second), because parsing every event again would cost more than generating it; a test compares both
ways event by event.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias, cast, final

import processor.rules as rules
from loadgen.offer.events import Generated
from loadgen.offer.items import Item, ItemKey, content_of
from processor.core.effects import Add, Effect, Number
from processor.core.errors import Malformed, Reason, Refused
from processor.core.events import Event, hash_of_source, parse
from processor.core.rule_api import RuleSettings
from processor.core.rule_results import Change, changes

RULES_MODULE = "processor.rules"

Amounts: TypeAlias = Mapping[str, Number]
Effects: TypeAlias = Callable[[Event, RuleSettings], Iterable[Effect]]
NONE: Amounts = {}


class AddTo(NamedTuple):
    """One window that an event is added to."""

    pk: str
    window: str
    amounts: Amounts


class More(NamedTuple):
    """What an event changes beyond its first window."""

    adds: tuple[AddTo, ...]
    items: tuple[Item, ...]


@final
class Truth(NamedTuple):
    """One event on its way: its places in the results table, or the reason why it belongs into quarantine.

    `due_us`: when it was due. `pk`, `window`, `amounts`: the first window that it is added to, "" where there is none;
    `more`: everything else that it changes. `copy`: a deliberate duplicate. `whole`: the quarantine keeps the whole
    Kinesis record, not one user record. Without `reason`, `pk` and `more` the rules ask for nothing.
    """

    due_us: int
    pk: str
    window: str
    digest: str
    amounts: Amounts
    copy: bool = False
    reason: Reason | None = None
    whole: bool = False
    more: More | None = None

    @property
    def has_effect(self) -> bool:
        return bool(self.pk or self.more)

    def windows(self) -> Iterator[tuple[str, str]]:
        """Every window that it is added to, as (pk, window)."""
        if self.pk:
            yield self.pk, self.window
        if self.more:
            yield from ((add.pk, add.window) for add in self.more.adds)

    def item_keys(self) -> Iterator[ItemKey]:
        """Every other item that it writes, as (pk, sk)."""
        if self.more:
            yield from ((item.pk, item.sk) for item in self.more.items)


class Place:
    """A window that generated events are added to under the rules that come with the processor. One object each."""

    __slots__ = ("has_bytes", "has_quantity", "pk", "source", "window")

    def __init__(self, source: str, pk: str, window: str, measures: Sequence[str]) -> None:
        self.source, self.pk, self.window = source, pk, window
        self.has_bytes, self.has_quantity = "bytes" in measures, "quantity" in measures

    def amounts(self, size: int, quantity_milli: int) -> Amounts:
        """Of one event, or of the sums of several."""
        amounts: dict[str, Number] = {}
        if self.has_bytes:
            amounts["sum_bytes"] = size
        if self.has_quantity:
            amounts["sum_quantity"] = Decimal(quantity_milli).scaleb(-3)
        return amounts


@final
class Metered(NamedTuple):
    """The truth of a generated, well-formed event under the rules that come with the processor: what it is made from,
    because a load has millions of them. `truth()` says the same as a Truth, and so do the names that they share.

    `number`: the identity's 64 bits, big endian.
    """

    due_us: int
    place: Place
    number: bytes
    size: int
    quantity_milli: int
    ordinal: int
    copy: bool = False

    def truth(self) -> Truth:
        return Truth(self.due_us, self.pk, self.window, self.digest, self.amounts, self.copy)

    @property
    def pk(self) -> str:
        return self.place.pk

    @property
    def window(self) -> str:
        return self.place.window

    @property
    def digest(self) -> str:
        return urlsafe_b64encode(self.number)[:-1].decode()

    @property
    def amounts(self) -> Amounts:
        return self.place.amounts(self.size, self.quantity_milli)

    @property
    def reason(self) -> Reason | None:
        return None

    @property
    def whole(self) -> bool:
        return False

    @property
    def more(self) -> More | None:
        return None

    @property
    def has_effect(self) -> bool:
        return bool(self.place.pk)

    def windows(self) -> Iterator[tuple[str, str]]:
        return self.truth().windows()

    def item_keys(self) -> Iterator[ItemKey]:
        return iter(())


Known: TypeAlias = Truth | Metered


class Truths:
    """Works out truths under the stack's own settings. `effects`: the stack's rules; None: the ones that come with the
    processor, unchanged."""

    def __init__(self, settings: RuleSettings, effects: Effects | None = None) -> None:
        self.settings, self._effects = settings, effects or rules.effects
        self.is_known = effects is None
        self._places: dict[str, dict[str, Place]] = {}  # by window, by partition key
        self._of_window: dict[str, Place] = {}
        self._second = -1

    def of_generated(self, event: Generated, due_us: int) -> Truth:
        """The truth of an event whose fields are known."""
        if event.kind is not None:
            return Truth(due_us, "", "", "", NONE, reason=event.kind.reason, whole=event.kind.whole)
        return self._of(parse(event.payload), due_us, event.copy)

    def of_many(self, events: Sequence[Generated], due_us: Iterable[int]) -> list[Known]:
        """The truth of each of these events of one generator, which is that of `of_generated`."""
        if not self.is_known or not events:
            return [self.of_generated(event, at_us) for event, at_us in zip(events, due_us, strict=True)]
        found: list[Known] = []
        new, add, begun = tuple.__new__, found.append, hash_of_source(events[0].source).copy
        for event, at_us in zip(events, due_us, strict=True):
            name, _, ordinal, _, _, second, size, milli, copy, kind = event
            if kind is not None:
                add(self.of_generated(event, at_us))
                continue
            if second != self._second:
                self._tell_second(event)
            identity = begun()
            identity.update(b"%010d" % ordinal)
            place = self._of_window.get(name) or self.place_of(event)
            add(new(Metered, (at_us, place, identity.digest(), size, milli, ordinal, copy)))
        return found

    def _tell_second(self, event: Generated) -> None:
        """Which window it is depends on the second alone."""
        self._second = event.time_s
        window = self.of_generated(event, 0).window
        self._of_window = self._places.setdefault(window, {})

    def place_of(self, event: Generated) -> Place:
        """Where it goes within its window depends on the partition key, which is the subject."""
        if event.time_s != self._second:
            self._tell_second(event)
        place = self._of_window.get(event.partition_key)
        if place is None:
            truth = self.of_generated(event, 0)
            place = Place(event.source, truth.pk, truth.window, self.settings.measures)
            self._of_window[event.partition_key] = place
        return place

    def of_payload(self, payload: bytes, due_us: int) -> Truth:
        """The truth of any bytes, by the processor's own parser and the rules."""
        try:
            event = parse(payload)
        except Malformed as error:
            return Truth(due_us, "", "", "", NONE, reason=error.reason)
        return self._of(event, due_us, copy=False)

    def _of(self, event: Event, due_us: int, copy: bool) -> Truth:
        wanted = self._ask(event)
        if isinstance(wanted, Reason):
            return Truth(due_us, "", "", event.digest, NONE, copy, wanted)
        adds = [AddTo(*change.key, cast("Amounts", change.values)) for change in wanted if change.kind is Add]
        items = tuple(
            Item(*change.key, content_of(change.values), change.version) for change in wanted if change.kind is not Add
        )
        first = adds[0] if adds else AddTo("", "", NONE)
        more = More(tuple(adds[1:]), items) if items or adds[1:] else None
        return Truth(due_us, first.pk, first.window, event.digest, first.amounts, copy, more=more)

    def _ask(self, event: Event) -> list[Change] | Reason:
        """What the rules want changed, or why the processor sets the event aside."""
        kinds: dict[ItemKey, type] = {}
        try:
            wanted = changes(self._effects(event, self.settings))
        except MemoryError:
            raise
        except Malformed as bad:
            return bad.reason
        except Refused:
            return Reason.RULES_REFUSED
        except Exception:  # noqa: BLE001 - rules are an adopter's code and may raise anything
            return Reason.RULES_ERROR
        is_one_kind = all(kinds.setdefault(change.key, change.kind) is change.kind for change in wanted)
        return wanted if is_one_kind else Reason.RULES_ERROR
