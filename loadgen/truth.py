"""PURE: what must be in the tables when an event has been processed, according to the processor's own default rules.

Nothing of the rules is written a second time here: the identity is `processor.core.events.digest`, the item and the
amounts are what `processor.rules.effects` returns. For generated events the answers are remembered by what they depend
on (the partition key by the subject, the window by the second), because parsing every event again would cost more
than generating it; a test compares both ways event by event.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

import processor.rules as rules
from loadgen.events import Generated
from processor.core.effects import Add, Effect, Number
from processor.core.errors import Malformed, Reason, Refused
from processor.core.events import Event, digest, parse
from processor.core.rule_api import RuleSettings

RULES_MODULE = "processor.rules"


class Truth(NamedTuple):
    """One event on its way: its place in the results table, or the reason why it belongs into quarantine.

    `due_us`: when it was due. `amounts`: one number per measure, in the measures' order, None where it has none.
    `copy`: a deliberate duplicate. `whole`: the quarantine keeps the whole Kinesis record, not one user record.
    """

    due_us: int
    pk: str
    window: str
    digest: str
    amounts: tuple[Number | None, ...]
    copy: bool = False
    reason: Reason | None = None
    whole: bool = False


class Truths:
    """Works out truths under the stack's own settings."""

    def __init__(
        self,
        settings: RuleSettings,
        effects: Callable[[Event, RuleSettings], Iterable[Effect]] = rules.effects,
    ) -> None:
        self.settings, self._effects = settings, effects
        self._pks: dict[str, str] = {}
        self._windows: dict[int, str] = {}
        measures = settings.measures
        self._bytes_at = measures.index("bytes") if "bytes" in measures else None
        self._quantity_at = measures.index("quantity") if "quantity" in measures else None

    def of_generated(self, event: Generated, due_us: int) -> Truth:
        """The truth of an event whose fields are known."""
        if event.kind is not None:
            return Truth(due_us, "", "", "", (), reason=event.kind.reason, whole=event.kind.whole)
        pk, window = self._pks.get(event.partition_key), self._windows.get(event.time_s)
        if pk is None or window is None:
            add = self._add(parse(event.payload))
            pk = self._pks[event.partition_key] = add.pk
            window = self._windows[event.time_s] = add.window
        amounts: list[Number | None] = [None] * len(self.settings.measures)
        if self._bytes_at is not None:
            amounts[self._bytes_at] = event.bytes
        if self._quantity_at is not None:
            amounts[self._quantity_at] = Decimal(event.quantity_milli).scaleb(-3)
        return Truth(due_us, pk, window, digest(event.source, event.id), tuple(amounts), event.copy)

    def of_payload(self, payload: bytes, due_us: int) -> Truth:
        """The truth of any bytes, by the processor's own parser and rules."""
        try:
            event = parse(payload)
            add = self._add(event)
        except Malformed as error:
            return Truth(due_us, "", "", "", (), reason=error.reason)
        except Refused:
            return Truth(due_us, "", "", "", (), reason=Reason.RULES_REFUSED)
        amounts = tuple(add.amounts.get(f"sum_{measure}") for measure in self.settings.measures)
        return Truth(due_us, add.pk, add.window, event.digest, amounts)

    def _add(self, event: Event) -> Add:
        (add,) = (effect for effect in self._effects(event, self.settings) if isinstance(effect, Add))
        return add
