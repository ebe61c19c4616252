"""PURE: what a mapping asks of its stream: the listing of the shards, their records in the shards' order, and a sign.

Every call appends what is wanted (ListShards, AwaitRecords, Read or Subscribe, Checkpoint, CompleteShard) to the
context's commands; while the context is `stopping` nothing new is asked for.
"""

from collections.abc import Collection, Sequence

from infra.model.mapping import lineage
from infra.model.mapping.commands import AwaitRecords, BeginAnew, CompleteShard, ListShards, Read
from infra.model.mapping.context import Context
from infra.model.mapping.fan_out import FanOutReader, hash_range_of
from infra.model.mapping.lane import Lane
from infra.model.mapping.positions import Resume, StartingPosition
from infra.model.mapping.shard import ShardReader

_LIST = "list shards"


class Polling:
    """`shards` are those that are being read, by id; `progress` is what is known of the others.

    `invocations` and `deliveries` are handed to every shard's lanes: which of them waits for which result.
    """

    def __init__(self, context: Context, invocations: dict[int, Lane], deliveries: dict[int, Lane]) -> None:
        config = context.config
        self.shards: dict[str, ShardReader] = {}
        self.progress = lineage.Progress(
            StartingPosition(config.starting_position, config.starting_position_timestamp_s)
        )
        self._context = context
        self._invocations = invocations
        self._deliveries = deliveries
        self._listing = False
        self._awaiting = False

    @property
    def quiet(self) -> bool:
        """No invocation, delivery or read is under way."""
        under_way = self._invocations or self._deliveries
        return not under_way and not any(shard.reading for shard in self.shards.values())

    @property
    def checkpoints(self) -> dict[str, Resume]:
        return {shard.shard_id: shard.resume for shard in self.shards.values()}

    # The listing

    def list_at(self, at_s: float) -> None:
        """A timer of neither a shard nor a lane is this one: `list_shards` is due."""
        self._context.timers.set(_LIST, at_s)

    def list_shards(self) -> None:
        if not self._listing and not self._context.stopping:
            self._listing = True
            self._context.commands.append(ListShards())

    def listed(self, now: float, shards: Sequence[lineage.Shard]) -> bool:
        """False, and nothing is begun, if these are another stream's."""
        self._listing = False
        self.list_at(now + self._context.config.pace.list_interval_s)
        if not self.progress.is_of_this_stream(shards):
            return False
        self.progress.listed(shards)
        self._leave_expired({shard.shard_id for shard in shards}, now)
        self._begin_shards(now)
        return True

    def _leave_expired(self, listed: Collection[str], now: float) -> None:
        """Shards that have passed out of retention hold nothing any more, and a subscription to them is refused."""
        for shard in [each for each in self.shards.values() if each.shard_id not in listed and not each.reading]:
            shard.ended = True
            shard.go_on(now)
            self.advance(shard, now)

    def not_listed(self, now: float) -> None:
        self._listing = False
        self.list_at(now + self._context.config.pace.poll_interval_s)

    # The records

    def poll(self, shard: ShardReader, now: float) -> None:
        """Asks for more of the shard, if it is time and there is room."""
        command = shard.poll(now)
        if command is None:
            return
        if isinstance(command, Read):
            self._await()
        self._context.commands.append(command)

    def stream_changed(self, now: float, shard_ids: Collection[str] | None) -> None:
        """The answer to AwaitRecords; `shard_ids` None: it may be any of them."""
        self._awaiting = False
        for shard in self.shards.values():
            if shard_ids is None or shard.shard_id in shard_ids:
                shard.stream_changed()
                self.poll(shard, now)
        if shard_ids is not None and not self._context.stopping:
            self._await()

    def advance(self, shard: ShardReader, now: float) -> None:
        """After anything happened to a shard's records: regrouping, checkpoint, completion, further reading."""
        shard.regrouped(now)
        checkpoint = shard.checkpoint()
        if checkpoint is not None:
            self._context.commands.append(checkpoint)
        if shard.completed:
            self._context.timers.clear(shard)
            self._leave(shard.shard_id)
            del self.shards[shard.shard_id]
            self.progress.completed.add(shard.shard_id)
            self._context.commands.append(CompleteShard(shard.shard_id))
            self._begin_shards(now)
        else:
            self.poll(shard, now)

    # All shards

    def go_on(self, now: float) -> None:
        """After a disabling that did not come to rest before it was taken back, everything goes on where it is."""
        self.list_at(now)
        for shard in list(self.shards.values()):
            shard.go_on(now)
            self.advance(shard, now)

    def leave(self) -> None:
        """Only the checkpoints are kept."""
        self.progress.leave(self.checkpoints)
        self.poll_no_more()
        self.shards.clear()
        self._context.timers.clear_all()

    def poll_no_more(self) -> None:
        """Others may have this mapping's part of the shards' reads."""
        for shard_id in self.shards:
            self._leave(shard_id)

    def begin_anew(self) -> None:
        """Nothing of the stream is kept, after `leave`."""
        self.progress.begin_anew()
        self._context.commands.append(BeginAnew())

    def _begin_shards(self, now: float) -> None:
        if self._context.stopping:
            return
        config = self._context.config
        for shard, start in self.progress.begin(self.shards):
            make = FanOutReader if config.fan_out else ShardReader
            reader = self.shards[shard.shard_id] = make(
                self._context, shard.shard_id, start, now, invocations=self._invocations, deliveries=self._deliveries
            )
            if isinstance(reader, FanOutReader):
                reader.hash_range = hash_range_of(shard)
            else:
                self._context.sharing.enter(config.event_source_arn, shard.shard_id, config.uuid)
            self.poll(reader, now)

    def _leave(self, shard_id: str) -> None:
        config = self._context.config
        self._context.sharing.leave(config.event_source_arn, shard_id, config.uuid)

    def _await(self) -> None:
        if self._context.config.pace.read_on_put and not self._awaiting:
            self._awaiting = True
            self._context.commands.append(AwaitRecords())
