"""PURE: throughput against concurrency as SVG: what was measured, what the quotas allow, and the scaling law with its
error band. Both axes may be logarithmic: then what scales without loss is a straight line."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadgen.showing.chart import BIG, nice

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 72, 18, 12, 46
DOT = 4
LABEL_WIDTH = 44  # labels on the axis of lanes keep so far apart
STEPS = (1, 2, 2.5, 3, 4, 5, 6, 8, 10)  # of an axis that is not logarithmic, times a power of ten
TICKS = 5  # of an axis that is not logarithmic, at most
DECADE_TICKS = (1, 2, 5)
FEW_TICKS, MANY_TICKS = 3, 10  # of a logarithmic axis: fewer say no scale, more touch each other
FINE_TICKS = tuple(half / 2 for half in range(2, 20))
LEGEND_HEIGHT, SAMPLE_WIDTH, CHARACTER_WIDTH = 22, 44, 6.8
LOG_FROM = 8  # axes whose ends are so many times apart are logarithmic

# Colours are the page's, by its variables; a file of its own brings them along.
STYLE = """
.chart line{stroke:var(--line)}.chart text{fill:var(--dim);font:12px system-ui,sans-serif}
.chart path{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.chart .band{fill:var(--b);stroke:none;opacity:.18}.chart .law{stroke:var(--b)}
.chart .quota{stroke:var(--a);stroke-dasharray:6 5}.chart .reach{stroke:var(--ink);stroke-width:1.5}
.chart circle{fill:var(--paper);stroke:var(--ink);stroke-width:2}.chart circle.full{fill:var(--ink)}
"""
ALONE = """
svg{--ink:#1b1f24;--dim:#5b6470;--line:#d9dde3;--paper:#fff;--a:#0b62c4;--b:#c2410c;background:var(--paper)}
@media(prefers-color-scheme:dark){svg{--ink:#e8eaed;--dim:#a3adba;--line:#363e4a;--paper:#14181d;--a:#6cb0ff;
--b:#ff9d5c}}
"""


class Place(NamedTuple):
    """One measured point. `too_much`: None when no rate was. `quota`: what the arithmetic allows; None: not known."""

    concurrency: float
    sustained: float
    too_much: float | None
    quota: float | None
    name: str
    is_closed: bool


class Curve(NamedTuple):
    """One value of the law; `low` and `high` are None when its error is not known."""

    concurrency: float
    at: float
    low: float | None
    high: float | None


class _Axis(NamedTuple):
    """From values to pixels."""

    low: float
    high: float
    first: float
    last: float
    is_log: bool

    def __call__(self, value: float) -> float:
        if self.is_log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.first + min(1.02, max(0.0, share)) * (self.last - self.first)


def throughput(places: Sequence[Place], curve: Sequence[Curve], *, alone: bool = False) -> str:
    """Events per second against lanes. `alone`: a file of its own, which brings colours and legend."""
    tops = [value for place in places for value in (place.sustained, place.too_much or 0.0, place.quota or 0.0)]
    tops += [one.high or one.at for one in curve]
    bottom = min([place.sustained for place in places] + [one.at for one in curve])
    x = _lanes_axis(places)
    y = _value_axis(bottom, max(tops), is_log=x.is_log)
    return _drawn("Sustained events per second", x, y, places, curve, alone=alone)


def per_lane(places: Sequence[Place], curve: Sequence[Curve], *, alone: bool = False) -> str:
    """The same divided by the lanes: what each lane still does when there are many."""
    each = [
        place._replace(
            sustained=place.sustained / place.concurrency,
            too_much=None if place.too_much is None else place.too_much / place.concurrency,
            quota=None if place.quota is None else place.quota / place.concurrency,
        )
        for place in places
    ]
    law = [Curve(n, at / n, low and low / n, high and high / n) for n, at, low, high in curve]
    tops = [value for place in each for value in (place.sustained, place.too_much or 0.0, place.quota or 0.0)]
    top = max(tops + [one.high or one.at for one in law])
    y = _value_axis(0.0, top, is_log=False)
    return _drawn("Sustained events per second and lane", _lanes_axis(places), y, each, law, alone=alone)


def places_of(points: Sequence[Mapping[str, Any]]) -> list[Place]:
    """Out of sweep.json's points. The quota is the lowest one: what the arithmetic expects."""
    return [
        Place(
            float(one["point"]["concurrency"]),
            one["sustained_events_per_s"],
            one["too_much_events_per_s"],
            min((quota["events_per_s"] for quota in one["quotas"]), default=None),
            f"{one['point']['shards']} x {one['point']['parallelization_factor']}",
            one["is_closed"],
        )
        for one in points
        if one["sustained_events_per_s"] > 0
    ]


def _lanes_axis(places: Sequence[Place]) -> _Axis:
    low, high = min(place.concurrency for place in places), max(place.concurrency for place in places)
    is_log = high >= LOG_FROM * low
    if is_log:
        return _Axis(low / 1.15, high * 1.15, LEFT, WIDTH - RIGHT, True)
    return _Axis(0.0, high * 1.08, LEFT, WIDTH - RIGHT, False)


def _value_axis(bottom: float, top: float, *, is_log: bool) -> _Axis:
    if is_log and bottom > 0:
        return _Axis(bottom / 1.3, top * 1.2, HEIGHT - BOTTOM, TOP, True)
    step = nice(top / TICKS, STEPS)
    return _Axis(0.0, math.ceil(top / step) * step, HEIGHT - BOTTOM, TOP, False)


def _drawn(title: str, x: _Axis, y: _Axis, places: Sequence[Place], curve: Sequence[Curve], *, alone: bool) -> str:
    parts = [_grid(y), _lanes(x, places), _band(x, y, curve), _law(x, y, curve), _quota(x, y, places)]
    parts += [_dot(x, y, place) for place in places]
    legend, rows = _legend(curve, places) if alone else ("", 0)
    space = "xmlns='http://www.w3.org/2000/svg' " if alone else ""
    height = HEIGHT + LEGEND_HEIGHT * rows + (4 if rows else 0)
    style = f"<style>{ALONE}{STYLE}</style>" if alone else ""
    return (
        f"<svg {space}class='chart' viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{html.escape(title)}'>"
        f"<title>{html.escape(title)}</title>{style}{''.join(parts)}{legend}</svg>"
    )


def _grid(y: _Axis) -> str:
    step = nice(y.high / TICKS, STEPS)
    values = _decades(y.low, y.high) if y.is_log else [step * part for part in range(int(y.high / step + 1.001))]
    return "".join(
        f"<line x1='{LEFT}' y1='{y(value):.1f}' x2='{WIDTH - RIGHT}' y2='{y(value):.1f}'/>"
        f"<text x='{LEFT - 8}' y='{y(value) + 4:.1f}' text-anchor='end'>{_label(value)}</text>"
        for value in values
    )


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))

    def inside(steps: Sequence[float]) -> list[float]:
        found = (step * 10.0**power for power in range(first, last + 1) for step in steps)
        return [value for value in found if low <= value <= high]

    ticks = inside(DECADE_TICKS)
    return inside(FINE_TICKS) if len(ticks) < FEW_TICKS else inside((1,)) if len(ticks) > MANY_TICKS else ticks


def _label(value: float) -> str:
    """No wider than the axis has room for."""
    return next((f"{value / unit:,.10g} {name}" for least, unit, name in BIG if value >= least), f"{value:,.10g}")


def _lanes(x: _Axis, places: Sequence[Place]) -> str:
    parts, taken = [], -math.inf
    for lanes in sorted({place.concurrency for place in places}):
        at = x(lanes)
        if at - taken >= LABEL_WIDTH:
            taken = at
            parts.append(f"<text x='{at:.1f}' y='{HEIGHT - BOTTOM + 17}' text-anchor='middle'>{lanes:,.10g}</text>")
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f"<text x='{middle:.1f}' y='{HEIGHT - 6}' text-anchor='middle'>lanes (concurrent batches)</text>")
    return "".join(parts)


def _line(x: _Axis, y: _Axis, points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if i else 'M'}{x(n):.1f} {y(value):.1f}" for i, (n, value) in enumerate(points))


def _band(x: _Axis, y: _Axis, curve: Sequence[Curve]) -> str:
    edges = [(one.concurrency, one.low, one.high) for one in curve if one.low is not None and one.high is not None]
    if len(edges) < 2:
        return ""
    around = [(n, high) for n, _, high in edges] + [(n, low) for n, low, _ in reversed(edges)]
    return f"<path class='band' d='{_line(x, y, around)}Z'/>"


def _law(x: _Axis, y: _Axis, curve: Sequence[Curve]) -> str:
    return f"<path class='law' d='{_line(x, y, [(one.concurrency, one.at) for one in curve])}'/>" if curve else ""


def _quota(x: _Axis, y: _Axis, places: Sequence[Place]) -> str:
    """A line through the lowest arithmetic of each number of lanes."""
    lowest: dict[float, float] = {}
    for place in places:
        if place.quota is not None:
            lowest[place.concurrency] = min(place.quota, lowest.get(place.concurrency, math.inf))
    return f"<path class='quota' d='{_line(x, y, sorted(lowest.items()))}'/>" if len(lowest) > 1 else ""


def _dot(x: _Axis, y: _Axis, place: Place) -> str:
    at, measured = x(place.concurrency), y(place.sustained)
    reach = ""
    if place.too_much is not None:
        reach = f"<path class='reach' d='M{at:.1f} {measured:.1f}L{at:.1f} {y(place.too_much):.1f}'/>"
    full = " class='full'" if place.is_closed else ""
    said = html.escape(f"{place.name}: {place.sustained:,.1f}/s")
    return f"{reach}<circle{full} cx='{at:.1f}' cy='{measured:.1f}' r='{DOT}'><title>{said}</title></circle>"


def samples(curve: Sequence[Curve], places: Sequence[Place]) -> list[tuple[str, str]]:
    """(a drawing of 24 x 8, what it stands for)."""
    found = [(f"<circle class='full' cx='12' cy='4' r='{DOT - 1}'/>", "sustained, up to too much")]
    if any(not place.is_closed for place in places):
        found.append((f"<circle cx='12' cy='4' r='{DOT - 1}'/>", "not closed"))
    if curve:
        found.append(("<path class='law' d='M0 4L24 4'/>", "scaling law, 95 % band"))
    found.append(("<path class='quota' d='M0 4L24 4'/>", "lowest quota"))
    return found


def _legend(curve: Sequence[Curve], places: Sequence[Place]) -> tuple[str, int]:
    """In as many rows as it needs, and how many these are."""
    parts, left, row = [], float(LEFT), 0
    for drawing, said in samples(curve, places):
        width = SAMPLE_WIDTH + CHARACTER_WIDTH * len(said)
        if left + width > WIDTH and left > LEFT:
            left, row = float(LEFT), row + 1
        parts.append(
            f"<g transform='translate({left:.0f} {HEIGHT + 8 + row * LEGEND_HEIGHT})'>{drawing}"
            f"<text x='30' y='8'>{html.escape(said)}</text></g>"
        )
        left += width
    return "".join(parts), row + 1
