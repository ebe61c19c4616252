"""PURE: what rules return, checked before anything is built on it, and what they raise, told without the payload.

An answer that could never be written (a key too long, a NaN, a reserved attribute) would fail at the table again and
again and block its shard. It is found here, and is the rules' error: `rules_error` for the event.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from types import TracebackType
from typing import Final, NamedTuple, TypeAlias

from processor.core.effects import Add, Latest, Number, Record, Scalar
from processor.core.numbers import is_measure, is_storable, total

ItemKey: TypeAlias = tuple[str, str]

EFFECTS_MAX: Final = 100
"""Effects of one event: more is a rule that does not end."""
PK_BYTES_MAX: Final = 2_048
SK_BYTES_MAX: Final = 1_024
"""AWS: DynamoDB, constraints: partition key and sort key values."""
WINDOW_BYTES_MAX: Final = SK_BYTES_MAX - len("#00001")
AMOUNTS_MAX: Final = 10
"""Each is named three times in a page's write, whose expressions have 4 KB (AWS: DynamoDB, expression length)."""
ATTRIBUTES_MAX: Final = 24
"""Each is set, and may have to be removed, by one statement of that length."""
ITEM_BYTES_MAX: Final = 400 * 1024 - 2_048
"""AWS: DynamoDB, item size 400 KB; the rest is for what the processor adds to an item."""
VERSION_BYTES_MAX: Final = 1_024
ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""What needs no thought inside quotes; names that begin with an underscore are the processor's own."""
RESERVED: Final = frozenset({"pk", "sk", "ids", "events", "expires_at"})

_PAGE_SUFFIX = re.compile(r"#[0-9]{5}\Z")
_NUMBERS = (int, Decimal)
_NUMBER_BYTES = 22
_FRAMES_FIRST = 4
_FRAMES_LAST = 12


class BadEffectError(Exception):
    """The rules returned something that cannot be written; the message names attributes and sizes, no values."""


class Change(NamedTuple):
    """One effect, checked and copied. `kind` tells what an item is: Add, Record, or the type of a Latest's version."""

    kind: type
    key: ItemKey
    values: dict[str, Number] | dict[str, Scalar]
    version: int | str | None


def changes(effects: Iterable[object]) -> list[Change]:
    """Return what an event changes, at most one change per item that it adds to; raise BadEffectError."""
    if type(effects) is list:
        if len(effects) == 1:  # nearly always
            return [_change(effects[0])]
    elif not isinstance(effects, Iterable):
        raise BadEffectError(f"rules returned {type(effects).__name__}, not an iterable of effects")
    checked = [_change(effect) for effect in islice(effects, EFFECTS_MAX + 1)]
    if len(checked) > EFFECTS_MAX:
        raise BadEffectError(f"rules returned more than {EFFECTS_MAX} effects for one event")
    return checked if len(checked) < 2 else _summed(checked)


def _change(effect: object) -> Change:
    if isinstance(effect, Add):
        return _add(effect)
    if isinstance(effect, Record):
        return Change(Record, _item_key(effect), _attributes(effect), None)
    if isinstance(effect, Latest):
        return _latest(effect)
    raise BadEffectError(f"rules returned a {type(effect).__name__} among the effects")


def _summed(checked: list[Change]) -> list[Change]:
    """Two `Add` of one event on one window are one: the page knows the event's identity once."""
    result: list[Change] = []
    adds: dict[ItemKey, dict[str, Number]] = {}
    for change in checked:
        if change.kind is not Add:
            result.append(change)
        elif change.key not in adds:
            adds[change.key] = change.values  # type: ignore[assignment]  # an Add's values are numbers
            result.append(change)
        else:
            amounts = adds[change.key]
            for name, value in change.values.items():
                amounts[name] = total(amounts.get(name, 0), value)  # type: ignore[arg-type]  # the same
            _check_amounts(amounts)
    return result


def _add(effect: Add) -> Change:
    problem = _key_problem(effect.pk, effect.window, WINDOW_BYTES_MAX)
    if problem or "#" in effect.window:
        raise BadEffectError(f"Add: {problem or 'window contains #, which begins the number of a page'}")
    amounts = dict(effect.amounts)
    _check_amounts(amounts)
    return Change(Add, (effect.pk, effect.window), amounts, None)


def _check_amounts(amounts: Mapping[str, Number]) -> None:
    if len(amounts) > AMOUNTS_MAX:
        raise BadEffectError(f"Add: {len(amounts)} amounts, the limit is {AMOUNTS_MAX}")
    problem = _names_problem(*amounts)
    if problem:
        raise BadEffectError(f"Add: {problem}")
    for name, value in amounts.items():
        if type(value) not in _NUMBERS:
            raise BadEffectError(f"Add: {name} is a {type(value).__name__}, not an int or a Decimal")
        if not is_measure(value):
            raise BadEffectError(f"Add: {name} has more digits than a measure may have, or is not finite")


