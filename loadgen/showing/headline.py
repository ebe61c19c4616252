"""PURE: how much of what was offered was accepted in its time: what a report's first sentence says of a slow load."""

import math
from collections.abc import Mapping
from typing import Any

ENOUGH = 0.01  # of the events: fewer of them late or given up are no headline


def offered_per_s(report: Mapping[str, Any]) -> float | None:
    """Events of the schedule per second of it; None: it had no pace."""
    numbers = report["numbers"]
    due = [row["second"] for row in report["timeline"] if row["offered"]]
    if not due or numbers.get("late_share") is None:
        return None
    length_s = _length_s(report["configuration"], max(due) + 1)
    if report.get("partial") and numbers.get("elapsed_s"):
        length_s = min(length_s, numbers["elapsed_s"])  # a load that was stopped ended within a second
    return float(numbers["events_offered"]) / length_s


def _length_s(configuration: Mapping[str, Any], seconds: int) -> float:
    """`seconds`: whole ones in which something was due; the last one need not be whole."""
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


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
