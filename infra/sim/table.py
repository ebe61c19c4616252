"""DRIVER: a table in memory that applies the processor's statements under exactly the conditions they carry.

One statement is atomic, as in DynamoDB; a call of many is not. What a refused condition returns is what AWS documents:
the stored item for `ConditionalCheckFailed`, and for `DuplicateItem` only where `tells` is set (AWS does not say).
"""

from bisect import insort
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

_MISSING = Outcome(CONDITION_FAILED)
_DUPLICATE = Outcome(DUPLICATE_ITEM)


class MemoryTable:
    """Items by (pk, sk). The attribute `ids` is a frozenset that is replaced, so an item once told never changes."""

    def __init__(self, *, tells: bool = False) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.tells = tells
        self._sort_keys: dict[str, list[str]] = {}  # of every item ever inserted, in order

    def apply(self, statement: Statement) -> Outcome:
        """Apply one statement atomically, or refuse it by its condition."""
        key = (statement.pk, statement.sk)
        stored = self.items.get(key)
        match statement:
            case AddToPage():
                if stored is None:
                    return _MISSING
                if not _page_condition(stored, statement):
                    return Outcome(CONDITION_FAILED, self.item(key))
                stored["events"] += len(statement.identities)
                stored["ids"] = stored["ids"].union(statement.identities)
                for name, amount in statement.amounts.items():
                    stored[name] = stored.get(name, 0) + amount
            case Insert():
                if stored is not None:
                    return Outcome(DUPLICATE_ITEM, self.item(key)) if self.tells else _DUPLICATE
                assert statement.attributes.get("ids") != frozenset(), "DynamoDB refuses an empty set"
                self.items[key] = dict(statement.attributes)
                sort_keys = self._sort_keys.setdefault(statement.pk, [])
                if statement.sk not in sort_keys:
                    insort(sort_keys, statement.sk)
            case Replace():
                if stored is None:
                    return _MISSING
                if not _replace_condition(stored, statement):
                    return Outcome(CONDITION_FAILED, self.item(key))
                stored.update(statement.attributes)
                for name in statement.stale:
                    stored.pop(name, None)
            case _:
                assert_never(statement)
        return WRITTEN

    def query(self, read: ReadPages) -> list[Item]:
        """The items of one pk between two sort keys, in their order."""
        keys = [(read.pk, sk) for sk in self._sort_keys.get(read.pk, ()) if read.first_sk <= sk <= read.last_sk]
        return [self.item(key) for key in keys if key in self.items]

    def totals(self, pk: str, window: str) -> dict[str, int | Decimal]:
        """What a reader of the chain sees: every number summed over its pages."""
        totals: dict[str, int | Decimal] = {}
        for (item_pk, sk), item in self.items.items():
            if item_pk == pk and (sk == window or sk.startswith(window + "#")):
                for name, value in item.items():
                    if name != "ids":
                        totals[name] = totals.get(name, 0) + value
        return totals

    def item(self, key: tuple[str, str]) -> Item:
        """A stored item as a client gets it: with its key, and a copy."""
        return {"pk": key[0], "sk": key[1], **self.items[key]}


def _page_condition(stored: dict[str, Any], statement: AddToPage) -> bool:
    events, ids = stored.get("events"), stored.get("ids")
    if events is None or ids is None:
        return False
    if not (events == statement.events if statement.exactly else events <= statement.events):
        return False
    absent = statement.absent
    for name in statement.amounts:
        if (name in stored) == (name in absent):
            return False
    disjoint: bool = ids.isdisjoint(statement.identities)
    return disjoint


def _replace_condition(stored: dict[str, Any], statement: Replace) -> bool:
    return lower(stored.get("version"), statement.version) and stored.get("_shape") == statement.stored_shape


def lower(stored: Any, new: int | str) -> bool:
    """DynamoDB compares values of one type only; anything else is false, not an error."""
    return stored is not None and isinstance(stored, str) == isinstance(new, str) and stored < new
