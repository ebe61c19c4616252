"""DRIVER: performs the commands of one event source mapping, in virtual time and with faults on every way.

Every command and every result passes the witness. A lease move puts another machine in the old one's place; what the
old one had under way goes on, unheard.
"""

import json
from collections.abc import Callable, Sequence
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
    MappingConfig,
    Metric,
    Read,
    RequestIds,
    StartingPosition,
    Subscribe,
    Unsubscribe,
)
from infra.model.stream import ReadResult, Stream, StreamError, StreamRecord
from infra.model.stream import Throttled as ReadThrottled
from infra.sim import reshard
from infra.sim.checkpoints import Checkpoints
from infra.sim.clockwork import Clockwork
from infra.sim.environment import Function
from infra.sim.fleet import Fleet
from infra.sim.following import Following
from infra.sim.numbers import Border
from infra.sim.scenario import Scenario
from infra.sim.witness import Witness

NEVER = float("inf")


class Driver:
    """`deadline_s` is when `wake_up` is due. `faults` may be exchanged at any time."""

    def __init__(
        self,
        scenario: Scenario,
        clock: Clockwork,
        random: Random,
        stream: Stream,
        border: Border,
        witness: Witness,
        function: Function,
        fleet: Fleet,
    ) -> None:
        self.clock, self.stream, self.border, self.witness = clock, stream, border, witness
        self.function, self.fleet = function, fleet
        self.faults = scenario.faults
        self.config = witness.config
        self.dropped_metric = 0.0
        self.deadline_s = NEVER
        self._seed = scenario.seed
        self.random = random
        self._awaiting = False
        self._checkpoints = Checkpoints()
        self._following = Following(self)
        self._begin(None)

    def start(self) -> None:
        self.feed(self.machine, self.machine.start)

    def wake_up(self) -> None:
        self.feed(self.machine, self.machine.wake_up)

    def reconfigure(self, config: MappingConfig) -> None:
        self.config = config
        self.witness.reconfigured(self.clock.now, config)
        self.feed(self.machine, self.machine.update, config)

    def switch(self, enabled: bool) -> None:
        self.clock.say("enabled" if enabled else "disabled")
        self.witness.switched(enabled=enabled)
        self.feed(self.machine, partial(self.machine.update, enabled=enabled))

    def _begin(self, snapshot: dict[str, Any] | None) -> None:
        ids = RequestIds(f"{self._seed}/{self.witness.lease}")
        self.machine = EventSourceMapping(self.config, ids, snapshot=snapshot)

    def move_lease(self) -> None:
        snapshot = json.loads(json.dumps(self.machine.snapshot()))
        resumed = self._checkpoints.resume(snapshot, self.random)
        self.clock.say(f"lease {self.witness.lease + 1} from {json.dumps(snapshot['shards'])}")
        self.function.meet("lease_move")
        self.witness.moved(resumed)
        self._awaiting = False
        self._following.leave()
        self._begin(snapshot)
        self.feed(self.machine, self.machine.start)

    def feed(self, machine: EventSourceMapping, tell: Callable[..., list[Command]], *arguments: Any) -> None:
        """Tells the machine something and performs what it wants; a machine that has lost its lease hears nothing."""
        if machine is self.machine:
            self._perform(tell(self.clock.now, *arguments))
            deadline_s = self.machine.deadline
            self.deadline_s = NEVER if deadline_s is None else deadline_s

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
                case Subscribe():
                    self._following.subscribe(self.machine, command)
                case Unsubscribe(shard_id):
                    self._following.unsubscribe(shard_id)
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

    def stream_changed(self) -> None:
        self._following.stream_changed()
        if self._awaiting:
            self._awaiting = False
            self.clock.later(0.01, self.feed, self.machine, self.machine.stream_changed)

    def _list(self) -> None:
        machine = self.machine
        if self.random.random() < self.faults.read_throttled:
            self.function.meet("read_throttled")
            self.clock.later(0.01, self.feed, machine, machine.shards_not_listed, "LimitExceededException")
            return
        shards = [reshard.listed(shard) for shard in self.stream.shards(self.clock.now)]
        self.clock.later(0.01, self._has_listed, machine, self.clock.now, shards)

    def _has_listed(self, machine: EventSourceMapping, at_s: float, shards: Sequence[reshard.ListedShard]) -> None:
        if machine is self.machine:
            self.witness.listed(at_s, shards)
            self.feed(machine, machine.shards_listed, shards)

    def _read(self, read: Read) -> None:
        """A read sees what is there when it begins."""
        clock, random, machine, shard_id = self.clock, self.random, self.machine, read.shard_id
        self.witness.reads(read)
        latency_s = 0.005 + 0.01 * random.random()
        where = self.border.position(shard_id, read.position)
        refused = partial(clock.later, latency_s, self._has_read, machine, read, clock.now, None)
        try:
            if isinstance(where, StartingPosition):
                where = self.stream.position(shard_id, where.kind, clock.now, timestamp_s=where.timestamp_s)
            if random.random() < self.faults.read_throttled:
                self.function.meet("read_throttled")
                refused(machine.read_throttled, shard_id, where)
                return
            result = self.stream.read(where, read.limit, clock.now)
        except ReadThrottled:
            refused(machine.read_throttled, shard_id, where)
            return
        except StreamError as error:
            refused(machine.read_failed, shard_id, str(error))
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
        arguments = (shard_id, records, result.position)
        clock.later(latency_s, self._has_read, machine, read, clock.now, result, tell, *arguments)

    def _has_read(
        self,
        machine: EventSourceMapping,
        read: Read,
        began_s: float,
        result: ReadResult | None,
        tell: Callable[..., list[Command]],
        *arguments: Any,
    ) -> None:
        """The machine hears what a Read that began then has found, or (None) that it was refused."""
        if machine is self.machine:
            if result is None:
                self.witness.has_read(read, began_s, None, end_of_shard=False)
            else:
                self.witness.has_read(read, began_s, arguments[1], end_of_shard=result.end_of_shard)
            self.feed(machine, tell, *arguments)

    # The function

    def _invoke(self, invoke: Invoke) -> None:
        clock, random, machine, faults = self.clock, self.random, self.machine, self.faults
        clock.say(
            f"invoke {self.witness.lease}.{invoke.invocation_id} {invoke.request_id[:8]} {invoke.shard_id[-4:]} "
            f"{_range(invoke.records)}{'' if invoke.window is None else f' {invoke.window}'}"
        )
        self.witness.invokes(clock.now, invoke)

        def done(outcome: InvokeOutcome) -> None:
            heard = machine is self.machine
            clock.say(f"outcome {invoke.request_id[:8]} {_outcome(outcome)}{'' if heard else ' unheard'}")
            if heard:
                self.witness.has_invoked(clock.now, invoke, outcome)
                self.feed(machine, machine.invocation_finished, invoke.invocation_id, outcome)

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
            f"{_range(discarded.records)}"
        )
        self.witness.discarding.delivers(clock.now, self.config, deliver, deliver.body())
        clock.later(0.02 + self.random.random(), self._delivered, machine, deliver)

    def _delivered(self, machine: EventSourceMapping, deliver: Deliver) -> None:
        fails = self.random.random() < self.faults.destination_fails
        self.clock.say(f"destination {'refuses' if fails else 'has'} {deliver.discarded.request_id[:8]}")
        if fails:
            self.function.meet("destination_fails")
        else:
            self.witness.discarding.in_document(deliver)
        if machine is self.machine:
            self.witness.discarding.has_delivered(deliver, delivered=not fails)
            self.feed(machine, machine.not_delivered if fails else machine.delivered, deliver.delivery_id)


def _nobody(_: InvokeOutcome) -> None:
    """The outcome of a second delivery is nobody's business."""


def _range(records: Sequence[StreamRecord]) -> str:
    if not records:
        return "n=0"
    return f"n={len(records)} {records[0].sequence_number}..{records[-1].sequence_number}"


def _outcome(outcome: InvokeOutcome) -> str:
    return f"{type(outcome).__name__} {getattr(outcome, 'payload', b'')[-60:].decode()}"
