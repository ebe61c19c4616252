"""PURE: how much of what was offered was accepted in its time, and processed: the first sentence of a slow load."""

import math
from collections.abc import Mapping
from typing import Any

from loadgen.target.backlog import DRAIN_S
from loadgen.target.limits import BEHIND, ENDPOINT, ENOUGH, LATE
from loadgen.target.series import LOG

KEPT_UP = 0.9  # of what was accepted, without what is always under way
NOT_OF_PROCESSING = (
    "nothing",
    "shard write quota",
    ENDPOINT,
    LATE,
    BEHIND,
)


def offered_per_s(report: Mapping[str, Any]) -> float | None:
    """Events of the schedule per second of it; None: it had no pace."""
    numbers = report["numbers"]
    due = [row["second"] for row in report["timeline"] if row["offered"]]
    if not due or numbers.get("late_share") is None:
        return None
    if schedule_s := numbers.get("schedule_s"):
        return float(numbers["events_offered"] / schedule_s)
    length_s = _length_s(report["configuration"], max(due) + 1)
    if report.get("partial") and numbers.get("elapsed_s"):
        length_s = min(length_s, numbers["elapsed_s"])  # a load that was stopped ended within a second
    return float(numbers["events_offered"]) / length_s


def _length_s(configuration: Mapping[str, Any], seconds: int) -> float:
    """Of a recording, or of an older report. `seconds`: whole ones in which something was due; the last one need not be
    whole."""
    try:
        duration_s = float(configuration.get("duration", seconds))
    except (TypeError, ValueError):
        return seconds
    return duration_s if math.isfinite(duration_s) and seconds - 1 < duration_s < seconds else seconds


def accepted_share(report: Mapping[str, Any]) -> float | None:
    """Accepted per second, as a share of what was offered per second; at most 1, however the last second ended."""
    offered, accepted = offered_per_s(report), report["numbers"].get("acknowledged_events_per_s")
    return min(1.0, accepted / offered) if offered and accepted is not None else None


def is_slow(report: Mapping[str, Any]) -> bool:
    numbers = report["numbers"]
    return any((numbers.get(name) or 0) > ENOUGH for name in ("late_share", "failed_share"))


def pace(report: Mapping[str, Any]) -> str:
    """One sentence; empty when (nearly) all was taken when it was due."""
    numbers = report["numbers"]
    if not is_slow(report):
        return ""
    said = []
    offered, accepted = offered_per_s(report), numbers["acknowledged_events_per_s"]
    if offered is not None and accepted is not None:
        accepted = min(accepted, offered)  # the last event is due, and accepted, before the schedule's end
        said.append(f"{_rate(accepted)} of {_rate(offered)} offered events/s were accepted")
    if (late := numbers["late_share"] or 0.0) > ENOUGH:
        said.append(f"{late:.1%} of the events left late, by up to {numbers['late_max_ms']:,.0f} ms")
    if (failed := numbers["failed_share"] or 0.0) > ENOUGH:
        said.append(f"{failed:.1%} of the events were given up")
    return f"{', '.join(said)}."


def of_accepted_only(numbers: Mapping[str, Any]) -> bool:
    """So many events were given up that the latencies of the others are not the load's."""
    return bool((numbers.get("failed_share") or 0) > ENOUGH)


def is_behind(report: Mapping[str, Any]) -> bool:
    return bool(processing(report))


def processing(report: Mapping[str, Any]) -> str:
    """One sentence; empty when the target processed as fast as it accepted, or when that is not known. A backlog is
    made on purpose."""
    numbers, limits = report["numbers"], report.get("limits") or {}
    if report["configuration"].get("profile") == "backlog" or not _fell_behind(report, limits):
        return ""
    offered, processed = offered_per_s(report), numbers.get("processed_events_per_s")
    of, what = (offered, "offered") if offered else (numbers.get("acknowledged_events_per_s"), "accepted")
    if processed is None and numbers.get("elapsed_s") and (known := _processed(report, limits)) is not None:
        processed = known / numbers["elapsed_s"]
    if processed is None or of is None or _rate(processed) == _rate(of):
        return ""
    limit = next((name for name in _named(limits) if name not in NOT_OF_PROCESSING), None)
    why = f", limited by {limit}" if limit else ""
    rest = f"; the rest took {_rate(numbers['drain_s'])} s more" if numbers["drain_s"] else ""
    return f"{_rate(processed)} of {_rate(of)} {what} events/s were processed{why}{rest}."


def _named(limits: Mapping[str, Any]) -> list[str]:
    """What limited the load first, then what else did for more than a moment."""
    also = (one for one in limits.get("also", ()) if one["limit"] == BEHIND or (one.get("share") or 0) > ENOUGH)
    return [limits.get("limited_by", "nothing"), *(one["limit"] for one in also)]


def _fell_behind(report: Mapping[str, Any], limits: Mapping[str, Any]) -> bool:
    if BEHIND in _named(limits):
        return True
    drain_s, elapsed_s = report["numbers"]["drain_s"], report["numbers"].get("elapsed_s")
    always_s = ((limits.get("capacity") or {}).get("batching_window_s") or 0) + DRAIN_S  # a load's last events take it
    if drain_s is None or not elapsed_s or drain_s <= always_s:
        return False
    processed = _processed(report, limits)
    if processed is None:
        return bool(elapsed_s < KEPT_UP * (elapsed_s + drain_s - always_s))
    until = int(elapsed_s) - always_s
    return bool(processed < KEPT_UP * sum(row["acknowledged"] for row in report["timeline"] if row["second"] < until))


def _processed(report: Mapping[str, Any], limits: Mapping[str, Any]) -> float | None:
    """Events processed while events were sent, as the function's log tells it; None: it does not, or not of all."""
    for one in limits.get("series", ()):
        if one["name"] == "processed" and one["source"] == LOG and not one.get("partial"):
            return float(sum(count for second, count in one["points"] if second < int(report["numbers"]["elapsed_s"])))
    return None


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
