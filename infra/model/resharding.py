"""PURE: how the open shards of a stream become others.

Every reshard is told as the set of first hash keys that shall be there afterwards, and reached by splits and merges
alone, as AWS does it (AWS: UpdateShardCount); so each new shard has its one or two parents. Where one step is not
enough, shards in between live and close at the same moment, empty.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence

from infra.model.sequence import uniform_boundaries
from infra.model.shard import Shard
from infra.model.stream_error import invalid_argument, limit_exceeded

MakeShard = Callable[[tuple[int, int], tuple[Shard, ...]], Shard]


def reshape(open_shards: Sequence[Shard], boundaries: Sequence[int], make: MakeShard) -> list[Shard]:
    """Returns the open shards, in order of range, that begin exactly at `boundaries` (ascending, the first is 0).

    `make(hash_range, parents)` opens a shard and closes its parents.
    """
    pieces: list[Shard] = []
    for shard in open_shards:
        inside = boundaries[
            bisect_right(boundaries, shard.first_hash_key) : bisect_right(boundaries, shard.last_hash_key)
        ]
        pieces.extend(_cut(shard, inside, make))
    wanted = frozenset(boundaries)
    merged: list[Shard] = []
    for shard in pieces:
        if shard.first_hash_key in wanted:
            merged.append(shard)
        else:
            lower = merged.pop()
            merged.append(make((lower.first_hash_key, shard.last_hash_key), (lower, shard)))
    return merged


def _cut(shard: Shard, inside: Sequence[int], make: MakeShard) -> list[Shard]:
    """Splits at every key of `inside`, the middle one first, so that the line of descent stays short."""
    if not inside:
        return [shard]
    middle = len(inside) // 2
    at = inside[middle]
    lower = make((shard.first_hash_key, at - 1), (shard,))
    upper = make((at, shard.last_hash_key), (shard,))
    return [*_cut(lower, inside[:middle], make), *_cut(upper, inside[middle + 1 :], make)]


def after_split(open_shards: Sequence[Shard], shard: Shard, new_starting_hash_key: int, where: str) -> list[int]:
    """The boundaries with one more. AWS leaves at least two keys below and one above (`where` names the stream)."""
    if not shard.first_hash_key + 1 < new_starting_hash_key < shard.last_hash_key:
        raise invalid_argument(
            f"NewStartingHashKey {new_starting_hash_key} used in SplitShard() on shard {shard.shard_id} in {where} is "
            f"not both greater than one plus the shard's StartingHashKey {shard.first_hash_key} and less than the "
            f"shard's EndingHashKey {shard.last_hash_key}."
        )
    return sorted([*(other.first_hash_key for other in open_shards), new_starting_hash_key])


def middle(shard: Shard) -> int:
    """Where to split a shard into halves. A range of one hash key has none: its first key is returned."""
    return (shard.first_hash_key + shard.last_hash_key + 1) // 2


def after_merge(open_shards: Sequence[Shard], shard: Shard, adjacent: Shard, where: str) -> list[int]:
    """The boundaries without the one between the two. The first one named must be the lower one, as on AWS."""
    if shard.last_hash_key + 1 != adjacent.first_hash_key:
        raise invalid_argument(
            f"Shards {shard.shard_id} and {adjacent.shard_id} in {where} are not an adjacent pair of shards eligible "
            "for merging"
        )
    return [other.first_hash_key for other in open_shards if other is not adjacent]


def after_scaling(open_shards: Sequence[Shard], target: int) -> list[int]:
    """The boundaries of `target` equal shards: at most double, at least half of what is open (UpdateShardCount)."""
    current = len(open_shards)
    counts = f"Current open shard count: {current}, Target shard count: {target}"
    if target > 2 * current:
        raise limit_exceeded(f"UpdateShardCount cannot scale up over double your current open shard count. {counts}")
    if 2 * target < current:
        raise limit_exceeded(f"UpdateShardCount cannot scale down below half your current open shard count. {counts}")
    return uniform_boundaries(target)
