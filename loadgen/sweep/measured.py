"""PURE: what one point of a sweep has come to, as JSON and as a row of the table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadgen.sweep.quotas import Cost, Limit, Point, Quota
from loadgen.sweep.search import Bracket

ROUND_FROM = 100  # events/s, below which a tenth matters
COLUMNS = (
    "shards", "factor", "batch", "reserved", "aggregate", "pause ms", "sustained/s", "too much/s", "quota/s", "off by",
    "limited by", "next",
)  # fmt: skip


class Measured(NamedTuple):
    """A point's outcome. `machine_busy`: at the rate that was too much."""

    point: Point
    bracket: Bracket
    probes: Sequence[Mapping[str, Any]]
    limit: Limit
    quotas: Sequence[Quota]
    cost: Cost | None
    expected_per_s: float
    machine_busy: float | None

    def as_json(self) -> dict[str, Any]:
        quota, following = self.limit.quota, self.limit.following
        return {
            "point": self.point.as_json(),
            "sustained_events_per_s": round(self.bracket.low, 2),
            "too_much_events_per_s": None if self.bracket.high is None else round(self.bracket.high, 2),
            "is_closed": self.bracket.is_closed,
            "ended": self.bracket.ended,
            "limited_by": self.limit.name,
            "reason": self.limit.reason,
            "quota": None if quota is None else quota.as_json(),
            "difference_to_quota": None if quota is None else round(self.bracket.low / quota.events_per_s - 1, 4),
            "next_bottleneck": None if following is None else following.as_json(),
            "quotas": [one.as_json() for one in self.quotas],
            "expected_before_events_per_s": round(self.expected_per_s, 2),
            "cost": None
            if self.cost is None
            else {name: round(v, 5) if v is not None else None for name, v in self.cost._asdict().items()},
            "machine_busy": None if self.machine_busy is None else round(self.machine_busy, 3),
            "probes": list(self.probes),
        }


def per_second(rate: float) -> str:
    """A rate for people: as many digits as it was measured to."""
    return f"{rate:,.1f}" if rate < ROUND_FROM else f"{rate:,.0f}"


def row(one: Measured) -> tuple[str, ...]:
    """One line of the table."""
    point, quota, following = one.point, one.limit.quota, one.limit.following
    return (
        str(point.shards),
        str(point.parallelization_factor),
        str(point.batch_size),
        "-" if point.reserved_concurrency is None else str(point.reserved_concurrency),
        "off" if point.aggregate is None else str(point.aggregate),
        str(point.function_latency_ms),
        per_second(one.bracket.low) + ("" if one.bracket.is_closed else " (open)"),
        "-" if one.bracket.high is None else per_second(one.bracket.high),
        "-" if quota is None else per_second(quota.events_per_s),
        "-" if quota is None else f"{one.bracket.low / quota.events_per_s - 1:+.1%}",
        one.limit.name,
        "-" if following is None else f"{following.name} at {following.events_per_s:,.0f}/s",
    )
