"""PURE: how an on-demand stream grows (AWS: "Choose the data stream capacity mode").

AWS says: a new stream takes 4 MB/s; it has room for double the highest write traffic of the last 30 days; it throttles
when traffic more than doubles within 15 minutes. It does not say how. Here:

* Capacity is shards, each with its usual quota, so nothing else has to be enforced: a stream that is too small refuses
  records shard by shard. Four shards at first, also after everything has been quiet for long.
* Traffic is measured over whole minutes, in shards: the larger of bytes per MiB/s and records per 1,000/s that were
  *accepted*. What was refused is not needed: a stream at its capacity has seen a peak that calls for twice as much.
* Wanted are twice as many shards as the highest such minute of 30 days. A new peak leads to splits at the end of its
  minute, up to double the least number of shards there was within the last 15 minutes. So whoever at most doubles in 15
  minutes is served, and whoever does it faster is refused for as long as the next step takes to become allowed.
* The shards with the most traffic in the minute are split first, each in the middle, at most once a minute.
* A stream that begins (or is switched to) on-demand with n shards counts as having seen n/2 then: it keeps them for 30
  days. When peaks grow old the stream shrinks, by at most half within 15 minutes, to equal shards.

The peaks are kept per hour, so one is forgotten up to an hour late.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from infra.model.shard import Quotas, Shard

ON_DEMAND_SHARDS_MIN = 4
ON_DEMAND_SHARDS_MAX = 200  # 200 MB/s by default (AWS: Kinesis quotas and limits)
ROOM = 2  # times the peak
MINUTE_S = 60.0
STEP_S = 900.0  # no more than double within this
PEAK_S = 30 * 86_400
_HOUR_S = 3_600


class Load(NamedTuple):
    """What one shard had accepted since it was opened."""

    size: int
    records: int


class OnDemand:
    """`due` at the end of every minute; then `observe`, which says what the stream shall become."""

    def __init__(self, shard_count: int, quotas: Quotas, now: float) -> None:
        self._quotas = quotas
        self.due_at_s = now + MINUTE_S
        self._measured_at_s = now
        self._loads: dict[int, Load] = {}
        self._peaks: deque[tuple[int, float]] = deque([(int(now) // _HOUR_S, shard_count / ROOM)])  # falling
        self._counts: deque[tuple[float, int]] = deque([(now - STEP_S, shard_count)])

    def due(self, now: float) -> bool:
        return now >= self.due_at_s

    def observe(self, open_shards: Sequence[Shard], now: float) -> list[int] | int | None:
        """The shards to split (their places in `open_shards`), the number of equal shards to shrink to, or None.

        Call it when due, before anything more is put; then everything since the last call was put in its minute.
        """
        minute_s = min(now, self.due_at_s) - self._measured_at_s
        loads = self._loads_of(open_shards)
        rates = [self._rate(loads[s.index], self._loads.get(s.index, Load(0, 0)), minute_s) for s in open_shards]
        self._remember_peak(sum(rates), now)
        self._loads, self._measured_at_s, self.due_at_s = loads, now, now + MINUTE_S
        count = len(open_shards)
        wanted = min(max(ceil(ROOM * self._peaks[0][1] - 1e-9), ON_DEMAND_SHARDS_MIN), ON_DEMAND_SHARDS_MAX)
        counts = self._recent_counts(count, now)
        if wanted > count:
            more = min(wanted, ROOM * min(counts), ROOM * count) - count
            busiest = sorted(range(count), key=lambda place: (-rates[place], place))
            return self._decided(now, count + more, sorted(busiest[:more])) if more > 0 else None
        fewer = max(wanted, ceil(max(counts) / ROOM))
        return self._decided(now, fewer, fewer) if fewer < count else None

    @staticmethod
    def _loads_of(shards: Sequence[Shard]) -> dict[int, Load]:
        return {s.index: Load(s.counters.incoming_bytes, s.counters.incoming_records) for s in shards}

    def _rate(self, load: Load, before: Load, seconds: float) -> float:
        """In shards: 1.0 is a shard's whole write quota."""
        sizes = (load.size - before.size) / self._quotas.write_bytes
        records = (load.records - before.records) / self._quotas.write_records
        return max(sizes, records) / max(seconds, 1.0)

    def _remember_peak(self, peak: float, now: float) -> None:
        hour = int(now) // _HOUR_S
        while self._peaks and self._peaks[0][0] < hour - PEAK_S // _HOUR_S:
            self._peaks.popleft()
        while self._peaks and self._peaks[-1][1] <= peak:
            self._peaks.pop()
        if not self._peaks or self._peaks[-1][0] != hour:
            self._peaks.append((hour, peak))

    def _recent_counts(self, count: int, now: float) -> list[int]:
        """How many shards there were at any time within the last 15 minutes."""
        while len(self._counts) > 1 and self._counts[1][0] <= now - STEP_S:
            self._counts.popleft()
        return [count, *(each for _, each in self._counts)]

    def _decided(self, now: float, count: int, decision: list[int] | int) -> list[int] | int:
        self._counts.append((now, count))
        return decision

    # ---- as plain data

    def plain(self) -> dict[str, Any]:
        return {"peaks": list(self._peaks), "counts": list(self._counts)}

    def restore(self, plain: Mapping[str, Any], open_shards: Sequence[Shard]) -> None:
        """Goes on with known peaks; what was put in the minute of the snapshot before now is not counted."""
        self._peaks = deque((int(hour), float(peak)) for hour, peak in plain["peaks"])
        self._counts = deque((float(at), int(count)) for at, count in plain["counts"])
        self._loads = self._loads_of(open_shards)
