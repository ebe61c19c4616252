"""DRIVER: what leaves a mapping for its on-failure destination, and what becomes of it."""

import json

from infra.model.mapping import Deliver, MappingConfig
from infra.sim.attempts import AttemptBook
from infra.sim.batching import Batching
from infra.sim.documents import check_document
from infra.sim.seen import Put, SeenShard
from infra.sim.settling import Settling
from infra.sim.violation import Violation
from infra.sim.windowing import Windowing


class Discarding:
    """`documents` are those that the destination has, `dropped` the records of those that it refused."""

    def __init__(
        self,
        shards: dict[str, SeenShard],
        attempts: AttemptBook,
        batching: Batching,
        settling: Settling,
        windowing: Windowing | None,
    ) -> None:
        self._shards, self._attempts, self._batching = shards, attempts, batching
        self._settling, self._windowing = settling, windowing
        self.documents = 0
        self.dropped = 0

    def delivers(self, now: float, config: MappingConfig, deliver: Deliver, body: bytes) -> None:
        """A document leaves for the destination."""
        found = json.loads(body)
        attempts = self._attempts.of(found["requestContext"]["requestId"])
        check_document(now, config, deliver, found, attempts)
        aged = found["requestContext"]["condition"] == "RecordAgeExceeded"
        self._batching.given_up(self._puts(deliver), self._shards[deliver.discarded.shard_id], aged=aged)

    def in_document(self, deliver: Deliver) -> None:
        """The destination has the document, whether or not the mapping hears of it."""
        self.documents += 1
        for put in self._puts(deliver):
            put.excused = True

    def has_delivered(self, deliver: Deliver, *, delivered: bool) -> None:
        """The mapping was told."""
        puts = self._puts(deliver)
        if not delivered:
            self.dropped += len(puts)
            for put in puts:
                put.excused = True
        self._settling.settle(puts)
        window = deliver.discarded.window
        if window is not None and window.final and self._windowing is not None:
            self._windowing.over(deliver.discarded.shard_id, early=window.terminated_early)

    def _puts(self, deliver: Deliver) -> list[Put]:
        shard = self._shards[deliver.discarded.shard_id]
        puts = []
        for record in deliver.discarded.records:
            put = shard.find(record)
            if put is None:
                raise Violation(
                    "documents", f"record {record.sequence_number} of {shard.shard_id} is not one of those put"
                )
            puts.append(put)
        return puts
