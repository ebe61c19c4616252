"""PURE: what the quotas of a configuration allow, in events per second, and which of them comes next.

Every quota is arithmetic over the configuration and what one event was measured to need. What a machine's CPU allows is
no quota and is not in here; it can only be measured.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from loadgen.target.limits import BYTES_PER_SHARD_S, RECORDS_PER_SHARD_S

READ_BYTES_PER_SHARD_S = 2 * 1024 * 1024  # AWS: Kinesis quotas, shared by the consumers without enhanced fan-out
RECORDS, BYTES, READS = "shard write quota: records", "shard write quota: bytes", "shard read quota: bytes"
RESERVED, TIME, TABLE = "reserved concurrency", "function time", "table write capacity"
MACHINE, UNKNOWN, NOT_REACHED = "the machine's CPU", "not known", "not reached"
HARD = ("shard write quota", "shard read quota", RESERVED, "account concurrency", TABLE)
BUSY = 0.9  # of all cores: the machine has nothing more to give
NEAR = 0.10  # a quota that the measured rate comes so close to explains it
FAR = 0.25  # a quota so far above the measured rate does not
OVERHEAD_S = 0.01  # of an invocation, before anything was measured
EVENT_S = 0.0002  # of an event in the function, before anything was measured
BATCH_BYTES_MAX = 6 * 1024 * 1024 * 3 / 4  # AWS: Lambda's payload of 6 MB holds this much before base64


@dataclass(frozen=True, slots=True)
class Point:
    """One configuration. None: no reserved concurrency, not aggregated, no limit of the table's."""

    shards: int
    parallelization_factor: int
    batch_size: int
    reserved_concurrency: int | None = None
    aggregate: int | None = 100
    function_latency_ms: int = 0
    table_write_units: int | None = None

    @property
    def lanes(self) -> int:
        """Batches that the mapping processes at the same time at most."""
        return self.shards * self.parallelization_factor

    @property
    def concurrency(self) -> int:
        """Executions at the same time at most."""
        return self.lanes if self.reserved_concurrency is None else min(self.lanes, self.reserved_concurrency)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "lanes": self.lanes, "concurrency": self.concurrency}


class Cost(NamedTuple):
    """What was measured, on average. `record_bytes`: data and partition key. `batch_s`: one invocation.

    `write_units`: per event; None: not known.
    """

    events_per_record: float
    record_bytes: float
    events_per_batch: float
    batch_s: float
    write_units: float | None

    @property
    def event_bytes(self) -> float:
        return self.record_bytes / self.events_per_record


class Quota(NamedTuple):
    """`events_per_s` is what it allows, `arithmetic` how that comes about. `needs_cpu`: a faster machine has more."""

    name: str
    events_per_s: float
    arithmetic: str
    needs_cpu: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "events_per_s": round(self.events_per_s, 2), "arithmetic": self.arithmetic}


def guess(point: Point, event_bytes: int, key_bytes: int) -> Cost:
    """Before anything was measured: full aggregates, full batches, and an item written for every event."""
    events = float(point.aggregate or 1)
    record = events * event_bytes + key_bytes
    batch = min(point.batch_size * events, max(1.0, BATCH_BYTES_MAX / record) * events)
    return Cost(events, record, batch, point.function_latency_ms / 1000 + OVERHEAD_S + EVENT_S * batch, 1.0)


