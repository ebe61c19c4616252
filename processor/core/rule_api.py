"""PURE: what an adopter's rules module is given and must offer.

A rules module (template parameter `RulesModule`) has one function, `effects(event, settings)`. It is pure: the same
event always gives the same effects, it reads no clock and does no I/O, because an event may be delivered many times.
It may raise `errors.Refused` to set an event aside; any other exception is a bug and is treated as one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from processor.core.effects import Effect
from processor.core.events import Event

MEASURE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}")
"""A measure becomes the attribute `sum_<measure>`, whose name has at most 64 characters (plan.ATTRIBUTE_NAME)."""


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """The template's `Measures` and `WindowSeconds`, as every rule is given them.

    `window_s` is a whole number of seconds, 1 or more. Raises ValueError, naming the setting, for anything else.
    """

    measures: tuple[str, ...]
    window_s: int

    def __post_init__(self) -> None:
        for name in self.measures:
            if not MEASURE_NAME.fullmatch(name):
                raise ValueError(f"Measures: {name!r} must match {MEASURE_NAME.pattern}")
        if self.window_s < 1:
            raise ValueError(f"WindowSeconds: {self.window_s} must be 1 or more")


class Rules(Protocol):
    """The module named by `RulesModule`."""

    def effects(self, event: Event, settings: RuleSettings) -> Iterable[Effect]:
        """Return what one event changes; nothing at all is a legal answer."""
        ...
