"""PURE: FilterCriteria: which records of a Kinesis stream reach the function at all.

AWS: invocation-eventfiltering, with-kinesis-filtering. A pattern is compiled once, to closures over the parsed data.
Patterns are joined by OR, the fields of one by AND, the rules of a field by OR. What does not match is processed.

    {"data": {"type": ["sale", {"prefix": "re"}], "amount": [{"numeric": [">", 0, "<=", 10]}]}}

An array in the data matches if one of its elements does; several fields below an array of objects must hold for the
same element. Data that is not JSON (UTF-8, strict) never matches; where a field comes twice, in the data or in a
pattern, the last one counts.

Where AWS is silent: `exists: false` means that no element of any array on the way has the field, and it holds where
there is an object, since only leaves exist. `$or` is a list of two or more patterns. `data` is the only key of a
Kinesis pattern that AWS still documents, so that others are refused, and so is the empty pattern, which would say
nothing: whoever wants every record sets no filter.
"""

from collections.abc import Callable, Sequence
from json import JSONDecoder
from typing import Any

from infra.model.mapping.errors import failure, invalid_filter, invalid_parameter, validation
from infra.model.mapping.filters_rules import MISSING, Number, Test, compile_rules

FILTERS_MAX = 5  # AWS: invocation-eventfiltering; 10 on request
PATTERN_CHARS_MAX = 4_096  # AWS: API_Filter

# What holds below a field: the value there (or MISSING), the whole data.
_Node = Callable[[Any, Any], bool]


def _not_json(constant: str) -> Any:
    raise ValueError(constant)


_parse = JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_not_json).decode


class Filter:
    """The compiled patterns of one mapping. Raises MappingError for what AWS refuses when a mapping is created."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_compile(pattern) for pattern in _checked(patterns)]

    def matches(self, data: bytes) -> bool:
        """`data` are a record's bytes as they were put."""
        try:
            parsed = {"data": _parse(str(data, "utf-8"))}
        except (ValueError, RecursionError):
            return False
        try:
            return any(pattern(parsed, parsed) for pattern in self._patterns)
        except RecursionError:  # arrays in arrays, deeper than Python's stack
            return False


def _checked(patterns: Sequence[str]) -> Sequence[str]:
    too_long = [
        failure(
            pattern,
            f"filterCriteria.filters.{number}.member.pattern",
            f"Member must have length less than or equal to {PATTERN_CHARS_MAX}",
        )
        for number, pattern in enumerate(patterns, 1)
        if len(pattern) > PATTERN_CHARS_MAX
    ]
    if too_long:
        raise validation(too_long)
    if len(patterns) > FILTERS_MAX:
        raise invalid_parameter(f"FilterCriteria has {len(patterns)} filters; a mapping has {FILTERS_MAX} at most.")
    return patterns


def _compile(pattern: str) -> _Node:
    try:
        parsed = _parse(pattern)
        _check_keys(parsed)
        return _object(parsed, ())
    except RecursionError:
        raise invalid_filter() from None
    except ValueError as error:
        raise invalid_filter() from error


def _check_keys(pattern: Any) -> None:
    """At the top: `data` with an object (a plain string or a list is an error), and `$or` over the same."""
    if not isinstance(pattern, dict):
        raise invalid_filter()
    for key, inner in pattern.items():
        if key == "$or" and isinstance(inner, list):
            for alternative in inner:
                _check_keys(alternative)
        elif key != "data" or not isinstance(inner, dict):
            raise invalid_filter()


def _object(pattern: Any, path: tuple[str, ...]) -> _Node:
    if not isinstance(pattern, dict) or not pattern:
        raise invalid_filter()
    alternatives = _alternatives(pattern.get("$or"), path) if "$or" in pattern else None
    fields = [(key, _field(inner, (*path, key))) for key, inner in pattern.items() if key != "$or"]

    def holds(node: Any, data: Any) -> bool:
        for key, field in fields:
            if not field(node.get(key, MISSING), data):
                return False
        return alternatives is None or alternatives(node, data)

    def test(node: Any, data: Any) -> bool:
        if type(node) is dict:
            return holds(node, data)
        # Without an object there are no fields: only `exists: false` can hold.
        return any([holds(each, data) for each in _objects(node)] or [holds({}, data)])

    return test


def _objects(node: Any) -> list[dict[str, Any]]:
    if type(node) is list:
        return [found for each in node for found in _objects(each)]
    return [node] if type(node) is dict else []


def _alternatives(patterns: Any, path: tuple[str, ...]) -> _Node:
    if not isinstance(patterns, list) or len(patterns) < 2:
        raise invalid_filter()
    compiled = [_object(pattern, path) for pattern in patterns]
    return lambda node, data: any(each(node, data) for each in compiled)


def _field(rules: Any, path: tuple[str, ...]) -> _Node:
    if not isinstance(rules, list):
        return _object(rules, path)
    test, absent = compile_rules(rules)
    if test is None:
        return lambda _, data: not _exists(data, path)
    value_test = _leaf(test)
    if absent:
        return lambda node, data: value_test(node) or not _exists(data, path)
    return lambda node, _: value_test(node)


def _leaf(test: Test) -> Test:
    def leaf(value: Any) -> bool:
        kind = type(value)
        if kind is list:
            return any(leaf(each) for each in value)
        return kind is not dict and value is not MISSING and test(value)

    return leaf


def _exists(node: Any, path: tuple[str, ...]) -> bool:
    """Whether a leaf is at `path`, in any element of the arrays on the way."""
    if type(node) is list:
        return any(_exists(each, path) for each in node)
    if type(node) is dict:
        return bool(path) and path[0] in node and _exists(node[path[0]], path[1:])
    return not path
