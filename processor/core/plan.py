"""PURE: a whole batch in, the write plan out: deaggregate, validate, apply the rules, fold by item."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from processor.core.effects import Effect, Number, Scalar
from processor.core.errors import Reason
from processor.core.events import Event
from processor.core.records import KinesisRecord

ItemKey: TypeAlias = tuple[str, str]


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
class Systemic:
    """The rules fail so often that they, not the events, are at fault: the whole batch is to be reported."""

    share: float
    raised: int
    total: int
    first_traceback: str


@dataclass(frozen=True, slots=True)
class RecentOutcomes:
    """Which of the latest events raised in the rules: identity (digest) -> raised, oldest first, bounded."""

    raised: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one batch asks for. With `systemic` set nothing is to be written and the batch is reported.

    `adds`: (pk, window) -> digest -> contribution. `records`, `latest`: (pk, sk) -> the one write of that item.
    `events` counts user records, a malformed Kinesis record as one; `duplicates` the copies folded away.
    `recent` is to be passed to the next call.
    """

    adds: Mapping[ItemKey, Mapping[str, Contribution]]
    records: Mapping[ItemKey, ItemWrite]
    latest: Mapping[ItemKey, ItemWrite]
    quarantined: tuple[Quarantined, ...]
    events: int
    duplicates: int
    systemic: Systemic | None = None
    recent: RecentOutcomes = field(default_factory=RecentOutcomes)


def plan(
    records: Sequence[KinesisRecord],
    rules: Callable[[Event], Iterable[Effect]],
    *,
    systemic_share: float,
    recent: RecentOutcomes | None = None,
) -> Plan:
    """Return the write plan of one batch."""
    raise NotImplementedError
