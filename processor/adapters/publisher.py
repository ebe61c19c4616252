"""SHELL: events onto the stream. Aggregates per lane, puts, resends only what failed, answers for every event.

    publisher = Publisher(kinesis_client(region="us-east-1"), "stream-processor-events")
    for outcome in publisher.publish([("customer-7", b'{"specversion": "1.0", ...}')]):
        ...  # Accepted(shard_id, sequence_number, subsequence_number) or Rejected(reason, detail, uncertain)

What is packed together is decided in `processor.core.packing` (with why lanes have names and the KPL's constant outer
key is not used), what is resent and when in `processor.core.resend`. No threads: `publish` makes one call after the
other. A caller that wants several calls in flight owns an `Outbox` and uses `PutRecords` from its own threads.
"""

import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from botocore.config import Config
from botocore.session import Session

from processor.adapters import clients
from processor.adapters.put_records import PutRecords
from processor.core.packing import Packer, PackingSettings, UnpackableError
from processor.core.resend import Acknowledged, Outbox, RetryPolicy, Settled

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


__all__ = ["Accepted", "Outcome", "Publisher", "PutRecords", "Rejected", "kinesis_client"]


class Accepted(NamedTuple):
    """The event is in the stream at this position. `subsequence_number` is 0 for a record that is no aggregate."""

    shard_id: str
    sequence_number: str
    subsequence_number: int


class Rejected(NamedTuple):
    """The event was given up.

    `reason`: `event_too_large`, `bad_partition_key`, `nested_aggregate` (packing.check), `HeldBack` (an earlier event
    of its lane failed), `DeadlineExceeded`, or the AWS error code or exception name of the last attempt. `uncertain`:
    it may be in the stream all the same; sending it again is safe because consumers know it by its identity.
    """

    reason: str
    detail: str
    uncertain: bool


Outcome: TypeAlias = Accepted | Rejected


def kinesis_client(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    connections: int = 1,
    read_timeout_s: float = 10.0,
    session: Session | None = None,
) -> "KinesisClient":
    """A client whose own retries are off: it would resend whole calls, and hide how often.

    `session`: whose region and credentials to use (default: the process's own, from the usual chain).
    """
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=5,
        read_timeout=read_timeout_s,
        max_pool_connections=connections,
        tcp_keepalive=True,
    )
    made: Any = (session or clients.session()).create_client(
        "kinesis", region_name=region, endpoint_url=endpoint_url, config=config
    )
    client: KinesisClient = made
    return client


class Publisher:
    """Publishes batches of events in order per partition key."""

    def __init__(
        self,
        client: "KinesisClient",
        stream_name: str,
        packing: PackingSettings | None = None,
        retry: RetryPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._put = PutRecords(client, stream_name)
        self._packing, self._retry = packing or PackingSettings(), retry or RetryPolicy()
        self._clock, self._sleep, self._jitter = clock, sleep, jitter

    def publish(self, events: Iterable[tuple[str, bytes]]) -> list[Outcome]:
        """Send (partition key, data) pairs; returns one outcome per event, in the order given.

        Returns when every event is accepted or given up, at the latest `retry.deadline_s` after the call plus the one
        PutRecords call that is under way then. Never raises for what Kinesis answers.
        """
        outcomes: dict[int, Outcome] = {}
        packer: Packer[int] = Packer(self._packing)
        outbox: Outbox[int] = Outbox(self._retry)
        now_s = self._clock()
        for index, (partition_key, data) in enumerate(events):
            try:
                for record in packer.add(partition_key, data, index, now_s):
                    outbox.add(record, now_s)
            except UnpackableError as error:
                outcomes[index] = Rejected(error.reason, error.detail, uncertain=False)
        for record in packer.flush():
            outbox.add(record, now_s)
        while outbox.records:
            now_s = self._clock()
            taken, expired = outbox.take(now_s)
            outcomes.update(pair for settled in expired for pair in per_event(settled))
            if not taken:
                wake_at_s = outbox.wake_at()
                if wake_at_s is not None:
                    self._sleep(max(0.0, wake_at_s - now_s))
                continue
            reply = self._put(taken)
            for settled in outbox.settle(taken, reply, self._clock(), self._jitter()):
                outcomes.update(per_event(settled))
        return [outcomes[index] for index in range(len(outcomes))]


def per_event(settled: Settled[int]) -> Iterable[tuple[int, Outcome]]:
    """The outcome of a record as one outcome per event in it."""
    members, outcome = settled.entry.record.members, settled.outcome
    if isinstance(outcome, Acknowledged):
        return [(tag, Accepted(outcome.shard_id, outcome.sequence_number, i)) for i, tag in enumerate(members)]
    return [(tag, Rejected(*outcome)) for tag in members]
