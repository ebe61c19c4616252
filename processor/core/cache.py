"""PURE: what an execution environment remembers of the results table between batches, bounded.

Everything in it is true for ever (`chain.Chain`), so it may be lost at any time: Lambda promises no reuse of an
environment (AWS: Lambda execution environment lifecycle). What is not in it is found again, by a refused write or a
read.
"""

from collections import OrderedDict
from typing import TypeAlias

from processor.core.chain import Chain
from processor.core.works import KnownVersion

IDENTITIES_MAX = 150_000
"""Identities kept: 8 to 22 MB when full (benchmarks/memory.py), which beside the largest batch stays below 128 MB.

A chain that is larger than this on its own is read again for every batch: about one read unit per 300 identities of it.
"""

VERSIONS_MAX = 10_000
"""Latest values whose version is kept."""

CHAIN_WEIGHT = 8
"""A chain's own bookkeeping, in identities."""

ItemKey: TypeAlias = tuple[str, str]


class PageCache:
    """Chains by (pk, window), the least recently used forgotten first. Not for use by two threads."""

    def __init__(self, identities_max: int = IDENTITIES_MAX, versions_max: int = VERSIONS_MAX) -> None:
        self._identities_max = identities_max
        self._versions_max = versions_max
        self._chains: OrderedDict[ItemKey, tuple[int, Chain]] = OrderedDict()
        self._versions: OrderedDict[ItemKey, KnownVersion] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        """Identities kept, the chains' own bookkeeping included."""
        return self._weight

    def chain(self, key: ItemKey) -> Chain:
        """Take a chain out, or a new one of which nothing is known; `keep` puts it back."""
        weight, chain = self._chains.pop(key, (0, None))
        self._weight -= weight
        return chain if chain is not None else Chain()

    def keep(self, key: ItemKey, chain: Chain) -> None:
        """Put a chain back as the most recently used, and forget the oldest until all fit."""
        weight = len(chain) + CHAIN_WEIGHT
        self._chains[key] = (weight, chain)
        self._weight += weight
        while self._weight > self._identities_max:
            _, (weight, _) = self._chains.popitem(last=False)
            self._weight -= weight

    def version(self, key: ItemKey) -> KnownVersion | None:
        """What is known of a latest value."""
        return self._versions.get(key)

    def keep_version(self, key: ItemKey, known: KnownVersion) -> None:
        """Remember a latest value's version."""
        self._versions[key] = known
        self._versions.move_to_end(key)
        if len(self._versions) > self._versions_max:
            self._versions.popitem(last=False)

    def forget_chain(self, key: ItemKey) -> None:
        """Drop one chain."""
        weight, _ = self._chains.pop(key, (0, None))
        self._weight -= weight
