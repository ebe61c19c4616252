"""PURE: the on-failure destination's document: what was discarded, why, and (for a bucket) the whole event.

AWS: kinesis-on-failure-destination. Key order, compact JSON and three-digit milliseconds as recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from json import dumps

from infra.model.mapping.windows import WindowInvoke
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
    """Records that the mapping has given up. Times in ms since the epoch; `object_name` is unique and for buckets.

    With tumbling windows also a window's last invocation, which has no records.
    """

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
    window: WindowInvoke | None = field(default=None, repr=False)


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
    if event is not None:
        content["payload"] = event.decode()
    content["timestamp"] = timestamp(discarded.discarded_at_ms)
    content["KinesisBatchInfo"] = _batch_info(discarded)
    if discarded.window is not None:
        content["timeWindowInfo"] = {
            "window": discarded.window.window.plain(),
            "isFinalInvokeForWindow": discarded.window.final,
            "isWindowTerminatedEarly": discarded.window.terminated_early,
        }
    return dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _batch_info(discarded: Discarded) -> dict[str, object]:
    info: dict[str, object] = {"shardId": discarded.shard_id}
    if discarded.records:
        first, last = discarded.records[0], discarded.records[-1]
        info["startSequenceNumber"] = str(first.sequence_number)
        info["endSequenceNumber"] = str(last.sequence_number)
        info["approximateArrivalOfFirstRecord"] = timestamp(first.arrived_at_ms)
        info["approximateArrivalOfLastRecord"] = timestamp(last.arrived_at_ms)
        info["batchSize"] = len(discarded.records)
    info["streamArn"] = discarded.stream_arn
    return info
