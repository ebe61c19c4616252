"""PURE: which shards ListShards shows (AWS: ListShards, ShardFilter)."""

from collections.abc import Sequence

from infra.model import sequence
from infra.model.shard import Shard
from infra.model.stream_error import invalid_argument


def filtered(
    shards: Sequence[Shard], kind: str, trim_horizon_s: float, *, shard_id: str | None, timestamp_s: float | None
) -> list[Shard]:
    """`kind` is AWS's ShardFilterType; AFTER_SHARD_ID needs `shard_id`, the two with TIMESTAMP need `timestamp_s`."""
    if kind == "AT_LATEST":
        return [shard for shard in shards if not shard.closed]
    if kind == "FROM_TRIM_HORIZON":
        return list(shards)
    if kind == "AFTER_SHARD_ID":
        if shard_id is None:
            raise invalid_argument(f"ShardFilter of type {kind} needs a ShardId.")
        return [shard for shard in shards if shard.index > _index(shard_id)]
    if kind == "AT_TRIM_HORIZON":
        # A stream younger than its retention has its first shards at its trim horizon.
        first_s = min((shard.created_at_s for shard in shards), default=trim_horizon_s)
        return _open_at(shards, max(trim_horizon_s, first_s))
    if timestamp_s is None:
        raise invalid_argument(f"ShardFilter of type {kind} needs a Timestamp.")
    if kind == "AT_TIMESTAMP":
        return _open_at(shards, timestamp_s)
    return [shard for shard in shards if shard.closed_at_s is None or shard.closed_at_s >= timestamp_s]


def _open_at(shards: Sequence[Shard], time_s: float) -> list[Shard]:
    return [s for s in shards if s.created_at_s <= time_s and (s.closed_at_s is None or s.closed_at_s > time_s)]


def _index(shard_id: str) -> int:
    try:
        return sequence.shard_index(shard_id)
    except ValueError:
        raise invalid_argument(f"{shard_id} is not the ShardId of a shard.") from None
