"""PURE: what must be in the tables when an event has been processed, according to the stack's own rules.

Nothing of the rules is written a second time here: the identity is `processor.core.events.digest`, and what an event
changes is what the rules' `effects` return, checked as the processor checks it. Only for generated events under the
rules that come with the processor the answers are remembered by what they depend on (the partition key by the subject,
the window by the second), because parsing every event again would cost more than generating it; a test compares both
ways event by event.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple, TypeAlias, cast

import processor.rules as rules
from loadgen.events import Generated
from loadgen.items import Item, ItemKey, content_of
from processor.core.effects import Add, Effect, Number
from processor.core.errors import Malformed, Reason, Refused
from processor.core.events import Event, digest, parse
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


class Truths:
    """Works out truths under the stack's own settings. `effects`: the stack's rules; None: the ones that come with the
    processor, unchanged."""

    def __init__(self, settings: RuleSettings, effects: Effects | None = None) -> None:
        self.settings, self._effects = settings, effects or rules.effects
        self._is_known = effects is None
        self._pks: dict[str, str] = {}
        self._windows: dict[int, str] = {}
        self._has_bytes, self._has_quantity = "bytes" in settings.measures, "quantity" in settings.measures

    def of_generated(self, event: Generated, due_us: int) -> Truth:
        """The truth of an event whose fields are known."""
        if event.kind is not None:
            return Truth(due_us, "", "", "", NONE, reason=event.kind.reason, whole=event.kind.whole)
        if not self._is_known:
            return self._of(parse(event.payload), due_us, event.copy)
        pk, window = self._pks.get(event.partition_key), self._windows.get(event.time_s)
        if pk is None or window is None:
            truth = self._of(parse(event.payload), due_us, event.copy)
            pk = self._pks[event.partition_key] = truth.pk
            window = self._windows[event.time_s] = truth.window
        amounts: dict[str, Number] = {}
        if self._has_bytes:
            amounts["sum_bytes"] = event.bytes
        if self._has_quantity:
            amounts["sum_quantity"] = Decimal(event.quantity_milli).scaleb(-3)
        return Truth(due_us, pk, window, digest(event.source, event.id), amounts, event.copy)

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
