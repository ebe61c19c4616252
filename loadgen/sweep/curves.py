"""PURE: the scaling curves through the points of a sweep: which points belong on one, its law, and what it says."""

from collections.abc import Mapping, Sequence
from typing import Any

from loadgen.sweep.measured import Measured, per_second
from loadgen.sweep.quotas import MACHINE
from loadgen.sweep.scaling import Law, fit

CURVE_POINTS = 41
UNSURE = 2.0  # standard errors
FORESEEN = 2.0  # times the highest measured concurrency: what the law says beyond is a guess
SAME = ("batch_size", "aggregate", "function_latency_ms", "table_write_units")  # the same all along one curve


def scaling(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """The scaling law over the points that differ in shards and parallelization factor only, group by group."""
    groups: dict[tuple[Any, ...], list[Measured]] = {}
    for one in measured:
        if one.bracket.low > 0 and one.point.reserved_concurrency is None:
            groups.setdefault(tuple(getattr(one.point, name) for name in SAME), []).append(one)
    return [_scaled(dict(zip(SAME, values, strict=True)), members) for values, members in groups.items()]


def _scaled(group: Mapping[str, Any], members: Sequence[Measured]) -> dict[str, Any]:
    """One group's curve.

    Points that the machine's CPU limited are left out: they say how many cores it has, and nothing of lanes.
    """
    points = [(float(one.point.concurrency), one.bracket.low) for one in members if one.limit.name != MACHINE]
    law: dict[str, Any] | None = None
    why: str | None = None
    curve: list[dict[str, float | None]] = []
    try:
        fitted = fit(points)
        law, curve = law_json(fitted), curve_json(fitted, points)
    except ValueError as error:
        why = str(error)
    return {
        "group": dict(group),
        "points": points,
        "left_out": len(members) - len(points),
        "law": law,
        "why_not": why,
        "curve": curve,
    }


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
