"""PURE: the backlog of a probe, second by second, and what its batches cost, from the function's log."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from loadgen.offer.pacer import schedule
from loadgen.outcome.metrics import Metrics
from loadgen.sweep.quotas import Cost
from loadgen.sweep.scaling import Slope, slope
from loadgen.target.function_log import Batch, Invocation

OVERDRIVE = 1.25  # times the rate, during the warm-up: see `due_times`
WINDOW_S_MIN = 1.0
POINTS_MIN = 4  # of a slope


def due_times(rate: float, warm_up_s: float, duration_s: float, overdrive: float = OVERDRIVE) -> Iterator[float]:
    """Seconds from the start at which events are due: constant, and `overdrive` times as fast during the warm-up.

    Quotas let a second's worth through at once (a shard's writes, a table's burst). A rate that is 5 % too high would
    live on that for 20 s and look sustainable; so the warm-up uses it up. A rate that is not too high then works off
    what was left over. Many lanes that each take little need more of it: the keys come to them at random, and a lane
    that has nothing left to do for a moment would be taken for one that cannot do more.
    """
    if warm_up_s > 0:
        yield from schedule("constant", rate * overdrive, warm_up_s)
    yield from (warm_up_s + at_s for at_s in schedule("constant", rate, duration_s - warm_up_s))


def backlog(
    rate: float,
    started_s: float,
    warm_up_s: float,
    duration_s: float,
    batches: Sequence[Batch],
    overdrive: float = OVERDRIVE,
) -> list[tuple[float, float]]:
    """(seconds from the start, events due and not yet processed) from the end of the warm-up on.

    Counted from the schedule: an event that the stream does not take, or that the sender is late with, is waiting too.
    `started_s`: Unix time of the schedule's 0. Events per batch are those applied, so deliveries again count once.
    A backlog that is worked off in batches is a saw; each value is the lowest of a window of about two batches' time
    before it, so that the saw's teeth are not taken for noise. When nothing is processed any more, that rises too.
    """
    ends = sorted((batch.at_ms / 1000 - started_s, batch.applied) for batch in batches if batch.applied)
    ends = [end for end in ends if end[0] <= duration_s]

    def due(at_s: float) -> float:
        return rate * (at_s + (overdrive - 1) * min(at_s, warm_up_s))

    lows: list[tuple[float, float]] = [(0.0, 0.0)]
    processed = 0
    for at_s, applied in ends:
        processed += applied
        lows.append((at_s, due(at_s) - processed))
    inside = sum(at_s >= warm_up_s for at_s, _ in ends)
    measured_s = duration_s - warm_up_s
    window_s = min(max(WINDOW_S_MIN, 2 * measured_s / inside if inside else 0.0), measured_s / 4)
    return [
        (at_s, _lowest(due, lows, at_s - window_s, at_s))
        for step in range(1, int(measured_s / window_s + 1e-9) + 1)
        for at_s in [warm_up_s + step * window_s]
    ]


def _lowest(due: Callable[[float], float], lows: Sequence[tuple[float, float]], begin_s: float, end_s: float) -> float:
    """The backlog's lowest value in a window: just after a batch, or at the window's begin."""
    before = bisect_right(lows, begin_s, key=lambda low: low[0]) - 1
    until = bisect_right(lows, end_s, key=lambda low: low[0])
    at_s, value = lows[max(0, before)]
    at_begin = value + due(begin_s) - due(at_s)
    return min([at_begin, *(value for _, value in lows[before + 1 : until])])


def growth(points: Sequence[tuple[float, float]]) -> Slope:
    """Events per second by which the backlog grows once what the warm-up left over is worked off.

    That is counted from where the backlog is lowest, or from the middle if it is lowest later: a line through a slope
    and the level after it would fit neither.
    """
    lowest = min(range(len(points)), key=lambda i: points[i][1])
    return slope(points[max(0, min(lowest, len(points) // 2, len(points) - POINTS_MIN)) :])


def cost(
    metrics: Metrics, batches: Sequence[Batch], invocations: Sequence[Invocation], between_s: tuple[float, float]
) -> Cost | None:
    """Averages over a probe, and over the batches that ended between two Unix times; None: nothing was processed."""
    begin_ms, end_ms = between_s[0] * 1000, between_s[1] * 1000
    inside = [batch for batch in batches if begin_ms <= batch.at_ms <= end_ms and batch.events]
    ran = [one for one in invocations if begin_ms <= one.at_ms <= end_ms]
    if not inside or not metrics.records:
        return None
    events = sum(batch.events for batch in inside)
    return Cost(
        metrics.acknowledged / metrics.records,
        metrics.size / metrics.records,
        events / len(inside),
        sum(one.duration_ms for one in ran) / len(ran) / 1000 if ran else 0.0,
        sum(batch.write_units for batch in inside) / events,
    )
