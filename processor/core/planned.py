"""PURE: the write plan of one batch as data: what `plan` returns and `commit` brings into the tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from processor.core.effects import Number, Scalar
from processor.core.errors import Reason
from processor.core.rule_results import ItemKey
from processor.core.systemic import RecentOutcomes, Systemic


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
