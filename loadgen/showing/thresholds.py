"""PURE: `--threshold 'latency_p99_ms<1000'`: pass or fail over the named numbers of report.json."""

import math
import operator
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

COMPARISONS = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
EXPRESSION = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(<=|>=|==|!=|<|>)\s*(-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)\s*")
GIVEN_UP = ("events_failed", "failed_share")


class ThresholdError(ValueError):
    """An expression that means nothing; the text says what would."""


class Threshold(NamedTuple):
    """What must hold."""

    name: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{int(self.limit) if self.limit.is_integer() else self.limit}"


class Checked(NamedTuple):
    """A threshold after the run. A number that was not measured (None) passes nothing."""

    threshold: Threshold
    value: float | None
    passed: bool


def parse(expression: str, known: Iterable[str]) -> Threshold:
    """Raises ThresholdError, which lists the known names when the name is not one of them."""
    match = EXPRESSION.fullmatch(expression)
    if match is None:
        raise ThresholdError(
            f"--threshold {expression!r}: write NAME, one of {' '.join(COMPARISONS)}, and a number, for example "
            f"'latency_p99_ms<1000'"
        )
    name, comparison, limit = match.groups()
    names = sorted(known)
    if name not in names:
        raise ThresholdError(f"--threshold {expression!r}: there is no {name}; there are {', '.join(names)}")
    if math.isinf(float(limit)):
        raise ThresholdError(f"--threshold {expression!r}: {limit} is beyond every number that can be measured")
    return Threshold(name, comparison, float(limit))


def in_force(given: Iterable[Threshold]) -> list[Threshold]:
    """Those, and that no event is given up, unless one of them says how many may be."""
    thresholds = list(given)
    if any(threshold.name in GIVEN_UP for threshold in thresholds):
        return thresholds
    return [*thresholds, Threshold(GIVEN_UP[0], "==", 0.0)]


def check(thresholds: Iterable[Threshold], numbers: Mapping[str, float | int | None]) -> list[Checked]:
    """Compare each threshold with its number."""
    checked = []
    for threshold in thresholds:
        value = numbers.get(threshold.name)
        passed = value is not None and bool(COMPARISONS[threshold.comparison](value, threshold.limit))
        checked.append(Checked(threshold, value, passed))
    return checked
