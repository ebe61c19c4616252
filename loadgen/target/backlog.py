"""PURE: whether less was processed than was accepted, told by what was left at the end of sending."""

from loadgen.target.behind import aged, left
from loadgen.target.evidence import Evidence, Found

BEHIND = "processing: behind"
DRAIN_S = 1.0  # and the batching window: the last events of any load take so long
HELD_UP = 0.1  # of the seconds of the sending
FULL_SECONDS = 0.5  # all lanes with work for so long: more of them would help


def allowance_s(evidence: Evidence) -> float:
    """What is always under way takes less: an event waits for the batching window, for the batch before its own, and
    for its own."""
    batches = evidence.total("batches")
    batch_s = evidence.total("concurrency") / batches if batches else 0.0
    return (evidence.capacity.batching_window_s or 0) + 2 * batch_s + DRAIN_S


def was_left(evidence: Evidence) -> bool:
    """More was left to process when sending ended than what is always under way."""
    drain_s = evidence.drain_s
    return backlog(evidence) is not None or (drain_s is not None and drain_s >= allowance_s(evidence))


def has_caught_up(evidence: Evidence) -> bool:
    """What was left when sending ended is what is always under way, as far as the function's log shows it."""
    processed, drain_s = evidence.series.get("processed"), evidence.drain_s
    if processed is None or processed.is_partial or drain_s is None:
        return False
    return not was_left(evidence)


def was_held_up(evidence: Evidence) -> bool:
    """During a part of the sending records were older at their commit than what is always under way explains, even if
    nothing was left in the end."""
    ages = evidence.series.get("event_age_ms")
    if ages is None:
        return False
    old = sum(age > 1000 * allowance_s(evidence) for _, age in ages.points)
    return old > HELD_UP * evidence.sent.elapsed_s


def backlog(evidence: Evidence) -> Found | None:
    """What was left to process grew for as long as events were sent, and took its time afterwards: less was processed
    than was accepted."""
    ages, processed = evidence.series.get("event_age_ms"), evidence.series.get("processed")
    if processed is None or processed.is_partial or not processed.points:
        return None
    sent, window_s = evidence.sent, evidence.capacity.batching_window_s or 0
    drain_s = evidence.drain_s
    if drain_s is None:  # nobody waited: as long as the log goes on
        drain_s = max(second + 1 for second, _ in processed.points) - sent.elapsed_s
    if drain_s < window_s + DRAIN_S:
        return None
    older = aged(ages.points, sent.elapsed_s, drain_s) if ages else None
    more = left(sent.taken, processed.points, sent.elapsed_s, window_s)
    if older is None and more is None:
        return None
    said = []
    if more is not None:
        said.append(f"what was left to process grew from {more.early_s:,.1f} s to {more.last_s:,.1f} s of the load")
    if older is not None:
        said.append(
            f"the age of the oldest record at its commit grew from {older.early_s:,.1f} s to {older.last_s:,.1f} s"
        )
    after = sum(count for second, count in processed.points if second >= int(sent.elapsed_s))
    return Found(
        BEHIND,
        f"{BEHIND}: the backlog grew: {' and '.join(said)} while events were sent, and {after:,.0f} events were "
        f"processed after the sending, in {drain_s:,.1f} s{_with_work(evidence)}",
        after / processed.total if processed.total else 0.0,
    )


def _with_work(evidence: Evidence) -> str:
    capacity, work = evidence.capacity, evidence.series.get("lanes_with_work")
    lanes, most = capacity.lanes, capacity.at_once
    if not lanes or not most or work is None or not work.points:
        return ""
    full = sum(value >= most for _, value in work.points)
    who = "the only lane" if lanes == 1 else f"all {lanes:,} lanes"
    if most < lanes:
        who = f"{most:,} of {lanes:,} lanes, as many as the concurrency allows at once,"
    said = f"; {who} had work in {full:,} of {len(work.points):,} seconds"
    return said + (f": {capacity.wider}, or a faster function" if full >= FULL_SECONDS * len(work.points) else "")
