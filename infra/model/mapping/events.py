"""PURE: the event that the function gets: its exact bytes, and their number without building them.

Shape as recorded from AWS: no `encryptionType`, no `explicitHashKey`; the shard is named in `eventID` only. A batch is
cut by the size of the *encoded* event, so every record's encoded size is computed once, when it is read.

With a tumbling window the event says its window, the shard and the state as well, in the order recorded from AWS.
"""

from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from json import dumps

from infra.model.mapping.windows import WindowInvoke
from infra.model.stream import StreamRecord

_ENVELOPE = (b'{"Records":[', b"]}")
# `{"Records":[]}` less the comma that the first record does not have: size = this + sum of record sizes.
ENVELOPE_BYTES = len(_ENVELOPE[0]) + len(_ENVELOPE[1]) - 1
_BOOLEANS = (b"false", b"true")


def epoch_seconds(time_ms: int) -> str:
    """Epoch seconds with up to three decimals, no trailing zeros, no point for whole seconds."""
    seconds, rest_ms = divmod(time_ms, 1000)
    return f"{seconds}.{rest_ms:03d}".rstrip("0") if rest_ms else str(seconds)


def epoch_seconds_length(time_ms: int) -> int:
    if 1_000_000_000_000 <= time_ms < 10_000_000_000_000:  # ten digits of seconds: 2001 to 2286
        return 14 if time_ms % 10 else 13 if time_ms % 100 else 12 if time_ms % 1000 else 10
    return len(epoch_seconds(time_ms))


@lru_cache(maxsize=65_536)
def json_string(text: str) -> bytes:
    """UTF-8 JSON; half a surrogate pair, which UTF-8 cannot carry, becomes its escape."""
    return dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")


class EventEncoder:
    """The constant parts of one mapping's events, joined once."""

    def __init__(self, *, event_source_arn: str, region: str, role_arn: str) -> None:
        self._after_id = (
            b'","eventName":"aws:kinesis:record","invokeIdentityArn":'
            + json_string(role_arn)
            + b',"awsRegion":'
            + json_string(region)
            + b',"eventSourceARN":'
            + json_string(event_source_arn)
            + b"}"
        )
        empty = StreamRecord(sequence_number=0, partition_key="", data=b"", arrived_at_ms=0)
        self._event_source_arn = json_string(event_source_arn)
        variable = len(json_string("")) + 2 * len("0") + len(epoch_seconds(0))
        self._fixed_bytes = len(self._record("", empty)) - variable + len(",")

    def fixed_bytes(self, shard_id: str) -> int:
        """Bytes of a record's part of the event that do not depend on the record; its comma included.

        The record adds: its partition key as a JSON string, its sequence number twice, its data in base64
        (`4 * ceil(n / 3)`), and its arrival time (`epoch_seconds_length`).
        """
        return self._fixed_bytes + len(json_string(shard_id)) - 2

    def event(self, shard_id: str, records: Sequence[StreamRecord], window: WindowInvoke | None = None) -> bytes:
        event = _ENVELOPE[0] + b",".join([self._record(shard_id, record) for record in records]) + _ENVELOPE[1]
        return event if window is None else event[:-1] + self.window_part(shard_id, window) + event[-1:]

    def window_part(self, shard_id: str, window: WindowInvoke) -> bytes:
        """What the event has after its records."""
        return b"".join(
            (
                b',"shardId":',
                json_string(shard_id),
                b',"eventSourceARN":',
                self._event_source_arn,
                b',"window":',
                dumps(window.window.plain(), separators=(",", ":")).encode(),
                b',"state":',
                window.state,
                b',"isFinalInvokeForWindow":',
                _BOOLEANS[window.final],
                b',"isWindowTerminatedEarly":',
                _BOOLEANS[window.terminated_early],
            )
        )

    def _record(self, shard_id: str, record: StreamRecord) -> bytes:
        sequence_number = str(record.sequence_number).encode()
        return b"".join(
            (
                b'{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":',
                json_string(record.partition_key),
                b',"sequenceNumber":"',
                sequence_number,
                b'","data":"',
                b2a_base64(record.data, newline=False),
                b'","approximateArrivalTimestamp":',
                epoch_seconds(record.arrived_at_ms).encode(),
                b'},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":',
                json_string(shard_id)[:-1],
                b":",
                sequence_number,
                self._after_id,
            )
        )
