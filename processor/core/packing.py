"""PURE: user records into Kinesis records, by lane, in the KPL's aggregated format.

**Lanes.** A lane is a stable hash of the user's partition key modulo the number of lanes. Every lane has its own
*outer* partition key (`lane-007`) and its own explicit hash key, the middle of the lane's slice of the hash-key space:

- all events of one user key share one lane, so they share one shard and one outer key, and their order survives;
- lanes are spread evenly over the shards (the slices are equal), and Lambda, which spreads a shard over its
  parallelization factor by the outer partition key, finds as many keys as there are lanes. The KPL writes the constant
  `a` as the outer key of every aggregate of more than one record: correct shards, but all of them in *one* of Lambda's
  concurrent batches per shard, so a parallelization factor above 1 does nothing. Aggregators that take the first
  user's key as the outer key have the parallelism and lose the order of all the other keys.
- every user record in the aggregate names the lane's explicit hash key too. Consumers that drop user records whose
  hash is outside the shard's range (the KCL does, because of resends after a reshard) keep ours.

Changing the number of lanes moves keys to other lanes: order of a key is kept within one number of lanes.

**Format** (awslabs/amazon-kinesis-producer, aggregation-format.md): magic `f3 89 9a c2`, protobuf `AggregatedRecord`
(1: partition keys, 2: explicit hash keys, 3: records of {1: key index, 2: hash key index, 3: data}), MD5 of the
protobuf. It is written here by hand and not with the generated classes because the exact size must be known *before*
an event is added; the tests hold it against the generated classes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

MAGIC = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES = 16

# AWS: PutRecords. 500 records and 5 MiB per call including partition keys, 1 MiB per record (both sizes can be raised
# on AWS's side today; the smaller documented numbers hold everywhere), keys of 1 to 256 characters.
CALL_RECORDS_MAX = 500
CALL_BYTES_MAX = 5 * 1024 * 1024
RECORD_BYTES_MAX = 1024 * 1024
PARTITION_KEY_CHARACTERS_MAX = 256

# Below this, an event alone in an aggregate fits for certain: the rest is a key of at most 1 KiB and some 100 bytes.
NEARLY_TOO_LARGE = RECORD_BYTES_MAX - 2048

HASH_KEYS = 2**128
KEYS_KNOWN_MAX = 65_536  # partition keys that a packer remembers the lane of

Tag = TypeVar("Tag")


class UnpackableError(Exception):
    """This event can be in no Kinesis record. `reason` is a stable name, `detail` a sentence without payload."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class PackingSettings:
    """How events become Kinesis records.

    `aggregate`: at most this many user records per Kinesis record; None: one Kinesis record per event under the
    user's own partition key. `record_bytes`: an aggregate is closed before it would pass this size (the KPL's default
    AggregationMaxSize); one event larger than that travels alone. `linger_s`: an aggregate is closed this long after
    its first event (the KPL's default RecordMaxBufferedTime).
    """

    aggregate: int | None = 100
    lanes: int = 16
    record_bytes: int = 51_200
    linger_s: float = 0.1

    def __post_init__(self) -> None:
        if self.aggregate is not None and self.aggregate < 1:
            raise ValueError(f"aggregate must be at least 1 or None, not {self.aggregate}")
        if not 1 <= self.lanes <= 4096:
            raise ValueError(f"lanes must be 1 to 4096, not {self.lanes}")
        if not 1 <= self.record_bytes <= RECORD_BYTES_MAX:
            raise ValueError(f"record_bytes must be 1 to {RECORD_BYTES_MAX}, not {self.record_bytes}")


class Packed(NamedTuple, Generic[Tag]):
    """One Kinesis record to be put. `members` are the callers' tags in the order of their subsequence numbers."""

    partition_key: str
    explicit_hash_key: str | None
    data: bytes
    members: Sequence[Tag]
    aggregated: bool

    @property
    def order_key(self) -> str:
        """Records with the same order key must be acknowledged in the order in which they were packed."""
        return self.partition_key

    @property
    def size(self) -> int:
        """Bytes that count against Kinesis's limits: data and partition key."""
        return len(self.data) + len(self.partition_key.encode())


