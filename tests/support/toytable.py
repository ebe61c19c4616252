"""A table in memory that applies the processor's statements under exactly the conditions they carry, one at a time."""

from decimal import Decimal
from typing import Any, assert_never

from processor.core.statements import (
    CONDITION_FAILED,
    DUPLICATE_ITEM,
    WRITTEN,
    AddToPage,
    Insert,
    Item,
    Outcome,
    ReadPages,
    Replace,
    Statement,
)


class ToyTable:
    """Items by (pk, sk). `tells`: whether a DuplicateItem comes with the stored item (AWS does not say)."""

    def __init__(self, *, tells: bool = False) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.tells = tells

    def apply(self, statement: Statement) -> Outcome:
        """Apply one statement atomically, or refuse it by its condition."""
        key = (statement.pk, statement.sk)
        stored = self.items.get(key)
        match statement:
            case Insert():
                if stored is not None:
                    return Outcome(DUPLICATE_ITEM, self._item(key) if self.tells else None)
                assert statement.attributes.get("ids") != frozenset(), "DynamoDB refuses an empty set"
                self.items[key] = dict(statement.attributes)
            case AddToPage():
                if stored is None:
                    return Outcome(CONDITION_FAILED)
                if not _page_condition(stored, statement):
                    return Outcome(CONDITION_FAILED, self._item(key))
                stored["events"] += len(statement.identities)
                stored["ids"] = stored["ids"] | frozenset(statement.identities)
                for name, amount in statement.amounts.items():
                    stored[name] = stored.get(name, 0) + amount
            case Replace():
                if stored is None:
                    return Outcome(CONDITION_FAILED)
                if not (
                    _lower(stored.get("version"), statement.version) and stored.get("_shape") == statement.stored_shape
                ):
                    return Outcome(CONDITION_FAILED, self._item(key))
                stored.update(statement.attributes)
                for name in statement.stale:
                    stored.pop(name, None)
            case _:
                assert_never(statement)
        return WRITTEN

    def query(self, read: ReadPages) -> list[Item]:
        """The items of one pk between two sort keys, in their order."""
        keys = sorted(key for key in self.items if key[0] == read.pk and read.first_sk <= key[1] <= read.last_sk)
        return [self._item(key) for key in keys]

    def totals(self, pk: str, window: str) -> dict[str, int | Decimal]:
        """What a reader of the chain sees: every number summed over its pages."""
        totals: dict[str, int | Decimal] = {}
        for (item_pk, sk), item in self.items.items():
            if item_pk == pk and (sk == window or sk.startswith(window + "#")):
                for name, value in item.items():
                    if name != "ids":
                        totals[name] = totals.get(name, 0) + value
        return totals

    def _item(self, key: tuple[str, str]) -> Item:
        return {"pk": key[0], "sk": key[1], **self.items[key]}


def _page_condition(stored: dict[str, Any], statement: AddToPage) -> bool:
    events, ids = stored.get("events"), stored.get("ids")
    if events is None or ids is None:
        return False
    return (
        (events == statement.events if statement.exactly else events <= statement.events)
        and all((name in stored) == (name not in statement.absent) for name in statement.amounts)
        and not any(identity in ids for identity in statement.identities)
    )


def _lower(stored: Any, new: int | str) -> bool:
    """DynamoDB compares values of one type only; anything else is false, not an error."""
    return isinstance(stored, str) == isinstance(new, str) and stored is not None and stored < new
