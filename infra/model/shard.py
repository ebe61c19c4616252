"""PURE: one shard: its range of hash keys, its records in order, its quotas.

Quotas per shard (AWS: Kinesis quotas and limits; API reference GetRecords, GetShardIterator):

* write: 1,000 records and 1 MiB per second, partition keys counted in bytes;
* read: 5 GetRecords per second; 2 MiB per second on average, where one answer may hold up to 10 MiB. An answer that
  overdraws the second refuses further reads for 1 s (5 s when it was a full 10 MiB), and until it is paid for;
* 5 GetShardIterator per second.

What AWS does not say is how a quota "per second" is measured. Here it is a token bucket that holds one second's worth.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from infra.model import sequence
from infra.model.bucket import Bucket

MIB = 1 << 20
READ_RECORDS_MAX = 10_000
READ_BYTES_MAX = 10 * MIB
OVERDRAWN_PENALTY_S = 1.0

_number = attrgetter("sequence_number")
_arrival = attrgetter("arrived_at_ms")


@dataclass(frozen=True, slots=True)
class Quotas:
    """Per shard and second. The defaults are AWS's; a test or a what-if may use others."""

    write_records: int = 1_000
    write_bytes: int = MIB
    reads: int = 5
    read_bytes: int = 2 * MIB
    iterators: int = 5


