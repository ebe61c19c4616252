"""PURE: bytes in, JSON objects out; what two readers could understand differently is refused.

Stricter than `json.loads`: UTF-8 only and no half surrogates, no name twice in an object, no NaN or infinity, bounded
size and depth, fractions as exact Decimals. No detail contains payload text beyond the name of a member.
"""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from json import JSONDecodeError
from operator import itemgetter
from typing import Any, NoReturn

from processor.core.errors import Malformed, Reason
from processor.core.limits import DEPTH_MAX, EVENT_BYTES_MAX
from processor.core.numbers import parse_decimal

_OPENING = frozenset(b"{")
_first_byte = itemgetter(0)
_QUICK_BYTES_MAX = 1_024
"""Up to here a text without brackets cannot nest deeper than 256 objects, which no parser minds."""
_SPACE = " \t\n\r"  # JSON's own, less than str.strip() takes
_NESTING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
"""A string as a whole, or one bracket. An unterminated string matches up to the end, so that the scan stays linear."""


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the one JSON object in `data`: size, encoding, nesting, names of members and fractions are checked.

    Raises Malformed. What is left to `parse` is the meaning: the envelope's attributes, and how long integers are.
    """
    quick = _read_quickly([data])
    return quick[0] if quick is not None else _read_carefully(data)


def parse_objects(datas: Sequence[bytes]) -> list[dict[str, Any]] | list[dict[str, Any] | Malformed]:
    """Return for each of `datas` what `parse_object` would return or raise."""
    quick = _read_quickly(datas) if datas else []
    if quick is not None:
        return quick
    found: list[dict[str, Any] | Malformed] = []
    for data in datas:
        try:
            found.append(parse_object(data))
        except Malformed as bad:
            found.append(bad)
    return found


def _read_quickly(datas: Sequence[bytes]) -> list[dict[str, Any]] | None:
    """Return the objects of ordinary small events, all from one scan; None where any of them needs a closer look.

    The texts become one array, with a comma and a line feed between them. Each begins with `{`, none has an opening
    bracket or a backslash. Then the array is valid only if each text is exactly one object: a string open at a text's
    end would hold a line feed, which JSON forbids; an object open there would be followed by `{` where a name must
    stand; and with as many values as texts, none has two.

    Names given twice are found by counting colons, as object_pairs_hook takes half as long again as the scan: each
    member has one colon outside of strings. So there are at least as many as the envelopes and `data` have members and
    surviving strings have colons, and one more for each member that was overwritten by another of its name or lies
    deeper. None too many: no such member.
    """
    count = len(datas)
    try:
        if max(map(len, datas)) > _QUICK_BYTES_MAX or not _OPENING.issuperset(map(_first_byte, datas)):
            return None
        text = (b"[" + b",\n".join(datas) + b"]").decode()
        if "\\" in text or text.find("[", 1) != -1:
            return None
        values, end = _read_plain(text)
        unexplained = text.count(":")
        for value in values:
            inner = value["data"]
            if type(inner) is not dict:
                return None
            unexplained -= len(value) + len(inner) + value["time"].count(":")
    except (ValueError, LookupError, TypeError, AttributeError, Malformed):
        return None  # no JSON, or not of the shape that the arithmetic is about
    if end != len(text) or len(values) != count:
        return None
    if unexplained:  # colons in other strings, as in urn:example:7
        unexplained -= sum(map(_other_colons, values))
    return values if unexplained == 0 else None


def _other_colons(value: dict[str, Any]) -> int:
    others = [member for name, member in value.items() if name != "time" and type(member) is str]
    others += [member for member in value["data"].values() if type(member) is str]
    return sum(member.count(":") for member in others)


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
        raise Malformed(Reason.NOT_OBJECT, f"the JSON text is {kind_text(value)}, not an object")
    if b"\\ud" in data or b"\\uD" in data:
        _check_surrogates(value)
    return value


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
        raise Malformed(Reason.DUPLICATE_KEY, f"an object has two members named {name_text(twice)}")
    return members


def name_text(text: str) -> str:
    """Return the name of a member for a detail: printable ASCII and not long, whatever was sent."""
    return ascii(text)[:80]


def kind_text(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "another string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


_STRICT = json.JSONDecoder(parse_float=_fraction, parse_constant=_constant, object_pairs_hook=_members)
_read_plain = json.JSONDecoder(parse_float=_fraction, parse_constant=_constant).raw_decode
