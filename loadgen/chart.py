"""PURE: numbers over the seconds of a load as inline SVG: a grid, labelled axes, colours from the page's style."""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

TOP_MIN = 1e-300  # what is smaller has no exact powers of ten left
WIDTH, HEIGHT = 760, 210
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 26
POINTS_MAX = 380  # one for every two units of width; a longer load has several seconds in one point
TICKS = 6

Rows: TypeAlias = Sequence[Mapping[str, Any]]


class Line(NamedTuple):
    """A column of the timeline. `combine`: several seconds' values to the one value that is drawn for them."""

    column: str
    label: str
    style: str  # class of the path and of its sample in the legend
    combine: Callable[[Sequence[float]], float]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def chart(title: str, rows: Rows, lines: Sequence[Line]) -> str:
    """A figure with its heading and legend; "" when there is nothing that a line could be drawn of."""
    seconds = math.ceil(len(rows) / POINTS_MAX) or 1
    groups = [rows[start : start + seconds] for start in range(0, len(rows), seconds)]
    drawn = {line: [_combined(group, line) for group in groups] for line in lines}
    highest = max((value for values in drawn.values() for value in values if value is not None), default=0)
    if len(groups) < 2 or not highest:
        return ""
    top = nice(highest)
    paths = "".join(f"<path class={line.style} d='{_path(values, top)}'/>" for line, values in drawn.items())
    samples = "".join(
        f"<span><svg viewBox='0 0 24 8' aria-hidden=true><path class={line.style} d='M0 4L24 4'/></svg> "
        f"{html.escape(line.label)}</span>"
        for line in lines
    )
    each = f"<span class=dim>each point is {seconds} s</span>" if seconds > 1 else ""
    return (
        f"<h2>{html.escape(title)}</h2><figure><figcaption>{samples}{each}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='{html.escape(title, quote=True)}'>"
        f"{_grid(top)}{_seconds(len(rows), len(groups), seconds)}{paths}</svg></figure>"
    )


def nice(value: float) -> float:
    """The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is not below `value` (> 0)."""
    value = max(value, TOP_MIN)
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value)


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


def _grid(top: float) -> str:
    parts = []
    for value in (0, top / 4, top / 2, 3 * top / 4, top):
        y = _y(value, top)
        parts.append(f"<line x1={LEFT} y1={y:.1f} x2={WIDTH - RIGHT} y2={y:.1f} />")
        parts.append(f"<text x={LEFT - 8} y={y + 4:.1f} text-anchor=end>{_label(value)}</text>")
    return "".join(parts)


def _seconds(rows: int, points: int, seconds: int) -> str:
    step = max(1, round(nice((rows - 1) / TICKS)))
    return "".join(
        f"<text x={_x(second / seconds, points):.1f} y={HEIGHT - 6} text-anchor=middle>{second:,} s</text>"
        for second in range(0, (points - 1) * seconds + 1, step)
    )


def _label(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}".rstrip("0")
