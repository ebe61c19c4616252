"""PURE: what a judgement about limits goes by: what the stack is allowed, what the sender knows, what was measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from loadgen.target.lateness import Circumstances
from loadgen.target.series import Series


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the stack is allowed; None: not known, or without a limit. `function_pause_ms`: how long each batch waits on
    purpose, when the function's handler is the one that does that."""

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

    @property
    def lanes(self) -> int | None:
        """Batches that the mapping processes at the same time at most."""
        if self.shards is None or self.parallelization_factor is None:
            return None
        return self.shards * self.parallelization_factor

    @property
    def concurrency(self) -> int | None:
        return self.account_concurrency if self.reserved_concurrency is None else self.reserved_concurrency

    def as_json(self) -> dict[str, Any]:
        found = {**asdict(self), "lanes": self.lanes}
        found.pop("function_pause_ms")  # it is in the report's configuration
        return found


class Sent(NamedTuple):
    """What the sender knows. `attempts`: of Kinesis records. `errors`: other failed attempts, by code. `slow_calls`:
    when calls that took 1 s or more were handed over and answered, us. `taken`: events acknowledged by second."""

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


class Found(NamedTuple):
    """One limit that was seen. `share`: how much of the load it touched, 0 to 1, the measure being the limit's own."""

    limit: str
    reason: str
    share: float


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
