"""PURE: the points of a sweep from the options' lists, and what becomes of them as sweep.json."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadgen.sweep.quotas import MACHINE, Cost, Limit, Point, Quota
from loadgen.sweep.scaling import Law, fit
from loadgen.sweep.search import Bracket

SCHEMA = "loadgen-sweep/1"
POINTS_MAX = 200
FACTOR_MAX, SHARDS_MAX, BATCH_MAX = 10, 500, 10_000  # AWS: CreateEventSourceMapping; the template's ShardCount
CURVE_POINTS = 41
UNSURE = 2.0  # standard errors
FORESEEN = 2.0  # times the highest measured concurrency: what the law says beyond is a guess
ROUND_FROM = 100  # events/s, below which a tenth matters


class GridError(ValueError):
    """An option that means nothing; the text names it."""


class Axis(NamedTuple):
    """One option of the grid. `none`: the word for no value, if there is one."""

    option: str
    lowest: int
    highest: int
    none: str | None = None


AXES: Mapping[str, Axis] = {
    "shards": Axis("--shards", 1, SHARDS_MAX),
    "function_latency_ms": Axis("--function-latency-ms", 0, 600_000),
    "table_write_units": Axis("--table-write-units", 1, 1_000_000, "none"),
    "reserved_concurrency": Axis("--reserved-concurrency", 1, 100_000, "none"),
    "batch_size": Axis("--batch-size", 1, BATCH_MAX),
    "aggregate": Axis("--aggregate", 1, 10_000, "off"),
    "parallelization_factor": Axis("--parallelization-factor", 1, FACTOR_MAX),
}


def values(axis: Axis, text: str) -> list[int | None]:
    """`1,2,4` as numbers, each once, in the order given. Raises GridError."""
    found: list[int | None] = []
    for word in (word.strip() for word in text.split(",")):
        value: int | None = None
        if word != axis.none:
            if not (word.isascii() and word.isdecimal()) or not axis.lowest <= int(word) <= axis.highest:
                also = f" or {axis.none}" if axis.none else ""
                raise GridError(f"{axis.option} {text}: {word!r} is not {axis.lowest:,} to {axis.highest:,}{also}")
            value = int(word)
        if value not in found:
            found.append(value)
    return found


def grid(axes: Mapping[str, Sequence[int | None]]) -> list[Point]:
    """All combinations; what takes longest to change changes least often. Raises GridError for too many."""
    points = [
        Point(**dict(zip(AXES, combination, strict=True)))  # type: ignore[arg-type]  # the axes' own types are Point's
        for combination in itertools.product(*(axes[name] for name in AXES))
    ]
    if len(points) > POINTS_MAX:
        raise GridError(f"the grid has {len(points):,} points, at most {POINTS_MAX} are measured in one sweep")
    return points


def shard_steps(count: int, wanted: int) -> list[int]:
    """Shard counts to ask for one after the other: each at most the double and at least half of the one before.

    AWS: UpdateShardCount.
    """
    steps = []
    while count != wanted:
        count = min(wanted, count * 2) if wanted > count else max(wanted, (count + 1) // 2)
        steps.append(count)
    return steps


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


def scaling(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """The scaling law over the points that differ in shards and parallelization factor only, group by group.

    Points that the machine's CPU limited are left out: they say how many cores it has, and nothing of lanes.
    """
    groups: dict[tuple[Any, ...], list[Measured]] = {}
    left_out: Counter[tuple[Any, ...]] = Counter()
    for one in measured:
        point = one.point
        kept = (point.batch_size, point.aggregate, point.function_latency_ms, point.table_write_units)
        if one.bracket.low > 0 and point.reserved_concurrency is None:
            members = groups.setdefault(kept, [])
            if one.limit.name == MACHINE:
                left_out[kept] += 1
            else:
                members.append(one)
    found = []
    for kept, members in groups.items():
        names = ("batch_size", "aggregate", "function_latency_ms", "table_write_units")
        points = [(float(one.point.concurrency), one.bracket.low) for one in members]
        law: dict[str, Any] | None = None
        curve: list[dict[str, float | None]] = []
        try:
            fitted = fit(points)
            law, why, curve = law_json(fitted), None, curve_json(fitted, points)
        except ValueError as error:
            why = str(error)
        group = dict(zip(names, kept, strict=True))
        found.append(
            {
                "group": group,
                "points": points,
                "left_out": left_out[kept],
                "law": law,
                "why_not": why,
                "curve": curve,
            }
        )
    return found


def of_group(points: Sequence[Mapping[str, Any]], group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of sweep.json's points that a scaling curve is about."""
    return [
        one
        for one in points
        if one["point"]["reserved_concurrency"] is None
        and all(one["point"][name] == value for name, value in group.items())
    ]


