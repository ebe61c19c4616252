"""PURE: why a measured figure may not be the stack's own, or is none to hold a prediction against: from a report.

A prediction is of a configuration that takes its load. A run that was throttled, fell behind, was late at its sender or
was over before a few batches were done measured something else, by whatever factor.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LATE_SHARE_MAX = 0.2  # of events: beyond it the sender is what was measured
LIMIT_SHARE_MIN = 0.01  # of the load that a limit touched: below it the report itself does not call it one
WINDOWS_MIN = 4.0  # batching windows in a run
BATCHES_MIN, EVENTS_MIN = 5, 30  # in a run: a median of fewer is chance
# Names in a report's `limits` (docs/loadgen-report.md).
WRITES = frozenset({"shard write quota", "the stream's endpoint", "sender: late"})
BEHIND = frozenset({"processing: behind"})
THROTTLED = frozenset({
    "table write capacity", "quarantine write capacity", "reserved concurrency", "account concurrency",
    "shard read quota", "failing batches",
})  # fmt: skip


def doubts(plain: Mapping[str, Any], events: float) -> Iterator[str]:
    """Of a report of `loadgen run` with so many events. Raises what a report without these fields does."""
    asked, numbers, limits = plain["configuration"], plain["numbers"], plain["limits"]
    is_backlog = asked.get("profile") == "backlog"
    late = numbers.get("late_share") or 0.0
    if late > LATE_SHARE_MAX:
        yield f"{late:.0%} of the events left late: the sender did not keep up"
    if asked.get("profile") not in ("constant", "backlog"):
        yield f"its profile is {asked.get('profile')}, predicted is a constant rate"
    if plain.get("partial"):
        yield "it was ended before its time"
    # What holds up the filling of a backlog has no part in how fast it is worked off, and it is behind on purpose.
    yield from _limits(limits, THROTTLED if is_backlog else THROTTLED | WRITES | BEHIND)
    yield from (f"not observed: {sentence}" for sentence in limits.get("missing", ()))
    if not is_backlog:
        yield from _short(limits, float(asked["duration"]), events)


def _limits(limits: Mapping[str, Any], counted: frozenset[str]) -> Iterator[str]:
    """`limited_by` is named for more than 1 % of the load already; it has no share of its own."""
    if limits.get("limited_by") in counted:
        yield f"it met a limit: {limits['reason']}"
    for one in limits.get("also", ()):
        if one["limit"] in counted and one["share"] > LIMIT_SHARE_MIN:
            yield f"it met a limit, with {one['share']:.0%} of the load: {one['reason']}"


def _short(limits: Mapping[str, Any], duration_s: float, events: float) -> Iterator[str]:
    window_s = float(limits["capacity"].get("batching_window_s") or 0)
    if duration_s < WINDOWS_MIN * window_s:
        yield f"it sent for {duration_s:g} s, which is less than {WINDOWS_MIN:g} batching windows of {window_s:g} s"
    if events < EVENTS_MIN:
        yield f"{events:,.0f} event{'s are' if events != 1 else ' is'} too few for a median"
    batches = next((sum(n for _, n in one["points"]) for one in limits["series"] if one["name"] == "batches"), None)
    if batches is not None and batches < BATCHES_MIN:
        yield f"{batches:,.0f} batch{'es are' if batches != 1 else ' is'} too few for a median"
