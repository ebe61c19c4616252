"""PURE: sweep.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from loadgen.sweep.curves import scaling
from loadgen.sweep.measured import Measured

SCHEMA = "loadgen-sweep/1"


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