def curve_json(law: Law, points: Sequence[tuple[float, float]]) -> list[dict[str, float | None]]:
    """The law and its band at concurrencies from the lowest to the highest measured one, evenly on a logarithm."""
    low, high = min(n for n, _ in points), max(n for n, _ in points)
    found = []
    for step in range(CURVE_POINTS):
        n = low * (high / low) ** (step / (CURVE_POINTS - 1))
        at, margin = law.at(n), law.margin_at(n)
        found.append(
            {
                "concurrency": _rounded(n),
                "events_per_s": _rounded(at),
                "low": None if margin is None else _rounded(max(0.0, at - margin)),
                "high": None if margin is None else _rounded(at + margin),
            }
        )
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def law_json(law: Law) -> dict[str, Any]:
    return {
        "rate_per_lane": _rounded(law.rate),
        "rate_per_lane_error": _rounded(law.rate_error),
        "contention": _rounded(law.contention),
        "contention_error": _rounded(law.contention_error),
        "coherency": _rounded(law.coherency),
        "coherency_error": _rounded(law.coherency_error),
        "unexplained": _rounded(law.unexplained),
        "best_concurrency": _rounded(law.best_concurrency),
        "ceiling_events_per_s": _rounded(law.ceiling),
    }


def document(
    *,
    command: Sequence[str],
    started_at: str,
    configuration: Mapping[str, Any],
    original: Mapping[str, Any],
    restored: bool,
    problem: str | None,
    measured: Sequence[Measured],
    points: int,
) -> dict[str, Any]:
    """sweep.json. `points`: how many the grid has; `problem`: why they were not all measured."""
    return {
        "schema": SCHEMA,
        "command": list(command),
        "started_at": started_at,
        "partial": problem is not None or len(measured) < points,
        "problem": problem,
        "configuration": dict(configuration),
        "original": dict(original),
        "restored": restored,
        "points": [one.as_json() for one in measured],
        "scaling": scaling(measured),
    }


COLUMNS = (
    "shards", "factor", "batch", "reserved", "aggregate", "pause ms", "sustained/s", "too much/s", "quota/s", "off by",
    "limited by", "next",
)  # fmt: skip


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


def is_unsure(law: Mapping[str, Any], name: str) -> bool:
    """The term's 95 % interval reaches 0, or it is held there."""
    error = law[f"{name}_error"]
    return law[name] == 0 or (error is not None and law[name] < UNSURE * error)


def _highest(law: Mapping[str, Any], most: float) -> str:
    """What the law says of its ceiling, as far as what was measured carries it. `most`: the highest concurrency."""
    ceiling, best = law["ceiling_events_per_s"], law["best_concurrency"]
    if best and best <= FORESEEN * most:
        return f"highest, {per_second(ceiling)} events/s, at {best:.0f} lanes"
    bends = (
        f"with {most:,.0f} lanes each of them does {law_at(law, most) / most / law['rate_per_lane']:.0%} of one alone"
    )
    return f"{bends}, and no ceiling is near"


def law_at(law: Mapping[str, Any], n: float) -> float:
    """The curve of `law_json`."""
    rate, contention, coherency = law["rate_per_lane"], law["contention"], law["coherency"]
    return float(rate * n / (1 + contention * (n - 1) + coherency * n * (n - 1)))


def sentences(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the scaling curves say."""
    said = []
    for group in groups:
        law, left_out = group["law"], group.get("left_out", 0)
        without = f"; {left_out} left out, which the machine's CPU limited" if left_out else ""
        if law is None:
            said.append(f"no scaling curve: {group['why_not']}{without}")
            continue
        parts = [
            f"{name} {law[name]:.2g}"
            + (f" +- {law[f'{name}_error']:.2g}" if law[f"{name}_error"] is not None else "")
            + (" (not told from 0)" if is_unsure(law, name) else "")
            for name in ("contention", "coherency")
        ]
        most = max(n for n, _ in group["points"])
        said.append(
            f"scaling curve over {len(group['points'])} points: {per_second(law['rate_per_lane'])} events/s per lane, "
            f"{', '.join(parts)}; {_highest(law, most)}; {law['unexplained']:.1%} unexplained{without}"
        )
    return said
