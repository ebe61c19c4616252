"""SHELL: Kinesis' JSON protocol: a request becomes an operation with its input, an outcome becomes a response.

(AWS: JSON 1.1 protocol.) The other encoding that Kinesis has, CBOR, is refused in words that say how to do without.
"""

import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.http import Request, Response
from infra.local.kinesis_shapes import OPERATIONS, constraint, invalid
from infra.model.putting import Entry
from infra.model.shard import ReadResult, Shard, StreamRecord
from infra.model.stream_error import StreamError

JSON = "application/x-amz-json-1.1"
_CBOR = "application/x-amz-cbor-1.1"
_PREFIX = "Kinesis_20131202."


def decode(request: Request) -> tuple[str, dict[str, Any]]:
    """Operation and input. Raises StreamError for what is no request of this service."""
    target = request.headers.get("x-amz-target", "")
    operation = target.removeprefix(_PREFIX)
    if not target.startswith(_PREFIX) or operation not in OPERATIONS:
        raise StreamError(
            "UnknownOperationException",
            f"{target or 'A request without X-Amz-Target'} is not an operation of this local Kinesis. It has: "
            f"{', '.join(OPERATIONS)}.",
        )
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if content_type == _CBOR:
        raise StreamError(
            "SerializationException",
            f"{_CBOR} is not spoken by this local Kinesis; set AWS_CBOR_DISABLE=true in the client's environment.",
        )
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise StreamError("SerializationException", "The request body is not JSON.") from None
    if not isinstance(body, dict):
        raise StreamError("SerializationException", "The request body is not a JSON object.")
    return operation, body


def success(output: Mapping[str, Any] | None) -> Response:
    body = b"" if output is None else json.dumps(output, separators=(",", ":")).encode()
    return Response(200, body, {"content-type": JSON, "x-amzn-requestid": str(uuid.uuid4())})


def failure(error: StreamError) -> Response:
    body = json.dumps({"__type": error.code, "message": error.message}).encode()
    status = 500 if error.code == "InternalFailure" else 400
    headers = {"content-type": JSON, "x-amzn-requestid": str(uuid.uuid4()), "x-amzn-errortype": error.code}
    return Response(status, body, headers)


def entries(records: Sequence[Mapping[str, Any]], data_bytes_max: int) -> list[Entry]:
    """The records of PutRecords, whose other members have been checked."""
    return [
        Entry(
            record["PartitionKey"],
            _data(record.get("Data"), data_bytes_max, number),
            int(record["ExplicitHashKey"]) if record.get("ExplicitHashKey") is not None else None,
        )
        for number, record in enumerate(records, 1)
    ]


def entry(body: Mapping[str, Any], data_bytes_max: int) -> Entry:
    """The record of PutRecord."""
    explicit = body.get("ExplicitHashKey")
    return Entry(
        body["PartitionKey"], _data(body.get("Data"), data_bytes_max, None), None if explicit is None else int(explicit)
    )


def _data(text: object, bytes_max: int, number: int | None) -> bytes:
    path = "data" if number is None else f"records.{number}.member.data"
    if text is None:
        raise invalid([constraint("null", path, "Member must not be null")])
    try:
        data = binascii.a2b_base64(text, strict_mode=True)  # type: ignore[arg-type] # another type is the TypeError below
    except (TypeError, ValueError):
        raise StreamError("SerializationException", f"The value at '{path}' can not be converted to a Blob") from None
    if len(data) > bytes_max:
        shown = f"'java.nio.HeapByteBuffer[pos=0 lim={len(data)} cap={len(data)}]'"
        raise invalid([constraint(shown, path, f"Member must have length less than or equal to {bytes_max}")])
    return data


def record(kept: StreamRecord, encryption: Mapping[str, str]) -> dict[str, Any]:
    return {
        "SequenceNumber": str(kept.sequence_number),
        "ApproximateArrivalTimestamp": kept.arrived_at_ms / 1000,
        "Data": binascii.b2a_base64(kept.data, newline=False).decode(),
        "PartitionKey": kept.partition_key,
        **encryption,
    }


def records(result: ReadResult, encryption: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Records": [record(kept, encryption) for kept in result.records],
        "MillisBehindLatest": result.millis_behind_latest,
    }


def hash_key_range(shard: Shard) -> dict[str, str]:
    return {"StartingHashKey": str(shard.first_hash_key), "EndingHashKey": str(shard.last_hash_key)}


def shard(shown: Shard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": str(shown.starting_sequence_number)}
    if shown.ending_sequence_number is not None:
        numbers["EndingSequenceNumber"] = str(shown.ending_sequence_number)
    parents = {"ParentShardId": shown.parent_id, "AdjacentParentShardId": shown.adjacent_parent_id}
    return {
        "ShardId": shown.shard_id,
        **{name: parent for name, parent in parents.items() if parent},
        "HashKeyRange": hash_key_range(shown),
        "SequenceNumberRange": numbers,
    }


def child_shard(shown: Shard) -> dict[str, Any]:
    return {
        "ShardId": shown.shard_id,
        "ParentShards": [parent for parent in (shown.parent_id, shown.adjacent_parent_id) if parent],
        "HashKeyRange": hash_key_range(shown),
    }
