"""PURE: the rules of one field of a filter pattern, compiled to a test of one JSON value.

AWS: invocation-eventfiltering, whose table of operators this is, with the meaning that EventBridge gives them. Numbers
are kept as they were written (`Number`): in a list of values 300 and 300.0 are two things, as AWS says.

Where AWS is silent: `anything-but` compares numbers like a list of values does; it takes EventBridge's forms with
`prefix`, `suffix` and `equals-ignore-case`, and holds for every value of another type. `numeric` takes EventBridge's
range, minus to plus five thousand millions; a number outside of it never matches. `wildcard` and `cidr` are
EventBridge's alone and refused.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from infra.model.mapping.errors import invalid_filter


class Number(str):
    """A JSON number, as written."""

    __slots__ = ()


class Missing:
    """There is no such field."""


MISSING: Final = Missing()
NUMERIC_MAX: Final = 5.0e9

# A test of one value, which is no array and no object.
Test = Callable[[Any], bool]


def compile_rules(rules: list[Any]) -> tuple[Test | None, bool]:
    """The test that any of `rules` holds for a value (None: no rule looks at values), and whether absence matches.

    Raises MappingError for anything that is not a rule.
    """
    if not rules:
        raise invalid_filter()
    values = [rule for rule in rules if not isinstance(rule, dict | list)]
    tests: list[Test] = [_one_of(values)] if values else []
    absent = False
    for rule in rules:
        if isinstance(rule, list):
            raise invalid_filter()
        if isinstance(rule, dict):
            name, argument = _only_item(rule)
            if name == "exists" and argument is False:
                absent = True
            else:
                tests.append(_operator(name, argument))
    return (_any(tests) if tests else None), absent


def _only_item(rule: dict[str, Any]) -> tuple[str, Any]:
    if len(rule) != 1:
        raise invalid_filter()
    [item] = rule.items()
    return item


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _one_of(values: list[Any]) -> Test:
    """Strings, numbers, true, false and null: equal in type and in writing."""
    strings = frozenset(value for value in values if type(value) is str)
    numbers = frozenset(str(value) for value in values if type(value) is Number)
    others = [value for value in values if not isinstance(value, str)]
    if not numbers and not others:
        return lambda value: type(value) is str and value in strings

    def test(value: Any) -> bool:
        if type(value) is str:
            return value in strings
        if type(value) is Number:
            return value in numbers
        return any(value is other for other in others)

    return test


def _operator(name: str, argument: Any) -> Test:
    match name:
        case "exists" if argument is True:
            return lambda _: True
        case "prefix":
            prefix = _string(argument)
            return lambda value: type(value) is str and value.startswith(prefix)
        case "suffix":
            suffix = _string(argument)
            return lambda value: type(value) is str and value.endswith(suffix)
        case "equals-ignore-case":
            folded = _string(argument).lower()
            return lambda value: type(value) is str and value.lower() == folded
        case "anything-but":
            return _anything_but(argument)
        case "numeric":
            return _numeric(argument)
    raise invalid_filter()


def _string(argument: Any) -> str:
    if type(argument) is not str:
        raise invalid_filter()
    return argument


def _strings(argument: Any) -> tuple[str, ...]:
    found = argument if isinstance(argument, list) else [argument]
    if not found:
        raise invalid_filter()
    return tuple(_string(value) for value in found)


def _anything_but(argument: Any) -> Test:
    if isinstance(argument, dict):
        name, inner = _only_item(argument)
        strings = _strings(inner)
        match name:
            case "prefix":
                return lambda value: type(value) is not str or not value.startswith(strings)
            case "suffix":
                return lambda value: type(value) is not str or not value.endswith(strings)
            case "equals-ignore-case":
                folded = frozenset(string.lower() for string in strings)
                return lambda value: type(value) is not str or value.lower() not in folded
        raise invalid_filter()
    values = argument if isinstance(argument, list) else [argument]
    # A list holds strings only or numbers only (AWS: EventBridge's anything-but).
    if not values or {type(value) for value in values} not in ({str}, {Number}):
        raise invalid_filter()
    listed = _one_of(values)
    return lambda value: not listed(value)


def _numeric(argument: Any) -> Test:
    """`["=", 5]`, `[">", 5]`, or a range `[">=", 5, "<", 9]`: the lower end first, and below the upper one."""
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise invalid_filter()
    first, low = _string(argument[0]), _float(argument[1])
    if len(argument) == 2:
        compare = _comparison(first, low)
        return lambda value: type(value) is Number and _within(number := float(value)) and compare(number)
    second, high = _string(argument[2]), _float(argument[3])
    if first not in (">", ">=") or second not in ("<", "<=") or not low < high:
        raise invalid_filter()
    above, below = _comparison(first, low), _comparison(second, high)
    return lambda value: type(value) is Number and above(number := float(value)) and below(number)


def _float(argument: Any) -> float:
    if type(argument) is not Number or not _within(number := float(argument)):
        raise invalid_filter()
    return number


def _within(number: float) -> bool:
    return isfinite(number) and -NUMERIC_MAX <= number <= NUMERIC_MAX


def _comparison(operator: str, bound: float) -> Callable[[float], bool]:
    match operator:
        case "=":
            return lambda number: number == bound
        case "<":
            return lambda number: number < bound
        case "<=":
            return lambda number: number <= bound
        case ">":
            return lambda number: number > bound
        case ">=":
            return lambda number: number >= bound
    raise invalid_filter()
