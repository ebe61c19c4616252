"""PURE: what a mapping asks for, as data. A shell performs it, a simulator fakes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.model.mapping.documents import Discarded, document, object_key
from infra.model.mapping.events import EventEncoder
from infra.model.mapping.positions import AfterSequenceNumber, AtSequenceNumber, Position
from infra.model.mapping.windows import WindowInvoke
from infra.model.stream import StreamRecord


@dataclass(frozen=True, slots=True)
class ListShards:
    """Answer with `shards_listed` or `shards_not_listed`."""


@dataclass(frozen=True, slots=True)
class AwaitRecords:
    """Answer with `stream_changed` when records were put or shards changed (or after any time: it only causes reads).

    It comes before the Reads of the same list: who registers in this order misses no put.
    """


@dataclass(frozen=True, slots=True)
class Read:
    """Answer with `records_read`, `read_throttled` or `read_failed`. One Read per shard is under way at most."""

    shard_id: str
    position: Position
    limit: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """With enhanced fan-out, instead of Read: answer with `records_pushed` as often as there are some, and at the end
    with `subscription_ended`. One per shard is under way at most.
    """

    shard_id: str
    position: Position


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """End the shard's subscription: nothing more is pushed, and `subscription_ended` is the answer to its Subscribe."""

    shard_id: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call the function; answer with `invocation_finished`. `event()` builds the bytes when they are wanted.

    `window` is there with tumbling windows only; the last invocation of a window has no records.
    """

    invocation_id: int
    request_id: str
    function_arn: str
    shard_id: str
    records: Sequence[StreamRecord]
    encoder: EventEncoder = field(repr=False, compare=False)
    window: WindowInvoke | None = None

    def event(self) -> bytes:
        return self.encoder.event(self.shard_id, self.records, self.window)


@dataclass(frozen=True, slots=True)
class Deliver:
    """Send the document of discarded records; answer with `delivered` or `not_delivered`. Failing is final."""

    delivery_id: int
    destination_arn: str
    discarded: Discarded
    encoder: EventEncoder = field(repr=False, compare=False)

    @property
    def key(self) -> str:
        """The object's key for a bucket; empty for a queue or topic."""
        return object_key(self.discarded) if self._to_bucket else ""

    @property
    def _to_bucket(self) -> bool:
        return self.destination_arn.split(":")[2] == "s3"

    def body(self) -> bytes:
        discarded = self.discarded
        if not self._to_bucket:
            return document(discarded)
        return document(discarded, self.encoder.event(discarded.shard_id, discarded.records, discarded.window))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything before `position` is settled: succeeded, or discarded with its document delivered or given up."""

    shard_id: str
    position: AtSequenceNumber | AfterSequenceNumber


@dataclass(frozen=True, slots=True)
class CompleteShard:
    """The shard has ended and all its records are settled: it is never read again, its children may be."""

    shard_id: str


@dataclass(frozen=True, slots=True)
class BeginAnew:
    """Nothing to do, but to be told: the stream is another one of the same name; no earlier Checkpoint holds."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing to do, but to be told: a record whose event is too large for any invocation was tried the first time."""

    shard_id: str
    sequence_number: int | None  # None: it is the window's state that is too large
    event_bytes: int


@dataclass(frozen=True, slots=True)
class Metric:
    """A value to publish: the function's if in FUNCTION_METRICS (IteratorAge is in ms), else the mapping's."""

    name: str
    value: float


FUNCTION_METRICS = frozenset({"IteratorAge", "DestinationDeliveryFailures"})

Command = (
    ListShards
    | AwaitRecords
    | Read
    | Subscribe
    | Unsubscribe
    | Invoke
    | Deliver
    | Checkpoint
    | CompleteShard
    | BeginAnew
    | NotSent
    | Metric
)
