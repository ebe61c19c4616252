"""PURE: how long the function takes for a batch, and how that is learned from measured batches.

    time of a batch = invocation + event x events + write x pages written [+ a fixed pause]

What is measured is the time within the function (the metric CommitLatency) with its events and its write units, and
beside it the invocation's whole Duration; the difference is the invocation's own. Lambda gives CPU in proportion to
memory, a whole one at 1,769 MB (AWS: "Configure Lambda function memory"): the part of each time that is CPU grows when
memory is less than that, the part that is waiting for the table does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

WHOLE_CPU_MB = 1769
RIDGE = 0.001  # how much the shape that was known before counts, as a share of the samples
ROUNDS, LEAST_OFF = 12, 0.02  # of reweighting; what is closer than this counts alike


class Sample(NamedTuple):
    """Sums over some batches: how many, their events, their write units, the seconds in the function."""

    batches: float
    events: float
    writes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """Seconds of wall clock at `memory_mb`; `*_cpu` is the share of it that is CPU, 0 to 1.

    `batch_s`: in the function, whatever the batch holds. `outside_s`: of the invocation, before and after. `event_s`,
    `write_s`: for each event, each page written. `source`: what it rests on, in words.
    """

    batch_s: float
    event_s: float
    write_s: float
    outside_s: float
    batch_cpu: float
    event_cpu: float
    write_cpu: float
    memory_mb: int
    source: str

    def inside_s(self, events: float, writes: float, memory_mb: int) -> float:
        """Seconds from the batch's begin in the function to its commit."""
        slower = cpu(self.memory_mb) / cpu(memory_mb)
        return (
            self.batch_s * _scaled(self.batch_cpu, slower)
            + events * self.event_s * _scaled(self.event_cpu, slower)
            + writes * self.write_s * _scaled(self.write_cpu, slower)
        )

    def seconds(self, events: float, writes: float, memory_mb: int) -> float:
        """Seconds of the whole invocation, which is what is paid."""
        outside_s = self.outside_s * _scaled(self.batch_cpu, cpu(self.memory_mb) / cpu(memory_mb))
        return outside_s + self.inside_s(events, writes, memory_mb)


def cpu(memory_mb: int) -> float:
    """The share of a CPU that one thread gets."""
    return min(1.0, memory_mb / WHOLE_CPU_MB)


def _scaled(cpu_share: float, slower: float) -> float:
    return 1.0 - cpu_share + cpu_share * slower


def from_plain(plain: Mapping[str, Any]) -> ServiceTimes:
    """Of the file with the measured default. Raises KeyError, TypeError, ValueError."""
    ms = 1000.0
    return ServiceTimes(
        batch_s=float(plain["batch_ms"]) / ms,
        event_s=float(plain["event_ms"]) / ms,
        write_s=float(plain["write_ms"]) / ms,
        outside_s=float(plain["outside_ms"]) / ms,
        batch_cpu=float(plain["batch_cpu_share"]),
        event_cpu=float(plain["event_cpu_share"]),
        write_cpu=float(plain["write_cpu_share"]),
        memory_mb=int(plain["memory_mb"]),
        source=str(plain["source"]),
    )


def to_plain(times: ServiceTimes) -> dict[str, Any]:
    return {
        "batch_ms": round(times.batch_s * 1000, 4),
        "event_ms": round(times.event_s * 1000, 6),
        "write_ms": round(times.write_s * 1000, 5),
        "outside_ms": round(times.outside_s * 1000, 4),
        "batch_cpu_share": times.batch_cpu,
        "event_cpu_share": times.event_cpu,
        "write_cpu_share": times.write_cpu,
        "memory_mb": times.memory_mb,
        "source": times.source,
    }


def fit(
    samples: Sequence[Sample], outside_s: float, known: ServiceTimes, *, memory_mb: int, source: str
) -> ServiceTimes:
    """Least absolute deviations over the samples, each in shares of its own time.

    By least squares whose weights are renewed: a second in which something else had the CPU is not followed.
    One load's batches are all alike, so the three coefficients cannot be told apart by it; what was `known` before
    gives the shape then: its coefficients, scaled to the samples' sum, count as `RIDGE` of the samples. No coefficient
    is below 0. Raises ValueError without a sample that took time.
    """
    used = [sample for sample in samples if sample.seconds > 0 and sample.batches > 0]
    if not used:
        raise ValueError("no batch was measured")
    before = (known.batch_s, known.event_s, known.write_s)
    guessed = sum(_dot(before, sample) for sample in used)
    scale = sum(sample.seconds for sample in used) / guessed if guessed else 1.0
    prior = [max(1e-9, value * scale) for value in before]
    rows = [[value * p / sample.seconds for value, p in zip(sample[:3], prior, strict=True)] for sample in used]
    weights = [1.0] * len(rows)
    for _ in range(ROUNDS):
        factors = _solve(rows, weights, RIDGE * sum(weights))
        misses = [abs(sum(f * v for f, v in zip(factors, row, strict=True)) - 1.0) for row in rows]
        weights = [1.0 / max(LEAST_OFF, miss) for miss in misses]
    batch_s, event_s, write_s = (factor * p for factor, p in zip(factors, prior, strict=True))
    return replace(
        known, batch_s=batch_s, event_s=event_s, write_s=write_s, outside_s=max(0.0, outside_s), memory_mb=memory_mb,
        source=source,
    )  # fmt: skip


def deviation(times: ServiceTimes, samples: Sequence[Sample]) -> float:
    """Median of |predicted / measured - 1| over the samples."""
    coefficients = (times.batch_s, times.event_s, times.write_s)
    off = sorted(abs(_dot(coefficients, one) / one.seconds - 1.0) for one in samples if one.seconds > 0)
    return off[len(off) // 2] if off else 0.0


def _dot(coefficients: Sequence[float], sample: Sample) -> float:
    return sum(c * value for c, value in zip(coefficients, sample[:3], strict=True))


def _solve(rows: Sequence[Sequence[float]], weights: Sequence[float], ridge: float) -> list[float]:
    """Factors x >= 0 with rows x = 1, each row with its weight, drawn towards 1 by `ridge`.

    Those that would be negative are held at 0.
    """
    free = list(range(3))
    while True:
        weighted = list(zip(weights, rows, strict=True))
        matrix = [
            [sum(w * row[i] * row[j] for w, row in weighted) + (ridge if i == j else 0.0) for j in free] for i in free
        ]
        right = [sum(w * row[i] for w, row in weighted) + ridge for i in free]
        found = dict(zip(free, _gauss(matrix, right), strict=True))
        negative = [i for i in free if found[i] < 0]
        if not negative:
            return [found.get(i, 0.0) for i in range(3)]
        free = [i for i in free if i not in negative]


def _gauss(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Positive definite by the ridge, so no pivot is 0."""
    size = len(right)
    for i in range(size):
        for j in range(i + 1, size):
            factor = matrix[j][i] / matrix[i][i]
            for k in range(i, size):
                matrix[j][k] -= factor * matrix[i][k]
            right[j] -= factor * right[i]
    solved = [0.0] * size
    for i in reversed(range(size)):
        solved[i] = (right[i] - sum(matrix[i][k] * solved[k] for k in range(i + 1, size))) / matrix[i][i]
    return solved
