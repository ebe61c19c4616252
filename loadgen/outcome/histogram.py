"""PURE: a histogram of whole microseconds with logarithmic buckets (as HDR histograms have): exact to a known share of
the value, in memory that does not grow with the number of values; two of them add up to one."""

from array import array
from collections import Counter
from collections.abc import Sequence

# 2**10 buckets per power of two: a reported value is off by less than one part in 1,024.
PRECISION_BITS = 10


class Histogram:
    """Counts of values in buckets of less than one part in 2**`bits` of their value."""

    def __init__(self, bits: int = PRECISION_BITS) -> None:
        self._bits = bits
        self._counts: Counter[int] = Counter()
        self._packed: tuple[array[int], array[int]] | None = None  # buckets and their counts
        self.count, self.total, self.highest = 0, 0, 0

    def add(self, value_us: int, times: int = 1) -> None:
        """Negative values (a clock set back) count as 0."""
        value_us = max(0, value_us)
        shift = max(0, value_us.bit_length() - self._bits - 1)
        self._counts[value_us >> shift << shift] += times
        self.count += times
        self.total += value_us * times
        self.highest = max(self.highest, value_us)

    def add_all(self, values_us: Sequence[int]) -> None:
        """`add` for each of them, in about a fifth of the time when most of them are of one power of two."""
        if not values_us:
            return
        lowest, highest = min(values_us), max(values_us)
        if lowest < 0:
            values_us = [value_us if value_us > 0 else 0 for value_us in values_us]
            lowest, highest = 0, max(0, highest)
        kept = self._bits + 1
        shift = highest.bit_length() - kept
        if shift <= 0:
            rounded = values_us
        elif lowest.bit_length() - kept == shift:
            mask = -1 << shift
            rounded = [value_us & mask for value_us in values_us]
        else:
            rounded = [
                value_us >> shift << shift if (shift := value_us.bit_length() - kept) > 0 else value_us
                for value_us in values_us
            ]
        self._counts.update(rounded)
        self.count += len(values_us)
        self.total += sum(values_us)
        self.highest = max(self.highest, highest)

    def pack(self) -> None:
        """Take a tenth of the memory: for one that has all or nearly all of its values."""
        buckets = sorted(self._all().items())
        self._packed = array("Q", [value_us for value_us, _ in buckets]), array("Q", [times for _, times in buckets])
        self._counts = Counter()

    def _all(self) -> Counter[int]:
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
        self.count += other.count
        self.total += other.total
        self.highest = max(self.highest, other.highest)

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
