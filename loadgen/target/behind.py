"""PURE: what shows that something fell behind: calls that waited for their answer, records that grew older."""

from collections.abc import Collection, Sequence
from statistics import median
from typing import NamedTuple

SECOND_US = 1_000_000
FIFTHS = ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0))  # of the sending: its beginning, its middle, its end
AGED = 1.5  # from the middle to the end, at least: a first cold start is over by then
FIFTH, LEFT = 0.2, 1.25  # from the second fifth to the last
GROWN_S = 1.0
DRAINED = 0.5  # of the last ages: what is behind takes as long as it is old, or it had caught up


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
    """What went on growing: its medians of an early and of the last fifth of the sending, s."""

    early_s: float
    last_s: float


def aged(ages_ms: Sequence[tuple[int, float]], sending_s: float, drain_s: float) -> Grown | None:
    """Ages of the oldest record at its commit: (second, age). None: they did not go on growing from the middle of the
    sending to its end and beyond, or what was left at the end was not that old."""
    fifths = [[age / 1000 for second, age in ages_ms if a * sending_s <= second < b * sending_s] for a, b in FIFTHS]
    if not all(fifths):
        return None
    fifths[-1] += [age / 1000 for second, age in ages_ms if second >= sending_s]
    first_s, middle_s, last_s = map(median, fifths)
    has_grown = last_s >= AGED * middle_s and last_s - middle_s >= GROWN_S and drain_s >= DRAINED * last_s
    return Grown(first_s, last_s) if has_grown else None


def left(
    taken: Sequence[tuple[int, int]], processed: Sequence[tuple[int, float]], sending_s: float, window_s: float
) -> Grown | None:
    """Events that were taken and not yet processed, in seconds of the load at its mean rate. Both: (second, events),
    of that second alone; `window_s`: the mapping's batching window. None: that did not go on growing. What single
    batches and lanes do evens out in it: it is the distance between two sums.
    """
    seconds, total = int(sending_s), sum(events for _, events in taken)
    whole = [(number, FIFTH * seconds <= number < 2 * FIFTH * seconds) for number in range(seconds)]
    early, last = [number for number, is_early in whole if is_early], range(int((1 - FIFTH) * seconds), seconds)
    if not early or not total or not any(events for second, events in processed if second < seconds):
        return None
    came, went, waiting = dict(taken), dict(processed), 0.0
    levels_s = []
    for number in range(seconds):
        waiting += came.get(number, 0) - went.get(number, 0)
        levels_s.append(max(0.0, waiting) * sending_s / total)
    early_s, last_s = (median(levels_s[number] for number in numbers) for numbers in (early, last))
    # Within less than two windows, it is chance whether one is just beginning or ending.
    enough_s = GROWN_S + (window_s if FIFTH * seconds < 2 * window_s else 0.0)
    return Grown(early_s, last_s) if last_s >= LEFT * early_s and last_s - early_s >= enough_s else None
