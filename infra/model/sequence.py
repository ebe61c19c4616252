"""PURE: hash keys, shard ids and sequence numbers, the three numberings of a Kinesis stream.

A hash key is the MD5 of the partition key as a 128-bit number (AWS: PutRecord). A sequence number is an integer of 56
decimal digits; AWS calls it opaque, and so must everybody who reads it. Ours has the layout that observers of AWS found
(hexadecimal digits, most significant first):

    2 | shard's creation s (9) | shard (1) | ordinal within the shard (16) | 00 | arrival s (9) | shard (8) | 2

The creation second leads, so the numbers of a child shard are above those of its parents (the stream sees to it that a
child's second is later); then the ordinal, so the numbers of one shard grow with every record.
"""

from hashlib import md5
from typing import NamedTuple

HASH_KEYS = 1 << 128  # hash keys are 0 … HASH_KEYS - 1
SHARD_INDEX_MAX = 2**31 - 1
_ORDINAL_MAX = 0x7FFFFFFFFFFFFFFF  # what AWS puts into the number at which a shard was closed
_VERSION = 2


class SequenceParts(NamedTuple):
    created_s: int
    ordinal: int
    arrived_s: int
    shard_index: int


def hash_key(partition_key: str) -> int:
    """The hash key of a partition key: MD5 over its UTF-8 bytes, big endian."""
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


def encode(created_s: int, ordinal: int, arrived_s: int, shard_index: int) -> int:
    return (
        2 << 184
        | created_s << 148
        | (shard_index & 0xF) << 144
        | ordinal << 80
        | arrived_s << 36
        | shard_index << 4
        | _VERSION
    )


def last_of_shard(created_s: int, closed_s: int, shard_index: int) -> int:
    """A number above every record of the shard: the EndingSequenceNumber of a closed one."""
    return encode(created_s, _ORDINAL_MAX, closed_s, shard_index)


def decode(sequence_number: int) -> SequenceParts:
    """Takes a sequence number apart; ValueError if no stream of ours can have made it."""
    parts = SequenceParts(
        created_s=sequence_number >> 148 & 0xFFFFFFFFF,
        ordinal=sequence_number >> 80 & 0xFFFFFFFFFFFFFFFF,
        arrived_s=sequence_number >> 36 & 0xFFFFFFFFF,
        shard_index=sequence_number >> 4 & 0xFFFFFFFF,
    )
    if parts.ordinal > _ORDINAL_MAX or encode(*parts) != sequence_number:
        raise ValueError(f"{sequence_number} is not a sequence number")
    return parts


def shard_id(index: int) -> str:
    return f"shardId-{index:012d}"


def shard_index(shard_id_or_suffix: str) -> int:
    """The number in a shard id. Like AWS it reads `x-1` and `1` as `shardId-000000000001`; ValueError otherwise."""
    pieces = shard_id_or_suffix.split("-")
    digits = pieces[1] if len(pieces) > 1 and pieces[1] else shard_id_or_suffix
    if not (digits.isascii() and digits.isdigit()) or int(digits) > SHARD_INDEX_MAX:
        raise ValueError(f"{shard_id_or_suffix} is not a shard id")
    return int(digits)


def uniform_boundaries(shard_count: int) -> list[int]:
    """The first hash key of each of `shard_count` equal ranges; those of n are among those of every multiple of n."""
    return [HASH_KEYS * index // shard_count for index in range(shard_count)]
