"""SHELL: CBOR (RFC 8949) as far as Kinesis' clients use it: maps, lists, text, bytes, numbers, booleans, null, times.

AWS's SDK for Java and everything built on it (KCL, KPL) speak `application/x-amz-cbor-1.1` to Kinesis. They write maps,
lists and strings of indefinite length, and times as tag 1 with *milliseconds*; both are read here, and times are
written that way. Written are definite lengths only. Times are Instant (epoch seconds) on this side.
"""

import struct
from typing import Any

_TIME_TAG = 1
_DEPTH_MAX = 32  # the API's deepest input has five levels
_BREAK = object()
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


class Instant(float):
    """A time in epoch seconds. JSON writes it as the number it is."""

    __slots__ = ()


def loads(encoded: bytes) -> Any:
    """One data item that takes up all of `encoded`; ValueError for anything else."""
    reader = _Reader(encoded)
    try:
        value = reader.item(0)
    except (struct.error, IndexError, OverflowError) as error:
        raise ValueError(f"the CBOR ends too early or is out of range: {error}") from None
    if value is _BREAK or reader.at != len(encoded):
        raise ValueError("the CBOR is not one whole data item")
    return value


class _Reader:
    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self.at = 0

    def item(self, depth: int) -> Any:
        if depth > _DEPTH_MAX:
            raise ValueError("the CBOR is nested too deeply")
        head = self.encoded[self.at]
        self.at += 1
        major, low = head >> 5, head & 31
        if major == 7:
            return self._simple(low)
        size = self._argument(low)
        if major == 0 or (major == 1 and size is not None):
            return self._definite(size) if major == 0 else -1 - self._definite(size)
        if major in (2, 3):
            raw = self._chunks(major) if size is None else self._take(size)
            return raw if major == 2 else raw.decode()
        if major == 4:
            return self._list(size, depth)
        if major == 5:
            return self._map(size, depth)
        return self._tagged(self._definite(size), depth)

    def _argument(self, low: int) -> int | None:
        """The number in or behind the first byte; None for an indefinite length."""
        if low < 24:
            return low
        if low == 31:
            return None
        if low > 27:
            raise ValueError(f"additional information {low} is not CBOR")
        size: int = 1 << (low - 24)
        return int.from_bytes(self._take(size), "big")

    def _definite(self, size: int | None) -> int:
        if size is None:
            raise ValueError("a number of indefinite length is not CBOR")
        return size

    def _take(self, size: int) -> bytes:
        taken = self.encoded[self.at : self.at + size]
        if len(taken) != size:
            raise ValueError("the CBOR ends too early")
        self.at += size
        return taken

    def _chunks(self, major: int) -> bytes:
        chunks = []
        while (head := self._take(1)[0]) != 0xFF:
            size = self._argument(head & 31)
            if head >> 5 != major or size is None:
                raise ValueError("a string's chunks must be strings of its kind")
            chunks.append(self._take(size))
        return b"".join(chunks)

    def _list(self, size: int | None, depth: int) -> list[Any]:
        if size is None:
            items = []
            while (item := self.item(depth + 1)) is not _BREAK:
                items.append(item)
            return items
        return [self._inner(depth) for _ in range(size)]

    def _map(self, size: int | None, depth: int) -> dict[Any, Any]:
        found = {}
        left = -1 if size is None else size
        while left:
            key = self.item(depth + 1)
            if key is _BREAK and size is None:
                break
            if not isinstance(key, str):
                raise ValueError("a map's keys must be text")
            found[key] = self._inner(depth)
            left -= 1
        return found

    def _inner(self, depth: int) -> Any:
        item = self.item(depth + 1)
        if item is _BREAK:
            raise ValueError("a break where a value is due is not CBOR")
        return item

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self._inner(depth)
        if tag != _TIME_TAG:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("a time must be a number")
        return Instant(value / 1000)

    def _simple(self, low: int) -> Any:
        if low == 31:
            return _BREAK
        if low in _FLOATS:
            return struct.unpack(_FLOATS[low], self._take(1 << (low - 24)))[0]
        if low not in _SIMPLE:
            raise ValueError(f"simple value {low} is not known")
        return _SIMPLE[low]


def dumps(value: Any) -> bytes:
    """Encodes what `loads` returns; TypeError for another type."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes((major << 5 | low,)) + number.to_bytes(size, "big")
    raise ValueError(f"{number} is too large for CBOR's integers")


def _write(value: Any, parts: list[bytes]) -> None:
    if isinstance(value, str):
        raw = value.encode()
        parts += (_head(3, len(raw)), raw)
    elif isinstance(value, bytes):
        parts += (_head(2, len(value)), value)
    elif isinstance(value, dict):
        parts.append(_head(5, len(value)))
        for key, inner in value.items():
            _write(key, parts)
            _write(inner, parts)
    elif value is None or isinstance(value, bool):
        parts.append({None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value])
    elif isinstance(value, int):
        parts.append(_head(0, value) if value >= 0 else _head(1, -1 - value))
    elif isinstance(value, Instant):
        parts.append(b"\xc1")
        _write(round(value * 1000), parts)
    elif isinstance(value, float):
        parts.append(b"\xfb" + struct.pack(">d", value))
    elif isinstance(value, list | tuple):
        parts.append(_head(4, len(value)))
        for inner in value:
            _write(inner, parts)
    else:
        raise TypeError(f"{type(value).__name__} has no CBOR here")
