"""DRIVER: the records of an invocation, each as what was put: that they may be sent, and in order per partition key."""

from collections.abc import Sequence

from infra.model.mapping import Invoke
from infra.model.stream import StreamRecord
from infra.sim.seen import Flight, Put, SeenShard
from infra.sim.violation import Violation


def check_records(invoke: Invoke, flight: Flight, epoch: int) -> None:
    """Puts what is sent into the flight. `epoch` is the Witness's: what was settled in it does not come again."""
    shard, puts = flight.shard, flight.puts
    for record in invoke.records:
        put = shard.find(record)
        if put is None:
            raise _unknown(shard, record)
        if not put.wanted:
            raise Violation("filters", f"record {put.number} of {shard.shard_id} is sent, but does not match")
        if put.settled_last == epoch:
            raise Violation("settled once", f"record {put.number} of {shard.shard_id} was settled and is sent again")
        _check_turn(record.partition_key, put, flight)
        puts.append(put)


def _check_turn(partition_key: str, put: Put, flight: Flight) -> None:
    """Of its partition key it is the next one, and no other invocation has one of them."""
    key, index, shard = put.key, put.index, flight.shard
    if key.busy is flight:
        if index != key.last + 1:
            between = key.puts[key.last + 1 : index]
            if not between or not all(each.missed for each in between):
                raise _out_of_order(shard, partition_key, put, key.puts[key.last + 1 :])
    else:
        if key.busy is not None and key.busy.lease == flight.lease:
            raise Violation("serial lanes", f"key {partition_key!r} of {shard.shard_id} is in two invocations at once")
        earlier, place = key.puts, key.first_unsettled
        while place < len(earlier) and earlier[place].settled:
            place += 1
        key.first_unsettled = place
        if index > place:
            raise _out_of_order(shard, partition_key, put, earlier[place:])
        key.busy = flight
    key.last = index


def _unknown(shard: SeenShard, record: StreamRecord) -> Violation:
    number = record.sequence_number
    if shard.apart and number in shard.puts:
        what = f"record {number} of {shard.shard_id} is sent with {len(record.data)} bytes of key"
        return Violation("fan-out", f"{what} {record.partition_key!r}: nothing in it is to be handed over like that")
    return Violation("only what was put", f"record {number} was not put to {shard.shard_id}")


def _out_of_order(shard: SeenShard, key: str, put: Put, missing: Sequence[Put]) -> Violation:
    before = missing[0].number if missing else "nothing"
    return Violation(
        "order per partition key", f"key {key!r} of {shard.shard_id}: {put.number} is sent, {before} was to come first"
    )
