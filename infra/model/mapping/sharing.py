"""PURE: the mappings that poll the same shards, so that each keeps to its part of a shard's five reads per second.

AWS publishes neither whether its pollers know of each other nor how they come back after a refusal (facts 2.17, 9.1).
Polling on a beat of their own, those that come just before the others would take all the reads, for ever.
"""

from collections import defaultdict


class Sharing:
    """One for all mappings of an account: whoever polls a shard enters it. With fan-out nobody does."""

    def __init__(self) -> None:
        self._pollers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def enter(self, stream_arn: str, shard_id: str, mapping_uuid: str) -> None:
        self._pollers[stream_arn, shard_id].add(mapping_uuid)

    def leave(self, stream_arn: str, shard_id: str, mapping_uuid: str) -> None:
        """Also for one that never entered."""
        pollers = self._pollers.get((stream_arn, shard_id), set())
        pollers.discard(mapping_uuid)
        if not pollers:
            self._pollers.pop((stream_arn, shard_id), None)

    def pollers(self, stream_arn: str, shard_id: str) -> int:
        """1 for a shard that nobody has entered: whoever asks."""
        return len(self._pollers.get((stream_arn, shard_id), ())) or 1
