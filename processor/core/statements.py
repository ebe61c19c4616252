"""PURE: what a commit asks of the tables and what it is told, as data. Text and wire formats belong to the adapter.

A statement names one item and carries the whole proof that it may be applied: it can be sent twice, late, or by two
writers at once, and the table ends up the same. `Outcome` is the answer to one statement.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from processor.core.effects import Number, Scalar

Value: TypeAlias = Scalar | bytes | frozenset[str]
"""One attribute: text, exact number, flag, null, binary, or a string set."""

Item: TypeAlias = Mapping[str, Value]
"""A stored item, its keys `pk` and `sk` included; numbers as `int` or `Decimal`."""


class Table(StrEnum):
    """Which of the two tables; the adapter knows their names."""

    RESULTS = "results"
    QUARANTINE = "quarantine"


class Insert(NamedTuple):
    """Write a new item; an existing key answers `DUPLICATE_ITEM`."""

    table: Table
    pk: str
    sk: str
    attributes: Mapping[str, Value]


class AddToPage(NamedTuple):
    """Add identities and their amounts to a stored page that holds none of them.

    Condition: `events` equals `events` when `exactly`, otherwise is at most `events`; no attribute of `absent` is
    there, every other one of `amounts` is; none of `identities` is in `ids`.
    """

    pk: str
    sk: str
    amounts: Mapping[str, Number]
    absent: frozenset[str]
    identities: tuple[str, ...]
    events: int
    exactly: bool

    @property
    def table(self) -> Table:
        """Pages are results."""
        return Table.RESULTS


class Replace(NamedTuple):
    """Set `attributes` and drop `stale` where the stored `version` is lower and `_shape` equals `stored_shape`."""

    pk: str
    sk: str
    attributes: Mapping[str, Value]
    version: int | str
    stored_shape: str
    stale: tuple[str, ...]

    @property
    def table(self) -> Table:
        """Latest values are results."""
        return Table.RESULTS


class ReadPages(NamedTuple):
    """A strongly consistent Query of the results table: one `pk`, sort keys from `first_sk` to `last_sk` inclusive."""

    pk: str
    first_sk: str
    last_sk: str


Statement: TypeAlias = Insert | AddToPage | Replace

DUPLICATE_ITEM = "DuplicateItem"
CONDITION_FAILED = "ConditionalCheckFailed"

RETRIABLE = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
        "Throttling",
        "RequestLimitExceeded",
        "TransactionConflict",
        "TransactionInProgress",
        "ReplicatedWriteConflict",
        "InternalServerError",
        "ServiceUnavailable",
        "ItemCollectionSizeLimitExceeded",
        "Timeout",
        "Connection",
    }
)
"""Codes worth another attempt (AWS: Error handling with DynamoDB; BatchStatementError). `Timeout` and `Connection` are
the adapter's words for a call without an answer."""

UNSURE = frozenset({"InternalServerError", "ServiceUnavailable", "Timeout", "Connection"})
"""Codes after which the write may have happened all the same (AWS: Error handling with DynamoDB, 5xx)."""


class Outcome(NamedTuple):
    """The answer to one statement.

    `code` is empty when it was applied, else one of the names of `BatchStatementError` (AWS: without the suffix
    `Exception`). `item` is what the table holds, where it told. `whole_call`: the code came for the call, not for this
    statement alone.
    """

    code: str = ""
    item: Item | None = None
    whole_call: bool = False


WRITTEN = Outcome()


def shape_of(attributes: Mapping[str, Value]) -> str:
    """The names of a latest value's attributes, in one order: stored as `_shape`, so that a replacement knows all."""
    return ",".join(sorted(attributes))


def number_digits(value: Decimal | int) -> int:
    """How many significant digits a number has, without leading and trailing zeros."""
    return len(str(value).lstrip("-").split("E", maxsplit=1)[0].replace(".", "").strip("0")) or 1
