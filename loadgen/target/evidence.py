"""PURE: what a judgement about limits goes by: what the stack is allowed, what the sender knows, what was measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from loadgen.target.lateness import Circumstances
from loadgen.target.series import Series

PACE = 0.95  # of what was offered per second


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the stack is allowed; None: not known, or without a limit. `function_pause_ms`: how long each batch waits on
    purpose, when the function's handler is the one that does that. `stopped`: why nothing is read from the stream any
    more, as a sentence; None: it is."""

    stream_mode: str | None = None
    shards: int | None = None
    parallelization_factor: int | None = None
    batch_size: int | None = None
    batching_window_s: int | None = None
    timeout_s: int | None = None
    memory_mb: int | None = None
    architecture: str | None = None
    reserved_concurrency: int | None = None
    account_concurrency: int | None = None
    table_write_units_per_s: int | None = None
    function_pause_ms: int | None = None
    stopped: str | None = None

    @property
    def lanes(self) -> int | None:
        """Batches that the mapping processes at the same time at most."""
        if self.shards is None or self.parallelization_factor is None:
            return None
        return self.shards * self.parallelization_factor

    @property
    def concurrency(self) -> int | None:
        return self.account_concurrency if self.reserved_concurrency is None else self.reserved_concurrency

    @property
    def at_once(self) -> int | None:
        """Batches in work at the same time at most: as many as there are lanes, and executions for them."""
        lanes, allowed = self.lanes, self.concurrency
        return lanes if lanes is None or allowed is None else min(lanes, allowed)

    @property
    def wider(self) -> str:
        """What would let more batches run at once."""
        lanes, allowed = self.lanes, self.concurrency
        if lanes is None or allowed is None or lanes <= allowed:
            return "more shards or a higher parallelization factor"
        return "more account concurrency" if self.reserved_concurrency is None else "more reserved concurrency"

    def as_json(self) -> dict[str, Any]:
        found = {**asdict(self), "lanes": self.lanes}
        found.pop("function_pause_ms")  # it is in the report's configuration
        found.pop("stopped")  # it is in the judgement's reason
        return found


class Sent(NamedTuple):
    """What the sender knows. `attempts`: of Kinesis records. `errors`: other failed attempts, by code. `slow_calls`:
    when calls that took 1 s or more were handed over and answered, us. `taken`: events acknowledged by second. `due_s`:
    whole seconds in which something was due; 0: not known."""

    events: int
    late: int
    late_max_ms: float
    attempts: int
    throttled: Mapping[str, int]
    errors: Mapping[str, int]
    records: int
    size: int
    elapsed_s: float
    slow_calls: Collection[tuple[int, int]] = ()
    taken: Sequence[tuple[int, int]] = ()
    circumstances: Circumstances = Circumstances()
    due_s: int = 0

    @property
    def has_kept_pace(self) -> bool:
        """What was accepted per second is what was offered, but for a few percent: lateness has cost nothing of it."""
        if not self.due_s or not self.events:
            return False
        accepted = sum(events for _, events in self.taken) / max(self.elapsed_s, self.due_s)
        return accepted >= PACE * self.events / self.due_s


class Found(NamedTuple):
    """One limit that was seen. `share`: how much of the load it touched, 0 to 1, the measure being the limit's own.
    `is_limit`: False when it held nothing up, whatever it touched: it is said and never named."""

    limit: str
    reason: str
    share: float
    is_limit: bool = True


class Judgement(NamedTuple):
    """`limited_by` is `nothing` when no limit was touched by more than ENOUGH of the load."""

    limited_by: str
    reason: str
    also: tuple[Found, ...]


class Evidence(NamedTuple):
    sent: Sent
    series: Mapping[str, Series]
    capacity: Capacity
    drain_s: float | None

    def total(self, name: str) -> float:
        return self.series[name].total if name in self.series else 0.0

    def highest(self, name: str) -> float | None:
        return self.series[name].highest if name in self.series else None
