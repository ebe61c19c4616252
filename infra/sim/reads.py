"""DRIVER: what the mapping is given to read, seen from outside: where it begins, and that nothing is passed over.

A shard of the first listing begins where the mapping's starting position says, once; shards that are found later begin
at their first record, and after that reading goes on where a checkpoint was (facts 2.21, 2.24, 2.27). Records come in
the order in which they were put, each of them, but for those that are past retention (facts 2.17, 9.10). Of what the
filters drop a shard's reader is done as soon as it has read it (fact 6.5), and so with an aggregate of which fan-out
hands over nothing (fact 3.10). A subscription is read like a shard: one at a time, and it goes on where the last ended.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import attrgetter

from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber, Read, StartingPosition, Subscribe
from infra.model.stream import StreamRecord
from infra.sim.reshard import ListedShard
from infra.sim.seen import Put, SeenShard
from infra.sim.violation import Violation

RETENTION_MS = 24 * 3_600_000
_number, _put_at_ms = attrgetter("number"), attrgetter("put_at_ms")


class Reads:
    """`settle` is told of a record that is done with, without the function; `missed` counts them."""

    def __init__(
        self,
        shards: dict[str, SeenShard],
        starting_position: str,
        settle: Callable[[Put], object],
        completed: set[str],
    ) -> None:
        self._shards = shards
        self._configured = starting_position
        self._settle = settle
        self._first_listing: frozenset[str] | None = None
        self._completed = completed
        self.missed = {"expired": 0, "before the mapping": 0, "filtered out": 0, "not handed over": 0}

    def listed(self, now: float, listing: Sequence[ListedShard]) -> None:
        """The mapping was told which shards there are."""
        known = {shard.shard_id for shard in listing}
        if self._first_listing is None:
            self._first_listing = frozenset(known)
            if self._configured == "LATEST":
                for each in listing:
                    if each.closed:  # there is nothing after its latest record
                        self._miss(self._shards[each.shard_id], len(self._shards[each.shard_id].order))
                        self._completed.add(each.shard_id)
        for shard in self._shards.values():
            if shard.closed and shard.shard_id not in known:
                shard.gone = True
                for put in shard.order:
                    if not put.settled and put.number > shard.held_to:
                        self._expire(now, shard, put)

    def begins(self, read: Read | Subscribe) -> None:
        """A Read or a subscription is asked for. A Read that goes on behind the last one says so with the stream's own
        position."""
        shard, position = self._shards[read.shard_id], read.position
        match position:
            case AtSequenceNumber(number):
                shard.cursor = bisect_left(shard.order, number, key=_number)
            case AfterSequenceNumber(number):
                shard.cursor = bisect_left(shard.order, number + 1, key=_number)
            case StartingPosition():
                shard.cursor = self._start(shard, position)
            case _:
                assert shard.cursor is not None, f"{shard.shard_id} is read from {position}, where it never was"

    def _start(self, shard: SeenShard, position: StartingPosition) -> int:
        kinds = {"TRIM_HORIZON"}
        if self._first_listing is not None and shard.shard_id in self._first_listing:
            # LATEST becomes the time at which it began, once it has.
            kinds = {self._configured, "AT_TIMESTAMP"} if self._configured == "LATEST" else {self._configured}
        if position.kind not in kinds:
            raise Violation("starting position", f"{shard.shard_id} is read from {position.kind}, not from {kinds}")
        if position.kind == "LATEST":
            cursor = len(shard.order)
        elif position.timestamp_s is not None:
            cursor = bisect_left(shard.order, round(position.timestamp_s * 1000), key=_put_at_ms)
        else:
            cursor = 0
        if not shard.begun:
            self._miss(shard, cursor)
        elif any(not put.settled for put in shard.order[:cursor]):
            raise Violation(
                "starting position", f"{shard.shard_id} is read from {position} although it was read before"
            )
        return cursor

    def _miss(self, shard: SeenShard, cursor: int) -> None:
        """What was put before the mapping began is not its own."""
        for put in shard.order[:cursor]:
            self.missed["before the mapping"] += self._without_the_function(put)
        shard.passed = max(shard.passed, cursor)

    def ended(self, began_s: float, shard_id: str, records: Sequence[StreamRecord], *, end_of_shard: bool) -> None:
        """The mapping is given what a Read that began then has found, or was pushed then: Kinesis records."""
        shard = self._shards[shard_id]
        shard.begun = True
        cursor, order = shard.cursor, shard.order
        assert cursor is not None
        for record in records:
            while cursor < len(order) and order[cursor].number < record.sequence_number:
                self._expire(began_s, shard, order[cursor])
                cursor += 1
            if cursor == len(order) or order[cursor].number != record.sequence_number:
                raise Violation(
                    "every record is read", f"{shard.shard_id}: {record.sequence_number} is read out of turn"
                )
            while cursor < len(order) and order[cursor].number == record.sequence_number:  # all that is in it
                self._found(began_s, shard, order[cursor])
                cursor += 1
        if records:
            shard.held_to = records[-1].sequence_number
        while cursor < len(order) and (_is_expired(began_s, order[cursor]) or end_of_shard):
            self._expire(began_s, shard, order[cursor])
            cursor += 1
        shard.cursor = cursor

    def _found(self, began_s: float, shard: SeenShard, put: Put) -> None:
        if _is_expired(began_s, put):
            raise Violation("retention", f"{shard.shard_id}: record {put.number} is read when it has expired")
        if not put.wanted and not put.settled:
            self.missed[put.missed_as] += 1
            self._settle(put)

    def _expire(self, now: float, shard: SeenShard, put: Put) -> None:
        if not _is_expired(now, put):
            raise Violation("every record is read", f"{shard.shard_id}: record {put.number} is kept, and passed over")
        put.missed = True
        self.missed["expired"] += self._without_the_function(put)
        shard.passed = max(shard.passed, bisect_left(shard.order, put.number + 1, key=_number))

    def _without_the_function(self, put: Put) -> bool:
        if put.settled:
            return False
        put.excused = True
        self._settle(put)
        return True


def _is_expired(now: float, put: Put) -> bool:
    return put.put_at_ms < int(now * 1000) - RETENTION_MS
