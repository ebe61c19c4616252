"""KPL aggregates written by hand, byte by byte: a second opinion on the format."""

from collections.abc import Iterable
from hashlib import md5

MAGIC = b"\xf3\x89\x9a\xc2"


def varint(number: int) -> bytes:
    low = bytearray()
    while number > 127:
        low.append(number & 127 | 128)
        number >>= 7
    return bytes(low) + bytes((number,))


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def body(users: Iterable[tuple[str, bytes, int | None]]) -> bytes:
    """(partition key, data, explicit hash key or None) of each user record; tables as the KPL writes them."""
    keys: list[str] = []
    hashes: list[str] = []
    records = b""
    for key, data, explicit in users:
        if key not in keys:
            keys.append(key)
        record = b"\x08" + varint(keys.index(key))
        if explicit is not None:
            if str(explicit) not in hashes:
                hashes.append(str(explicit))
            record += b"\x10" + varint(hashes.index(str(explicit)))
        records += field(3, record + field(3, data))
    tables = [field(1, key.encode()) for key in keys] + [field(2, each.encode()) for each in hashes]
    return b"".join(tables) + records


def sealed(message: bytes) -> bytes:
    return MAGIC + message + md5(message, usedforsecurity=False).digest()


def aggregate(*users: tuple[str, bytes] | tuple[str, bytes, int | None]) -> bytes:
    return sealed(body((*user, None)[:3] for user in users))
