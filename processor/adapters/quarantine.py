"""SHELL: turns what was set aside into items of the quarantine table; large payloads go to S3 first.

The items ride in the commit (core/commit.py) like every other write: bounded retries, the deadline, and a record that
cannot be kept is reported. The key is the record's position in the stream, so a redelivery finds it kept: once per
malformed user record, whoever delivers it how often. The S3 key is made of the position too, and the object is put
before the item that names it, so that a crash in between is repaired by the redelivery with the same object.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from processor.adapters.tables import error_code
from processor.core.records import KinesisRecord
from processor.core.statements import Insert, Table, Value
from processor.core.works import InsertOnce

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from processor.core.plan import Quarantined

INLINE_MAX_BYTES = 64 * 1024
"""Larger payloads go to S3: 25 items of this size stay far below what one call and one item (400 KB) may have."""

TRACEBACK_MAX_CHARACTERS = 8_000
"""The end of a traceback is the part that says where."""

WHOLE = "whole"
"""Sort key where a whole Kinesis record is set aside; user records have their subsequence number in six digits."""

DAY_S = 86_400


class Quarantine:
    """Prepares quarantined records; `s3` makes (and keeps) the client on first use."""

    def __init__(self, bucket: str, days: int, s3: "Callable[[], S3Client]") -> None:
        self._bucket = bucket
        self._days = days
        self._s3 = s3

    def works(
        self,
        quarantined: "Sequence[Quarantined]",
        records: Sequence[KinesisRecord],
        *,
        stream_arn: str,
        now_s: float,
        out_of_time: Callable[[], bool],
    ) -> tuple[list[tuple["Quarantined", InsertOnce]], dict[int, str]]:
        """Return the items to be inserted, and for records whose payload could not be put to S3 the code why.

        `records` is the batch that `Quarantined.source` indexes; `out_of_time` is asked before each upload.
        """
        works: list[tuple[Quarantined, InsertOnce]] = []
        failed: dict[int, str] = {}
        for bad in quarantined:
            record = records[bad.source]
            pk, sk = position(stream_arn, record, bad)
            item = self._item(bad, record, stream_arn, now_s)
            if len(bad.payload) > INLINE_MAX_BYTES:
                key = f"quarantine/{pk.replace(':', '/')}/{sk}"
                code = "OutOfTime" if out_of_time() else self._put(key, bad.payload)
                if code:
                    failed.setdefault(bad.source, code)
                    continue
                item["payload_s3"] = f"s3://{self._bucket}/{key}"
            else:
                item["payload"] = bad.payload
            works.append((bad, InsertOnce(Insert(Table.QUARANTINE, pk, sk, item), (bad.source,))))
        return works, failed

    def _item(self, bad: "Quarantined", record: KinesisRecord, stream_arn: str, now_s: float) -> dict[str, Value]:
        item: dict[str, Value] = {
            "reason": str(bad.reason),
            "detail": bad.detail,
            "partition_key": bad.partition_key,
            "arrived_at": rfc3339(record.arrived_at_ms),
            "quarantined_at": rfc3339(round(now_s * 1000)),
            "size": len(bad.payload),
            "payload_sha256": hashlib.sha256(bad.payload).hexdigest(),
            "event_source": stream_arn,
            "expires_at": int(now_s) + self._days * DAY_S,
        }
        if bad.traceback is not None:
            item["traceback"] = bad.traceback[-TRACEBACK_MAX_CHARACTERS:]
        return item

    def _put(self, key: str, payload: bytes) -> str:
        try:
            self._s3().put_object(Bucket=self._bucket, Key=key, Body=payload, ContentType="application/octet-stream")
        except (BotoCoreError, ClientError) as error:
            return f"S3{error_code(error)}"
        return ""


def position(event_source_arn: str, record: KinesisRecord, bad: "Quarantined") -> tuple[str, str]:
    """The quarantine table's key of a user record, or of a whole Kinesis record.

    With enhanced fan-out Lambda takes aggregates apart itself, and all their records carry one sequence number: there a
    digest of partition key and payload tells them apart, so only copies that are equal to the byte are kept as one.
    """
    stream, _, consumer = event_source_arn.partition(":stream/")[2].partition("/consumer/")
    sort_key = WHOLE if bad.subsequence_number is None else f"{bad.subsequence_number:06d}"
    if consumer:
        record_bytes = bad.partition_key.encode("utf-8", "surrogatepass") + bytes(1) + bad.payload
        sort_key += f"-{hashlib.sha256(record_bytes).hexdigest()[:32]}"
    return f"{stream}/{record.shard_id}:{record.sequence_number}", sort_key


def rfc3339(epoch_ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 in UTC, such as 2026-11-23T09:00:00.123Z."""
    moment = datetime.fromtimestamp(epoch_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}Z"