@lru_cache(maxsize=65_536)
def lane_of(partition_key: str, lanes: int) -> int:
    """The lane of a user's partition key: stable over processes, machines and versions."""
    return int.from_bytes(hashlib.blake2b(partition_key.encode(), digest_size=8).digest()) % lanes


@lru_cache(maxsize=4096)
def lane_keys(lane: int, lanes: int) -> tuple[str, str]:
    """The lane's outer partition key and explicit hash key (decimal, the middle of the lane's slice)."""
    return f"lane-{lane:03d}", str((2 * lane + 1) * HASH_KEYS // (2 * lanes))


def varint(value: int) -> bytes:
    """Protobuf's base-128 number, for values of at least 0."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@lru_cache(maxsize=65_536)
def record_prefix(key_index: int, size: int) -> bytes:
    """Everything of a user record in front of its data: `Record{key index, hash key index 0, data}` as field 3."""
    inner = b"\x08" + varint(key_index) + b"\x10\x00\x1a" + varint(size)
    return b"\x1a" + varint(len(inner) + size) + inner


def frame(message: bytes) -> bytes:
    """Magic, protobuf message, MD5 of the message."""
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def check(partition_key: str, data: bytes) -> None:
    """Raises UnpackableError for what Kinesis would refuse in whatever form it is sent."""
    if not 1 <= len(partition_key) <= PARTITION_KEY_CHARACTERS_MAX:
        raise UnpackableError(
            "bad_partition_key",
            f"the partition key has {len(partition_key)} characters; Kinesis takes 1 to {PARTITION_KEY_CHARACTERS_MAX}",
        )
    if data.startswith(MAGIC):
        raise UnpackableError(
            "nested_aggregate",
            "it starts with the aggregates' magic number: consumers would take it, or all of its record, for broken",
        )
    try:
        size = len(data) + len(partition_key.encode())
    except UnicodeEncodeError:
        raise UnpackableError("bad_partition_key", "the partition key cannot be written as UTF-8") from None
    if size > RECORD_BYTES_MAX:
        raise UnpackableError(
            "event_too_large",
            f"the event and its partition key have {size} bytes; a Kinesis record takes {RECORD_BYTES_MAX}",
        )


class _Key(NamedTuple):
    """What a partition key is packed as. `entry`: its place in an aggregate's table of partition keys."""

    lane: int
    entry: bytes


class _Open(Generic[Tag]):
    """The aggregate that a lane is filling. `size` is exact: what `close` would return has that many bytes."""

    __slots__ = ("body", "explicit_hash_key", "head", "keys", "members", "opened_at_s", "partition_key", "size")

    def __init__(self, partition_key: str, explicit_hash_key: str, opened_at_s: float) -> None:
        self.partition_key, self.explicit_hash_key, self.opened_at_s = partition_key, explicit_hash_key, opened_at_s
        self.keys: dict[str, int] = {}
        self.head: list[bytes] = []
        self.body: list[bytes] = []
        self.members: list[Tag] = []
        self.size = len(MAGIC) + DIGEST_BYTES + len(table_entry(b"\x12", explicit_hash_key))

    def close(self) -> Packed[Tag]:
        hash_key = table_entry(b"\x12", self.explicit_hash_key)
        message = b"".join((*self.head, hash_key, *self.body))
        return Packed(self.partition_key, self.explicit_hash_key, frame(message), tuple(self.members), aggregated=True)


def table_entry(field: bytes, key: str) -> bytes:
    encoded = key.encode()
    return field + varint(len(encoded)) + encoded


class Packer(Generic[Tag]):
    """Fills one aggregate per lane. Every event that `add` accepts comes out in exactly one `Packed`, in order per key.

    `add` returns the records that it completed; `due` those whose time is up; `flush` all the rest. With aggregation
    off nothing is held and `add` returns the event's own record at once.
    """

    def __init__(self, settings: PackingSettings) -> None:
        self.settings = settings
        self._is_off = settings.aggregate is None
        self._events_max, self._bytes_max = settings.aggregate or 1, settings.record_bytes
        self._open: dict[int, _Open[Tag]] = {}  # in order of opening, so the first is the oldest
        self._keys: dict[str, _Key] = {}

    def add(self, partition_key: str, data: bytes, tag: Tag, now_s: float) -> list[Packed[Tag]]:
        """Raises UnpackableError, and then nothing has changed."""
        return list(self.add_all(((partition_key, data, tag),), now_s))

    def add_all(self, events: Iterable[tuple[str, bytes, Tag]], now_s: float) -> Iterator[Packed[Tag]]:
        """`add` for each of (partition key, data, tag), in less time; they are added while the records are asked for.
        The first one that raises UnpackableError ends it: those before it are added, those behind it are not."""
        keys, opened, prefix_of = self._keys, self._open, record_prefix
        for partition_key, data, tag in events:
            size = len(data)
            key = keys.get(partition_key)
            if key is None or size > NEARLY_TOO_LARGE or data[:1] == MAGIC[:1]:
                key = self._check(partition_key, data)
            if self._is_off:
                yield Packed(partition_key, None, data, (tag,), aggregated=False)
                continue
            lane, entry = key
            current = opened.get(lane)
            if current is None:
                current = self._begin(lane, now_s)
            index = current.keys.get(partition_key)
            if index is None:
                prefix = prefix_of(len(current.keys), size)
                cost = len(prefix) + size + len(entry)
            else:
                prefix = prefix_of(index, size)
                cost = len(prefix) + size
            members = current.members
            if current.size + cost > self._bytes_max and members:
                yield opened.pop(lane).close()
                current, index, prefix = self._begin(lane, now_s), None, prefix_of(0, size)
                cost, members = len(prefix) + size + len(entry), current.members
            if index is None:
                current.keys[partition_key] = len(current.keys)
                current.head.append(entry)
            current.body += (prefix, data)
            current.size += cost
            members.append(tag)
            if len(members) >= self._events_max:
                yield opened.pop(lane).close()

    def _begin(self, lane: int, now_s: float) -> _Open[Tag]:
        current: _Open[Tag] = _Open(*lane_keys(lane, self.settings.lanes), opened_at_s=now_s)
        self._open[lane] = current
        return current

    def _check(self, partition_key: str, data: bytes) -> _Key:
        """Raises UnpackableError."""
        check(partition_key, data)
        key = _Key(lane_of(partition_key, self.settings.lanes), table_entry(b"\x0a", partition_key))
        if self.settings.aggregate is not None and len(data) > NEARLY_TOO_LARGE:
            alone: _Open[Tag] = _Open(*lane_keys(key.lane, self.settings.lanes), opened_at_s=0.0)
            size = alone.size + len(key.entry) + len(record_prefix(0, len(data))) + len(data)
            size += len(alone.partition_key)
            if size > RECORD_BYTES_MAX:
                raise UnpackableError(
                    "event_too_large",
                    f"alone in an aggregate it has {size} bytes; a Kinesis record takes {RECORD_BYTES_MAX}",
                )
        if len(self._keys) >= KEYS_KNOWN_MAX:
            self._keys.clear()
        self._keys[partition_key] = key
        return key

    def waiting(self, partition_key: str) -> Sequence[Tag]:
        """The tags in the open aggregate of this key's lane, in order."""
        current = self._open.get(lane_of(partition_key, self.settings.lanes))
        return current.members if current is not None else ()

    def close(self, lane: int) -> list[Packed[Tag]]:
        """Close one lane's aggregate; [] when it has none."""
        current = self._open.pop(lane, None)
        return [current.close()] if current is not None else []

    def close_lane_of(self, partition_key: str) -> list[Packed[Tag]]:
        """Close the aggregate that the next event of this key would join; [] when there is none."""
        return self.close(lane_of(partition_key, self.settings.lanes))

    def due(self, now_s: float) -> list[Packed[Tag]]:
        """Close every aggregate that has waited `linger_s`."""
        done: list[Packed[Tag]] = []
        while self._open:
            lane, oldest = next(iter(self._open.items()))
            if now_s < oldest.opened_at_s + self.settings.linger_s:
                break
            done += self.close(lane)
        return done

    def deadline_s(self) -> float | None:
        """When `due` will next return something; None when nothing is open."""
        oldest = next(iter(self._open.values()), None)
        return None if oldest is None else oldest.opened_at_s + self.settings.linger_s

    def flush(self) -> list[Packed[Tag]]:
        """Close every aggregate."""
        return [record for lane in list(self._open) for record in self.close(lane)]
