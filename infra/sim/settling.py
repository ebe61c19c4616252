"""DRIVER: what is done with, how far the checkpoints may go because of it, and when a mapping is at its end."""

from collections.abc import Sequence

from infra.model.mapping import AtSequenceNumber, Checkpoint
from infra.sim.seen import Put, SeenShard
from infra.sim.violation import Violation


class Settling:
    """Of all shards. `epoch` numbers the times between which records may come again; `lease` is the mapping's."""

    def __init__(self, shards: dict[str, SeenShard]) -> None:
        self._shards = shards
        self.completed: set[str] = set()
        self.lease = 1
        self.epoch = 1
        self.unsettled = 0

    def settle(self, puts: Sequence[Put]) -> None:
        for put in puts:
            self.settle_one(put)
            put.settled_last = self.epoch

    def settle_one(self, put: Put) -> None:
        if not put.settled:
            put.settled = self.lease
            self.unsettled -= 1

    def checkpoints(self, checkpoint: Checkpoint) -> None:
        """Everything before it is settled: with fan-out all that an aggregate holds, for it has one number."""
        shard, position = self._shards[checkpoint.shard_id], checkpoint.position
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
        shard = self._shards[shard_id]
        lowest = shard.lowest_unsettled()
        if not shard.closed or lowest is not None:
            why = "is still open" if lowest is None else f"record {lowest.number} is not settled"
            raise Violation("checkpoint", f"{shard_id} is called completed, but {why}")
        self.completed.add(shard_id)

    @property
    def finished(self) -> bool:
        """Every record is settled, every closed shard is completed, every checkpoint is behind the last record."""
        return not self.unsettled and all(not (shard.closed or shard.behind) for shard in self._unfinished())

    def _unfinished(self) -> list[SeenShard]:
        return [shard for shard in self._shards.values() if shard.shard_id not in self.completed and not shard.gone]

    def unfinished(self) -> str:
        """What `finished` waits for."""
        behind = [shard for shard in self._unfinished() if shard.behind]
        closed = [shard for shard in self._unfinished() if shard.closed]
        return (
            f"{self.unsettled} records are not settled, {len(closed)} closed shards not completed, "
            f"{len(behind)} checkpoints not behind the last record"
        )
