"""DRIVER: splits and merges, and what a listing of the shards says."""

from dataclasses import dataclass
from random import Random

from infra.model.shard import Shard
from infra.model.stream import Stream

OPEN_SHARDS_MAX = 12


@dataclass(frozen=True, slots=True)
class ListedShard:
    """A shard as it was when it was listed."""

    shard_id: str
    parent_shard_id: str | None
    adjacent_parent_shard_id: str | None
    starting_sequence_number: int
    closed: bool
    hash_range: tuple[int, int]


def listed(shard: Shard) -> ListedShard:
    return ListedShard(
        shard.shard_id,
        shard.parent_id,
        shard.adjacent_parent_id,
        shard.starting_sequence_number,
        shard.closed,
        (shard.first_hash_key, shard.last_hash_key),
    )


def reshard(stream: Stream, random: Random, now: float) -> str:
    """Splits a shard somewhere, or merges two neighbours; returns what was done, empty if nothing was possible."""
    shards = stream.open_shards
    place = random.randrange(len(shards))
    shard = shards[place]
    if place + 1 < len(shards) and (len(shards) >= OPEN_SHARDS_MAX or random.random() < 0.5):
        above = shards[place + 1]
        stream.merge(shard.shard_id, above.shard_id, now)
        return f"merge {shard.shard_id[-4:]} {above.shard_id[-4:]}"
    if len(shards) >= OPEN_SHARDS_MAX:
        return ""
    width = shard.last_hash_key - shard.first_hash_key
    key = shard.first_hash_key + 2 + int((width - 4) * random.random())
    if not shard.first_hash_key + 1 < key < shard.last_hash_key:
        return ""
    stream.split(shard.shard_id, key, now)
    return f"split {shard.shard_id[-4:]}"
