"""PURE: how many lanes have work: the most invocations that ran at the same moment, second by second.

A lane (a shard's part of the partition keys) has one batch in work at most, so batches that are in work at the same
moment are of as many different lanes.
"""

import math
from collections.abc import Iterable

from loadgen.function_log import Invocation
from loadgen.series import LOG, Series

LANES_WITH_WORK = "lanes_with_work"


def at_once(invocations: Iterable[Invocation], started_s: float) -> list[Series]:
    """One series, or none without an invocation. Seconds count from `started_s` (Unix time)."""
    highest = {second: count for second, count in _by_second(invocations, started_s).items() if second >= 0}
    if not highest:
        return []
    points = tuple(sorted(highest.items()))
    return [Series(LANES_WITH_WORK, "lanes at the same moment", "max", LOG, 1, points)]


def _by_second(invocations: Iterable[Invocation], started_s: float) -> dict[int, float]:
    changes: list[tuple[float, int]] = []
    for one in invocations:
        end_s = one.at_ms / 1000 - started_s
        changes += ((end_s - one.duration_ms / 1000, 1), (end_s, -1))
    changes.sort()  # at the same moment an end comes before a beginning
    found: dict[int, float] = {}
    running, since_s = 0, 0.0
    for at_s, change in changes:
        if running:
            for second in range(math.floor(since_s), math.ceil(at_s)):
                found[second] = max(found.get(second, 0), running)
        running, since_s = running + change, at_s
    return found
