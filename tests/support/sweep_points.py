"""Points of a sweep as if they had been measured, and the document that is made of them."""

import json
from typing import Any

from loadgen.sweep.document import document
from loadgen.sweep.measured import Measured
from loadgen.sweep.quotas import Cost, Point, name_limit, quotas
from loadgen.sweep.search import Bracket


def measured(point: Point, low: float, *, is_closed: bool = True, batch_s: float = 1.0) -> Measured:
    """Full batches of events that are not aggregated. `low`: events/s sustained; 3 % more is too much."""
    cost = Cost(1.0, 290.0, float(point.batch_size), batch_s, 0.5)
    known = quotas(point, cost)
    limit = name_limit(("nothing", ""), known, low, 0.5)
    bracket = Bracket(low, low * 1.03, 5, is_closed, "found")
    return Measured(point, bracket, [], limit, known, cost, 1000.0, 0.5)


def sweep(
    *points: Measured, problem: str | None = None, command: str = "--shards 1", asked: int | None = None
) -> dict[str, Any]:
    """sweep.json as it is read again. `asked`: how many points the grid had; None: as many as there are."""
    made = document(
        command=["loadgen", "sweep", command],
        started_at="2026-11-23T10:00:00.000+00:00",
        configuration={"keys": "2000"},
        original={"shards": 2},
        restored=True,
        problem=problem,
        measured=points,
        points=len(points) if asked is None else asked,
    )
    found: dict[str, Any] = json.loads(json.dumps(made))
    return found
