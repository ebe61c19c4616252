"""PURE: the event envelope (CloudEvents 1.0 in JSON) and every limit on it, stated here and enforced at every door.

`parse` is strict: what two readers could understand differently is not an event. Two members of one name, a number
that does not survive, a lone surrogate, a time without an offset: each has its own reason. No detail contains payload
text beyond the names of attributes.
"""

import hashlib
import json
import re
from binascii import b2a_base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import JSONDecodeError
from typing import Any, Final, NamedTuple, NoReturn

from processor.core.errors import Malformed, Reason
from processor.core.numbers import is_storable, parse_decimal

EVENT_BYTES_MAX: Final = 256 * 1024
"""What SNS and EventBridge carry too; CloudEvents asks every intermediary for at least 64 KB."""
DEPTH_MAX: Final = 32
"""Objects and arrays inside each other, the envelope being the first. AWS: DynamoDB, nested attribute depth."""
ID_BYTES_MAX: Final = 256
"""Room for two UUIDs and a path; nothing of it is stored but the digest."""
SOURCE_BYTES_MAX: Final = 1_100
"""Room for s3://bucket/key: 63 characters of bucket and 1,024 bytes of key (AWS: S3, naming objects)."""
TYPE_BYTES_MAX: Final = 128
SUBJECT_BYTES_MAX: Final = 256
"""`type#subject` is the partition key of a page that should fit one write unit of 1,024 bytes with its identities."""
YEAR_FIRST: Final = 1970
YEAR_END: Final = 2200
"""Years from 1970 (epoch 0) up to, not including, 2200: Go's zero time (year 1) and SQL's end of time (9999) are no
times, and the window of a legal one always has a four-digit year."""

_QUICK_BYTES_MAX = 1_024
"""Up to here a text without brackets cannot nest deeper than 256 objects, which no parser minds."""
_SPACE = " \t\n\r"  # JSON's own, less than str.strip() takes
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
_NESTING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
"""A string as a whole, or one bracket. An unterminated string matches up to the end, so that the scan stays linear."""


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
    encoded = source.encode()
    hashed = hashlib.blake2b(len(encoded).to_bytes(4, "big") + encoded + id.encode(), digest_size=8).digest()
    return b2a_base64(hashed, newline=False)[:11].decode().replace("+", "-").replace("/", "_")


