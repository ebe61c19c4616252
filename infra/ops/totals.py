"""SHELL (no I/O of its own): pages of the results table to totals, summed exactly.

A page is an item that counts identities: it has the number `events` and the set `ids` (docs/decisions: chain of pages).
Items that an adopter's rules keep for other purposes are not totals and are left out.
"""

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact
from typing import Any

from infra.ops.tabular import Cell

# DynamoDB numbers have up to 38 digits between 1e-130 and 1e125: no sum of them can need more. A rounded sum raises.
EXACT = Context(prec=300, traps=[Inexact])

KEYS = ("type", "subject", "window")


def key_of(item: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """`type`, `subject` and `window` of an item in DynamoDB's JSON. The subject may contain `#`, the type may not."""
    kind, _, subject = item["pk"]["S"].partition("#")
    return {"type": kind, "subject": subject, "window": item["sk"]["S"].partition("#")[0]}


def is_page(item: Mapping[str, Mapping[str, Any]]) -> bool:
    return "N" in item.get("events", {}) and "SS" in item.get("ids", {})


def total(
    items: Iterable[Mapping[str, Mapping[str, Any]]], by: str | None = None
) -> tuple[list[dict[str, Cell]], list[str]]:
    """(rows, columns): one row per (type, subject, window), or per value of `by`; sorted; every number summed.

    Columns are the keys, `events`, then the other numbers by name. A sum that no page of a row has is absent from it.
    """
    keys = KEYS if by is None else (by,)
    sums: dict[tuple[str, ...], dict[str, Decimal]] = {}
    for item in items:
        if not is_page(item):
            continue
        named = key_of(item)
        row = sums.setdefault(tuple(named[key] for key in keys), {})
        for name, value in item.items():
            if "N" in value:
                row[name] = EXACT.add(row.get(name, Decimal(0)), Decimal(value["N"]))
    measures = sorted({name for row in sums.values() for name in row} - {"events"})
    rows: list[dict[str, Cell]] = []
    for values, row in sorted(sums.items()):
        numbers = {name: number(row[name]) for name in ("events", *measures) if name in row}
        rows.append({**dict(zip(keys, values, strict=True)), **numbers})
    return rows, [*keys, "events", *measures]


def number(value: Decimal) -> int | Decimal:
    """A whole number as int, anything else without trailing zeros."""
    if value == value.to_integral_value(context=EXACT):
        return int(value)
    return value.normalize(context=EXACT)
