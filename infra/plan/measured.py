"""PURE: what loads were measured to do: `loadgen run`'s report.json and `loadgen sweep`'s sweep.json, as plain data.

A run gives the load and the configuration it ran with, samples of the function's time (sums by second, from its log),
and what is to be predicted: the median time from when an event was due to its commit, and, for a load sent with
`--profile backlog`, how fast the backlog was worked off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from infra.plan.doubts import doubts
from infra.plan.load import Wish, WishError
from infra.plan.service import WHOLE_CPU_MB, Sample
from infra.plan.setup import Setup

REPORT_SCHEMA, SWEEP_SCHEMA = "loadgen-report/2", "loadgen-sweep/1"
OUTER_LANES = 16  # what the load generator packs with
LOCAL_DELAYS = {"read_on_put": True, "put_s": 0.004, "read_s": 0.001, "invoke_s": 0.001}
AWS_DELAYS = {"read_on_put": False, "put_s": 0.015, "read_s": 0.015, "invoke_s": 0.01}


class MeasuredError(ValueError):
    """The file is no report that can be used; the text says why."""


class Unusable(NamedTuple):
    """A run, or a file of them, that nothing can be predicted for. `why`: a sentence without its name."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """One measured configuration. None: not measured. `sustained`: (held, too much) in events per second; held is 0
    if even the lowest rate that was tried was too much.

    `drained`: events per second of a backlog, from the enabling of the mapping to the last event. `doubts`: why its
    figures may not be the stack's own. `machine_cores`: of the machine that sent, and ran a local stack.
    """

    name: str
    wish: Wish
    setup: Setup
    duration_s: float
    is_local: bool
    is_backlog: bool = False
    table_units_per_s: float | None = None
    samples: Sequence[Sample] = ()
    outside_s: float = 0.0
    p50_s: float | None = None
    processed: float | None = None
    drained: float | None = None
    sustained: tuple[float, float | None] | None = None
    sustained_by: str = ""
    doubts: tuple[str, ...] = field(default=())
    machine_cores: int | None = None

    def with_pause(self, pause_s: float) -> "Run":
        return replace(self, wish=replace(self.wish, pause_s=pause_s))


def runs(plain: Any, name: str) -> list[Run]:
    """Of the JSON of either file. Raises MeasuredError if any of its runs cannot be used."""
    found = each(plain, name)
    usable = [one for one in found if isinstance(one, Run)]
    for one in found:
        if isinstance(one, Unusable):
            raise MeasuredError(f"{one.name}: {one.why}")
    return usable


def each(plain: Any, name: str) -> list[Run | Unusable]:
    """The same, with those that cannot be used in their places."""
    schema = plain.get("schema") if isinstance(plain, Mapping) else None
    if schema == REPORT_SCHEMA:
        return [_tried(name, lambda: _of_report(plain, name))]
    if schema != SWEEP_SCHEMA:
        return [Unusable(name, f"its schema is {schema!r}; {REPORT_SCHEMA!r} or {SWEEP_SCHEMA!r} is needed")]
    points = plain.get("points")
    if not isinstance(points, list) or not points:
        return [Unusable(name, "no point of the sweep was measured")]
    return [_point(plain, point, f"{name}, point {number}") for number, point in enumerate(points, 1)]


def _point(plain: Mapping[str, Any], point: Any, name: str) -> Run | Unusable:
    return _tried(name, lambda: _of_point(plain, point, name))


def _tried(name: str, read: Callable[[], Run]) -> Run | Unusable:
    try:
        run = read()
        run.setup.mapping()
        return run
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return Unusable(name, _said(error))


def _said(error: Exception) -> str:
    if isinstance(error, WishError | MeasuredError):
        return str(error)
    what = f"field {error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
    return f"not a usable report: {what}"


def _of_report(plain: Mapping[str, Any], name: str) -> Run:
    asked, capacity, numbers = plain["configuration"], plain["limits"]["capacity"], plain["numbers"]
    if "rate" not in asked:
        raise MeasuredError("a replay has no rate of its own; a report of `loadgen run` is needed")
    missing = [key for key in ("shards", "parallelization_factor", "batch_size") if capacity.get(key) is None]
    if missing:
        raise MeasuredError(f"the stack's {', '.join(missing)} could not be asked when it was measured")
    is_local = "endpoint_url" in asked
    wish = _wish(asked, float(asked["rate"]), str(asked["aggregate"]), int(asked.get("processes", 1)))
    wish = replace(wish, pause_s=float(asked.get("function_pause_ms", 0)) / 1000)
    cores = None if "machine_cores" not in asked else int(asked["machine_cores"])
    if cores is not None and cores < 1:
        raise ValueError(f"machine_cores is {cores}")
    series = {one["name"]: dict(one["points"]) for one in plain["limits"]["series"]}
    is_backlog = asked.get("profile") == "backlog"
    duration_s = float(asked["duration"])
    events = wish.rate * duration_s
    if not events >= 1:
        raise MeasuredError(f"{wish.rate:g} events/s for {duration_s:g} s are less than one event")
    p50 = numbers.get("commit_latency_p50_ms")
    samples = _samples(series)
    return Run(
        name=name,
        wish=wish,
        setup=_setup(capacity, is_local),
        duration_s=duration_s,
        is_local=is_local,
        is_backlog=is_backlog,
        table_units_per_s=capacity.get("table_write_units_per_s"),
        samples=samples,
        outside_s=max(0.0, _outside_s(series, samples) - wish.pause_s),
        p50_s=None if p50 is None or is_backlog else p50 / 1000,
        processed=numbers.get("processed_events_per_s"),
        drained=numbers.get("drain_events_per_s") if is_backlog else None,
        doubts=tuple(doubts(plain, events)),
        machine_cores=cores,
    )


def _wish(asked: Mapping[str, Any], rate: float, aggregate: str, producers: int) -> Wish:
    return Wish(
        rate=rate,
        event_bytes=int(asked["event_bytes"]),
        keys=int(asked["keys"]),
        skew=float(asked["skew"]),
        aggregate=1 if aggregate in ("off", "None") else int(aggregate),
        producers=producers,
    )


def _setup(capacity: Mapping[str, Any], is_local: bool) -> Setup:
    """The local stack gives every environment a whole CPU, whatever its memory (docs/fidelity.md)."""
    delays: dict[str, Any] = LOCAL_DELAYS if is_local else AWS_DELAYS
    return Setup(
        shards=int(capacity["shards"]),
        factor=int(capacity["parallelization_factor"]),
        batch_size=int(capacity["batch_size"]),
        window_s=int(capacity.get("batching_window_s") or 0),
        memory_mb=WHOLE_CPU_MB if is_local else int(capacity.get("memory_mb") or 512),
        outer_lanes=OUTER_LANES,
        concurrency=capacity.get("reserved_concurrency"),
        **delays,
    )


def _samples(series: Mapping[str, Mapping[int, float]]) -> list[Sample]:
    """By second; seconds in which an environment began are left out, for its first batch fills caches."""
    cold = set(series.get("cold_starts", {}))
    made = []
    for second, batches in series.get("batches", {}).items():
        milliseconds = series.get("commit_ms", {}).get(second)
        if milliseconds is not None and second not in cold:
            writes = series.get("write_units", {}).get(second, 0.0)
            made.append(Sample(batches, series["processed"].get(second, 0.0), writes, batches * milliseconds / 1000))
    return made


def _outside_s(series: Mapping[str, Mapping[int, float]], samples: Sequence[Sample]) -> float:
    """Per batch: the invocations' whole time (REPORT lines) less the time in the function, over the whole load."""
    batches = sum(series.get("batches", {}).values())
    inside_s = sum(
        count * series.get("commit_ms", {}).get(second, 0.0) / 1000
        for second, count in series.get("batches", {}).items()
    )
    whole_s = sum(series.get("concurrency", {}).values())
    return max(0.0, (whole_s - inside_s) / batches) if batches and samples else 0.0


def _of_point(plain: Mapping[str, Any], found: Mapping[str, Any], name: str) -> Run:
    point, asked = found["point"], plain["configuration"]
    is_local = "endpoint_url" in asked
    capacity = {**plain["original"], **point}
    held, too_much = found["sustained_events_per_s"], found["too_much_events_per_s"]
    if not held and not too_much:
        raise MeasuredError("no rate was sustained, and none was too much")
    wish = _wish(asked, float(held or too_much), str(point["aggregate"]), 1)
    unsure = [] if found["is_closed"] else ["the search was not closed: its ends may be far apart, or one is not known"]
    return Run(
        name=name,
        wish=replace(wish, pause_s=point["function_latency_ms"] / 1000),
        setup=_setup({"batching_window_s": 1, **capacity}, is_local),
        duration_s=float(asked.get("point_duration", 24)),
        is_local=is_local,
        table_units_per_s=point.get("table_write_units"),
        sustained=(float(held or 0.0), None if too_much is None else float(too_much)),
        sustained_by=str(found["limited_by"]),
        doubts=tuple(unsure),
    )
