"""PURE: the shards of one stream: the open ones, which tile the hash keys, and the closed ones still in retention."""

from bisect import bisect_right
from collections.abc import Sequence

from infra.model import resharding, sequence
from infra.model.shard import Quotas, Shard


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

    def _make(self, hash_range: tuple[int, int], parents: tuple[Shard, ...], now: float) -> Shard:
        shard = Shard(self._made, hash_range, now, self._quotas, parents)
        self._by_index[shard.index] = shard
        self._made += 1
        for parent in parents:
            parent.close(now)
        return shard
