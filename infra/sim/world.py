"""DRIVER: everything around one event source mapping, in virtual time, with faults on every way.

The world performs the machine's commands, feeds the results back, and lets the witness see both. A lease move puts
another machine in its place; what the old one had under way goes on, unheard.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from infra.model.function import InvokeOutcome, ServiceError, Throttled
from infra.model.mapping import (
    AwaitRecords,
    Checkpoint,
    Command,
    CompleteShard,
    Deliver,
    EventSourceMapping,
    Invoke,
    ListShards,
    Metric,
    Read,
    RequestIds,
    StartingPosition,
)
from infra.model.stream import Stream, StreamError
from infra.model.stream import Throttled as ReadThrottled
from infra.sim import faults as fault_names
from infra.sim import reshard
from infra.sim.checkpoints import Checkpoints
from infra.sim.clockwork import Clockwork, Trace
from infra.sim.environment import LATE_S_MAX, Function
from infra.sim.fleet import Fleet
from infra.sim.ledger import check
from infra.sim.memo import Rules
from infra.sim.numbers import Border
from infra.sim.producer import Producer
from infra.sim.scenario import ACCOUNT, REGION, START_S, Scenario
from infra.sim.stock import stock
from infra.sim.table import MemoryTable
from infra.sim.violation import Violation
from infra.sim.witness import Witness
from processor.core.statements import Table

HEALED_AFTER_S = 300.0  # after the last put nothing goes wrong any more: then everything must come to its end
SETTLED_AFTER_S = 3_600.0  # within this
DISABLED_S_MAX = 15.0
STEPS_MAX = 2_000_000
_NEVER = float("inf")


class World:
    """`run` simulates one scenario and returns normally, or raises Violation."""

    def __init__(self, scenario: Scenario, rules: Rules, trace: Trace) -> None:
        seed = scenario.seed
        self.scenario, self.faults = scenario, scenario.faults
        self.clock = Clockwork(START_S, trace)
        self._random = Random(f"{seed}/world")  # noqa: S311 - repeatable, not secret
        self.config = scenario.mapping(f"mapping-{seed}")
        self.witness = Witness(self.config)
        self.stream = Stream("simulated", account_id=ACCOUNT, region=REGION, shard_count=scenario.shards, now=START_S)
        self.border = Border(
            Random(f"{seed}/border"),  # noqa: S311 - repeatable, not secret
            short=scenario.short_numbers,
            skew=scenario.faults.clock_skew,
        )
        self.producer = Producer(scenario, self.clock, self.stream, self.border, self.witness, self._stream_changed)
        tells = Random(f"{seed}/table").random() < 0.5  # noqa: S311 - repeatable, not secret
        self.tables = {Table.RESULTS: MemoryTable(tells=tells), Table.QUARANTINE: MemoryTable()}
        self.function = Function(
            self.clock,
            Random(f"{seed}/function"),  # noqa: S311 - repeatable, not secret
            scenario.faults,
            self.tables,
            rules,
            scenario.report,
            scenario.systemic_share,
            scenario.cache_identities,
            scenario.hot_keys_max,
            scenario.hot_s_max,
        )
        reserved = None if scenario.reserved_concurrency == -1 else scenario.reserved_concurrency
        self.fleet = Fleet(self.function, self._random, timeout_s=scenario.timeout_s, reserved_concurrency=reserved)
        self.dropped_metric = 0.0
        self.applied = 0
        self._awaiting = False
        self._mapping_s = _NEVER
        self._checkpoints = Checkpoints()
        self._began: EventSourceMapping
        self._begin(None)

    # The run

    def run(self) -> None:
        self.witness.shards_changed(self.stream.shards(START_S))
        self.producer.start()
        self.clock.later(1.0, self._second)
        self._feed(self.machine, self.machine.start)
        self._until(lambda: self.producer.done and self.witness.finished)
        quiet_s = self.clock.now + LATE_S_MAX + 1.0
        self._until(lambda: self.clock.now >= quiet_s and not self.fleet.running)
        self.applied = check(
            self.witness.shards.values(),
            stock(self.scenario.aggregate, self.scenario.keys, self.scenario.window_s).truths,
            self.tables[Table.RESULTS],
            self.tables[Table.QUARANTINE],
            items=self.scenario.items,
        )
        if self.dropped_metric != self.witness.dropped_records:
            raise Violation(
                "documents",
                f"{self.witness.dropped_records} records were dropped, DroppedEventCount says {self.dropped_metric:g}",
            )

    def dismantle(self) -> None:
        """Cuts the cycles of a world that is over, so that it goes without the garbage collector."""
        for shard in self.witness.shards.values():
            for key in shard.keys.values():
                key.puts.clear()
        for part in (self.producer, self.fleet, self.clock, self.machine):
            vars(part).clear()
        vars(self).clear()

    def _until(self, reached: Callable[[], bool]) -> None:
        """Whatever is due next happens next, until it is `reached`: the heap's, the environments' or the mapping's."""
        clock, fleet = self.clock, self.fleet
        steps_max = clock.steps + STEPS_MAX + 100 * self.scenario.events
        while not reached():
            next_s, fleet_s, mapping_s = clock.next_s, fleet.deadline_s, self._mapping_s
            if next_s <= fleet_s and next_s <= mapping_s:
                clock.step()
            elif fleet_s <= mapping_s:
                clock.move_to(fleet_s)
                fleet.timer()
            else:
                clock.move_to(mapping_s)
                self._feed(self.machine, self.machine.wake_up)
            if clock.steps > steps_max:
                spent_s = clock.now - START_S
                raise Violation("liveness", f"{clock.steps} steps in {spent_s:.0f} s of virtual time: it spins")

    def _second(self) -> None:
        """Once a second: what has a probability per second, and the end of all faults."""
        clock, random = self.clock, self._random
        self._seconds_idle = 0 if not self.producer.done else self._seconds_idle + 1
        if self._seconds_idle == HEALED_AFTER_S:
            clock.say("healed")
            self.faults = self.function.faults = fault_names.NONE
        if self._seconds_idle > HEALED_AFTER_S + SETTLED_AFTER_S and not self.witness.finished:
            raise Violation(
                "liveness",
                f"{SETTLED_AFTER_S:g} s after the last fault: {self.witness.unfinished()}",
            )
        if not self.witness.finished and self.witness.enabled:
            self._disturb_mapping()
        if random.random() < self.faults.reshard and not self.producer.done:
            told = reshard.reshard(self.stream, random, clock.now)
            if told:
                clock.say(told)
                self.function.meet("reshard")
                self.witness.shards_changed(self.stream.shards(clock.now))
                self._stream_changed()
        clock.later(1.0, self._second)

    def _disturb_mapping(self) -> None:
        clock, random, faults = self.clock, self._random, self.faults
        if random.random() < faults.lease_move:
            self._move_lease()
        if random.random() < faults.mapping_update:
            factor = random.choice((1, 2, 4, 10))
            size = min(10_000, max(1, int(self.scenario.batch_size * random.choice((0.5, 1, 2)))))
            clock.say(f"update factor={factor} size={size}")
            self.function.meet("mapping_update")
            self.config = replace(self.config, parallelization_factor=factor, batch_size=size)
            self.witness.reconfigured(self.config)
            self._feed(self.machine, self.machine.update, self.config)
        if random.random() < faults.mapping_disable:
            self.function.meet("mapping_disable")
            self._switch(False)
            clock.later(DISABLED_S_MAX * random.random(), self._switch, True)

    def _switch(self, enabled: bool) -> None:
        self.clock.say("enabled" if enabled else "disabled")
        self.witness.switched(enabled=enabled)
        self._feed(self.machine, partial(self.machine.update, enabled=enabled))

    _seconds_idle = 0

    # The mapping

    def _begin(self, snapshot: dict[str, Any] | None) -> None:
        ids = RequestIds(f"{self.scenario.seed}/{self.witness.lease}")
        self.machine = EventSourceMapping(self.config, ids, snapshot=snapshot)

    def _move_lease(self) -> None:
        snapshot = json.loads(json.dumps(self.machine.snapshot()))
        resumed = self._checkpoints.resume(snapshot, self._random)
        self.clock.say(f"lease {self.witness.lease + 1} from {json.dumps(snapshot['shards'])}")
        self.function.meet("lease_move")
        self.witness.moved(resumed)
        self._awaiting = False
        self._begin(snapshot)
        self._feed(self.machine, self.machine.start)

    def _feed(self, machine: EventSourceMapping, tell: Callable[..., list[Command]], *arguments: Any) -> None:
        """Tells the machine something and performs what it wants; a machine that has lost its lease hears nothing."""
        if machine is self.machine:
            self._perform(tell(self.clock.now, *arguments))
            deadline_s = self.machine.deadline
            self._mapping_s = _NEVER if deadline_s is None else deadline_s

    def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Invoke():
                    self._invoke(command)
                case Read():
                    self._read(command)
                case Checkpoint(shard_id, position):
                    self.witness.checkpoints(command)
                    self._checkpoints.told(shard_id, position)
                case AwaitRecords():
                    self._awaiting = True
                case Metric("DroppedEventCount", value):
                    self.dropped_metric += value
                case Metric():
                    pass
                case ListShards():
                    self._list()
                case Deliver():
                    self._deliver(command)
                case CompleteShard(shard_id):
                    self.witness.completes(shard_id)
                    self._checkpoints.forget(shard_id)

    def _stream_changed(self) -> None:
        if self._awaiting:
            self._awaiting = False
            self.clock.later(0.01, self._feed, self.machine, self.machine.stream_changed)

    def _list(self) -> None:
        machine = self.machine
        if self._random.random() < self.faults.read_throttled:
            self.function.meet("read_throttled")
            self.clock.later(0.01, self._feed, machine, machine.shards_not_listed, "LimitExceededException")
            return
        shards = [reshard.listed(shard) for shard in self.stream.shards(self.clock.now)]
        self.clock.later(0.01, self._feed, machine, machine.shards_listed, shards)

    def _read(self, read: Read) -> None:
        """A read sees what is there when it begins."""
        clock, random, machine, shard_id = self.clock, self._random, self.machine, read.shard_id
        self.witness.reads(read)
        latency_s = 0.005 + 0.01 * random.random()
        where = self.border.position(shard_id, read.position)
        if isinstance(where, StartingPosition):
            where = self.stream.position(shard_id, where.kind, clock.now, timestamp_s=where.timestamp_s)
        if random.random() < self.faults.read_throttled:
            self.function.meet("read_throttled")
            self.clock.later(latency_s, self._has_read, machine, read, machine.read_throttled, shard_id, where)
            return
        try:
            result = self.stream.read(where, read.limit, clock.now)
        except ReadThrottled:
            clock.later(latency_s, self._has_read, machine, read, machine.read_throttled, shard_id, where)
            return
        except StreamError as error:
            clock.later(latency_s, self._has_read, machine, read, machine.read_failed, shard_id, str(error))
            return
        records = self.border.out(shard_id, result.records)
        if records:
            clock.say(
                f"read {shard_id[-4:]} n={len(records)} to {records[-1].sequence_number} end={result.end_of_shard}"
            )
        tell = partial(
            machine.records_read,
            millis_behind_latest=result.millis_behind_latest,
            end_of_shard=result.end_of_shard,
        )
        clock.later(latency_s, self._has_read, machine, read, tell, shard_id, records, result.position)

    def _has_read(
        self, machine: EventSourceMapping, read: Read, tell: Callable[..., list[Command]], *arguments: Any
    ) -> None:
        if machine is self.machine:
            self.witness.has_read(read)
            self._feed(machine, tell, *arguments)

    # The function

    def _invoke(self, invoke: Invoke) -> None:
        clock, random, machine, faults = self.clock, self._random, self.machine, self.faults
        first, last = invoke.records[0].sequence_number, invoke.records[-1].sequence_number
        clock.say(
            f"invoke {self.witness.lease}.{invoke.invocation_id} {invoke.request_id[:8]} {invoke.shard_id[-4:]} "
            f"n={len(invoke.records)} {first}..{last}"
        )
        self.witness.invokes(clock.now, invoke)

        def done(outcome: InvokeOutcome) -> None:
            heard = machine is self.machine
            clock.say(f"outcome {invoke.request_id[:8]} {_outcome(outcome)}{'' if heard else ' unheard'}")
            if heard:
                self.witness.has_invoked(invoke, outcome)
                self._feed(machine, machine.invocation_finished, invoke.invocation_id, outcome)

        chance = random.random()
        if chance < faults.throttle:
            self.function.meet("throttle")
            clock.later(0.01, done, Throttled("ConcurrentInvocationLimitExceeded"))
            return
        if chance - faults.throttle < faults.service_error:
            self.function.meet("service_error")
            clock.later(0.05, done, ServiceError("ServiceException: simulated"))
            return
        # Never within the command itself: an outcome comes after the machine has returned.
        clock.later(0.001, self.fleet.invoke, invoke, done)
        if random.random() < faults.duplicate_delivery:
            self.function.meet("duplicate_delivery")
            clock.later(0.05 * random.random(), self.fleet.invoke, invoke, _nobody)

    # The destination

    def _deliver(self, deliver: Deliver) -> None:
        clock, machine = self.clock, self.machine
        discarded = deliver.discarded
        clock.say(
            f"document {discarded.request_id[:8]} {discarded.condition} {discarded.shard_id[-4:]} "
            f"n={len(discarded.records)} {discarded.records[0].sequence_number}.."
            f"{discarded.records[-1].sequence_number}"
        )
        self.witness.delivers(clock.now, deliver, deliver.body())
        clock.later(0.02 + self._random.random(), self._delivered, machine, deliver)

    def _delivered(self, machine: EventSourceMapping, deliver: Deliver) -> None:
        fails = self._random.random() < self.faults.destination_fails
        self.clock.say(f"destination {'refuses' if fails else 'has'} {deliver.discarded.request_id[:8]}")
        if fails:
            self.function.meet("destination_fails")
        else:
            self.witness.in_document(deliver)
        if machine is self.machine:
            self.witness.has_delivered(deliver, delivered=not fails)
            self._feed(machine, machine.not_delivered if fails else machine.delivered, deliver.delivery_id)


def _nobody(_: InvokeOutcome) -> None:
    """The outcome of a second delivery is nobody's business."""


def _outcome(outcome: InvokeOutcome) -> str:
    return f"{type(outcome).__name__} {getattr(outcome, 'payload', b'')[-60:].decode()}"
