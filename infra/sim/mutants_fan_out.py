"""DRIVER: the mistakes of a mapping with enhanced fan-out, and of one that is updated while batches are in retries."""

from collections.abc import Iterable, Sequence
from typing import Any

from infra.model.mapping import fan_out, polling, response
from infra.model.mapping.commands import Checkpoint
from infra.model.mapping.fan_out import ALL_HASH_KEYS, FanOutReader
from infra.model.mapping.lane import Lane, Phase
from infra.model.mapping.positions import AfterSequenceNumber, AtSequenceNumber
from infra.model.mapping.shard import ShardReader
from infra.model.stream import StreamRecord
from infra.sim.patching import Patch, always


def settled_with_its_first(right: Any) -> Any:
    """An aggregate counts as done when some of its user records are."""

    def checkpoint(self: ShardReader) -> Checkpoint | None:
        found: Checkpoint | None = right(self)
        position = self.resume
        if not isinstance(position, AtSequenceNumber) or not isinstance(self, FanOutReader):
            return found
        number = position.sequence_number
        if number not in _touched(self):
            return found
        self.resume = AfterSequenceNumber(number)
        return Checkpoint(self.shard_id, self.resume)

    return checkpoint


def settled_are_remembered(right: Any) -> Any:
    def settle(self: Lane, count: int) -> None:
        _touched(self.shard).update(record.sequence_number for record in self.batches[-1].records[:count])
        right(self, count)

    return settle


def _touched(shard: ShardReader) -> set[int]:
    """The sequence numbers of which it has settled something."""
    found: set[int] = vars(shard).setdefault("touched", set())
    return found


def last_of_the_number(right: Any) -> Any:
    """What is reported is taken for the last user record of its number: those before it are dropped."""

    def lowest(failures: list[object], records: Sequence[StreamRecord]) -> int:
        place: int = right(failures, records)
        if not 0 <= place < len(records):
            return place
        number = records[place].sequence_number
        while place + 1 < len(records) and records[place + 1].sequence_number == number:
            place += 1
        return place

    return lowest


def first_of_the_number(right: Any) -> Any:
    """One user record of each number is kept, as if it were an identity."""

    def user_records(records: Iterable[StreamRecord], hash_range: tuple[int, int]) -> list[StreamRecord]:
        kept: dict[int, StreamRecord] = {}
        for record in right(records, hash_range):
            kept.setdefault(record.sequence_number, record)
        return list(kept.values())

    return user_records


def pushed_before_the_end(right: Any) -> Any:
    """A subscription that was cut off is begun again behind the checkpoint, and not behind what was pushed."""

    def ended(self: FanOutReader, now: float, *, refused: bool) -> None:
        right(self, now, refused=refused)
        if refused:
            self.position = self.resume

    return ended


def budget_of_an_update(right: Any) -> Any:
    """Every update gives a batch in its retries all of them anew."""

    def reconfigured(self: Lane, now: float) -> None:
        right(self, now)
        for batch in self.batches:
            batch.attempts = 0

    return reconfigured


def new_id_after_an_update(right: Any) -> Any:
    def reconfigured(self: Lane, now: float) -> None:
        if self.phase is Phase.WAITING:
            self.batches[-1].request_id = self.context.new_id()
        right(self, now)

    return reconfigured


PATCHES: dict[str, tuple[Patch, ...]] = {
    "an update resets the budget": ((Lane, "reconfigured", budget_of_an_update),),
    "new request id after an update": ((Lane, "reconfigured", new_id_after_an_update),),
    "an update is not heard by what waits": ((Lane, "reconfigured", always(None)),),
    "checkpoint past a half-settled aggregate": (
        (ShardReader, "checkpoint", settled_with_its_first),
        (Lane, "_settle", settled_are_remembered),
    ),
    "rest of an aggregate dropped after a report": ((response, "_lowest", last_of_the_number),),
    "one user record per sequence number": ((fan_out, "user_records", first_of_the_number),),
    "aggregates handed over whole": ((fan_out, "user_records", lambda _: lambda records, _hash_range: list(records)),),
    "hash keys of other shards handed over": ((polling, "hash_range_of", always(ALL_HASH_KEYS)),),
    "pushed again after a cut": ((FanOutReader, "subscription_ended", pushed_before_the_end),),
}
