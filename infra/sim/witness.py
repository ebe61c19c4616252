"""DRIVER: what must hold while it happens, seen from outside: what was put, invoked, answered, delivered, checkpointed.

The witness never asks a machine for its state. It reads the function's answers by itself, and knows of a record only
what a stream's user could know. A broken promise raises `Violation` at once.
"""

import json
from collections.abc import Callable, Iterable, Sequence

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import Checkpoint, Invoke, MappingConfig, Read, Subscribe
from infra.model.shard import Shard
from infra.model.stream import StreamRecord
from infra.sim.attempts import AttemptBook
from infra.sim.batching import Batching
from infra.sim.discarding import Discarding
from infra.sim.documents import check_event
from infra.sim.handing import handed_over
from infra.sim.order import check_records
from infra.sim.reads import Reads
from infra.sim.reshard import ListedShard
from infra.sim.seen import Flight, Put, SeenShard
from infra.sim.settling import Settling
from infra.sim.stock import Parcel
from infra.sim.violation import Violation
from infra.sim.windowing import Windowing

EVENT_CHECKED_EVERY = 64  # invocations whose event is really built, read and compared


class Witness:
    """One per simulation; `lease` numbers the machines that follow each other.

    What is sent, settled and put into documents is what a mapping is handed of a Kinesis record (handing.py).
    """

    def __init__(self, config: MappingConfig, wanted: Callable[[bytes], bool]) -> None:
        self.config = config
        self.shards: dict[str, SeenShard] = {}
        self._settling = Settling(self.shards)
        self.reading = Reads(self.shards, config.starting_position, self._settling.settle_one, self._settling.completed)
        self._batching = Batching(config)
        self._windowing = Windowing(config) if config.tumbling_window_s else None
        self._wanted = wanted
        self.enabled = True
        self._factor_max, self._batch_max = config.parallelization_factor, config.batch_size
        self.invocations = 0
        self._flights: dict[int, Flight] = {}
        self._attempts = AttemptBook()
        self.discarding = Discarding(self.shards, self._attempts, self._batching, self._settling, self._windowing)
        self._batches: dict[str, tuple[str, int, Put | None, Put | None]] = {}

    @property
    def lease(self) -> int:
        return self._settling.lease

    # The stream

    def shards_changed(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            seen = self.shards.get(shard.shard_id)
            if seen is None:
                parents = tuple(parent for parent in (shard.parent_id, shard.adjacent_parent_id) if parent)
                hash_range = (shard.first_hash_key, shard.last_hash_key)
                seen = self.shards[shard.shard_id] = SeenShard(
                    shard.shard_id, parents, hash_range, apart=self.config.fan_out
                )
            seen.closed = shard.closed

    def put(
        self, shard_id: str, number: int, partition_key: str, arrived_at_ms: int, put_at_ms: int, parcel: Parcel
    ) -> None:
        """A Kinesis record has got this number."""
        shard = self.shards[shard_id]
        parts: Sequence[Parcel] = handed_over(parcel, shard.hash_range) if shard.apart else (parcel,)
        for part in parts:
            self._put(shard, Put(number, arrived_at_ms, put_at_ms, part), part.entry.partition_key)
        if not parts:
            nothing = Put(number, arrived_at_ms, put_at_ms, Parcel(f"{parcel.name}.nothing", parcel.entry, ()))
            nothing.wanted, nothing.missed_as = False, "not handed over"
            self._put(shard, nothing, partition_key)

    def _put(self, shard: SeenShard, put: Put, partition_key: str) -> None:
        put.wanted = put.wanted and self._wanted(put.parcel.entry.data)
        shard.add(put, partition_key)
        self._settling.unsettled += 1

    def moved(self, resumed: dict[str, int]) -> None:
        """Another machine has taken over; it begins behind these sequence numbers."""
        self._settling.lease += 1
        self._settling.epoch += 1
        self._factor_max, self._batch_max = self.config.parallelization_factor, self.config.batch_size
        self._batching.begin_anew(self.config, moved=True)
        if self._windowing is not None:
            self._windowing.begin_anew()
        self._flights.clear()
        for shard in self.shards.values():
            shard.reading, shard.in_flight = False, 0
            shard.cursor, shard.held_to = None, 0
            shard.reach = resumed.get(shard.shard_id, 0)

    def reconfigured(self, now: float, config: MappingConfig) -> None:
        """What was read or is under way keeps to the limits of before, where batches are formed otherwise now; where
        they are not, to those that hold now."""
        before = self.config
        self.config = config
        self._factor_max = max(self._factor_max, config.parallelization_factor)
        self._batch_max = max(self._batch_max, config.batch_size)
        self._attempts.updated()
        if (before.batch_size, before.parallelization_factor) == (config.batch_size, config.parallelization_factor):
            self._batching.judge_anew(now, config)
        else:
            self._batching.begin_anew(config)

    def switched(self, *, enabled: bool) -> None:
        """An enabled mapping goes on at its checkpoints: a lane that was ahead of them sees records again."""
        self.enabled = enabled
        self._settling.epoch += enabled
        self._batching.begin_anew(self.config)
        if self._windowing is not None:
            self._windowing.begin_anew()
        for shard in self.shards.values() if enabled else ():
            shard.held_to = 0  # perhaps nothing was forgotten

    def _check_enabled(self, shard_id: str, what: str) -> None:
        if not self.enabled:
            raise Violation("disabled", f"{shard_id} is {what} while the mapping is disabled")

    # Reading

    def reads(self, read: Read | Subscribe) -> None:
        shard = self.shards[read.shard_id]
        self._check_enabled(read.shard_id, "read")
        if shard.reading:
            raise Violation("one read per shard", f"{shard.shard_id} is read twice at once")
        shard.reading = True
        for parent in shard.parents:
            unsettled = self.shards[parent].lowest_unsettled() if parent in self.shards else None
            if unsettled is not None:
                raise Violation(
                    "parents before children",
                    f"{shard.shard_id} is read while record {unsettled.number} of its parent {parent} is not settled",
                )
        self.reading.begins(read)

    def has_read(
        self, read: Read, began_s: float, records: Sequence[StreamRecord] | None, *, end_of_shard: bool
    ) -> None:
        """The mapping was told what a Read of that time has found; None: it was refused."""
        self.shards[read.shard_id].reading = False
        if records is not None:
            self.reading.ended(began_s, read.shard_id, records, end_of_shard=end_of_shard)

    def pushed(self, shard_id: str, began_s: float, records: Sequence[StreamRecord], *, end_of_shard: bool) -> None:
        """The mapping was told an event of its subscription, which left the stream at that time."""
        self.reading.ended(began_s, shard_id, records, end_of_shard=end_of_shard)

    def subscription_ended(self, shard_id: str) -> None:
        """The mapping was told."""
        self.shards[shard_id].reading = False

    def listed(self, now: float, listing: Sequence[ListedShard]) -> None:
        """The mapping was told which shards there are."""
        self.reading.listed(now, listing)

    # Invoking

    def invokes(self, now: float, invoke: Invoke) -> None:
        shard = self.shards[invoke.shard_id]
        self._check_enabled(invoke.shard_id, "sent to the function")
        flight = Flight(self.lease, shard, [])
        check_records(invoke, flight, self._settling.epoch)
        self._batching.sent(now, invoke, flight, self._settling.epoch)
        if self._windowing is not None:
            self._windowing.sent(now, invoke, shard, flight.puts)
        elif invoke.window is not None:
            raise Violation("windows", f"{invoke.window} is sent, but the mapping has no windows")
        self._check_batch(now, invoke, flight)
        self._flights[invoke.invocation_id] = flight
        shard.in_flight += 1
        if shard.in_flight > self._factor_max:
            raise Violation("serial lanes", f"{shard.in_flight} invocations at once for {shard.shard_id}")
        self.invocations += 1
        if self.invocations % EVENT_CHECKED_EVERY == 1:
            check_event(self.config, invoke)

    def _check_batch(self, now: float, invoke: Invoke, flight: Flight) -> None:
        config, records, puts = self.config, invoke.records, flight.puts
        if not (invoke.window is None or not invoke.window.final) <= len(records) <= self._batch_max:
            raise Violation("batch size", f"{len(records)} records, BatchSize is {self._batch_max}")
        batch = (invoke.shard_id, len(puts), puts[0] if puts else None, puts[-1] if puts else None)
        if self._batches.setdefault(invoke.request_id, batch) != batch:
            raise Violation("one request id, one batch", f"{invoke.request_id} names two different batches")
        self._attempts.sent(config, invoke.request_id, len(records))
        if (
            records
            and config.record_age_s_max != -1
            and records[0].arrived_at_ms < (now - config.record_age_s_max) * 1000
        ):
            age_s = now - records[0].arrived_at_ms / 1000
            raise Violation(
                "record age", f"a record {age_s:.1f} s old is sent; MaximumRecordAge is {config.record_age_s_max} s"
            )

    def has_invoked(self, now: float, invoke: Invoke, outcome: InvokeOutcome) -> None:
        """The mapping was told this outcome."""
        flight = self._flights.pop(invoke.invocation_id)
        flight.shard.in_flight -= 1
        for put in flight.puts:
            put.key.busy = None
        match outcome:
            case Succeeded(payload=payload) if self.config.report_batch_item_failures:
                done = _first_failed(payload, flight.puts)
                self._attempts.ran(invoke.request_id, error=None)
            case Succeeded():
                done = len(flight.puts)
            case FunctionError():
                done = 0
                self._attempts.ran(invoke.request_id, error="Unhandled")
            case _:  # the function has not run: that counts for nothing
                self._batching.ended(now, invoke.request_id, flight, None)
                return
        if self._windowing is not None:
            self._windowing.ended(invoke, outcome, done)
        if done == 0 and (flight.puts or not isinstance(outcome, Succeeded)):
            self._attempts.counts(invoke.request_id)
        self._settling.settle(flight.puts[:done])
        self._batching.ended(now, invoke.request_id, flight, done)

    # Settling

    def checkpoints(self, checkpoint: Checkpoint) -> None:
        self._settling.checkpoints(checkpoint)

    def completes(self, shard_id: str) -> None:
        self._settling.completes(shard_id)

    @property
    def finished(self) -> bool:
        """Everything is settled, the checkpoints say so, and no window is open."""
        return self._settling.finished and not self._open_windows()

    def unfinished(self) -> str:
        """What `finished` waits for."""
        return f"{self._settling.unfinished()}, {len(self._open_windows())} windows open"

    def _open_windows(self) -> list[str]:
        found = self._windowing.open if self._windowing is not None else {}
        return [shard_id for shard_id in found if not self.shards[shard_id].gone]


def _first_failed(payload: bytes, puts: Sequence[Put]) -> int:
    """The place of the lowest reported record; all of them without a report, 0 for a report that names another."""
    failures = json.loads(payload)["batchItemFailures"]
    if not failures:
        return len(puts)
    lowest = min(int(failure["itemIdentifier"]) for failure in failures)
    return next((place for place, put in enumerate(puts) if put.number == lowest), 0)
