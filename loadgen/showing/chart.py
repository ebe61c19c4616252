"""PURE: numbers over the seconds of a load as inline SVG: a grid, labelled axes, colours from the page's style."""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

TOP_MIN = 1e-300  # what is smaller has no exact powers of ten left
WIDTH, HEIGHT = 500, 190
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 22, 26
POINTS_MAX = 250  # one for every two units of width; a longer load has several seconds in one point
TICKS = 6  # of the axis of seconds, at most
STEPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)  # a quarter of each is a round number
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
BIG = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k"))  # from the first on, in the second
TIME_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 12 * HOUR_S)

Rows: TypeAlias = Sequence[Mapping[str, Any]]


class Line(NamedTuple):
    """A column of the timeline. `combine`: several seconds' values to the one value that is drawn for them."""

    column: str
    label: str
    style: str  # class of the path and of its sample in the legend
    combine: Callable[[Sequence[float]], float]


class Mark(NamedTuple):
    """A moment of the load, in seconds, and what it was."""

    second: float
    label: str


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def chart(title: str, rows: Rows, lines: Sequence[Line], marks: Sequence[Mark] = ()) -> str:
    """A figure with its heading and a legend that names the highest value (of a line without any, that it is not
    known); "" when there is nothing to draw."""
    seconds = math.ceil(len(rows) / POINTS_MAX) or 1
    groups = [rows[start : start + seconds] for start in range(0, len(rows), seconds)]
    drawn = {line: [_combined(group, line) for group in groups] for line in lines}
    highest = max((value for values in drawn.values() for value in values if value is not None), default=0)
    if len(groups) < 2 or not highest:
        return ""
    top = nice(highest)
    paths = "".join(
        f"<path class={line.style} d='{_path(values, top)}'/>{_dots(line, values, top)}"
        for line, values in drawn.items()
    )
    samples = "".join(
        f"<span><svg viewBox='0 0 24 8' aria-hidden=true><path class={line.style} d='M0 4L24 4'/></svg> "
        f"{html.escape(line.label)}{_peak(values)}</span>"
        for line, values in drawn.items()
    )
    each = f"<span class=dim>each point is {seconds} s</span>" if seconds > 1 else ""
    return (
        f"<figure><h3>{html.escape(title)}</h3><figcaption>{samples}{each}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='{html.escape(title, quote=True)}'>"
        f"{_grid(top)}{_seconds(len(groups), seconds)}{_marks(marks, len(groups), seconds)}{paths}"
        f"</svg></figure>"
    )


def _peak(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known or max(known) == min(known):
        return f" <b>{_rounded(known[0]) if known else 'not known'}</b>"
    return f" <b>max {_rounded(max(known))}</b>"


def _rounded(value: float) -> str:
    """Three digits are what a glance takes in; no thousands are lost."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def _marks(marks: Sequence[Mark], points: int, seconds: int) -> str:
    parts = []
    for mark in marks:
        x = _x(min(mark.second / seconds, points - 1.0), points)
        side, anchor = (-5, "end") if x > WIDTH / 2 else (5, "start")
        parts.append(f"<line class=mark x1={x:.1f} y1={TOP} x2={x:.1f} y2={HEIGHT - BOTTOM} />")
        parts.append(f"<text x={x + side:.1f} y={TOP - 9} text-anchor={anchor}>{html.escape(mark.label)}</text>")
    return "".join(parts)


def nice(value: float, steps: Sequence[float] = STEPS) -> float:
    """The smallest of `steps` (1 to 10) times a power of ten that is not below `value` (> 0)."""
    value = max(value, TOP_MIN)
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in steps if step * power >= value), 10 * power)


def _combined(group: Rows, line: Line) -> float | None:
    values = [row[line.column] for row in group if row[line.column] is not None]
    return line.combine(values) if values else None


def _x(position: float, points: int) -> float:
    return LEFT + position * (WIDTH - LEFT - RIGHT) / (points - 1)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM) / top


def _path(values: Sequence[float | None], top: float) -> str:
    """A value that is missing breaks the line; one that stands alone is drawn as a point (a round line end)."""
    moves, is_drawing = [], False
    for position, value in enumerate(values):
        if value is not None:
            point = f"{_x(position, len(values)):.1f} {_y(value, top):.1f}"
            moves.append(f"L{point}" if is_drawing else f"M{point}L{point}")
        is_drawing = value is not None
    return "".join(moves)


def _dots(line: Line, values: Sequence[float | None], top: float) -> str:
    """Values that stand alone, large enough to be seen."""
    alone = [
        (position, value)
        for position, value in enumerate(values)
        if value is not None and all(other is None for other in _beside(values, position))
    ]
    points = (f"{_x(position, len(values)):.1f} {_y(value, top):.1f}" for position, value in alone)
    moves = "".join(f"M{point}L{point}" for point in points)
    return f"<path class='{line.style} dot' d='{moves}'/>" if moves else ""


def _beside(values: Sequence[float | None], position: int) -> Sequence[float | None]:
    return (*values[max(0, position - 1) : position], *values[position + 1 : position + 2])


def _grid(top: float) -> str:
    parts = []
    for value in (0, top / 4, top / 2, 3 * top / 4, top):
        y = _y(value, top)
        parts.append(f"<line x1={LEFT} y1={y:.1f} x2={WIDTH - RIGHT} y2={y:.1f} />")
        parts.append(f"<text x={LEFT - 8} y={y + 4:.1f} text-anchor=end>{_label(value, top)}</text>")
    return "".join(parts)


def _seconds(points: int, seconds: int) -> str:
    last = (points - 1) * seconds
    days = math.ceil(last / DAY_S / TICKS)
    step = next((one for one in TIME_STEPS_S if last / one <= TICKS), days * DAY_S)
    return "".join(
        f"<text x={_x(second / seconds, points):.1f} y={HEIGHT - 6} text-anchor=middle>{_moment(second, step)}</text>"
        for second in range(0, last + 1, step)
    )


def _moment(second: int, step_s: int) -> str:
    """In the unit of which the axis has whole ones."""
    unit, name = (HOUR_S, "h") if step_s >= HOUR_S else (MINUTE_S, "min") if step_s >= MINUTE_S else (1, "s")
    return f"{second // unit:,} {name}"


def _label(value: float, top: float) -> str:
    """All of an axis in the same unit, and no wider than there is room for."""
    for least, unit, name in BIG:
        if top >= least:
            return f"{value / unit:,.5g} {name}" if value else "0"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"
