"""PURE: the points of a sweep from the options' lists."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loadgen.sweep.quotas import Point

POINTS_MAX = 200
FACTOR_MAX, SHARDS_MAX, BATCH_MAX = 10, 500, 10_000  # AWS: CreateEventSourceMapping; the template's ShardCount


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
