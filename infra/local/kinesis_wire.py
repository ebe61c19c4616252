"""SHELL: Kinesis' protocol: a request becomes an operation with its input, an outcome becomes a response.

Bodies are JSON (AWS: JSON 1.1 protocol) or CBOR, which the SDK for Java prefers; an answer, also an error, comes in the
encoding of its request. In between, outputs have bytes and Instants, which each encoding writes in its way; inputs have
bytes where they came as CBOR, and base64 text where they came as JSON.
"""

import binascii
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from infra.local import cbor, event_stream
from infra.local.cbor import Instant
from infra.local.http import Request, Response
from infra.local.kinesis_check import constraint, invalid, unexpected
from infra.local.kinesis_shapes import OPERATIONS
from infra.model.putting import Entry
from infra.model.shard import ReadResult, Shard, StreamRecord
from infra.model.stream_error import StreamError

_PREFIX = "Kinesis_20131202."


class Encoding(NamedTuple):
    content_type: str
    name: str
    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], bytes]


def _json(output: Any) -> bytes:
    return json.dumps(output, separators=(",", ":"), default=_base64).encode()


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


JSON = Encoding("application/x-amz-json-1.1", "JSON", json.loads, _json)
CBOR = Encoding("application/x-amz-cbor-1.1", "CBOR", cbor.loads, cbor.dumps)


def encoding(request: Request) -> Encoding:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    return CBOR if content_type == CBOR.content_type else JSON


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
    used = encoding(request)
    try:
        body = used.loads(request.body) if request.body else {}
    except (ValueError, RecursionError):
        raise StreamError("SerializationException", f"The request body is not {used.name}.") from None
    if not isinstance(body, dict):
        raise StreamError("SerializationException", f"The request body is not a {used.name} object.")
    return operation, body


def success(output: Mapping[str, Any] | None, used: Encoding = JSON) -> Response:
    body = b"" if output is None else used.dumps(output)
    return Response(200, body, {"content-type": used.content_type, "x-amzn-requestid": str(uuid.uuid4())})


def failure(error: StreamError, used: Encoding = JSON) -> Response:
    body = used.dumps({"__type": error.code, "message": error.message})
    status = 500 if error.code == "InternalFailure" else 400
    request_id = str(uuid.uuid4())
    headers = {"content-type": used.content_type, "x-amzn-requestid": request_id, "x-amzn-errortype": error.code}
    return Response(status, body, headers)


def pushed(messages: AsyncGenerator[bytes, None], used: Encoding = JSON) -> Response:
    """An answer that is an event stream: an empty initial response, then `messages`."""
    first = event_stream.event("initial-response", used.dumps({}), used.content_type)
    headers = {"content-type": event_stream.CONTENT_TYPE, "x-amzn-requestid": str(uuid.uuid4())}
    return Response(200, first, headers, messages)


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
    data = text if isinstance(text, bytes) else _from_base64(text, path)
    if len(data) > bytes_max:
        shown = f"'java.nio.HeapByteBuffer[pos=0 lim={len(data)} cap={len(data)}]'"
        raise invalid([constraint(shown, path, f"Member must have length less than or equal to {bytes_max}")])
    return data


def _from_base64(text: object, path: str) -> bytes:
    if not isinstance(text, str):
        raise StreamError("SerializationException", unexpected("blob", text))
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # AWS shows the text; a payload has no place in a message
        raise StreamError("SerializationException", f"The value at '{path}' can not be converted to a Blob") from None


def record(kept: StreamRecord, encryption: Mapping[str, str]) -> dict[str, Any]:
    return {
        "SequenceNumber": str(kept.sequence_number),
        "ApproximateArrivalTimestamp": Instant(kept.arrived_at_ms / 1000),
        "Data": kept.data,
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
