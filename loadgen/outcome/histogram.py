"""PURE: a histogram of whole microseconds with logarithmic buckets (as HDR histograms have): exact to a known share of
the value, in memory that does not grow with the number of values; two of them add up to one."""

from array import array
from collections import Counter

import numpy as np
import numpy.typing as npt

# 2**10 buckets per power of two: a reported value is off by less than one part in 1,024.
PRECISION_BITS = 10
COUNTED_TOGETHER = 8_192  # values


class Histogram:
    """Counts of values in buckets of less than one part in 2**`bits` of their value."""

    def __init__(self, bits: int = PRECISION_BITS) -> None:
        self._bits = bits
        self._counts: Counter[int] = Counter()
        self._packed: tuple[array[int], array[int]] | None = None  # buckets and their counts
        self._waiting: list[npt.NDArray[np.int64]] = []  # values that are not in buckets yet
        self._waiting_count = 0
        self._count = self._total = self._highest = 0

    def add(self, value_us: int, times: int = 1) -> None:
        """Negative values (a clock set back) count as 0."""
        value_us = max(0, value_us)
        shift = max(0, value_us.bit_length() - self._bits - 1)
        self._counts[value_us >> shift << shift] += times
        self._count += times
        self._total += value_us * times
        self._highest = max(self._highest, value_us)

    def add_all(self, values_us: npt.NDArray[np.int64]) -> None:
        """`add` for each of them, which must not change any more: they are looked at many at a time."""
        self._waiting.append(values_us)
        self._waiting_count += len(values_us)
        if self._waiting_count >= COUNTED_TOGETHER:
            self._count_waiting()

    def _count_waiting(self) -> None:
        if not self._waiting_count:
            return
        values_us = np.maximum(np.concatenate(self._waiting), 0)
        self._waiting, self._waiting_count = [], 0
        _, bit_length = np.frexp(values_us.astype(float))  # exact below 2**53, which are 285 years
        shift = np.maximum(bit_length.astype(np.int64) - self._bits - 1, 0)
        buckets, times = np.unique(values_us >> shift << shift, return_counts=True)
        for bucket, count in zip(buckets.tolist(), times.tolist(), strict=True):
            self._counts[bucket] += count
        self._count += len(values_us)
        self._total += int(values_us.sum())
        self._highest = max(self._highest, int(values_us.max()))

    @property
    def count(self) -> int:
        return self._count + self._waiting_count

    @property
    def total(self) -> int:
        self._count_waiting()
        return self._total

    @property
    def highest(self) -> int:
        self._count_waiting()
        return self._highest

    def pack(self) -> None:
        """Take a tenth of the memory: for one that has all or nearly all of its values."""
        buckets = sorted(self._all().items())
        self._packed = array("Q", [value_us for value_us, _ in buckets]), array("Q", [times for _, times in buckets])
        self._counts = Counter()

    def _all(self) -> Counter[int]:
        self._count_waiting()
        if self._packed is None:
            return self._counts
        counts = Counter(dict(zip(*self._packed, strict=True)))
        counts.update(self._counts)
        return counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._says() == other._says()

    def _says(self) -> object:
        return self._bits, self._all(), self.count, self.total, self.highest

    __hash__ = None  # type: ignore[assignment]  # it changes

    def merge(self, other: "Histogram") -> None:
        """Take in the values of another one of the same precision."""
        assert other._bits == self._bits
        self._counts.update(other._all())
        self._count += other._count
        self._total += other._total
        self._highest = max(self._highest, other._highest)

    def quantile_us(self, share: float) -> int | None:
        """The smallest value that at least `share` of all values do not exceed; None without values."""
        if not self.count:
            return None
        rank, seen = share * self.count, 0
        for value_us, times in sorted(self._all().items()):
            seen += times
            if seen >= rank:
                return value_us
        return self.highest

    @property
    def mean_us(self) -> float | None:
        return self.total / self.count if self.count else None
