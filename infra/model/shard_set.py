"""PURE: the shards of one stream: the open ones, which tile the hash keys, and the closed ones still in retention."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from infra.model import resharding, sequence
from infra.model.shard import Quotas, Shard, StreamRecord


class ShardSet:
    """`open` is in order of hash range; `all` in order of index, so parents come before their children."""

    def __init__(self, quotas: Quotas) -> None:
        self.open: list[Shard] = []
        self._quotas = quotas
        self._starts: list[int] = []
        self._by_index: dict[int, Shard] = {}
        self._made = 0

    @property
    def all(self) -> list[Shard]:
        return list(self._by_index.values())

    def get(self, index: int) -> Shard | None:
        return self._by_index.get(index)

    def existed(self, index: int) -> bool:
        return 0 <= index < self._made

    def of_key(self, hash_key: int) -> Shard:
        """The open shard whose range holds the key."""
        return self.open[bisect_right(self._starts, hash_key) - 1]

    def children(self, shard_id: str) -> list[Shard]:
        return [shard for shard in self._by_index.values() if shard_id in (shard.parent_id, shard.adjacent_parent_id)]

    def reshape(self, boundaries: Sequence[int], now: float) -> None:
        """Opens and closes shards until the open ones begin exactly at `boundaries` (ascending, the first is 0)."""
        if self.open:
            self.open = resharding.reshape(self.open, boundaries, lambda r, parents: self._make(r, parents, now))
        else:
            ends = [*(start - 1 for start in boundaries[1:]), sequence.HASH_KEYS - 1]
            self.open = [self._make(r, (), now) for r in zip(boundaries, ends, strict=True)]
        self._starts = [shard.first_hash_key for shard in self.open]

    def forget(self, shard: Shard) -> None:
        """Drops a closed shard that has passed out of retention."""
        assert shard.closed
        del self._by_index[shard.index]

    def plain(self) -> dict[str, Any]:
        """Everything but the records, as JSON can carry it."""
        return {"made": self._made, "shards": [shard.plain() for shard in self._by_index.values()]}

    def restore(self, plain: Mapping[str, Any], records: Mapping[int, Sequence[StreamRecord]]) -> None:
        """`records` are by index of their shard; those of a shard that is not in `plain` are dropped."""
        self._made = plain["made"]
        shards = [Shard.restored(each, records.get(each["index"], ()), self._quotas) for each in plain["shards"]]
        self._by_index = {shard.index: shard for shard in shards}
        self.open = sorted((s for s in shards if not s.closed), key=lambda shard: shard.first_hash_key)
        self._starts = [shard.first_hash_key for shard in self.open]

    def _make(self, hash_range: tuple[int, int], parents: tuple[Shard, ...], now: float) -> Shard:
        shard = Shard(self._made, hash_range, now, self._quotas, parents)
        self._by_index[shard.index] = shard
        self._made += 1
        for parent in parents:
            parent.close(now)
        return shard
