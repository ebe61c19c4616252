"""PURE: what was observed of the target during a load: as named numbers, as the report's `limits`, as rows to draw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadgen.outcome.histogram import Histogram
from loadgen.outcome.metrics import THROTTLED, Metrics
from loadgen.target import commits, cost
from loadgen.target.cost import Cost
from loadgen.target.evidence import Capacity, Judgement, Sent
from loadgen.target.function_log import Batch
from loadgen.target.lateness import Circumstances
from loadgen.target.limits import judge
from loadgen.target.series import CLOUDWATCH, LOG, Series, of_sender

# name of the number -> series, how it is combined. Sums are 0 when their source was there and had none.
SUMS = {
    "read_throttles": ("read_throttles",),
    "lambda_throttles": ("lambda_throttles",),
    "function_errors": ("function_errors",),
    "table_throttles": ("table_write_throttles", "table_read_throttles", "quarantine_throttles"),
    "invocations_observed": ("invocations",),
    "batch_item_failures": ("batch_item_failures",),
    "cold_starts": ("cold_starts",),
    "write_units": ("write_units",),
}
HIGHEST = {
    "iterator_age_max_ms": "iterator_age_ms",
    "event_age_max_ms": "event_age_ms",
    "concurrency_max": "concurrent_executions",
    "lanes_with_work_max": "lanes_with_work",
}
CONSUMED = ("table_write_units", "table_read_units", "quarantine_write_units")  # not published everywhere
MEANS = {
    "batch_size_mean": ("batch_records", "batches"),
    "effective_parallelism_mean": ("effective_parallelism", None),
    "batch_fill_mean": ("batch_fill", None),
}
RESENT = 0.01  # of all attempts
OF_LOG = {"batch_item_failures", "cold_starts", "write_units"}


@dataclass(slots=True)
class Observation:
    """`series` of the target's own sources, not the sender's; `batches`: what they are made of. `missing`: what could
    not be had, and why. `cost`: None when it is not known. `circumstances`: of the sending."""

    capacity: Capacity = field(default_factory=Capacity)
    series: Sequence[Series] = ()
    commit_latency: Histogram = field(default_factory=Histogram)
    missing: Sequence[str] = ()
    cost: Cost | None = None
    batches: Sequence[Batch] = ()
    circumstances: Circumstances = field(default_factory=Circumstances)

    @property
    def has_log(self) -> bool:
        return any(series.source == LOG and not series.is_partial for series in self.series)

    @property
    def has_metrics(self) -> bool:
        return any(series.source.startswith(CLOUDWATCH) and not series.is_partial for series in self.series)


def numbers(observed: Observation, *, scheduled: bool = True) -> dict[str, float | int | None]:
    """By their names in report.json; None: its source was not there, or lacks a part of the load. Without a schedule
    nothing was due."""
    by_name = {series.name: series for series in observed.series if not series.is_partial}
    found: dict[str, float | int | None] = commits.named(observed.commit_latency if scheduled else Histogram())
    for name, parts in SUMS.items():
        is_known = observed.has_log if name in OF_LOG else observed.has_metrics
        found[name] = _whole(sum(by_name[part].total for part in parts if part in by_name)) if is_known else None
    for name, part in HIGHEST.items():
        found[name] = _whole(by_name[part].highest) if part in by_name else None
    if found["concurrency_max"] is None:  # the log tells of the same, to the millisecond
        found["concurrency_max"] = found["lanes_with_work_max"]
    for name in CONSUMED:
        found[name] = _whole(by_name[name].total) if name in by_name else None
    if found["quarantine_write_units"] is None and found["table_write_units"] is not None:
        found["quarantine_write_units"] = 0  # such figures are published, and a table without traffic has none
    polled, invoked = by_name.get("polled"), by_name.get("invoked")
    found["redelivered_records"] = _whole(max(0.0, invoked.total - polled.total)) if polled and invoked else None
    found.update(cost.numbers(observed.cost))
    found.update(observed.circumstances.named())
    for name, (total, count) in MEANS.items():
        found[name] = _mean(by_name.get(total), by_name.get(count) if count else None, counted=count is not None)
    return found


def _whole(value: float | None) -> float | int | None:
    """A count is a whole number, whatever CloudWatch makes of it."""
    return int(value) if value is not None and value == int(value) else value


def _mean(total: Series | None, count: Series | None, *, counted: bool) -> float | None:
    if total is None or (counted and count is None):
        return None
    return total.total / (count.total if count is not None else len(total.points))


def sent(metrics: Metrics, circumstances: Circumstances | None = None) -> Sent:
    """The sender's part of the evidence."""
    throttled = dict(metrics.throttled)
    known = circumstances or Circumstances()
    if metrics.errors.total() > RESENT * metrics.attempts:  # only calls without a failed attempt are known
        known = known._replace(in_flight=None)
    others = {code: count for code, count in metrics.errors.items() if code != THROTTLED}
    return Sent(
        events=metrics.offered,
        late=metrics.late,
        late_max_ms=metrics.late_us_max / 1000,
        attempts=metrics.attempts,
        throttled=throttled,
        errors=others,
        records=metrics.records,
        size=metrics.size,
        elapsed_s=metrics.latest_us / 1e6,
        slow_calls=metrics.slow_calls,
        taken=[(number, second.acknowledged) for number, second in metrics.seconds.items()],
        circumstances=known,
        due_s=max((number + 1 for number, second in metrics.seconds.items() if second.offered), default=0),
    )


def limits(
    observed: Observation, metrics: Metrics, drain_s: float | None, *, is_complete: bool = True
) -> dict[str, Any]:
    """The report's `limits`: the judgement and all that it rests on. `is_complete`: everything was taken and found."""
    series = [*of_sender(metrics), *observed.series]
    judgement: Judgement = judge(
        sent(metrics, observed.circumstances), series, observed.capacity, drain_s, is_complete=is_complete
    )
    return {
        "limited_by": judgement.limited_by,
        "reason": judgement.reason,
        "also": [
            {"limit": also.limit, "reason": also.reason, "share": round(also.share, 4)} for also in judgement.also
        ],
        "capacity": observed.capacity.as_json(),
        "missing": list(observed.missing),
        "series": [one.as_json() for one in series],
    }


def rows(series: Iterable[Mapping[str, Any]], seconds: int) -> list[dict[str, float | None]]:
    """One row per second with a column per series; a sum is per second, anything else holds for its whole period.
    Where a sum has no point it was 0, unless its source lacks a part of the load."""
    made: list[dict[str, float | None]] = [{} for _ in range(seconds)]
    for one in series:
        name, length = one["name"], one["resolution_s"]
        for row in made:
            row.setdefault(name, 0.0 if one["statistic"] == "sum" and not one.get("partial") else None)
        for begin, value in one["points"]:
            for second in range(max(0, begin), min(seconds, begin + length)):
                made[second][name] = value / length if one["statistic"] == "sum" else value
    return made
