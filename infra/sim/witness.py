"""DRIVER: what must hold while it happens, seen from outside: what was put, invoked, answered, delivered, checkpointed.

The witness never asks a machine for its state. It reads the function's answers by itself, and knows of a record only
what a stream's user could know. A broken promise raises `Violation` at once.
"""

import json
from collections.abc import Callable, Iterable, Sequence

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import AtSequenceNumber, Checkpoint, Deliver, Invoke, MappingConfig, Read
from infra.model.shard import Shard
from infra.model.stream import StreamRecord
from infra.sim.batching import Batching
from infra.sim.documents import Attempts, check_document, check_event
from infra.sim.reads import Reads
from infra.sim.reshard import ListedShard
from infra.sim.seen import Flight, Key, Put, SeenShard
from infra.sim.stock import Parcel
from infra.sim.violation import Violation
from infra.sim.windowing import Windowing

EVENT_CHECKED_EVERY = 64  # invocations whose event is really built, read and compared


class Witness:
    """One per simulation; `lease` numbers the machines that follow each other."""

    def __init__(self, config: MappingConfig, wanted: Callable[[bytes], bool]) -> None:
        self.config = config
        self.shards: dict[str, SeenShard] = {}
        self.reading = Reads(self.shards, config.starting_position, self._settle_one)
        self._batching = Batching(config)
        self._windowing = Windowing(config) if config.tumbling_window_s else None
        self._wanted = wanted
        self.lease = 1
        self.enabled = True
        self._factor_max, self._batch_max = config.parallelization_factor, config.batch_size
        self._epoch = 1  # of settling: another one begins where records may come again
        self.unsettled = 0
        self.invocations = 0
        self.documents = 0
        self.dropped_records = 0
        self._flights: dict[int, Flight] = {}
        self._attempts: dict[str, int] = {}  # by request id: those that count as retries do
        self._failures: dict[str, str | None] = {}  # by request id: the functionError of the last attempt that ran
        self._batches: dict[str, tuple[str, int, int, int]] = {}

    # The stream

    def shards_changed(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            seen = self.shards.get(shard.shard_id)
            if seen is None:
                parents = tuple(parent for parent in (shard.parent_id, shard.adjacent_parent_id) if parent)
                seen = self.shards[shard.shard_id] = SeenShard(shard.shard_id, parents)
            seen.closed = shard.closed

    def put(
        self, shard_id: str, number: int, partition_key: str, arrived_at_ms: int, put_at_ms: int, parcel: Parcel
    ) -> None:
        shard = self.shards[shard_id]
        key = shard.keys.get(partition_key)
        if key is None:
            key = shard.keys[partition_key] = Key()
        put = Put(number, arrived_at_ms, put_at_ms, parcel, key, wanted=self._wanted(parcel.entry.data))
        if put.wanted:
            key.puts.append(put)
        shard.order.append(put)
        shard.puts[number] = put
        self.unsettled += 1

    def moved(self, resumed: dict[str, int]) -> None:
        """Another machine has taken over; it begins behind these sequence numbers."""
        self.lease += 1
        self._epoch += 1
        self._factor_max, self._batch_max = self.config.parallelization_factor, self.config.batch_size
        self._batching.begin_anew(self.config, moved=True)
        if self._windowing is not None:
            self._windowing.begin_anew()
        self._flights.clear()
        for shard in self.shards.values():
            shard.reading, shard.in_flight = False, 0
            shard.cursor, shard.held_to = None, 0
            shard.reach = resumed.get(shard.shard_id, 0)

    def reconfigured(self, config: MappingConfig) -> None:
        """What was read or is under way keeps to the limits of before."""
        self.config = config
        self._factor_max = max(self._factor_max, config.parallelization_factor)
        self._batch_max = max(self._batch_max, config.batch_size)
        self._batching.begin_anew(config)

    def switched(self, *, enabled: bool) -> None:
        """An enabled mapping goes on at its checkpoints: a lane that was ahead of them sees records again."""
        self.enabled = enabled
        self._epoch += enabled
        self._batching.begin_anew(self.config)
        if self._windowing is not None:
            self._windowing.begin_anew()
        for shard in self.shards.values() if enabled else ():
            shard.held_to = 0  # perhaps nothing was forgotten

    def _check_enabled(self, shard_id: str, what: str) -> None:
        if not self.enabled:
            raise Violation("disabled", f"{shard_id} is {what} while the mapping is disabled")

    # Reading

    def reads(self, read: Read) -> None:
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
            self.reading.ended(began_s, read, records, end_of_shard=end_of_shard)

    def listed(self, now: float, listing: Sequence[ListedShard]) -> None:
        """The mapping was told which shards there are."""
        self.reading.listed(now, listing)

    # Invoking

    def invokes(self, now: float, invoke: Invoke) -> None:
        shard = self.shards[invoke.shard_id]
        self._check_enabled(invoke.shard_id, "sent to the function")
        flight = Flight(self.lease, shard, [])
        self._check_records(invoke, shard, flight)
        self._batching.sent(now, invoke, flight, self._epoch)
        if self._windowing is not None:
            self._windowing.sent(now, invoke, shard, flight.puts)
        elif invoke.window is not None:
            raise Violation("windows", f"{invoke.window} is sent, but the mapping has no windows")
        self._check_batch(now, invoke, shard)
        self._flights[invoke.invocation_id] = flight
        shard.in_flight += 1
        if shard.in_flight > self._factor_max:
            raise Violation("serial lanes", f"{shard.in_flight} invocations at once for {shard.shard_id}")
        self.invocations += 1
        if self.invocations % EVENT_CHECKED_EVERY == 1:
            check_event(self.config, invoke)

    def _check_records(self, invoke: Invoke, shard: SeenShard, flight: Flight) -> None:
        puts, known, lease, epoch = flight.puts, shard.puts, self.lease, self._epoch
        for record in invoke.records:
            put = known.get(record.sequence_number)
            if put is None:
                raise Violation("only what was put", f"record {record.sequence_number} was not put to {shard.shard_id}")
            if not put.wanted:
                raise Violation("filters", f"record {put.number} of {shard.shard_id} is sent, but does not match")
            if put.settled_last == epoch:
                raise Violation(
                    "settled once", f"record {put.number} of {shard.shard_id} was settled and is sent again"
                )
            key, index = put.key, put.index
            if key.busy is flight:
                if index != key.last + 1:
                    between = key.puts[key.last + 1 : index]
                    if not between or not all(each.missed for each in between):
                        raise _out_of_order(shard, record.partition_key, put, key.puts[key.last + 1 :])
            else:
                if key.busy is not None and key.busy.lease == lease:
                    raise Violation(
                        "serial lanes",
                        f"key {record.partition_key!r} of {shard.shard_id} is in two invocations at once",
                    )
                earlier, place = key.puts, key.first_unsettled
                while place < len(earlier) and earlier[place].settled:
                    place += 1
                key.first_unsettled = place
                if index > place:
                    raise _out_of_order(shard, record.partition_key, put, earlier[place:])
                key.busy = flight
            key.last = index
            puts.append(put)

    def _check_batch(self, now: float, invoke: Invoke, shard: SeenShard) -> None:
        config, records = self.config, invoke.records
        if not (invoke.window is None or not invoke.window.final) <= len(records) <= self._batch_max:
            raise Violation("batch size", f"{len(records)} records, BatchSize is {self._batch_max}")
        ends = (records[0].sequence_number, records[-1].sequence_number) if records else (0, 0)
        batch = (shard.shard_id, len(records), *ends)
        if self._batches.setdefault(invoke.request_id, batch) != batch:
            raise Violation("one request id, one batch", f"{invoke.request_id} names two different batches")
        failed = self._attempts.get(invoke.request_id, 0)
        if config.retry_attempts_max != -1 and failed > config.retry_attempts_max:
            raise Violation(
                "retry budget", f"attempt {failed + 1} with MaximumRetryAttempts {config.retry_attempts_max}"
            )
        if config.bisect_batch_on_function_error and failed and len(records) > 1:
            raise Violation("bisect", f"a failed batch of {len(records)} is sent again unchanged")
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
                self._failures[invoke.request_id] = None
            case Succeeded():
                done = len(flight.puts)
            case FunctionError():
                done = 0
                self._failures[invoke.request_id] = "Unhandled"
            case _:  # the function has not run: that counts for nothing
                self._batching.ended(now, invoke.request_id, flight, None)
                return
        if self._windowing is not None:
            self._windowing.ended(invoke, outcome, done)
        if done == 0 and (flight.puts or not isinstance(outcome, Succeeded)):
            self._attempts[invoke.request_id] = self._attempts.get(invoke.request_id, 0) + 1
        self._settle(flight.puts[:done])
        self._batching.ended(now, invoke.request_id, flight, done)

    def _settle(self, puts: Sequence[Put]) -> None:
        for put in puts:
            self._settle_one(put)
            put.settled_last = self._epoch

    def _settle_one(self, put: Put) -> None:
        if not put.settled:
            put.settled = self.lease
            self.unsettled -= 1

    # Discarding

    def delivers(self, now: float, deliver: Deliver, body: bytes) -> None:
        """A document leaves for the destination."""
        found = json.loads(body)
        request_id = found["requestContext"]["requestId"]
        attempts = Attempts(self._attempts.get(request_id, 0), self._failures.get(request_id))
        check_document(now, self.config, deliver, found, attempts)
        aged = found["requestContext"]["condition"] == "RecordAgeExceeded"
        self._batching.given_up(self._puts(deliver), self.shards[deliver.discarded.shard_id], aged=aged)

    def in_document(self, deliver: Deliver) -> None:
        """The destination has the document, whether or not the mapping hears of it."""
        self.documents += 1
        for put in self._puts(deliver):
            put.excused = True

    def has_delivered(self, deliver: Deliver, *, delivered: bool) -> None:
        """The mapping was told."""
        puts = self._puts(deliver)
        if not delivered:
            self.dropped_records += len(puts)
            for put in puts:
                put.excused = True
        self._settle(puts)
        window = deliver.discarded.window
        if window is not None and window.final and self._windowing is not None:
            self._windowing.over(deliver.discarded.shard_id, early=window.terminated_early)

    def _puts(self, deliver: Deliver) -> list[Put]:
        shard = self.shards[deliver.discarded.shard_id]
        return [shard.puts[record.sequence_number] for record in deliver.discarded.records]

    # Settling

    def checkpoints(self, checkpoint: Checkpoint) -> None:
        shard, position = self.shards[checkpoint.shard_id], checkpoint.position
        reach = position.sequence_number - isinstance(position, AtSequenceNumber)
        lowest = shard.lowest_unsettled()
        if lowest is not None and lowest.number <= reach:
            raise Violation(
                "checkpoint", f"{shard.shard_id} is checkpointed past record {lowest.number}, which is not settled"
            )
        if reach < shard.reach:
            raise Violation("checkpoint", f"the checkpoint of {shard.shard_id} goes back from {shard.reach} to {reach}")
        shard.reach = reach

    def completes(self, shard_id: str) -> None:
        shard = self.shards[shard_id]
        lowest = shard.lowest_unsettled()
        if not shard.closed or lowest is not None:
            why = "is still open" if lowest is None else f"record {lowest.number} is not settled"
            raise Violation("checkpoint", f"{shard_id} is called completed, but {why}")
        self.reading.completed.add(shard_id)

    @property
    def finished(self) -> bool:
        """Every record is settled, every closed shard is completed, every checkpoint is behind the last record."""
        return (
            not self.unsettled
            and all(not (shard.closed or shard.behind) for shard in self._unfinished())
            and not self._open_windows()
        )

    def _open_windows(self) -> list[str]:
        found = self._windowing.open if self._windowing is not None else {}
        return [shard_id for shard_id in found if not self.shards[shard_id].gone]

    def _unfinished(self) -> list[SeenShard]:
        completed = self.reading.completed
        return [shard for shard in self.shards.values() if shard.shard_id not in completed and not shard.gone]

    def unfinished(self) -> str:
        """What `finished` waits for."""
        behind = [shard for shard in self._unfinished() if shard.behind]
        closed = [shard for shard in self._unfinished() if shard.closed]
        return (
            f"{self.unsettled} records are not settled, {len(closed)} closed shards not completed, "
            f"{len(behind)} checkpoints not behind the last record, {len(self._open_windows())} windows open"
        )


def _out_of_order(shard: SeenShard, key: str, put: Put, missing: Sequence[Put]) -> Violation:
    before = missing[0].number if missing else "nothing"
    return Violation(
        "order per partition key", f"key {key!r} of {shard.shard_id}: {put.number} is sent, {before} was to come first"
    )


def _first_failed(payload: bytes, puts: Sequence[Put]) -> int:
    """The place of the lowest reported record; all of them without a report, 0 for a report that names another."""
    failures = json.loads(payload)["batchItemFailures"]
    if not failures:
        return len(puts)
    lowest = min(int(failure["itemIdentifier"]) for failure in failures)
    return next((place for place, put in enumerate(puts) if put.number == lowest), 0)