def quotas(point: Point, cost: Cost) -> list[Quota]:
    """All that are known, the lowest first."""
    shards = f"{point.shards} shards" if point.shards > 1 else "1 shard"
    each = f"{cost.event_bytes:,.0f} bytes per event"
    found = [
        Quota(
            RECORDS,
            point.shards * RECORDS_PER_SHARD_S * cost.events_per_record,
            f"{shards} x {RECORDS_PER_SHARD_S:,} records/s x {cost.events_per_record:,.2f} events per record",
        ),
        Quota(BYTES, point.shards * BYTES_PER_SHARD_S / cost.event_bytes, f"{shards} x 1 MiB/s / {each}"),
        Quota(READS, point.shards * READ_BYTES_PER_SHARD_S / cost.event_bytes, f"{shards} x 2 MiB/s / {each}"),
    ]
    if cost.batch_s > 0:
        is_reserved = point.reserved_concurrency is not None and point.reserved_concurrency < point.lanes
        what = "reserved executions" if is_reserved else "lanes"
        # A function that mostly waits takes as long for a full batch; one that computes takes its time per event.
        waits = point.function_latency_ms / 1000 >= cost.batch_s / 2
        events = max(cost.events_per_batch, _full_batch(point, cost)) if waits else cost.events_per_batch
        found.append(
            Quota(
                RESERVED if is_reserved else TIME,
                point.concurrency * events / cost.batch_s,
                f"{point.concurrency} {what} x {events:,.0f} events per batch / {cost.batch_s * 1000:,.0f} ms",
                needs_cpu=not is_reserved and not waits,
            )
        )
    if point.table_write_units is not None and cost.write_units:
        found.append(
            Quota(
                TABLE,
                point.table_write_units / cost.write_units,
                f"{point.table_write_units:,} write units/s / {cost.write_units:,.3f} units per event",
            )
        )
    return sorted(found, key=lambda quota: quota.events_per_s)


def _full_batch(point: Point, cost: Cost) -> float:
    records = min(float(point.batch_size), max(1.0, BATCH_BYTES_MAX / cost.record_bytes))
    return records * cost.events_per_record


class Limit(NamedTuple):
    """What a point's rate is limited by. `quota`: the arithmetic that belongs to it; `following`: what would come next
    if that limit were lifted; None: no arithmetic."""

    name: str
    reason: str
    quota: Quota | None
    following: Quota | None


def name_limit(judged: tuple[str, str], known: Sequence[Quota], rate: float, machine_busy: float | None) -> Limit:
    """`judged`: what was seen at the rate that was too much, as (limit, sentence); `rate`: the highest sustained one.

    Throttling that was seen names its limit, unless its arithmetic allows much more than was reached. Otherwise it is
    the CPU when there was none left, then whatever was seen, then the quota that the rate comes close to.
    """
    seen, sentence = judged
    its = _of(seen, known, rate)
    busy = machine_busy is not None and machine_busy >= BUSY
    is_hard = seen.startswith(HARD) or (its is not None and not its.needs_cpu)
    if is_hard and not (busy and its is not None and its.events_per_s > rate * (1 + FAR)):
        return _limit(its.name if its else seen, sentence, its, known)
    near = next((quota for quota in known if abs(quota.events_per_s - rate) <= NEAR * rate), None)
    if near is not None and not near.needs_cpu:
        return _limit(near.name, f"{near.name}: {near.arithmetic}", near, known)
    if busy:
        beside = "" if seen == "nothing" else f"; seen beside it: {sentence}"
        return _limit(MACHINE, f"{MACHINE}: {machine_busy:.0%} of all cores busy{beside}", None, known)
    if seen != "nothing":
        return _limit(seen, sentence, its, known)
    if near is not None:
        return _limit(near.name, f"{near.name}: {near.arithmetic}", near, known)
    return _limit(UNKNOWN, "no throttling was seen, no quota is near, and the machine was not busy", None, known)


def _of(limit: str, known: Sequence[Quota], rate: float) -> Quota | None:
    """The arithmetic of a limit that was seen: records and bytes are one limit, and the nearer one is meant."""
    its = [quota for quota in known if quota.name.startswith(limit)]
    return min(its, key=lambda quota: abs(quota.events_per_s - rate), default=None)


def _limit(name: str, reason: str, quota: Quota | None, known: Sequence[Quota]) -> Limit:
    following = next((other for other in known if other.name != name), None)
    return Limit(name, reason, quota, following)
