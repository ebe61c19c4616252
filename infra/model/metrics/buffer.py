"""PURE: measurements added up by metric and minute, in bounded memory, until someone takes them.

Sum, SampleCount, Minimum and Maximum of what is taken are exact. Percentiles are exact up to VALUES_MAX different
values per metric and minute; beyond that, values within RESOLUTION of each other become their mean.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

METRICS_MAX = 5_000  # different metrics between two takings; EMF with an identifier as dimension would be without end
VALUES_MAX = 150  # AWS: PutMetricData takes 150 unique values in one MetricDatum
RESOLUTION = 0.02
MINUTE_S = 60

Dimensions = tuple[tuple[str, str], ...]


class Measurement(NamedTuple):
    """One value at one time. `dimensions` are (name, value) pairs."""

    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    value: float
    time_s: float


@dataclass(frozen=True, slots=True)
class Datum:
    """A MetricDatum with each value and how often it was measured; all of them in the minute of `time_s`."""

    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    time_s: float
    values: tuple[float, ...]
    counts: tuple[int, ...]


class MetricBuffer:
    """`add`, and `take` from time to time. `dropped` counts measurements of metrics beyond METRICS_MAX."""

    def __init__(self, metrics_max: int = METRICS_MAX) -> None:
        self.dropped = 0
        self._metrics_max = metrics_max
        self._series: dict[tuple[str, str, Dimensions, str, int], _Series] = {}

    def add(self, measured: Measurement) -> None:
        namespace, name, dimensions, unit, value, time_s = measured
        key = (namespace, name, dimensions, unit, int(time_s // MINUTE_S))
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= self._metrics_max:
                self.dropped += 1
                return
            series = self._series[key] = _Series(time_s)
        series.add(value, time_s)

    def take(self) -> list[Datum]:
        """Everything since the last time, oldest minute first."""
        series, self._series = self._series, {}
        return [
            Datum(namespace, name, dimensions, unit, kept.time_s, *kept.values_and_counts())
            for (namespace, name, dimensions, unit, _), kept in sorted(series.items(), key=lambda item: item[0][4])
        ]


class _Series:
    """One metric in one minute; `time_s` is its newest measurement's."""

    __slots__ = ("_buckets", "_counts", "_high", "_low", "time_s")

    def __init__(self, time_s: float) -> None:
        self.time_s = time_s
        self._low, self._high = math.inf, -math.inf
        self._counts: dict[float, int] = {}
        self._buckets: dict[tuple[int, int], tuple[float, int]] = {}  # sum and number of what is close together

    def add(self, value: float, time_s: float) -> None:
        self.time_s = max(self.time_s, time_s)
        if value in self._counts or len(self._counts) < VALUES_MAX:
            self._counts[value] = self._counts.get(value, 0) + 1
            self._low, self._high = min(self._low, value), max(self._high, value)
        elif self._low < value < self._high:
            self._into_bucket(value, 1)
        else:  # a new extreme is kept as it is, in the place of the one before
            beaten = self._low if value < self._low else self._high
            self._low, self._high = min(self._low, value), max(self._high, value)
            self._counts[value] = 1
            self._into_bucket(beaten, self._counts.pop(beaten))

    def _into_bucket(self, value: float, count: int) -> None:
        sign = (value > 0) - (value < 0)
        key = (sign, round(math.log(abs(value)) / math.log1p(RESOLUTION)) if sign else 0)
        total, number = self._buckets.get(key, (0.0, 0))
        self._buckets[key] = (total + value * count, number + count)

    def values_and_counts(self) -> tuple[tuple[float, ...], tuple[int, ...]]:
        means = [(total / number, number) for total, number in self._buckets.values()]
        pairs = sorted([*self._counts.items(), *means])
        return tuple(value for value, _ in pairs), tuple(count for _, count in pairs)
