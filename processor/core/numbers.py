"""PURE: exact numbers. A number is stored as it was sent or it is refused; nothing here rounds.

DynamoDB keeps 38 significant digits between 1E-130 and 9.99E+125 (AWS: DynamoDB, data types, Number). Python's default
decimal context rounds to 28, so every sum goes through `total`.
"""

from decimal import Context, Decimal, DecimalException, DivisionByZero, Inexact, InvalidOperation, Overflow, Subnormal
from typing import Final

from processor.core.effects import Number
from processor.core.limits import MEASURE_FRACTION_DIGITS, MEASURE_INTEGER_DIGITS

STORABLE_DIGITS_MAX: Final = 38

_INTEGER_END = 10**STORABLE_DIGITS_MAX
_MEASURE_END = 10**MEASURE_INTEGER_DIGITS
_MEASURE_STEP = Decimal(1).scaleb(-MEASURE_FRACTION_DIGITS)
_MEASURE = Context(prec=MEASURE_INTEGER_DIGITS + MEASURE_FRACTION_DIGITS, traps=[InvalidOperation, Inexact])
_EXACT = Context(
    prec=STORABLE_DIGITS_MAX,
    Emin=-130,
    Emax=125,
    traps=[InvalidOperation, DivisionByZero, Overflow, Inexact, Subnormal],
)
_PLAIN_LENGTH = 32


def parse_decimal(text: str) -> Decimal | None:
    """Return the exact value of a JSON number, None when DynamoDB could not store it as it is."""
    if len(text) <= _PLAIN_LENGTH and "e" not in text and "E" not in text:
        return Decimal(text)  # at most 32 digits, none of them far from the point: storable
    try:
        return _EXACT.normalize(Decimal(text))
    except DecimalException:
        return None


def is_storable(value: Number) -> bool:
    """Whether DynamoDB stores `value` without rounding; False for NaN and the infinities."""
    if isinstance(value, int):
        return -_INTEGER_END < value < _INTEGER_END
    if not value.is_finite():
        return False
    try:
        _EXACT.normalize(value)
    except DecimalException:
        return False
    return True


def is_measure(value: Number) -> bool:
    """Whether `value` has at most 20 digits before and 15 after the decimal point, so that sums stay exact."""
    if isinstance(value, int):
        return -_MEASURE_END < value < _MEASURE_END
    try:
        _MEASURE.quantize(value, _MEASURE_STEP)  # invalid: more digits than the context has; inexact: finer than a step
    except DecimalException:
        return False
    return not value.is_nan()


def total(left: Number, right: Number) -> Number:
    """Return the exact sum; raise decimal.Inexact or decimal.Overflow when it needs more than 38 digits."""
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    return _EXACT.add(Decimal(left), Decimal(right))
