"""PURE: user records read by themselves, whatever else is in the batch: what each of them is, and what the rules want.

Nearly always all of them are events of their own that add to one item each. Then they can be taken into a batch
together (`Asked.adds`), item by item instead of event by event; anything else goes the longer way, one by one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from processor.core.effects import Add, Effect, Number
from processor.core.errors import Malformed, Reason, Refused
from processor.core.events import Event, parse_all
from processor.core.records import UserRecord
from processor.core.rule_results import BadEffectError, Change, ItemKey, changes, trace

REFUSED_CHARACTERS_MAX = 256

Rules: TypeAlias = Callable[[Event], Iterable[Effect]]
Answer: TypeAlias = list[Change] | Malformed
"""What the rules want changed, or why they do not take the event."""


class RulesError(Malformed):
    """A bug in the rules, on its way to quarantine; `traceback` where there is one."""

    def __init__(self, detail: str, traceback: str | None) -> None:
        super().__init__(Reason.RULES_ERROR, detail)
        self.traceback = traceback


class Reading:
    """Some user records: the `payloads`, and of each the event that was `found` in it, or why there is none.

    `identities` are those of all events, each with False (none has raised), in their order; None where one of the
    records is no event, or two are of one identity.
    """

    __slots__ = ("found", "identities", "payloads")

    def __init__(
        self, payloads: list[bytes], found: Sequence[Event | Malformed], identities: dict[str, bool] | None
    ) -> None:
        self.payloads, self.found, self.identities = payloads, found, identities


class Asked(NamedTuple):
    """The rules' `answers` for the events of a reading.

    `adds` is what they add: item -> identity -> amounts; None where an answer is anything but one `Add`.
    """

    answers: list[Answer]
    adds: Mapping[ItemKey, Mapping[str, Mapping[str, Number]]] | None


def read(users: Sequence[UserRecord]) -> Reading:
    """Say what each of the user records is."""
    payloads = [user.data for user in users]
    found = parse_all(payloads)
    identities = dict.fromkeys([event.digest for event in found if not isinstance(event, Malformed)], False)
    return Reading(payloads, found, identities if len(identities) == len(found) else None)


def ask_all(reading: Reading, rules: Rules) -> Asked:
    """Ask the rules about every event of a reading that has `identities`."""
    assert reading.identities is not None
    answers = [ask(rules, event) for event in reading.found]  # type: ignore[arg-type]  # none is Malformed: identities
    adds: dict[ItemKey, dict[str, Mapping[str, Number]]] = {}
    for identity, answer in zip(reading.identities, answers, strict=True):
        if isinstance(answer, Malformed) or len(answer) != 1:
            return Asked(answers, None)
        kind, key, amounts, _ = answer[0]
        if kind is not Add:
            return Asked(answers, None)
        item = adds.get(key)
        if item is None:
            adds[key] = {identity: amounts}  # type: ignore[dict-item]  # an Add's values are numbers
        else:
            item[identity] = amounts  # type: ignore[assignment]  # the same
    return Asked(answers, adds)


def ask(rules: Rules, event: Event) -> Answer:
    """Return what the rules want changed, or why they do not take the event. Raises nothing but MemoryError."""
    try:
        return changes(rules(event))
    except MemoryError:
        raise
    except Malformed as bad:
        return bad
    except Refused as refused:
        return Malformed(Reason.RULES_REFUSED, _message(refused))
    except BadEffectError as unusable:
        return RulesError(str(unusable), None)
    except Exception as error:  # noqa: BLE001 - rules are an adopter's code and may raise anything
        return RulesError(f"{type(error).__name__} in the rules", trace(error))


def _message(refused: Refused) -> str:
    """Return the adopter's own words, cut, and safe to store and to print."""
    text = refused.args[0] if refused.args and isinstance(refused.args[0], str) else "refused without a message"
    return text.encode("utf-8", "replace").decode()[:REFUSED_CHARACTERS_MAX]
