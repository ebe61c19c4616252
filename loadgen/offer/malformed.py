"""PURE: every kind of malformed input that a run can send, each with the quarantine reason it must end with.

A kind either spoils one user record (it travels in an aggregate between well-formed neighbours, which must not suffer),
or the data of a whole Kinesis record (`whole`), which then travels alone.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from processor.core.aggregate_format import AggregatedRecord
from processor.core.errors import Reason
from processor.core.events import DEPTH_MAX, EVENT_BYTES_MAX
from processor.core.packing import frame


class Kind(NamedTuple):
    """`spoil(partition key, well-formed payload)` returns the malformed bytes."""

    name: str
    reason: Reason
    whole: bool
    spoil: Callable[[str, bytes], bytes]


def _aggregate(partition_key: str, payload: bytes, *, key_index: int = 0) -> bytes:
    message = AggregatedRecord()
    message.partition_key_table.append(partition_key)
    message.records.add(partition_key_index=key_index, data=payload)
    encoded: bytes = message.SerializeToString()
    return encoded


def _bad_digest(key: str, payload: bytes) -> bytes:
    aggregate = frame(_aggregate(key, payload))
    return aggregate[:-1] + bytes([aggregate[-1] ^ 0xFF])


def _truncated(key: str, payload: bytes) -> bytes:
    return frame(_aggregate(key, payload)[:-7])


def _trailing(key: str, payload: bytes) -> bytes:
    return frame(_aggregate(key, payload) + b"\x7a\x03abc")  # field 15, which the format does not have


def _whole(name: str, reason: Reason, spoil: Callable[[str, bytes], bytes]) -> Kind:
    return Kind(name, reason, True, spoil)


def _user(name: str, reason: Reason, spoil: Callable[[bytes], bytes]) -> Kind:
    return Kind(name, reason, False, lambda _, payload: spoil(payload))


def _edited(name: str, reason: Reason, edit: Callable[[dict[str, Any]], object]) -> Kind:
    def spoil(payload: bytes) -> bytes:
        event: dict[str, Any] = json.loads(payload)
        edit(event)
        return json.dumps(event, separators=(",", ":")).encode()

    return _user(name, reason, spoil)


def _with_data(name: str, reason: Reason, data: bytes) -> Kind:
    return _user(name, reason, lambda payload: payload[: payload.index(b'"data":')] + b'"data":' + data + b"}")


DEEP = b"[" * (DEPTH_MAX + 8) + b"]" * (DEPTH_MAX + 8)

KINDS: tuple[Kind, ...] = (
    _whole("bad_digest", Reason.DIGEST, _bad_digest),
    _user("zeros", Reason.NOT_JSON, lambda payload: bytes(len(payload))),
    _whole("truncated_protobuf", Reason.PROTOBUF, _truncated),
    _user("not_utf8", Reason.NOT_UTF8, lambda payload: payload[:-3] + b'\xc3\x28"}}'),
    _whole("key_index", Reason.KEY_INDEX, lambda key, payload: frame(_aggregate(key, payload, key_index=7))),
    _user("array", Reason.NOT_OBJECT, lambda payload: b"[" + payload + b"]"),
    _whole("empty_aggregate", Reason.EMPTY_AGGREGATE, lambda _key, _payload: frame(b"")),
    _edited("missing_id", Reason.MISSING_ID, lambda event: event.pop("id")),
    _whole(
        "nested_aggregate",
        Reason.NESTED_AGGREGATE,
        lambda key, payload: frame(_aggregate(key, frame(_aggregate(key, payload)))),
    ),
    _edited("bad_time", Reason.BAD_TIME, lambda event: event.update(time="yesterday, about noon")),
    _whole("trailing_bytes", Reason.TRAILING_BYTES, _trailing),
    _with_data("not_finite", Reason.NOT_FINITE, b'{"bytes":NaN}'),
    _with_data("too_deep", Reason.TOO_DEEP, b'{"deep":' + DEEP + b"}"),
    _edited("long_subject", Reason.BAD_SUBJECT, lambda event: event.update(subject="s" * 2048)),
    _user("empty", Reason.EMPTY, lambda _payload: b""),
    _with_data("long_number", Reason.BAD_NUMBER, b'{"bytes":' + b"9" * 40 + b"}"),
    _user("half_a_json", Reason.NOT_JSON, lambda payload: payload[: len(payload) // 2]),
    _user("duplicate_key", Reason.DUPLICATE_KEY, lambda payload: payload[:-1] + b',"id":"another"}'),
    _edited("missing_source", Reason.MISSING_SOURCE, lambda event: event.pop("source")),
    _edited("missing_type", Reason.MISSING_TYPE, lambda event: event.pop("type")),
    _edited("specversion", Reason.BAD_SPECVERSION, lambda event: event.update(specversion="0.3")),
    _with_data("data_is_a_list", Reason.BAD_DATA, b"[1,2,3]"),
    _user("too_large", Reason.TOO_LARGE, lambda payload: payload + b" " * (EVENT_BYTES_MAX + 1 - len(payload))),
)

# A user record over the limit is 256 KiB: sent as often as the other kinds it would be a quarter of a shard's quota at
# 1 % malformed and 2,500 events/s, so only every so many rounds through the kinds have one.
ROUNDS_WITHOUT_LARGE = 20


def kind_at(number: int) -> Kind:
    """The kind of a run's n-th malformed input (from 0): all in turn, the large one in every 20th round only."""
    rounds, place = divmod(number, len(KINDS))
    kind = KINDS[place]
    return KINDS[0] if kind.name == "too_large" and rounds % ROUNDS_WITHOUT_LARGE else kind
