"""PURE: a report's ledger in words: the lines of the account, and what keeps it from balancing.

An older report of the same schema lacks the terms that were added later; they are then 0.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

REASONS_SHOWN = 3
UNREAD = ("stored", "stored_before", "quarantined", "expired", "duplicates_applied")  # of tables that were not read
READ_LAST = ("in quarantine", "expired")  # beginnings of lines: after all windows
READ_ALL = (*READ_LAST, "stored", "duplicates applied", "windows with different sums")


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """With one decimal; what is there is never called nothing."""
    return "under 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def imbalances_of(ledger: Mapping[str, Any]) -> list[str]:
    found = (
        (ledger["lost"], "lost"),
        (ledger.get("elsewhere", 0), "in the table, but not where the rules of this checkout put them"),
        (ledger["duplicates_applied"], "applied again"),
        (ledger["foreign"], "come into the same windows and not sent by this load"),
        (sum(ledger["misfiled"].values()), "in quarantine for another reason than expected"),
        (sum(ledger["refused"].values()), "well-formed but in quarantine"),
        (sum(ledger.get("unexpected", {}).values()), f"in quarantine that nobody expected there{_reasons(ledger)}"),
    )
    named = [f"{count:,} {what}" for count, what in found if count]
    if ledger["sums_different"]:
        named.append(f"wrong sums in {counted(ledger['sums_different'], 'window')}")
    if different := ledger.get("items_different", 0):
        named.append(f"other contents in {counted(different, 'item')}")
    if broken := ledger.get("broken", 0):
        named.append(f"{counted(broken, 'item')} of the tables unreadable or contradictory")
    return named


def _reasons(ledger: Mapping[str, Any]) -> str:
    unexpected = sorted(ledger.get("unexpected", {}).items(), key=lambda pair: (-pair[1], pair[0]))
    return (
        f" ({', '.join(f'{count:,} {reason}' for reason, count in unexpected[:REASONS_SHOWN])})" if unexpected else ""
    )


def whose_rules(ledger: Mapping[str, Any]) -> list[str]:
    """When it looks as if other rules were deployed than the ones that the account goes by."""
    advice = "deploy again, or run loadgen in the checkout that was deployed"
    if ledger.get("elsewhere"):
        return [f"the deployed rules are not those of this checkout, which the account goes by: {advice}"]
    has_nothing = ledger["lost"] and not ledger["stored"]
    if has_nothing or ledger["sums_different"] or ledger.get("items_different") or ledger["refused"]:
        return [f"the deployed rules may not be those of this checkout, which the account goes by: if so, {advice}"]
    return []


def unverified(ledger: Mapping[str, Any]) -> str:
    """What of a ledger that balances no table can show. An older report has no such terms."""
    nothing, replaced = ledger.get("without_effect", 0), ledger.get("superseded", 0)
    said = f"; for {nothing:,} of them the rules ask for nothing, so nothing shows that" if nothing else ""
    return said + (f"; of {replaced:,} only the newer values that replaced theirs are there" if replaced else "")


def was_not_read(ledger: Mapping[str, Any]) -> bool:
    """The tables were gone before anything could be read: what should be in them is not known, and not 0."""
    return bool(0 < ledger["windows"] <= ledger.get("windows_not_read", 0))


class Row(NamedTuple):
    """A line of the account. `amount`: None: it was not read. `depth`: a part of the line above it. `wrong`: it
    keeps the ledger from balancing."""

    label: str
    amount: int | None
    depth: int = 0
    wrong: bool = False
    total: bool = False

    @property
    def shown(self) -> str:
        return "not read" if self.amount is None else f"{self.amount:,}"


def ledger_rows(report: Mapping[str, Any]) -> list[Row]:
    """The ledger as lines of an account; what is 0 and always should be is left out when it explains nothing."""
    ledger = report["ledger"]
    if not (unread := ledger.get("windows_not_read", 0)):
        return _rows(ledger)
    rows = _rows(ledger)
    nowhere = READ_LAST if not was_not_read(ledger) else READ_ALL
    rows = [row._replace(amount=None) if not row.amount and row.label.startswith(nowhere) else row for row in rows]
    return [*rows, Row("windows that were not read: the target was gone", unread)]


def _rows(ledger: Mapping[str, Any]) -> list[Row]:
    before, misfiled, refused = ledger["stored_before"], ledger["misfiled"].values(), ledger["refused"].values()
    waited = [Row("lost", ledger["lost"], wrong=ledger["lost"] > 0)]
    unwaited = [Row("not yet found when the load ended", ledger["not_yet_found"])]
    return [
        Row("sent (distinct events acknowledged by the stream)", ledger["sent"], total=True),
        Row("stored in the results table", ledger["stored"], 1),
        *_if(before, Row("already there before this load", before, 2)),
        *_if(before, Row("applied by this load", ledger["stored"] - before, 2)),
        *_more_than_stored(ledger),
        Row("in quarantine", ledger["quarantined"], 1),
        *_if(sum(misfiled), Row("for another reason than expected", sum(misfiled), 2, wrong=True)),
        *_if(sum(refused), Row("well-formed, refused by the rules", sum(refused), 2, wrong=True)),
        Row("expired to the on-failure destination", ledger["expired"], 1),
        *(unwaited if ledger["not_yet_found"] else waited),
        Row("deliberate duplicates sent on top", ledger["copies"]),
        Row("duplicates applied", ledger["duplicates_applied"], wrong=ledger["duplicates_applied"] > 0),
        Row(
            f"windows with different sums (of {ledger['windows']:,})",
            ledger["sums_different"],
            wrong=ledger["sums_different"] > 0,
        ),
        *_if(
            ledger["foreign"], Row("come into the same windows, not sent by this load", ledger["foreign"], wrong=True)
        ),
        *_if(
            ledger["foreign_before"],
            Row("in the same windows before, not sent by this load", ledger["foreign_before"]),
        ),
        *_quarantined_beyond(ledger),
        *_if(
            broken := ledger.get("broken", 0),
            Row("items of the tables unreadable or contradictory", broken, wrong=True),
        ),
        *_if(ledger["sums_not_checked"], Row("windows whose sums could not be compared", ledger["sums_not_checked"])),
        *_if(ledger["unknown"], Row("answers lost: in the stream or not", ledger["unknown"])),
        *_if(ledger["unknown"], Row("of those found stored", ledger["unknown_stored"], 1)),
    ]


def _quarantined_beyond(ledger: Mapping[str, Any]) -> list[Row]:
    """An older report has no such terms."""
    unexpected, others = sum(ledger.get("unexpected", {}).values()), ledger.get("quarantined_others", 0)
    return [
        *_if(unexpected, Row("in quarantine and not expected there", unexpected, wrong=True)),
        *_if(others, Row("in quarantine meanwhile, not known as this load's", others)),
    ]


def _more_than_stored(ledger: Mapping[str, Any]) -> list[Row]:
    """Only rules of an adopter's own have these, and an older report has none."""
    superseded, elsewhere = ledger.get("superseded", 0), ledger.get("elsewhere", 0)
    items, nothing = ledger.get("items", 0), ledger.get("without_effect", 0)
    different = ledger.get("items_different", 0)
    return [
        *_if(superseded, Row("replaced by newer values, which are there", superseded, 2)),
        *_if(elsewhere, Row("not where the rules of this checkout put them", elsewhere, 1, wrong=True)),
        *_if(nothing, Row("the rules ask for nothing", nothing, 1)),
        *_if(items, Row(f"items with other contents (of {items:,})", different, 1, wrong=different > 0)),
    ]


def _if(shown: int, row: Row) -> list[Row]:
    return [row] if shown else []
