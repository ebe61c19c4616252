"""PURE: the event envelope (CloudEvents 1.0 in JSON). The limits are in limits.py, JSON itself in json_objects.py.

Each way of being no event has its own reason. No detail contains payload text beyond the names of attributes.
"""

import hashlib
import re
from binascii import b2a_base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, cast

from processor.core.errors import Malformed, Reason
from processor.core.json_objects import kind_text, name_text, parse_object, parse_objects
from processor.core.limits import (
    DEPTH_MAX,
    EVENT_BYTES_MAX,
    ID_BYTES_MAX,
    SOURCE_BYTES_MAX,
    SUBJECT_BYTES_MAX,
    TYPE_BYTES_MAX,
    YEAR_END,
    YEAR_FIRST,
)
from processor.core.numbers import is_storable

__all__ = [
    "DEPTH_MAX",
    "EVENT_BYTES_MAX",
    "ID_BYTES_MAX",
    "SOURCE_BYTES_MAX",
    "SUBJECT_BYTES_MAX",
    "TYPE_BYTES_MAX",
    "Event",
    "digest",
    "parse",
    "parse_all",
]

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_get_texts = itemgetter("id", "source", "type", "subject")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_S_END = (datetime(YEAR_END, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
"""RFC 3339, date-time. Left out: leap seconds (second 60; none since 2016) and fractions finer than a nanosecond."""
_NO_TEXT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
"""What CloudEvents forbids in a String (1.0, Type System): control characters, surrogates, noncharacters."""


class Event(NamedTuple):
    """One well-formed event. `time` is as sent, `time_s` whole epoch seconds (floor), `digest` the identity.

    Numbers in `data` are int or Decimal, exact and storable (numbers.py); there is no float.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    time_s: int
    data: dict[str, Any]
    digest: str


def digest(source: str, id: str) -> str:  # noqa: A002 - CloudEvents' own name
    """Return the identity of an event: 64 bits of BLAKE2b as 11 base64url characters without padding.

    The length in front of `source` keeps ("ab", "c") apart from ("a", "bc").
    """
    hashed = hash_of_source(source).copy()
    hashed.update(id.encode())
    return b2a_base64(hashed.digest(), newline=False)[:11].translate(_URL_SAFE).decode()


@lru_cache(maxsize=1_024)  # one source sends many events
def hash_of_source(source: str) -> "hashlib.blake2b":
    """What the identities of all of a source's events begin with: a copy of it, updated by the id, is one's digest."""
    encoded = source.encode()
    return hashlib.blake2b(len(encoded).to_bytes(4, "big") + encoded, digest_size=8)


def parse(data: bytes) -> Event:
    """Return the event in `data`; raise Malformed with the reason why there is none, and nothing else."""
    return _event(parse_object(data))


def parse_all(datas: Sequence[bytes]) -> list[Event | Malformed]:
    """Return for each of `datas` what `parse` would return or raise; much faster than one by one."""
    found: list[Event | Malformed] = []
    for value in parse_objects(datas):
        try:
            found.append(_event(value) if type(value) is dict else cast("Malformed", value))
        except Malformed as bad:
            found.append(bad)
    return found


def _event(envelope: dict[str, Any]) -> Event:
    version = envelope.get("specversion")
    if version != "1.0":
        raise Malformed(Reason.BAD_SPECVERSION, _wrong(envelope, "specversion", "the string 1.0"))
    identity, source, kind, subject = _texts(envelope)
    time = envelope.get("time")
    if type(time) is not str:
        raise Malformed(Reason.BAD_TIME, _wrong(envelope, "time", "an RFC 3339 string"))
    time_s = _time_s(time)
    data = _data(envelope)
    return tuple.__new__(Event, (identity, source, kind, subject, time, time_s, data, digest(source, identity)))


def _texts(envelope: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return id, source, type and subject. Ordinary ones are looked at together, anything else one by one."""
    try:
        texts = identity, source, kind, subject = _get_texts(envelope)
        together = "".join(texts)
    except (KeyError, TypeError):
        return _careful_texts(envelope)
    ordinary = (
        together.isascii()
        and together.isprintable()
        and "#" not in kind
        and 0 < len(identity) <= ID_BYTES_MAX
        and 0 < len(source) <= SOURCE_BYTES_MAX
        and 0 < len(kind) <= TYPE_BYTES_MAX
        and 0 < len(subject) <= SUBJECT_BYTES_MAX
    )
    return texts if ordinary else _careful_texts(envelope)


def _careful_texts(envelope: dict[str, Any]) -> tuple[str, str, str, str]:
    identity = _text(envelope, "id", ID_BYTES_MAX, Reason.MISSING_ID, Reason.BAD_ID)
    source = _text(envelope, "source", SOURCE_BYTES_MAX, Reason.MISSING_SOURCE, Reason.BAD_SOURCE)
    kind = _text(envelope, "type", TYPE_BYTES_MAX, Reason.MISSING_TYPE, Reason.BAD_TYPE)
    if "#" in kind:  # it separates type and subject in `type#subject`: without it there, no two pairs share a key
        raise Malformed(Reason.BAD_TYPE, "type contains '#'")
    subject = _text(envelope, "subject", SUBJECT_BYTES_MAX, Reason.BAD_SUBJECT, Reason.BAD_SUBJECT)
    return identity, source, kind, subject


def _text(envelope: dict[str, Any], name: str, bytes_max: int, missing: Reason, bad: Reason) -> str:
    """Return the attribute `name`, a text of 1 to `bytes_max` bytes of UTF-8 without what CloudEvents forbids."""
    value = envelope.get(name)
    if type(value) is not str:
        raise Malformed(bad if name in envelope else missing, _wrong(envelope, name, "a string"))
    if value.isascii() and value.isprintable():
        size = len(value)
    else:
        found = _NO_TEXT.search(value)
        if found:
            raise Malformed(bad, f"{name} has a forbidden character (U+{ord(found[0]):04X}) at {found.start()}")
        size = len(value.encode())
    if not 0 < size <= bytes_max:
        raise Malformed(bad, f"{name} has {size} bytes, it must have 1 to {bytes_max}")
    return value


def _wrong(envelope: dict[str, Any], name: str, wanted: str) -> str:
    """Say of an attribute that is not what is `wanted` what it is instead."""
    if name not in envelope:
        return f"{name} is missing"
    return f"{name} must be {wanted}, it is {kind_text(envelope[name])}"


def _time_s(value: str) -> int:
    """Return whole epoch seconds, rounded down, of an RFC 3339 date-time."""
    if not _TIME.fullmatch(value):
        raise Malformed(
            Reason.BAD_TIME, f"time ({len(value)} characters) is not RFC 3339 like 2026-11-23T09:00:00.123Z"
        )
    try:
        since = datetime.fromisoformat(value if value[-1] != "z" else value.upper()) - _EPOCH
        time_s = since.days * 86_400 + since.seconds
    except (ValueError, OverflowError):
        raise Malformed(Reason.BAD_TIME, "time names a day that no calendar has") from None
    if not 0 <= time_s < _TIME_S_END:
        raise Malformed(Reason.BAD_TIME, f"time is outside the years {YEAR_FIRST} to {YEAR_END - 1} (UTC)")
    return time_s


def _data(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return `data`; CloudEvents allows to leave it out, and then it is an empty object."""
    data = envelope.get("data")
    if type(data) is not dict:
        if "data" in envelope:
            raise Malformed(Reason.BAD_DATA, _wrong(envelope, "data", "an object"))
        if "data_base64" in envelope:
            raise Malformed(Reason.BAD_DATA, "data_base64 is not read here: send a JSON object as data")
        return {}
    for name, value in data.items():
        if type(value) is not str and type(value) is not Decimal:
            _check_integers(value, name)
    return data


def _check_integers(value: object, name: str) -> None:
    """Refuse an integer that DynamoDB would not store; `name` is the member of `data` that holds it."""
    if type(value) is int:
        if not is_storable(value):
            raise Malformed(Reason.BAD_NUMBER, f"an integer in data ({name_text(name)}) has more than 38 digits")
    elif type(value) is dict:
        for inner in value.values():
            _check_integers(inner, name)
    elif type(value) is list:
        for inner in value:
            _check_integers(inner, name)
