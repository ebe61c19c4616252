"""PURE: what shows that something fell behind: calls that waited for their answer, records that grew older."""

from collections.abc import Collection, Sequence
from statistics import median
from typing import NamedTuple

SECOND_US = 1_000_000
FIFTHS = ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0))  # of the sending: its beginning, its middle, its end
GROWN, GROWN_MS = 1.5, 1_000  # from the middle to the end, at least: a first cold start is over by then


class Waited(NamedTuple):
    """`calls` that took long to be answered; `together_s`: the time during which at least one of them waited."""

    calls: int
    longest_ms: float
    together_s: float


def waited(slow_calls: Collection[tuple[int, int]]) -> Waited:
    """`slow_calls`: when each was handed over and answered, us."""
    together_us = until_us = 0
    for sent_us, done_us in sorted(slow_calls):
        together_us += max(0, done_us - max(sent_us, until_us))
        until_us = max(until_us, done_us)
    longest_us = max((done_us - sent_us for sent_us, done_us in slow_calls), default=0)
    return Waited(len(slow_calls), longest_us / 1000, together_us / SECOND_US)


class Grown(NamedTuple):
    """Ages of the oldest record at its commit, medians of the first and the last fifth of the sending."""

    first_ms: float
    last_ms: float


def grown(ages_ms: Sequence[tuple[int, float]], sending_s: float) -> Grown | None:
    """`ages_ms`: (second, age). None: they did not go on growing from the middle of the sending to its end."""
    fifths = [[age for second, age in ages_ms if a * sending_s <= second < b * sending_s] for a, b in FIFTHS]
    if not all(fifths):
        return None
    first, middle, last = map(median, fifths)
    return Grown(first, last) if last >= GROWN * middle and last - middle >= GROWN_MS else None
