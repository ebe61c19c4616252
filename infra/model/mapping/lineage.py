"""PURE: which shards may be read, and from where. Children wait until their parents are completely processed."""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from infra.model.mapping.positions import TRIM_HORIZON, StartingPosition


class Shard(Protocol):
    """What a listing says about one shard; `closed` shards get no more records."""

    @property
    def shard_id(self) -> str: ...
    @property
    def parent_shard_id(self) -> str | None: ...
    @property
    def adjacent_parent_shard_id(self) -> str | None: ...
    @property
    def closed(self) -> bool: ...


def startable(shards: Iterable[Shard], *, read: Collection[str], completed: Collection[str]) -> Iterator[Shard]:
    """Shards that are neither being read nor completed and whose parents are completed, or gone from the listing.

    A merged shard has two parents and waits for both.
    """
    listed = {shard.shard_id: shard for shard in shards}
    for shard in listed.values():
        if shard.shard_id in read or shard.shard_id in completed:
            continue
        parents = (shard.parent_shard_id, shard.adjacent_parent_shard_id)
        if not any(parent in read or (parent in listed and parent not in completed) for parent in parents):
            yield shard


def starting_position(
    shard_id: str, *, first_listing: Collection[str], configured: StartingPosition
) -> StartingPosition:
    """The configured position holds for shards that were there when the mapping began; children found later begin at
    TRIM_HORIZON, or records put before they were found would be lost.
    """
    return configured if shard_id in first_listing else TRIM_HORIZON