@dataclass(slots=True)
class ShardCounters:
    """What happened at a shard since it was opened, in the terms of AWS's shard-level metrics. Bytes include keys."""

    incoming_records: int = 0
    incoming_bytes: int = 0
    write_provisioned_throughput_exceeded: int = 0  # records refused
    outgoing_records: int = 0
    outgoing_bytes: int = 0
    get_records: int = 0  # answered
    read_provisioned_throughput_exceeded: int = 0  # reads refused


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One Kinesis record as kept: sequence numbers grow within a shard, arrival times (epoch ms) never fall in it."""

    sequence_number: int
    partition_key: str
    data: bytes
    arrived_at_ms: int


class Position(NamedTuple):
    """Where a reader of one shard stands: behind every record up to and including `after`. An opaque value."""

    shard_id: str
    after: int


class ReadResult(NamedTuple):
    """`position` is where to read on. `end_of_shard` is True when the shard is closed and nothing is left behind it."""

    records: tuple[StreamRecord, ...]
    position: Position
    millis_behind_latest: int
    end_of_shard: bool


def utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def record_bytes(record: StreamRecord) -> int:
    """What quotas and limits count: data and partition key."""
    return len(record.data) + utf8_size(record.partition_key)


class Shard:
    """Times are epoch seconds unless named otherwise. A closed shard takes no more records but keeps those it has."""

    def __init__(
        self,
        index: int,
        hash_range: tuple[int, int],
        now: float,
        quotas: Quotas,
        parents: tuple["Shard", ...] = (),
    ) -> None:
        """`hash_range` is inclusive at both ends. `parents` are one shard (split) or two (merge), or none."""
        self.index = index
        self.shard_id = sequence.shard_id(index)
        self.first_hash_key, self.last_hash_key = hash_range
        self.parent_id = parents[0].shard_id if parents else None
        self.adjacent_parent_id = parents[1].shard_id if len(parents) > 1 else None
        self.created_at_s = now
        self.closed_at_s: float | None = None
        # Later than every parent's, even within one second: then a key's numbers grow across a reshard.
        self.created_s: int = max([int(now), *(parent.created_s + 1 for parent in parents)])
        self.starting_sequence_number = sequence.encode(self.created_s, 0, int(now), index)
        self.ending_sequence_number: int | None = None
        self.latest_sequence_number = self.starting_sequence_number
        self.counters = ShardCounters()
        self.bytes_held = 0  # data and partition keys of the records kept
        self._records: list[StreamRecord] = []
        self._count = 0
        self._arrived_at_ms = 0
        self._write_records = Bucket(quotas.write_records, quotas.write_records)
        self._write_bytes = Bucket(quotas.write_bytes, quotas.write_bytes)
        self._reads = Bucket(quotas.reads, quotas.reads)
        self._read_bytes = Bucket(quotas.read_bytes, quotas.read_bytes)
        self._iterators = Bucket(quotas.iterators, quotas.iterators)
        self._reads_refused_until_s = float("-inf")
        self._full_answer_penalty_s = READ_BYTES_MAX / quotas.read_bytes  # 5 s with the quotas of AWS

    @property
    def closed(self) -> bool:
        return self.closed_at_s is not None

    def append(self, partition_key: str, data: bytes, size: int, now: float) -> int | None:
        """Keeps a record and returns its sequence number, or None when the write quota is used up.

        `size` is the length of data and of the partition key in bytes.
        """
        assert self.closed_at_s is None
        if not self._write_bytes.can_take(size, now) or not self._write_records.take(1, now):
            self.counters.write_provisioned_throughput_exceeded += 1
            return None
        self._write_bytes.spend(size, now)
        self._count += 1
        # A clock set back must not reorder arrival times: retention and AT_TIMESTAMP search them by bisection.
        self._arrived_at_ms = max(self._arrived_at_ms, int(now * 1000))
        number = sequence.encode(self.created_s, self._count, self._arrived_at_ms // 1000, self.index)
        self._records.append(StreamRecord(number, partition_key, data, self._arrived_at_ms))
        self.latest_sequence_number = number
        self.bytes_held += size
        self.counters.incoming_records += 1
        self.counters.incoming_bytes += size
        return number

    def take_back(self) -> None:
        """Forgets the record that was appended last, which nobody has seen yet. Its share of the quota stays used."""
        size = record_bytes(self._records.pop())
        self._count -= 1
        self.bytes_held -= size
        self.counters.incoming_records -= 1
        self.counters.incoming_bytes -= size
        self.latest_sequence_number = self._latest()

    def _latest(self) -> int:
        """The last number given out, or one that stands for the same place."""
        if self._records:
            return self._records[-1].sequence_number
        if not self._count:
            return self.starting_sequence_number
        return sequence.encode(self.created_s, self._count, self._arrived_at_ms // 1000, self.index)

    def close(self, now: float) -> None:
        self.closed_at_s = now
        self.ending_sequence_number = sequence.last_of_shard(self.created_s, int(now), self.index)

    def trim(self, oldest_ms: int) -> None:
        """Forgets the records that arrived before `oldest_ms` (epoch ms)."""
        records = self._records
        if records and records[0].arrived_at_ms < oldest_ms:
            expired_n = bisect_left(records, oldest_ms, key=_arrival)
            self.bytes_held -= sum(map(record_bytes, records[:expired_n]))
            del records[:expired_n]

    def take_iterator(self, now: float) -> bool:
        return self._iterators.take(1, now)

    def position_at_time(self, time_ms: int) -> Position:
        """Just before the first record that arrived at or after `time_ms`."""
        found = bisect_left(self._records, time_ms, key=_arrival)
        if found == len(self._records):
            return Position(self.shard_id, self.latest_sequence_number)
        return Position(self.shard_id, self._records[found].sequence_number - 1)

    def admit_read(self, now: float) -> float | None:
        """Takes one read from the quota and returns None, or returns the time at which a read will be admitted."""
        ready_at_s = max(self._reads_refused_until_s, self._read_bytes.ready_at(0, now), self._reads.ready_at(1, now))
        if now < self._reads_refused_until_s or not self._read_bytes.can_take(0, now) or not self._reads.take(1, now):
            self.counters.read_provisioned_throughput_exceeded += 1
            return ready_at_s
        return None

    def read(self, after: int, limit: int, now: float) -> ReadResult:
        """At most `limit` records and 10 MiB from behind `after`, charged to the quota that `admit_read` looked at."""
        records, size, more = self.slice(after, limit, READ_BYTES_MAX)
        if more and len(records) < min(limit, READ_RECORDS_MAX):
            self._reads_refused_until_s = now + self._full_answer_penalty_s
        self.counters.get_records += 1
        self.counters.outgoing_records += len(records)
        self.counters.outgoing_bytes += size
        self._read_bytes.spend(size, now)
        if self._read_bytes.level(now) < 0:
            self._reads_refused_until_s = max(self._reads_refused_until_s, now + OVERDRAWN_PENALTY_S)
        position = Position(self.shard_id, records[-1].sequence_number if records else after)
        return ReadResult(tuple(records), position, self.millis_behind(position.after, now), self.closed and not more)

    # ---- looking at records without charging anybody

    def slice(self, after: int, limit: int, bytes_max: int) -> tuple[list[StreamRecord], int, bool]:
        """Records behind `after` (one at least, if there is one), their bytes, and whether there are more."""
        start = bisect_right(self._records, after, key=_number)
        records = self._records[start : start + min(limit, READ_RECORDS_MAX)]
        size = 0
        for taken, record in enumerate(records):
            record_size = record_bytes(record)
            if size + record_size > bytes_max and taken:
                del records[taken:]
                break
            size += record_size
        return records, size, start + len(records) < len(self._records)

    def has_after(self, after: int) -> bool:
        return bool(self._records) and self._records[-1].sequence_number > after

    def millis_behind(self, after: int, now: float) -> int:
        """The age of the first record behind `after`; 0 only at the tip."""
        place = bisect_right(self._records, after, key=_number)
        return 0 if place == len(self._records) else max(1, int(now * 1000) - self._records[place].arrived_at_ms)

    def number_before(self, after: int) -> int:
        """The number of the last record up to `after` that is kept, or the shard's starting number: both mean the same
        place as `after`, and unlike it they were given out.
        """
        place = bisect_right(self._records, after, key=_number)
        return self._records[place - 1].sequence_number if place else self.starting_sequence_number

    @property
    def last_record(self) -> StreamRecord:
        return self._records[-1]

    # ---- as plain data, without the records

    def plain(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "hash_range": [str(self.first_hash_key), str(self.last_hash_key)],
            "parents": [self.parent_id, self.adjacent_parent_id],
            "created_at_s": self.created_at_s,
            "created_s": self.created_s,
            "closed_at_s": self.closed_at_s,
            "count": self._count,
            "arrived_at_ms": self._arrived_at_ms,
            "counters": asdict(self.counters),
        }

    @classmethod
    def restored(cls, plain: Mapping[str, Any], records: Sequence[StreamRecord], quotas: Quotas) -> "Shard":
        """The shard again; `records` are those known to be in it, in order. Its quotas are full."""
        first, last = plain["hash_range"]
        shard = cls(plain["index"], (int(first), int(last)), plain["created_at_s"], quotas)
        shard.parent_id, shard.adjacent_parent_id = plain["parents"]
        shard.created_s = plain["created_s"]
        shard.starting_sequence_number = sequence.encode(shard.created_s, 0, int(shard.created_at_s), shard.index)
        shard._count, shard._arrived_at_ms = plain["count"], plain["arrived_at_ms"]
        shard.counters = ShardCounters(**plain["counters"])
        shard._records = list(records)
        shard.bytes_held = sum(map(record_bytes, records))
        if records:
            shard._count = max(shard._count, sequence.decode(records[-1].sequence_number).ordinal)
            shard._arrived_at_ms = max(shard._arrived_at_ms, records[-1].arrived_at_ms)
        shard.latest_sequence_number = shard._latest()
        if plain["closed_at_s"] is not None:
            shard.close(plain["closed_at_s"])
        return shard
