"""PURE: how large DynamoDB says an item is, and what writing it costs.

Source: AWS, "DynamoDB item sizes and formats" and "DynamoDB read and write operations". Sets are not spelled out
there; a set is taken as the sum of its elements.
"""

from collections.abc import Mapping
from decimal import Decimal

from processor.core.statements import Value, number_digits

WRITE_UNIT_BYTES = 1024


def value_bytes(value: Value) -> int:
    """Bytes of one attribute's value, its name not included."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int | Decimal):
        return (number_digits(value) + 1) // 2 + 1
    if isinstance(value, bytes):
        return len(value)
    return sum(map(value_bytes, value))


def item_bytes(item: Mapping[str, Value]) -> int:
    """Bytes of a whole item: names and values of every attribute, keys included."""
    return sum(value_bytes(name) + value_bytes(value) for name, value in item.items())


def write_units(size: int) -> int:
    """Write units of a standard write of an item of `size` bytes (the larger of before and after)."""
    return max(1, -(-size // WRITE_UNIT_BYTES))
