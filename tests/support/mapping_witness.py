"""What must hold for an event source mapping whatever happens, checked from outside over commands and results.

Batches within their limits, one read per shard, serial lanes, order per partition key on first delivery, one request id
for one batch, retries within the budget, no child before its parents, no checkpoint past an unsettled record.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import (
    AfterSequenceNumber,
    AtSequenceNumber,
    Checkpoint,
    CompleteShard,
    Deliver,
    Invoke,
    MappingConfig,
    Read,
    StartingPosition,
    Subscribe,
)
from infra.model.mapping.response import INVALID, first_failed
from infra.model.stream import StreamRecord


@dataclass
class ScriptedShard:
    """The numbers of its records grow; `closed` shards get no more. `first_read` is where reading began."""

    shard_id: str
    parent_shard_id: str | None = None
    adjacent_parent_shard_id: str | None = None
    closed: bool = False
    records: list[StreamRecord] = field(default_factory=list)
    first_read: int | None = None
    hash_range: tuple[int, int] = (0, 2**128 - 1)
    starting_sequence_number: int = 0

    def behind(self, after: int) -> list[StreamRecord]:
        return self.records[bisect_right(self.records, after, key=lambda record: record.sequence_number) :]

    def after(self, position: object) -> int:
        """The sequence number behind which this position reads."""
        match position:
            case StartingPosition("LATEST"):
                return self.records[-1].sequence_number if self.records else 0
            case StartingPosition("AT_TIMESTAMP", timestamp_s) if timestamp_s is not None:
                earlier = [r.sequence_number for r in self.records if r.arrived_at_ms < timestamp_s * 1000]
                return max(earlier, default=0)
            case StartingPosition("TRIM_HORIZON"):
                return 0
            case AtSequenceNumber(number):
                return number - 1
            case AfterSequenceNumber(number):
                return number
            case int():
                return position
        raise AssertionError(position)


class Witness:
    """Raises AssertionError at the first command that breaks a promise."""

    def __init__(self, config: MappingConfig, shards: Mapping[str, ScriptedShard]) -> None:
        self.config = config
        self.shards = shards
        self.settled: set[tuple[str, int]] = set()
        self.settled_before: set[tuple[str, int]] = set()  # by an earlier machine: these may come again
        self._reading: set[str] = set()
        self._in_flight: dict[int, Invoke] = {}
        self._batches: dict[str, tuple[int, ...]] = {}
        self._errors: Counter[str] = Counter()
        self._by_key: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._indexed: Counter[str] = Counter()
        self._delivered: Counter[tuple[str, str]] = Counter()  # how many of the key's records were delivered
        self._reached: dict[str, int] = {}
        self._began_under: dict[int, MappingConfig] = {}  # by number of the invocation

    # Changes of the mapping

    def reconfigured(self, config: MappingConfig) -> None:
        """It is in force from now on: what begins keeps to it, and waits for what began before."""
        self.config = config

    def resumed(self) -> None:
        """Reading goes on at the checkpoints: what was settled behind them may come again."""
        self.settled_before |= self.settled
        self.settled.clear()

    # Reading

    def reads(self, read: Read) -> None:
        assert read.shard_id not in self._reading, "two reads of one shard at once"
        assert 1 <= read.limit <= 10_000
        self._reading.add(read.shard_id)
        self._begins(read)

    def subscribes(self, subscribe: Subscribe) -> None:
        self._begins(subscribe)

    def _begins(self, command: Read | Subscribe) -> None:
        shard = self.shards[command.shard_id]
        for parent in (shard.parent_shard_id, shard.adjacent_parent_shard_id):
            assert parent is None or parent not in self.shards or not self.unsettled(parent), (
                "a child before its parent"
            )
        if shard.first_read is None:
            shard.first_read = shard.after(command.position)

    def has_read(self, read: Read) -> None:
        self._reading.remove(read.shard_id)

    # Invoking

    def invokes(self, now: float, invoke: Invoke) -> None:
        self._check_batch(now, invoke)
        self._check_lanes(invoke)
        self._check_order(invoke)
        self._in_flight[invoke.invocation_id] = invoke
        self._began_under[invoke.invocation_id] = self.config

    def has_invoked(self, invoke: Invoke, outcome: InvokeOutcome) -> None:
        del self._in_flight[invoke.invocation_id], self._began_under[invoke.invocation_id]
        match outcome:
            case Succeeded(payload=payload) if self.config.report_batch_item_failures:
                done = first_failed(payload, invoke.records)
            case Succeeded():
                done = len(invoke.records)
            case FunctionError():
                done = INVALID
            case _:
                return  # the function did not run: not counted
        self._errors[invoke.request_id] += done <= 0
        self._settle(invoke.shard_id, invoke.records[: max(done, 0)])

    def _check_batch(self, now: float, invoke: Invoke) -> None:
        numbers = tuple(record.sequence_number for record in invoke.records)
        assert 1 <= len(numbers) <= self.config.batch_size
        assert len(invoke.event()) <= self.config.pace.event_bytes_max
        assert list(numbers) == sorted(numbers)
        assert self._batches.setdefault(invoke.request_id, numbers) == numbers, "one id for two batches"
        assert not {(invoke.shard_id, number) for number in numbers} & self.settled, "settled, and sent again"
        if self.config.retry_attempts_max != -1:
            assert self._errors[invoke.request_id] <= self.config.retry_attempts_max, "the retry budget is exceeded"
        if self.config.bisect_batch_on_function_error and len(numbers) > 1:
            assert not self._errors[invoke.request_id], "a failed batch was retried unchanged instead of halved"
        if self.config.record_age_s_max != -1:
            oldest_ms = (now - self.config.record_age_s_max) * 1000
            assert invoke.records[0].arrived_at_ms >= oldest_ms, "an expired record at the front"

    def _check_lanes(self, invoke: Invoke) -> None:
        others = [other for other in self._in_flight.values() if other.shard_id == invoke.shard_id]
        assert len(others) < self.config.parallelization_factor, "more invocations than lanes"
        began_under = [self._began_under[other.invocation_id] for other in others]
        assert all(self.config.forms_the_same_batches_as(each) for each in began_under), "lanes of two configurations"
        keys = {record.partition_key for record in invoke.records}
        for other in others:
            assert keys.isdisjoint(record.partition_key for record in other.records), "one key in two invocations"

    def _check_order(self, invoke: Invoke) -> None:
        """What comes for the first time is the next of its partition key; those passed over are settled."""
        shard_id = invoke.shard_id
        self._index(shard_id)
        for record in invoke.records:
            key = (shard_id, record.partition_key)
            numbers, place = self._by_key[key], self._delivered[key]
            while place < len(numbers) and numbers[place] < record.sequence_number:
                assert (shard_id, numbers[place]) in self.settled | self.settled_before, (
                    "out of order within its partition key"
                )
                place += 1
            if place < len(numbers) and numbers[place] == record.sequence_number:
                place += 1
            self._delivered[key] = place

    def _index(self, shard_id: str) -> None:
        shard = self.shards[shard_id]
        for record in shard.records[self._indexed[shard_id] :]:
            if record.sequence_number > (shard.first_read or 0):
                self._by_key[shard_id, record.partition_key].append(record.sequence_number)
        self._indexed[shard_id] = len(shard.records)

    # Settling

    def has_delivered(self, deliver: Deliver) -> None:
        """Delivered, or given up."""
        self._settle(deliver.discarded.shard_id, deliver.discarded.records)

    def _settle(self, shard_id: str, records: Sequence[StreamRecord]) -> None:
        settling = {(shard_id, record.sequence_number) for record in records}
        assert settling.isdisjoint(self.settled), "settled twice"
        self.settled |= settling

    def checkpoints(self, checkpoint: Checkpoint) -> None:
        position = checkpoint.position
        reach = position.sequence_number - isinstance(position, AtSequenceNumber)
        assert all(number > reach for number in self.unsettled(checkpoint.shard_id)), "past an unsettled record"
        assert reach >= self._reached.get(checkpoint.shard_id, 0), "a checkpoint went back"
        self._reached[checkpoint.shard_id] = reach

    def completes(self, complete: CompleteShard) -> None:
        assert self.shards[complete.shard_id].closed
        assert not self.unsettled(complete.shard_id)

    def unsettled(self, shard_id: str) -> list[int]:
        """Sequence numbers from where reading began (from the oldest, if it has not). Without a destination nothing:
        what is dropped then cannot be seen from outside."""
        shard = self.shards[shard_id]
        if self.config.on_failure_destination_arn is None:
            return []
        behind = shard.behind(shard.first_read or 0)
        settled = self.settled | self.settled_before if self.settled_before else self.settled
        return [r.sequence_number for r in behind if (shard_id, r.sequence_number) not in settled]
