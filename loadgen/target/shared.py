"""PURE: whether the period of CloudWatch in which a load began has figures of others, who were there before it.

CloudWatch counts by periods of its own, so the first one of a load reaches back to before it. A stack that was idle
until then has nothing there but the load's own. What others did in it cannot be told apart, in any of its figures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loadgen.target.function_log import Invocation
from loadgen.target.series import CLOUDWATCH, Series

SHARED = f"{CLOUDWATCH}'s period in which this load began"
EDGE_S = 1  # seconds of a series are whole, its periods begin anywhere in one


def others_ran(series: Iterable[Series], invocations: Iterable[Invocation] | None, started_s: float) -> bool:
    """More invocations were counted in that period than the function's log has of the load until its end.
    `invocations`: of the log, None when it is not known: what was counted then is nobody's for certain."""
    found = list(series)
    if not any(map(early, found)):
        return False
    if invocations is None:
        return True
    counted = next((one for one in found if one.name == "invocations" and early(one)), None)
    if counted is None:
        return False
    until_s = started_s + counted.points[0][0] + counted.resolution_s + EDGE_S
    begun_s = [(one.at_ms - one.duration_ms) / 1000 for one in invocations]
    return early(counted) > sum(started_s <= at_s < until_s for at_s in begun_s)


def others_put(series: Iterable[Series], records: int) -> bool:
    """More was put or read than this load can have put, which is `records`; and of that something in that period."""
    found = list(series)
    told = [one for one in found if one.name in ("records_put", "polled")]
    if not told:
        return any(map(early, found))
    return any(early(one) and one.total > records for one in told)


def early(one: Series) -> float:
    """What CloudWatch has of the period that began before the load."""
    return sum(value for second, value in one.points if second < 0) if one.source.startswith(CLOUDWATCH) else 0.0


def without_it(series: Iterable[Series]) -> list[Series]:
    """Of CloudWatch what came after that period, as part of the load; nothing is known of what has no point left."""
    made = []
    for one in series:
        if not one.source.startswith(CLOUDWATCH):
            made.append(one)
        elif points := tuple(point for point in one.points if point[0] >= 0):
            made.append(replace(one, points=points, is_partial=True))
    return made


def sentence(series: Iterable[Series]) -> str:
    """For `missing`."""
    length_s = max((one.resolution_s for one in series if early(one)), default=0)
    return (
        f"{SHARED} ({length_s} s long) has figures of others, too, who were there before it: the period is left out, "
        "and numbers that need it are not known"
    )


def is_shared(missing: Sequence[str]) -> bool:
    """Whether that was said already."""
    return any(said.startswith(SHARED) for said in missing)
