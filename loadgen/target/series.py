"""PURE: numbers over the seconds of a load, each with where it comes from and how finely it is known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadgen.outcome.metrics import Metrics
from loadgen.target.function_log import Batch, Invocation


@dataclass(frozen=True, slots=True)
class Series:
    """`points`: (second of the load at which the period begins, value), ascending; a period without one had none.

    `statistic`: what the value is of its period: `sum`, `mean` or `max`. `resolution_s`: the period's length.
    `is_partial`: its source lacks a part of the load, so of a period without a point nothing is known.
    """

    name: str
    unit: str
    statistic: str
    source: str
    resolution_s: int
    points: tuple[tuple[int, float], ...]
    is_partial: bool = False

    @property
    def total(self) -> float:
        return sum(value for _, value in self.points)

    @property
    def highest(self) -> float | None:
        return max((value for _, value in self.points), default=None)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "statistic": self.statistic,
            "source": self.source,
            "resolution_s": self.resolution_s,
            "partial": self.is_partial,
            "points": [[second, round(value, 3)] for second, value in self.points],
        }


SENDER, LOG, CLOUDWATCH = "the sender's own answers", "the function's log", "CloudWatch"


def of_sender(metrics: Metrics) -> list[Series]:
    """Write throttles by shard: each attempt of a Kinesis record that PutRecords answered so, in its second."""
    by_shard: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for number, second in metrics.seconds.items():
        for shard_id, count in second.throttled.items():
            by_shard[shard_id][number] = count
    return [
        Series(f"write_throttles {shard_id}", "records", "sum", SENDER, 1, tuple(sorted(by_second.items())))
        for shard_id, by_second in sorted(by_shard.items())
    ]


def of_function(
    batches: Sequence[Batch], invocations: Sequence[Invocation], started_s: float, batch_size: int | None
) -> list[Series]:
    """What the function's log says, by second of the commit, and of the invocations' whole time."""
    totals: dict[str, defaultdict[int, float]] = {name: defaultdict(float) for name, *_ in _OF_BATCH}
    counts: defaultdict[int, int] = defaultdict(int)
    for batch in batches:
        second = int(batch.at_ms / 1000 - started_s)
        counts[second] += 1
        for name, _, _, field in _OF_BATCH:
            totals[name][second] += getattr(batch, field)
    made = [_series("batches", "batches", "sum", counts)]
    for name, unit, statistic, _ in _OF_BATCH:
        by_second = {
            second: total / counts[second] if statistic == "mean" else total for second, total in totals[name].items()
        }
        made.append(_series(name, unit, statistic, by_second))
    oldest: dict[int, float] = {}
    for batch in batches:
        second = int(batch.at_ms / 1000 - started_s)
        oldest[second] = max(oldest.get(second, 0.0), batch.oldest_ms)
    made.append(_series("event_age_ms", "ms from arrival to commit", "max", oldest))
    if batch_size:
        fill = {second: total / counts[second] / batch_size for second, total in totals["batch_size"].items()}
        made.append(_series("batch_fill", "share of BatchSize", "mean", fill))
    made.append(_series("concurrency", "invocations", "mean", running(invocations, started_s)))
    cold: defaultdict[int, float] = defaultdict(float)
    for invocation in invocations:
        if invocation.init_ms is not None:
            cold[int((invocation.at_ms - invocation.duration_ms) / 1000 - started_s)] += 1
    made.append(_series("cold_starts", "environments", "sum", cold))
    return [series for series in made if series.points]


def running(invocations: Iterable[Invocation], started_s: float) -> dict[int, float]:
    """How many invocations ran, on average over each second."""
    busy: defaultdict[int, float] = defaultdict(float)
    for invocation in invocations:
        end_s = invocation.at_ms / 1000 - started_s
        begin_s = end_s - invocation.duration_ms / 1000
        for second in range(int(begin_s // 1), int(end_s // 1) + 1):
            busy[second] += max(0.0, min(end_s, second + 1) - max(begin_s, second))
    return busy


def _series(name: str, unit: str, statistic: str, by_second: Mapping[int, float]) -> Series:
    return Series(name, unit, statistic, LOG, 1, tuple(sorted((s, v) for s, v in by_second.items() if s >= 0)))


# name, unit, statistic, field of Batch
_OF_BATCH = (
    ("processed", "events", "sum", "events"),
    ("batch_records", "Kinesis records", "sum", "records"),
    ("batch_size", "Kinesis records", "mean", "records"),
    ("batch_item_failures", "Kinesis records", "sum", "failed"),
    ("effective_parallelism", "partition keys in a batch", "mean", "keys"),
    ("write_units", "write units, estimated", "sum", "write_units"),
    ("commit_ms", "ms in the function", "mean", "commit_ms"),
)
