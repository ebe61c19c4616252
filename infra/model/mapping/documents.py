"""PURE: the on-failure destination's document: what was discarded, why, and (for a bucket) the whole event.

AWS: kinesis-on-failure-destination. Key order, compact JSON and three-digit milliseconds as recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from json import dumps

from infra.model.stream import StreamRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Condition(StrEnum):
    RETRIES_EXHAUSTED = "RetryAttemptsExhausted"
    AGE_EXCEEDED = "RecordAgeExceeded"


class Failure(Enum):
    """How the last attempt failed, as the document's `responseContext.functionError` tells it."""

    RAISED = "Unhandled"  # exception, timeout, process exit, response too large
    REPORTED = None  # the function answered: batchItemFailures, or an answer that means failure
    NOT_SENT = ""  # the event is too large to be sent: there is no response


@dataclass(frozen=True, slots=True)
class Discarded:
    """Records that the mapping has given up. Times in ms since the epoch; `object_name` is unique and for buckets."""

    mapping_uuid: str
    function_arn: str
    function_version: str
    stream_arn: str
    shard_id: str
    request_id: str
    condition: Condition
    attempts: int
    failure: Failure
    discarded_at_ms: int
    object_name: str
    records: Sequence[StreamRecord] = field(repr=False)


def _utc(time_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=time_ms)


def timestamp(time_ms: int) -> str:
    """ISO 8601, UTC, always three digits of milliseconds."""
    return f"{_utc(time_ms):%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def object_key(discarded: Discarded) -> str:
    """`aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<unique name>`, UTC."""
    day = _utc(discarded.discarded_at_ms)
    folder = f"aws/lambda/{discarded.mapping_uuid}/{discarded.shard_id}/{day:%Y/%m/%d}"
    return f"{folder}/{day:%Y-%m-%dT%H.%M.%S}-{discarded.object_name}"


def document(discarded: Discarded, event: bytes | None = None) -> bytes:
    """Compact JSON, UTF-8. `event`, the whole original one, becomes a *string* under `payload` (buckets only)."""
    first, last = discarded.records[0], discarded.records[-1]
    content: dict[str, object] = {
        "requestContext": {
            "requestId": discarded.request_id,
            "functionArn": discarded.function_arn,
            "condition": discarded.condition.value,
            "approximateInvokeCount": max(1, discarded.attempts),  # 1 even if the function was never called
        }
    }
    if discarded.condition is Condition.RETRIES_EXHAUSTED and discarded.failure is not Failure.NOT_SENT:
        content["responseContext"] = {
            "statusCode": 200,
            "executedVersion": discarded.function_version,
            "functionError": discarded.failure.value,
        }
    content["version"] = "1.0"
    content["timestamp"] = timestamp(discarded.discarded_at_ms)
    content["KinesisBatchInfo"] = {
        "shardId": discarded.shard_id,
        "startSequenceNumber": str(first.sequence_number),
        "endSequenceNumber": str(last.sequence_number),
        "approximateArrivalOfFirstRecord": timestamp(first.arrived_at_ms),
        "approximateArrivalOfLastRecord": timestamp(last.arrived_at_ms),
        "batchSize": len(discarded.records),
        "streamArn": discarded.stream_arn,
    }
    if event is not None:
        content["payload"] = event.decode()
    return dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