def parse(data: bytes) -> Event:
    """Return the event in `data`; raise Malformed with the reason why there is none, and nothing else."""
    return _event(parse_object(data))


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the one JSON object in `data`: size, encoding, nesting, names of members and fractions are checked.

    Raises Malformed. What is left to `parse` is the meaning: the envelope's attributes, and how long integers are.
    """
    if len(data) <= _QUICK_BYTES_MAX:
        value = _read_quickly(data)
        if value is not None:
            return value
    return _read_carefully(data)


def _read_quickly(data: bytes) -> dict[str, Any] | None:
    """Return the object of an ordinary small event, None where a closer look is needed.

    Looking at every member by object_pairs_hook takes half as long again as the parsing. Counting colons is as sound:
    each member has one outside of strings, and nothing is escaped. So the text has at least as many colons as the
    envelope and `data` have members and surviving strings have colons; and one more for each member that was
    overwritten by another of the same name, or that lies deeper. No colon too many: no such member.
    """
    try:
        text = data.decode()
        if "\\" in text or "[" in text:
            return None
        value, end = _read_plain(text)
    except ValueError:
        return None
    if end != len(text) or type(value) is not dict:
        return None
    unexplained = text.count(":") - len(value)
    inner = value.get("data")
    if type(inner) is dict:
        unexplained -= len(inner)
    time = value.get("time")
    if type(time) is str:
        unexplained -= time.count(":")
    if unexplained:  # rarely: then colons in other strings, as in urn:example:7
        strings = [member for name, member in value.items() if name != "time" and type(member) is str]
        if type(inner) is dict:
            strings += [member for member in inner.values() if type(member) is str]
        unexplained -= sum(member.count(":") for member in strings)
    return value if unexplained == 0 else None


def _read_carefully(data: bytes) -> dict[str, Any]:
    """Return the object in any text, or raise Malformed with the precise reason."""
    size = len(data)
    if size == 0:
        raise Malformed(Reason.EMPTY, "no bytes at all")
    if size > EVENT_BYTES_MAX:
        raise Malformed(Reason.TOO_LARGE, f"{size} bytes, the limit is {EVENT_BYTES_MAX}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed(Reason.NOT_UTF8, f"byte {error.start} of {size} is not UTF-8") from None
    if data.count(b"{") + data.count(b"[") > DEPTH_MAX:
        _check_depth(data)
    value = _scan(text)
    if type(value) is not dict:
        raise Malformed(Reason.NOT_OBJECT, f"the JSON text is {_kind(value)}, not an object")
    if b"\\ud" in data or b"\\uD" in data:
        _check_surrogates(value)
    return value


def _event(envelope: dict[str, Any]) -> Event:
    version = envelope.get("specversion")
    if version != "1.0":
        raise Malformed(Reason.BAD_SPECVERSION, f"specversion must be the string 1.0, it is {_kind(version)}")
    identity = _text(envelope, "id", ID_BYTES_MAX, Reason.MISSING_ID, Reason.BAD_ID)
    source = _text(envelope, "source", SOURCE_BYTES_MAX, Reason.MISSING_SOURCE, Reason.BAD_SOURCE)
    kind = _text(envelope, "type", TYPE_BYTES_MAX, Reason.MISSING_TYPE, Reason.BAD_TYPE)
    if "#" in kind:  # it separates type and subject in `type#subject`: without it there, no two pairs share a key
        raise Malformed(Reason.BAD_TYPE, "type contains '#'")
    subject = _text(envelope, "subject", SUBJECT_BYTES_MAX, Reason.BAD_SUBJECT, Reason.BAD_SUBJECT)
    time = envelope.get("time")
    time_s = _time_s(time)
    data = _data(envelope)
    return tuple.__new__(Event, (identity, source, kind, subject, time, time_s, data, digest(source, identity)))


def _text(envelope: dict[str, Any], name: str, bytes_max: int, missing: Reason, bad: Reason) -> str:
    """Return the attribute `name`, a text of 1 to `bytes_max` bytes of UTF-8 without what CloudEvents forbids."""
    value = envelope.get(name)
    if type(value) is not str:
        if name not in envelope:
            raise Malformed(missing, f"{name} is missing")
        raise Malformed(bad, f"{name} must be a string, it is {_kind(value)}")
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


def _time_s(value: object) -> int:
    """Return whole epoch seconds, rounded down, of an RFC 3339 date-time."""
    if type(value) is not str:
        raise Malformed(Reason.BAD_TIME, f"time must be an RFC 3339 string, it is {_kind(value)}")
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
            raise Malformed(Reason.BAD_DATA, f"data must be an object, it is {_kind(data)}")
        if "data_base64" in envelope:
            raise Malformed(Reason.BAD_DATA, "data_base64 is not read here: send a JSON object as data")
        return {}
    for name, value in data.items():
        if type(value) is not str:
            _check_integers(value, name)
    return data


def _check_integers(value: object, name: str) -> None:
    """Refuse an integer that DynamoDB would not store; `name` is the member of `data` that holds it."""
    if type(value) is int:
        if not is_storable(value):
            raise Malformed(Reason.BAD_NUMBER, f"an integer in data ({_name(name)}) has more than 38 digits")
    elif type(value) is dict:
        for inner in value.values():
            _check_integers(inner, name)
    elif type(value) is list:
        for inner in value:
            _check_integers(inner, name)


def _check_depth(data: bytes) -> None:
    """Refuse deep nesting before anything recursive reads it; brackets inside of strings do not count."""
    depth = 0
    for match in _NESTING.finditer(data):
        found = match[0]
        if found in (b"{", b"["):
            depth += 1
            if depth > DEPTH_MAX:
                raise Malformed(Reason.TOO_DEEP, f"more than {DEPTH_MAX} levels at byte {match.start()}")
        elif found in (b"}", b"]"):
            depth -= 1


def _check_surrogates(value: dict[str, Any]) -> None:
    """Refuse an escaped half of a surrogate pair: it is a string that cannot be written out again as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise Malformed(Reason.NOT_UTF8, "a string has an escaped surrogate without its other half") from None


def _scan(text: str) -> Any:
    """Return the JSON value that `text` is, with nothing but JSON's own blanks around it."""
    text = text.lstrip(_SPACE)
    try:
        value, end = _STRICT.raw_decode(text)
    except JSONDecodeError as error:
        what = error.msg.partition(":")[0]
        raise Malformed(Reason.NOT_JSON, f"{what} (character {error.pos} of {len(text)})") from None
    except ValueError:  # int() takes no more than sys.get_int_max_str_digits() digits
        raise Malformed(Reason.BAD_NUMBER, "an integer has thousands of digits, 38 can be stored") from None
    if end != len(text) and text[end:].strip(_SPACE):
        raise Malformed(Reason.NOT_JSON, f"more text after the JSON value (character {end} of {len(text)})")
    return value


def _fraction(text: str) -> Decimal:
    value = parse_decimal(text)
    if value is None:
        raise Malformed(
            Reason.BAD_NUMBER, f"a number of {len(text)} characters does not fit 38 digits, 1E-130 to 1E126"
        )
    return value


def _constant(name: str) -> NoReturn:
    raise Malformed(Reason.NOT_FINITE, f"{name} is not a JSON number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Malformed(Reason.DUPLICATE_KEY, f"an object has two members named {_name(twice)}")
    return members


def _name(text: str) -> str:
    """Return the name of a member for a detail: printable ASCII and not long, whatever was sent."""
    return ascii(text)[:80]


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "another string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


_STRICT = json.JSONDecoder(parse_float=_fraction, parse_constant=_constant, object_pairs_hook=_members)
_read_plain = json.JSONDecoder(parse_float=_fraction, parse_constant=_constant).raw_decode
