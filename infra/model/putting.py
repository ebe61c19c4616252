"""PURE: what may be put into a stream, and what comes of it (AWS: PutRecord, PutRecords)."""

from collections.abc import Sequence
from typing import NamedTuple

from infra.model import sequence
from infra.model.shard import MIB, utf8_size
from infra.model.stream_error import invalid_argument

PUT_BYTES_MAX = 10 * MIB  # of one PutRecords, data and partition keys


class Entry(NamedTuple):
    """One record to put. `explicit_hash_key` replaces the hash of the partition key."""

    partition_key: str
    data: bytes
    explicit_hash_key: int | None = None


class Written(NamedTuple):
    shard_id: str
    sequence_number: int


class Refused(NamedTuple):
    """The shard's write quota was used up: this record, and only this one, was not taken."""

    message: str
    code: str = "ProvisionedThroughputExceededException"


def checked_sizes(entries: Sequence[Entry], record_size_kib_max: int, where: str) -> list[int]:
    """Bytes of data and partition key of each entry; StreamError if one or all of them are too large.

    A record is measured with its partition key, as the reference of PutRecord says.
    """
    sizes = [len(entry.data) + utf8_size(entry.partition_key) for entry in entries]
    record_bytes_max = record_size_kib_max * 1024
    if max(sizes, default=0) > record_bytes_max:
        at, size = next((index, size) for index, size in enumerate(sizes) if size > record_bytes_max)
        raise invalid_argument(
            f"Record {at + 1} of the request has {size} bytes of data and partition key; {where} takes at most "
            f"{record_bytes_max} (MaxRecordSizeInKiB {record_size_kib_max})."
        )
    if sum(sizes) > PUT_BYTES_MAX:
        raise invalid_argument("Records size exceeds 10 MB limit")
    for entry in entries:
        if entry.explicit_hash_key is not None and not 0 <= entry.explicit_hash_key < sequence.HASH_KEYS:
            raise invalid_argument(
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                f"Specified value was {entry.explicit_hash_key}"
            )
    return sizes


def check_ordering(sequence_number: int, now: float, where: str) -> None:
    """SequenceNumberForOrdering must be one that was given out; a key's numbers grow without it too."""
    try:
        known = sequence.decode(sequence_number).arrived_s <= now
    except ValueError:
        known = False
    if not known:
        raise invalid_argument(
            f"ExclusiveMinimumSequenceNumber {sequence_number} used in PutRecord on {where} is invalid."
        )
