"""PURE: how many lanes have work: the most invocations that ran at the same moment, second by second.

A lane (a shard's part of the partition keys) has one batch in work at most, so batches that are in work at the same
moment are of as many different lanes.
"""

from collections.abc import Iterable

from loadgen.target.function_log import Invocation
from loadgen.target.series import LOG, Series

LANES_WITH_WORK = "lanes_with_work"
SECOND_US = 1_000_000
TOUCH_US = 2_000  # ends are known to the millisecond: batches that overlap by less came one after the other


def at_once(invocations: Iterable[Invocation], started_s: float) -> list[Series]:
    """One series, or none without an invocation. Seconds count from `started_s` (Unix time)."""
    highest = {second: count for second, count in _by_second(invocations, started_s).items() if second >= 0}
    if not highest:
        return []
    points = tuple(sorted(highest.items()))
    return [Series(LANES_WITH_WORK, "lanes at the same moment", "max", LOG, 1, points)]


def _by_second(invocations: Iterable[Invocation], started_s: float) -> dict[int, float]:
    """Whole microseconds: an end and a beginning at the same moment must compare as equal."""
    changes: list[tuple[int, int]] = []
    start_us = round(started_s * 1e6)
    for one in invocations:
        end_us = one.at_ms * 1000 - start_us
        lasted_us = round(one.duration_ms * 1000)
        changes += ((end_us - lasted_us, 1), (end_us - min(TOUCH_US, lasted_us // 2), -1))
    changes.sort()  # at the same moment an end comes before a beginning
    found: dict[int, float] = {}
    running = since_us = 0
    for at_us, change in changes:
        if running and at_us > since_us:
            for second in range(since_us // SECOND_US, (at_us - 1) // SECOND_US + 1):
                found[second] = max(found.get(second, 0), running)
        running, since_us = running + change, at_us
    return found
