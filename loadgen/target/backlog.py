"""PURE: whether less was processed than was accepted, told by what was left at the end of sending."""

from loadgen.target.behind import aged, left
from loadgen.target.evidence import Evidence, Found

BEHIND = "processing: behind"
DRAIN_S = 1.0  # and the batching window: the last events of any load take so long
FULL_SECONDS = 0.5  # all lanes with work for so long: more of them would help


def has_caught_up(evidence: Evidence) -> bool:
    """What was left when sending ended is what is always under way, as far as the function's log shows it: an event
    waits for the batching window, for the batch before its own, and for its own."""
    processed, drain_s = evidence.series.get("processed"), evidence.drain_s
    if processed is None or processed.is_partial or drain_s is None or backlog(evidence) is not None:
        return False
    batches = evidence.total("batches")
    batch_s = evidence.total("concurrency") / batches if batches else 0.0
    return drain_s < (evidence.capacity.batching_window_s or 0) + 2 * batch_s + DRAIN_S


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
    lanes, work = evidence.capacity.lanes, evidence.series.get("lanes_with_work")
    if not lanes or work is None or not work.points:
        return ""
    full = sum(value >= lanes for _, value in work.points)
    who = "the only lane" if lanes == 1 else f"all {lanes:,} lanes"
    said = f"; {who} had work in {full:,} of {len(work.points):,} seconds"
    more = ": more shards or a higher parallelization factor, or a faster function"
    return said + (more if full >= FULL_SECONDS * len(work.points) else "")
