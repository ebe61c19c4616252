"""DRIVER: malformed input of every kind, with the reason under which it must be in quarantine.

A kind spoils one user record between well-formed neighbours, or the data of a whole Kinesis record.
"""

from collections.abc import Callable
from typing import NamedTuple

from processor.core.aggregate_format import MAGIC, AggregatedRecord
from processor.core.packing import frame


class Kind(NamedTuple):
    """`spoil` makes malformed bytes of an event's payload (`whole`: of an aggregate's data).

    `inside`: an aggregate that Lambda takes for whole under enhanced fan-out, and the data of the user records that it
    then hands over under INNER_KEY: of a well-formed event each.
    """

    reason: str
    spoil: Callable[[bytes], bytes]
    whole: bool = False
    inside: Callable[[bytes], tuple[bytes, ...]] | None = None


INNER_KEY = "key"


def _without(name: str) -> Callable[[bytes], bytes]:
    return lambda payload: payload.replace(f'"{name}":'.encode(), b'"other":', 1)


def _with_data(data: bytes) -> Callable[[bytes], bytes]:
    return lambda payload: payload[: payload.index(b'"data":')] + b'"data":' + data + b"}"


def _aggregate(data: bytes, *, key_index: int = 0) -> bytes:
    message = AggregatedRecord()
    message.partition_key_table.append(INNER_KEY)
    message.records.add(partition_key_index=key_index, data=data)
    encoded: bytes = message.SerializeToString()
    return encoded


REFUSED_BY_RULES = (
    Kind("bad_number", _with_data(b'{"bytes":1e30}')),
    Kind("rules_refused", _with_data(b'{"wish":"refuse"}')),
)
"""Nothing before the rules objects to these: identity and time are a well-formed event's."""

KINDS = (
    Kind("empty", lambda _: b""),
    Kind("not_utf8", lambda payload: payload[:-3] + b'\xc3\x28"}}'),
    Kind("not_json", lambda payload: payload[: len(payload) // 2]),
    Kind("not_object", lambda payload: b"[" + payload + b"]"),
    Kind("duplicate_key", lambda payload: payload[:-1] + b',"id":"another"}'),
    Kind("missing_id", _without("id")),
    Kind("missing_source", _without("source")),
    Kind("bad_time", lambda payload: payload.replace(b'"time":"', b'"time":"about ', 1)),
    Kind("bad_data", _with_data(b"[1,2,3]")),
    Kind("not_finite", _with_data(b'{"bytes":NaN}')),
    Kind("too_deep", _with_data(b'{"deep":' + b"[" * 40 + b"]" * 40 + b"}")),
    Kind("bad_number", _with_data(b'{"bytes":' + b"9" * 40 + b"}")),
    *REFUSED_BY_RULES,
    Kind("rules_error", _with_data(b'{"wish":"fail"}')),
    Kind("digest", lambda data: frame(_aggregate(data))[:-1], whole=True),
    Kind("protobuf", lambda data: frame(_aggregate(data)[:-7]), whole=True),
    Kind("key_index", lambda data: frame(_aggregate(data, key_index=7)), whole=True),
    Kind("empty_aggregate", lambda _: frame(b""), whole=True, inside=lambda _: ()),
    Kind(
        "nested_aggregate",
        lambda data: frame(_aggregate(frame(_aggregate(data)))),
        whole=True,
        inside=lambda data: (frame(_aggregate(data)),),
    ),
    Kind(
        "trailing_bytes",
        lambda data: frame(_aggregate(data) + b"\x7a\x03abc"),
        whole=True,
        inside=lambda data: (data,),
    ),
    Kind("digest", lambda _: MAGIC, whole=True),
)