def _latest(effect: Latest) -> Change:
    key = _item_key(effect)
    attributes = _attributes(effect)
    version = effect.version
    if type(version) is int:
        if not is_storable(version):
            raise BadEffectError("Latest: version has more than 38 digits")
    elif type(version) is not str:
        raise BadEffectError(f"Latest: version is a {type(version).__name__}, not an int or a str")
    elif _size(version) > VERSION_BYTES_MAX:
        raise BadEffectError(f"Latest: version has more than {VERSION_BYTES_MAX} bytes")
    if "version" in attributes:
        raise BadEffectError("Latest: the attribute version is the effect's own version")
    return Change(type(version), key, attributes, version)


def _item_key(effect: Record | Latest) -> ItemKey:
    problem = _key_problem(effect.pk, effect.sk, SK_BYTES_MAX)
    if not problem and _PAGE_SUFFIX.search(effect.sk):
        problem = "sk ends like the number of a page (#00001)"
    if problem:
        raise BadEffectError(f"{type(effect).__name__}: {problem}")
    return effect.pk, effect.sk


def _attributes(effect: Record | Latest) -> dict[str, Scalar]:
    kind = type(effect).__name__
    attributes = dict(effect.attributes)
    if len(attributes) > ATTRIBUTES_MAX:
        raise BadEffectError(f"{kind}: {len(attributes)} attributes, the limit is {ATTRIBUTES_MAX}")
    size = _size(effect.pk) + _size(effect.sk)
    problem = _names_problem(*attributes)
    if problem:
        raise BadEffectError(f"{kind}: {problem}")
    for name, value in attributes.items():
        size += len(name) + _scalar_size(kind, name, value)
    if size > ITEM_BYTES_MAX:
        raise BadEffectError(f"{kind}: the item has {size} bytes, the limit is {ITEM_BYTES_MAX}")
    return attributes


def _scalar_size(kind: str, name: str, value: Scalar) -> int:
    if type(value) is str:
        try:
            return _size(value)
        except UnicodeEncodeError:
            raise BadEffectError(f"{kind}: {name} is not valid Unicode") from None
    if value is None or type(value) is bool:
        return 1
    if type(value) not in _NUMBERS:
        raise BadEffectError(f"{kind}: {name} is a {type(value).__name__}, not a str, int, Decimal, bool or None")
    if not is_storable(value):  # type: ignore[arg-type]  # an int or a Decimal by the line above
        raise BadEffectError(f"{kind}: {name} is a number that DynamoDB would not store as it is")
    return _NUMBER_BYTES


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _key_problem(pk: object, sk: object, sk_bytes_max: int) -> str:
    if type(pk) is not str or type(sk) is not str:
        return f"the key is a {type(pk).__name__} and a {type(sk).__name__}, not two strings"
    return _text_key_problem(pk, sk, sk_bytes_max)


@lru_cache(maxsize=4_096)  # a batch has far fewer keys than events
def _text_key_problem(pk: str, sk: str, sk_bytes_max: int) -> str:
    for name, text, bytes_max in (("pk", pk, PK_BYTES_MAX), ("sk", sk, sk_bytes_max)):
        try:
            size = _size(text)
        except UnicodeEncodeError:
            return f"{name} is not valid Unicode"
        if not 0 < size <= bytes_max:
            return f"{name} has {size} bytes, it must have 1 to {bytes_max}"
    return ""


@lru_cache(maxsize=1_024, typed=True)  # rules give the same few names again and again
def _names_problem(*names: object) -> str:
    return next(filter(None, map(_name_problem, names)), "")


def _name_problem(name: object) -> str:
    if type(name) is not str:
        return f"an attribute's name is a {type(name).__name__}"
    if name in RESERVED:
        return f"the attribute {name} is the processor's own"
    if not ATTRIBUTE_NAME.fullmatch(name):
        return f"the attribute name {ascii(name)[:80]} does not match {ATTRIBUTE_NAME.pattern}"
    return ""


def trace(error: BaseException) -> str:
    """Return where `error` was raised: file, line and function of each frame, then the exception's type.

    Neither messages nor source lines nor values: a message may quote the payload (`KeyError: 'jane@example.com'`).
    Bounded: of a deep recursion the first and the last frames are kept.
    """
    places = [
        f"{frame.tb_frame.f_code.co_filename[-200:]}:{frame.tb_lineno} in {frame.tb_frame.f_code.co_name}"
        for frame in _frames(error.__traceback__)
    ]
    hidden = len(places) - _FRAMES_FIRST - _FRAMES_LAST
    if hidden > 0:
        places[_FRAMES_FIRST:-_FRAMES_LAST] = [f"... {hidden} more frames ..."]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    after = f" (after {type(cause).__name__})" if cause else ""
    return "\n".join([*places, type(error).__name__ + after])


def _frames(traceback: TracebackType | None) -> Iterable[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
