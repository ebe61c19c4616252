"""PURE: the event source mapping as a whole: its inputs, timers, and the way from them to commands.

Contract for whoever drives it: call `start` (or `create`) once, perform the commands that every call returns, in their
order, and feed each result back exactly once. Call `wake_up` when `deadline` (epoch seconds, like every `now`) has
come. `now` never goes backwards. Once begun, commands are independent: invocations of different lanes run side by side.

Disabling lets what is under way end and forgets everything else; enabling goes on at the checkpoints (so a lane that
was ahead of its shard's checkpoint sees records again). A changed configuration keeps what was read; a batch in its
retries keeps its request id and its attempts, unless batches are formed otherwise from now on, see `regroup`.
A listing of another stream of the same name does the same, but forgets the checkpoints too, see `Progress.begin_anew`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import lineage
from infra.model.mapping.changes import Changes
from infra.model.mapping.commands import Command
from infra.model.mapping.config import MappingConfig
from infra.model.mapping.context import Context
from infra.model.mapping.fan_out import FanOutReader
from infra.model.mapping.lane import Lane
from infra.model.mapping.lifecycle import Delays, State
from infra.model.mapping.polling import Polling
from infra.model.mapping.positions import Position
from infra.model.mapping.shard import ShardReader
from infra.model.mapping.sharing import Sharing
from infra.model.mapping.windows import open_windows
from infra.model.stream import StreamRecord


class EventSourceMapping:
    """One mapping. `new_id` gives UUIDs (request ids, object names); `snapshot` is what an earlier one returned.

    `sharing` is to be one object for all mappings that may poll the same shards.
    """

    def __init__(
        self,
        config: MappingConfig,
        new_id: Callable[[], str],
        *,
        snapshot: Mapping[str, Any] | None = None,
        enabled: bool = True,
        delays: Delays | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self._context = Context(config, new_id, sharing or Sharing())
        self._invocations: dict[int, Lane] = {}
        self._deliveries: dict[int, Lane] = {}
        self._polling = Polling(self._context, self._invocations, self._deliveries)
        self._shards: Mapping[str, ShardReader] = self._polling.shards
        self._changes = Changes(self._context, self._polling, delays or Delays(), enabled=enabled)
        self._lifecycle = self._changes.lifecycle
        if snapshot is not None:
            self._restore(snapshot)

    # What can be seen

    @property
    def deadline(self) -> float | None:
        """When `wake_up` is due, or None if only a result can bring the mapping on."""
        if self._changes.stopped:
            return None
        of_records = None if self._context.stopping else self._context.timers.next()
        return min((at_s for at_s in (self._lifecycle.deadline, of_records) if at_s is not None), default=None)

    @property
    def config(self) -> MappingConfig:
        """The configuration in force."""
        return self._context.config

    @property
    def state(self) -> State:
        return self._lifecycle.state

    @property
    def gone(self) -> bool:
        """It was deleted; results of what is under way may still come."""
        return self._lifecycle.gone

    @property
    def last_processing_result(self) -> str:
        return self._context.last_processing_result

    @property
    def totals(self) -> Counter[str]:
        """Sums of everything counted since the start, by the metric's name."""
        return self._context.totals.copy()

    @property
    def settled(self) -> bool:
        """No invocation and no delivery is under way."""
        return not self._invocations and not self._deliveries

    def snapshot(self) -> dict[str, Any]:
        """Plain data (JSON) to go on from: each shard's checkpoint and open window, and the shards that are completed.

        A shard that began at LATEST and has not read a record yet goes on at the time at which it began.
        """
        return {
            **self._polling.progress.snapshot(self._polling.checkpoints),
            "last_processing_result": self.last_processing_result,
            "windows": {shard_id: each.to_plain() for shard_id, each in sorted(self._context.open_windows.items())},
        }

    def _restore(self, snapshot: Mapping[str, Any]) -> None:
        self._polling.progress.restore(snapshot)
        self._context.last_processing_result = snapshot["last_processing_result"]
        self._context.open_windows.update(open_windows(snapshot.get("windows", {})))

    # Inputs

    def start(self, now: float) -> list[Command]:
        """Goes on with a mapping that was there before: polls at once, if it is enabled."""
        self._lifecycle.resume(now)
        return self.wake_up(now)

    def create(self, now: float) -> list[Command]:
        """A new mapping: Creating, then Enabled or Disabled."""
        self._lifecycle.create(now)
        return self.wake_up(now)

    def update(self, now: float, config: MappingConfig | None = None, *, enabled: bool | None = None) -> list[Command]:
        """Changes the configuration, or enables or disables, or both.

        Raises MappingInUseError while an earlier change is under way, and ValueError for what cannot be changed.
        """
        self._changes.update(now, config, enabled=enabled)
        return self.wake_up(now)

    def delete(self, now: float) -> list[Command]:
        """Raises MappingInUseError while an earlier change is under way."""
        self._lifecycle.delete(now)
        return self.wake_up(now)

    def stop(self) -> None:
        """Begin nothing more, for good. Results of what is under way are still to be fed; they move checkpoints."""
        self._changes.stop()
        self._polling.poll_no_more()

    def wake_up(self, now: float) -> list[Command]:
        """The deadline has come (or not: then nothing happens)."""
        self._changes.advance(now)
        for key in [] if self._context.stopping else self._context.timers.pop_due(now):
            self._due(key, now)
        return self._context.take_commands()

    def shards_listed(self, now: float, shards: Sequence[lineage.Shard]) -> list[Command]:
        """The whole listing: every shard within retention, closed ones too, with its parents."""
        if not self._polling.listed(now, shards):
            self._changes.begin_anew(now)
        return self._context.take_commands()

    def shards_not_listed(self, now: float, reason: str) -> list[Command]:
        self._context.last_processing_result = f"PROBLEM: {reason}"
        self._polling.not_listed(now)
        return self._context.take_commands()

    def stream_changed(self, now: float, shard_ids: Collection[str] | None = None) -> list[Command]:
        """The answer to AwaitRecords: records were put, shards changed, or it was waited long enough.

        `shard_ids`, if they are known, are those with something new: others keep their reads for their own records.
        """
        self._polling.stream_changed(now, shard_ids)
        return self._context.take_commands()

    def records_read(
        self,
        now: float,
        shard_id: str,
        records: Sequence[StreamRecord],
        position: Position,
        *,
        millis_behind_latest: int,
        end_of_shard: bool,
    ) -> list[Command]:
        """`records` in the shard's order; `position` is where the next read begins, of whatever type."""
        shard = self._shards[shard_id]
        shard.records_read(now, records, position, millis_behind_latest=millis_behind_latest, end_of_shard=end_of_shard)
        if end_of_shard:
            self._polling.list_shards()
        return self._moved(shard, now)

    def read_throttled(self, now: float, shard_id: str, position: Position | None = None) -> list[Command]:
        """`position` is for a Read that began anywhere but could be resolved, so that LATEST stays what it was."""
        self._shards[shard_id].read_throttled(now, position)
        return self._moved(self._shards[shard_id], now)

    def read_failed(self, now: float, shard_id: str, reason: str) -> list[Command]:
        """No permission, no such stream, ...: shown, tried again, and no retry quota is used."""
        self._context.last_processing_result = f"PROBLEM: {reason}"
        self._shards[shard_id].read_failed(now)
        return self._moved(self._shards[shard_id], now)

    def records_pushed(
        self,
        now: float,
        shard_id: str,
        records: Sequence[StreamRecord],
        continuation: int | None,
        *,
        millis_behind_latest: int,
        end_of_shard: bool,
    ) -> list[Command]:
        """An event of the shard's subscription, aggregates as they are; `continuation` is None at the shard's end."""
        shard = self._shards[shard_id]
        assert isinstance(shard, FanOutReader)
        shard.records_pushed(
            now, records, continuation, millis_behind_latest=millis_behind_latest, end_of_shard=end_of_shard
        )
        if end_of_shard:
            self._polling.list_shards()
        return self._moved(shard, now)

    def subscription_ended(self, now: float, shard_id: str, reason: str | None = None) -> list[Command]:
        """After five minutes, Unsubscribe, or the shard's end; `reason`: refused or cut off, tried again soon."""
        if reason is not None:
            self._context.last_processing_result = f"PROBLEM: {reason}"
        shard = self._shards.get(shard_id)
        if shard is None:  # completed with its last record
            return self._context.take_commands()
        assert isinstance(shard, FanOutReader)
        shard.subscription_ended(now, refused=reason is not None)
        return self._moved(shard, now)

    def invocation_finished(self, now: float, invocation_id: int, outcome: InvokeOutcome) -> list[Command]:
        lane = self._invocations.pop(invocation_id)
        if isinstance(outcome, Succeeded | FunctionError):
            self._give_turn(now)
        lane.invocation_finished(now, outcome)
        return self._moved(lane.shard, now)

    def delivered(self, now: float, delivery_id: int) -> list[Command]:
        return self._delivery_finished(now, delivery_id, delivered=True)

    def not_delivered(self, now: float, delivery_id: int) -> list[Command]:
        """Final: the records are dropped."""
        return self._delivery_finished(now, delivery_id, delivered=False)

    # Behaviour

    def _give_turn(self, now: float) -> None:
        """An execution has become free: the lane that was refused first tries before the one that had it goes on."""
        if self._context.stopping:
            return
        refused = next((lane for lane in self._context.refused if lane.waits_for_its_turn), None)
        if refused is not None:
            self._due(refused, now)

    def _delivery_finished(self, now: float, delivery_id: int, *, delivered: bool) -> list[Command]:
        lane = self._deliveries.pop(delivery_id)
        lane.delivery_finished(now, delivered=delivered)
        return self._moved(lane.shard, now)

    def _due(self, key: Hashable, now: float) -> None:
        if isinstance(key, Lane):
            key.woken(now)
            self._advance(key.shard, now)
        elif isinstance(key, ShardReader):
            self._polling.poll(key, now)
        else:
            self._polling.list_shards()

    def _advance(self, shard: ShardReader, now: float) -> None:
        self._polling.advance(shard, now)
        if self._context.stopping:
            self._changes.forget_when_quiet(now)

    def _moved(self, shard: ShardReader, now: float) -> list[Command]:
        self._advance(shard, now)
        return self._context.take_commands()
