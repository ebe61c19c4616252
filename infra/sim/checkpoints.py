"""DRIVER: the checkpoints that a mapping has told, and where another machine begins after it."""

from random import Random
from typing import Any

from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber
from infra.sim.violation import Violation

REMEMBERED = 3  # a machine may begin at an older one: writing a checkpoint takes time, and the old machine may be slow

Checkpointed = AtSequenceNumber | AfterSequenceNumber


class Checkpoints:
    """The latest ones of every shard, as the Checkpoint commands told them."""

    def __init__(self) -> None:
        self._told: dict[str, list[Checkpointed]] = {}

    def told(self, shard_id: str, position: Checkpointed) -> None:
        told = self._told.setdefault(shard_id, [])
        told.append(position)
        del told[:-REMEMBERED]

    def forget(self, shard_id: str) -> None:
        """The shard is completed."""
        self._told.pop(shard_id, None)

    def resume(self, snapshot: dict[str, Any], random: Random) -> dict[str, int]:
        """Makes some of the snapshot's positions older; returns behind which number each shard is read again.

        Raises Violation where the snapshot does not say what the commands said.
        """
        self._compare(snapshot)
        resumed = {}
        for shard_id, position in snapshot["shards"].items():
            told = self._told.get(shard_id)
            if told and random.random() < 0.5:
                kind = "AT_SEQUENCE_NUMBER" if isinstance(told[0], AtSequenceNumber) else "AFTER_SEQUENCE_NUMBER"
                position.clear()
                position.update(type=kind, sequence_number=str(told[0].sequence_number))
            if "sequence_number" in position:
                resumed[shard_id] = int(position["sequence_number"]) - (position["type"] == "AT_SEQUENCE_NUMBER")
        self._told.clear()
        return resumed

    def _compare(self, snapshot: dict[str, Any]) -> None:
        for shard_id, told in self._told.items():
            saved = snapshot["shards"].get(shard_id)
            if shard_id not in snapshot["completed"] and (
                saved is None or saved.get("sequence_number") != str(told[-1].sequence_number)
            ):
                raise Violation(
                    "checkpoint", f"the snapshot has {saved} for {shard_id}, the last one told was {told[-1]}"
                )
