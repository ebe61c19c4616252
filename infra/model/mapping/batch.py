"""PURE: a batch: consecutive records of one lane that are sent, retried, halved and discarded together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.model.mapping.config import MappingConfig
from infra.model.mapping.documents import Condition, Discarded, Failure
from infra.model.mapping.events import ENVELOPE_BYTES
from infra.model.mapping.windows import Ending, Window, WindowInvoke
from infra.model.stream import StreamRecord


@dataclass(slots=True)
class Batch:
    """`sizes` are the records' bytes in the event. `attempts` are those that count as retries do; `refusals` are the
    throttles and service errors since the last of them, which do not. A part of a batch is a new batch.

    With tumbling windows: its `window`, and if it is the window's last invocation, why (`ending`) and since when it is
    due (`due_s`); it has no records then.
    """

    request_id: str
    records: Sequence[StreamRecord] = field(repr=False)
    sizes: Sequence[int] = field(repr=False)
    attempts: int = 0
    refusals: int = 0
    failure: Failure = Failure.NOT_SENT  # of the last attempt
    ran_version: str = "$LATEST"  # in the last attempt
    window: Window | None = None
    ending: Ending | None = None
    due_s: float = 0.0

    def __len__(self) -> int:
        return len(self.records)

    @property
    def event_bytes(self) -> int:
        return ENVELOPE_BYTES + sum(self.sizes)

    def first(self, count: int, request_id: str) -> "Batch":
        return Batch(request_id, self.records[:count], self.sizes[:count], window=self.window)

    def rest(self, count: int, request_id: str) -> "Batch":
        return Batch(request_id, self.records[count:], self.sizes[count:], window=self.window)

    def expired(self, oldest_ms: float) -> int:
        """How many records at the front arrived before `oldest_ms`."""
        for place, record in enumerate(self.records):
            if record.arrived_at_ms >= oldest_ms:
                return place
        return len(self.records)

    def discarded(
        self,
        config: MappingConfig,
        shard_id: str,
        condition: Condition,
        *,
        at_ms: int,
        object_name: str,
        window: WindowInvoke | None,
    ) -> Discarded:
        """What its document says. The version is the one that the function's ARN names, or to which its alias led."""
        named = config.function_version
        return Discarded(
            mapping_uuid=config.uuid,
            function_arn=config.function_arn,
            function_version=named if named.isdecimal() or named == "$LATEST" else self.ran_version,
            stream_arn=config.event_source_arn,
            shard_id=shard_id,
            request_id=self.request_id,
            condition=condition,
            attempts=self.attempts,
            failure=self.failure,
            discarded_at_ms=at_ms,
            object_name=object_name,
            records=self.records,
            window=window,
        )


def batch_length(sizes: Sequence[int], sizes_sum: int, *, records_max: int, event_bytes_max: int) -> int:
    """How many of the queued records the next batch takes: as many as fit the batch size and the payload quota.

    At least one: a record that is too large alone becomes a batch of its own, which then fails without being sent.
    """
    room = event_bytes_max - ENVELOPE_BYTES
    length = min(records_max, len(sizes))
    taken = sizes_sum if length == len(sizes) else sum(sizes[:length])
    if taken <= room:
        return length
    taken = 0
    for place in range(length):
        taken += sizes[place]
        if taken > room:
            return max(1, place)
    return length
