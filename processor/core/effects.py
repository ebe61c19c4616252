"""PURE: what a rule may ask for. Every effect is idempotent and commutative by construction.

Any redelivery, in any order, from any number of concurrent lanes ends in the same results as read
(docs/guarantees.md). Rules return effects; the plan attaches the identity of the event they came from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

Number: TypeAlias = int | Decimal
Scalar: TypeAlias = str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Record:
    """One item per event at (`pk`, `sk`); the first write wins.

    The key must contain the event's identity (`Event.digest`, or `source` and `id`): two events with the same key are
    one item. `attributes` must not name `pk` or `sk`.
    """

    pk: str
    sk: str
    attributes: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Add:
    """Add `amounts` once per event identity to the totals of (`pk`, `window`).

    `pk` is the results table's partition key, `window` its sort key without the page suffix. `amounts` maps an
    attribute name (`sum_bytes`) to an exact number of at most `limits.MEASURE_INTEGER_DIGITS` digits before and
    `limits.MEASURE_FRACTION_DIGITS` after the decimal point; it may be empty. The number of identities is always kept
    as the attribute `events`. Two `Add` of one event on the same window are summed.
    """

    pk: str
    window: str
    amounts: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Latest:
    """Keep at (`pk`, `sk`) the attributes with the highest `version`; of equal versions the first write stays.

    The item is replaced whole: attributes that only an older version had are gone. `version` is stored as the attribute
    `version`, and one item must always be given versions of one type. `_shape`, the names of the attributes, is the
    processor's own: no attribute's name may begin with an underscore.
    """

    pk: str
    sk: str
    attributes: Mapping[str, Scalar]
    version: int | str


Effect: TypeAlias = Record | Add | Latest
