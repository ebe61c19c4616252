"""One event source mapping in virtual time, and all around it; `Witness` looks at every command that it performs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import count
from typing import Any

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import (
    AwaitRecords,
    Checkpoint,
    Command,
    CompleteShard,
    Delays,
    Deliver,
    EventSourceMapping,
    Invoke,
    ListShards,
    MappingConfig,
    Metric,
    NotSent,
    Read,
    RequestIds,
    Subscribe,
    Unsubscribe,
)
from infra.model.stream import StreamRecord
from tests.support.agenda import Agenda
from tests.support.mapping_record import FIRST as FIRST
from tests.support.mapping_record import MappingRecord
from tests.support.mapping_witness import ScriptedShard, Witness

EPOCH_S = 1_789_808_000.0
STREAM = "arn:aws:kinesis:us-east-1:111111111111:stream/events"
FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:work"
ROLE = "arn:aws:iam::111111111111:role/work"
UUID = "11111111-2222-3333-4444-555555555555"
ONE = "shardId-000000000000"


def config(**settings: Any) -> MappingConfig:
    identity = {"uuid": UUID, "function_arn": FUNCTION, "event_source_arn": STREAM, "role_arn": ROLE}
    return MappingConfig(**{**identity, **settings})


def succeeded(invoke: Invoke) -> InvokeOutcome:
    return Succeeded(invoke.request_id, b"null")


def raised(invoke: Invoke) -> InvokeOutcome:
    return FunctionError(invoke.request_id, "ValueError", b"{}")


_SETTINGS = [each.name for each in fields(MappingConfig)]


class World(MappingRecord):
    """`answer` decides what an invocation becomes, `duration_s` how long it takes; `refusing`: deliveries fail."""

    def __init__(
        self,
        *,
        snapshot: dict[str, Any] | None = None,
        shards: int = 1,
        enabled: bool = True,
        delays: Delays | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.config = config(**settings)
        self.machine = EventSourceMapping(
            self.config, RequestIds("seed"), snapshot=snapshot, enabled=enabled, delays=delays
        )
        self.now = EPOCH_S
        self.shards: dict[str, ScriptedShard] = {}
        self.answer: Callable[[Invoke], InvokeOutcome] = succeeded
        self.duration_s: Callable[[Invoke], float] = lambda _: 0.0
        self.delivery_s = 0.0
        self.read_s = 0.0  # a read sees what is there when it begins
        self.refusing = False
        self.told: Callable[[NotSent], None] = lambda _: None
        self.read_fault: Callable[[Read], str | None] = lambda _: None  # "throttled" or a reason
        self._numbers = count(FIRST)
        self._agenda: Agenda[list[Command]] = Agenda()
        self._awaited: list[float] = []
        self._subscribed: dict[str, int] = {}  # by shard, the number behind which it goes on
        self.witness = Witness(self.config, self.shards)
        for number in range(shards):
            self.add_shard(f"shardId-{number:012}")

    # The stream

    def add_shard(self, shard_id: str, *parents: str) -> ScriptedShard:
        parent, adjacent, *_ = (*parents, None, None)
        shard = self.shards[shard_id] = ScriptedShard(shard_id, parent, adjacent)
        return shard

    def put(self, *keys: str, shard_id: str = ONE, data: bytes = b"x", age_s: float = 0.0) -> list[int]:
        """One record per key; returns their sequence numbers."""
        assert not self.shards[shard_id].closed
        arrived_at_ms = round((self.now - age_s) * 1000)
        numbers = [next(self._numbers) for _ in keys]
        self.shards[shard_id].records += [
            StreamRecord(number, key, data, arrived_at_ms) for number, key in zip(numbers, keys, strict=True)
        ]
        self._wake()
        return numbers

    def close(self, shard_id: str = ONE) -> None:
        self.shards[shard_id].closed = True
        self._wake()

    def _wake(self) -> None:
        for shard_id in list(self._subscribed):
            self._later(0, lambda shard_id=shard_id: self._push(shard_id))  # type: ignore[misc] # as below
        if self._awaited:
            self._awaited.clear()
            self._later(0, lambda: self.machine.stream_changed(self.now))

    # Time

    def start(self) -> "World":
        self._perform(self.machine.start(self.now))
        return self

    def create(self) -> "World":
        self._perform(self.machine.create(self.now))
        return self

    def update(self, *, enabled: bool | None = None, **settings: Any) -> "World":
        """Changes these settings, and leaves the others as they are."""
        changed = replace(self.config, **settings) if settings else None
        was_disabled = self.machine.state == "Disabled"
        commands = self.machine.update(self.now, changed, enabled=enabled)
        self.config = changed or self.config
        if enabled and was_disabled:
            self.witness.resumed()
        self._perform(commands)
        return self

    def delete(self) -> "World":
        self._perform(self.machine.delete(self.now))
        return self

    def run(self, seconds: float) -> "World":
        """Lets so much time pass. Bounded: a machine that spins fails."""
        end = self.now + seconds
        for _ in range(200_000):
            times = [at for at in (self.machine.deadline, self._agenda.next_s) if at is not None]
            if not times or min(times) > end:
                self.now = end
                return self
            self.now = max(self.now, min(times))
            if self._agenda.is_due(self.now):
                self._perform(self._agenda.do())
            else:
                self._perform(self.machine.wake_up(self.now))
        raise AssertionError("the machine spins")

    def _later(self, seconds: float, what: Callable[[], list[Command]]) -> None:
        self._agenda.add(self.now + seconds, what)

    # The commands

    def _perform(self, commands: Sequence[Command]) -> None:
        if self.machine.config is not self.witness.config:
            self.witness.reconfigured(self.machine.config)
        for command in commands:
            match command:
                case ListShards():
                    listed = [replace(shard) for shard in self.shards.values()]
                    self._later(0, lambda listed=listed: self.machine.shards_listed(self.now, listed))  # type: ignore[misc] # mypy cannot type the default
                case AwaitRecords():
                    self._awaited.append(self.now)
                    assert len(self._awaited) == 1, "two waits at once"
                case Read():
                    self._read(command)
                case Subscribe(shard_id, position):
                    assert shard_id not in self._subscribed, "two subscriptions at once"
                    self.witness.subscribes(command)
                    self._subscribed[shard_id] = self.shards[shard_id].after(position)
                    self.subscriptions.append((self.now, command))
                    self._later(0, lambda shard_id=shard_id: self._push(shard_id))  # type: ignore[misc] # as above
                    ends = len(self.subscriptions)
                    self._later(300, lambda shard_id=shard_id, ends=ends: self._end(shard_id, ends))  # type: ignore[misc] # as above
                case Unsubscribe(shard_id):
                    self._later(0, lambda shard_id=shard_id: self._end(shard_id))  # type: ignore[misc] # as above
                case Invoke():
                    self._invoke(command)
                case Deliver():
                    self._deliver(command)
                case Checkpoint():
                    self.witness.checkpoints(command)
                    self.checkpoints.append(command)
                case CompleteShard(shard_id):
                    self.witness.completes(command)
                    self.completed.append(shard_id)
                case NotSent():
                    self.told(command)
                case Metric(name, value):
                    self.metrics.append((name, value))

    def _read(self, read: Read) -> None:
        shard = self.shards[read.shard_id]
        self.witness.reads(read)
        self.reads.append((self.now, read))
        after = shard.after(read.position)
        fault = self.read_fault(read)
        behind, closed = shard.behind(after), shard.closed

        def result() -> list[Command]:
            self.witness.has_read(read)
            if fault == "throttled":
                return self.machine.read_throttled(self.now, read.shard_id, after)
            if fault is not None:
                return self.machine.read_failed(self.now, read.shard_id, fault)
            records = behind[: read.limit]
            return self.machine.records_read(
                self.now,
                read.shard_id,
                records,
                records[-1].sequence_number if records else after,
                millis_behind_latest=len(behind) - len(records),
                end_of_shard=closed and len(behind) == len(records),
            )

        self._later(self.read_s, result)

    def _push(self, shard_id: str) -> list[Command]:
        """One event with everything there is, as often as something changes."""
        if shard_id not in self._subscribed:
            return []
        shard = self.shards[shard_id]
        behind = shard.behind(self._subscribed[shard_id])
        if behind:
            self._subscribed[shard_id] = behind[-1].sequence_number
        last = self._subscribed[shard_id] or FIRST - 1
        if shard.closed:
            del self._subscribed[shard_id]
            self._later(0, lambda: self.machine.subscription_ended(self.now, shard_id))
        return self.machine.records_pushed(
            self.now,
            shard_id,
            behind,
            None if shard.closed else last,
            millis_behind_latest=0,
            end_of_shard=shard.closed,
        )

    def _end(self, shard_id: str, number: int | None = None, reason: str | None = None) -> list[Command]:
        """Ends the shard's subscription, or only the one of this number."""
        of_shard = [place for place, (_, each) in enumerate(self.subscriptions, 1) if each.shard_id == shard_id]
        if shard_id not in self._subscribed or (number is not None and of_shard[-1] != number):
            return []
        del self._subscribed[shard_id]
        return self.machine.subscription_ended(self.now, shard_id, reason)

    def cut_off(self, shard_id: str, reason: str) -> None:
        """The stream's side ends a subscription."""
        self._later(0, lambda: self._end(shard_id, reason=reason))

    def _invoke(self, invoke: Invoke) -> None:
        self.witness.invokes(self.now, invoke)
        self.invokes.append((self.now, invoke))
        outcome = self.answer(invoke)

        def result() -> list[Command]:
            self.witness.has_invoked(invoke, outcome)
            return self.machine.invocation_finished(self.now, invoke.invocation_id, outcome)

        self._later(self.duration_s(invoke), result)

    def _deliver(self, deliver: Deliver) -> None:
        self.documents.append((self.now, deliver))
        refusing = self.refusing

        def result() -> list[Command]:
            self.witness.has_delivered(deliver)
            told = self.machine.not_delivered if refusing else self.machine.delivered
            return told(self.now, deliver.delivery_id)

        self._later(self.delivery_s, result)

    # What a test asks

    def restarted(self) -> "World":
        """Another machine on the same stream, from a snapshot that was plain data in between."""
        snapshot = json.loads(json.dumps(self.machine.snapshot()))
        again = World(snapshot=snapshot, shards=0, **{name: getattr(self.config, name) for name in _SETTINGS})
        again.now = self.now
        again.witness.settled_before = set(self.settled)
        again.shards.update({shard_id: replace(shard, first_read=None) for shard_id, shard in self.shards.items()})
        return again

    @property
    def settled(self) -> set[tuple[str, int]]:
        return self.witness.settled
