"""PURE: what an adopter's rules module is given and must offer.

A rules module (template parameter `RulesModule`) has one function, `effects(event, settings)`. It is pure: the same
event always gives the same effects, it reads no clock and does no I/O, because an event may be delivered many times.
It may raise `errors.Refused` to set an event aside; any other exception is a bug and is treated as one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, Protocol

from processor.core.effects import Effect, Number
from processor.core.errors import Malformed, Reason
from processor.core.events import Event
from processor.core.limits import MEASURE_FRACTION_DIGITS, MEASURE_INTEGER_DIGITS
from processor.core.numbers import is_measure
from processor.core.rule_results import AMOUNTS_MAX

MEASURE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}")
"""A measure becomes the attribute `sum_<measure>`, whose name has at most 64 characters (rule_results)."""
MEASURES_MAX: Final = AMOUNTS_MAX
WINDOW_S_MAX: Final = 366 * 86_400
"""A year: a window is a bucket of a report, not an archive."""


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """The template's `Measures` and `WindowSeconds`, as every rule is given them.

    At most MEASURES_MAX different names; `window_s` from 1 to WINDOW_S_MAX. Raises ValueError naming the setting.
    """

    measures: tuple[str, ...]
    window_s: int

    def __post_init__(self) -> None:
        if len(self.measures) > MEASURES_MAX:
            raise ValueError(f"Measures: {len(self.measures)} names, the limit is {MEASURES_MAX}")
        if len(set(self.measures)) != len(self.measures):
            raise ValueError("Measures: a name is given twice")
        for name in self.measures:
            if not MEASURE_NAME.fullmatch(name):
                raise ValueError(f"Measures: {name!r} does not match {MEASURE_NAME.pattern}")
        if not 1 <= self.window_s <= WINDOW_S_MAX:
            raise ValueError(f"WindowSeconds: {self.window_s} is not from 1 to {WINDOW_S_MAX}")


class Rules(Protocol):
    """The module named by `RulesModule`."""

    def effects(self, event: Event, settings: RuleSettings) -> Iterable[Effect]:
        """Return what one event changes; nothing at all is a legal answer."""
        ...


def measure(event: Event, name: str) -> Number | None:
    """Return the number `data` has under `name`, None when it has none there (true and false are no numbers).

    Raises Malformed (`bad_number`) for a number whose sums could not be kept exactly: more than 20 digits before or 15
    after the decimal point.
    """
    value = event.data.get(name)
    if type(value) is not int and type(value) is not Decimal:
        return None
    if not is_measure(value):
        raise Malformed(
            Reason.BAD_NUMBER,
            f"data.{name} has more than {MEASURE_INTEGER_DIGITS} digits before"
            f" or {MEASURE_FRACTION_DIGITS} after the decimal point",
        )
    return value


def window_start(time_s: int, window_s: int) -> str:
    """Return the start of the window that `time_s` lies in, like 2026-11-23T09:00:00Z.

    Windows are aligned to the epoch, 1970-01-01T00:00:00Z: window n begins n * `window_s` seconds after it. So hours
    and days begin where UTC's do, and a window of 7 days begins on a Thursday, as 1970 did.
    """
    return _rfc3339(time_s - time_s % window_s)


@lru_cache(maxsize=1_024)  # a batch has few windows
def _rfc3339(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
