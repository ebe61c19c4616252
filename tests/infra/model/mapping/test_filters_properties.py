"""Compiled filters against an interpreter that follows the definition word by word."""

import json
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from infra.model.mapping.filters import Filter

KEYS = ["a", "b", "c"]
# Numbers as they are written: an interpreter of texts must tell 1, 1.0 and 1e0 apart in lists, and not in `numeric`.
NUMBERS = ["0", "1", "1.0", "1e0", "-1", "2", "2.50", "5000000000", "5000000001"]
STRINGS = ["", "a", "A", "ab", "ba", "1", "null"]


class Written:
    """A JSON number by its text."""

    def __init__(self, text: str) -> None:
        self.text = text


def write(value: Any) -> str:
    match value:
        case Written(text=text):
            return text
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{write(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ",".join(write(each) for each in value) + "]"
    return json.dumps(value)


scalars = st.one_of(
    st.sampled_from(STRINGS), st.sampled_from(NUMBERS).map(Written), st.sampled_from([None, True, False])
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=12,
)
strings = st.sampled_from(STRINGS)
numbers = st.sampled_from(NUMBERS[:-1]).map(Written)
ranges = st.tuples(
    st.sampled_from([">", ">="]), st.sampled_from(["-1", "0", "1.0"]), st.sampled_from(["<", "<="]), st.just("2")
)
rules = st.one_of(
    scalars,
    st.booleans().map(lambda wanted: {"exists": wanted}),
    strings.map(lambda text: {"prefix": text}),
    strings.map(lambda text: {"suffix": text}),
    strings.map(lambda text: {"equals-ignore-case": text}),
    st.lists(strings, min_size=1, max_size=3).map(lambda texts: {"anything-but": texts}),
    st.lists(numbers, min_size=1, max_size=3).map(lambda found: {"anything-but": found}),
    strings.map(lambda text: {"anything-but": {"prefix": text}}),
    strings.map(lambda text: {"anything-but": {"suffix": text}}),
    st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), numbers).map(lambda each: {"numeric": list(each)}),
    ranges.map(lambda each: {"numeric": [each[0], Written(each[1]), each[2], Written(each[3])]}),
)
fields = st.recursive(
    st.lists(rules, min_size=1, max_size=3),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(KEYS), inner, min_size=1, max_size=2),
        st.lists(st.dictionaries(st.sampled_from(KEYS), inner, min_size=1, max_size=2), min_size=2, max_size=3).map(
            lambda alternatives: {"$or": alternatives}
        ),
    ),
    max_leaves=6,
)
patterns = fields.filter(lambda each: isinstance(each, dict))


# The interpreter


def leaves(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [] if isinstance(value, dict) else [value]


def objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for each in value for found in objects(each)]
    return [value] if isinstance(value, dict) else []


def everywhere(data: Any, path: list[str]) -> list[Any]:
    """All leaves at `path`."""
    if not path:
        return leaves(data)
    return [leaf for each in objects(data) if path[0] in each for leaf in everywhere(each[path[0]], path[1:])]


def same(rule: Any, value: Any) -> bool:
    if isinstance(rule, Written):
        return isinstance(value, Written) and value.text == rule.text
    return type(rule) is type(value) and rule == value


COMPARE = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def holds(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict):
        return same(rule, value)
    [(name, argument)] = rule.items()
    text = value if isinstance(value, str) else None
    match name, argument:
        case "exists", wanted:
            return bool(wanted)
        case "prefix", str():
            return text is not None and text[: len(argument)] == argument
        case "suffix", str():
            return text is not None and text[len(text) - len(argument) :] == argument and len(argument) <= len(text)
        case "equals-ignore-case", str():
            return text is not None and text.lower() == argument.lower()
        case "anything-but", dict():
            return not holds(argument, value)
        case "anything-but", list():
            return not any(same(each, value) for each in argument)
        case "numeric", list():
            if not isinstance(value, Written) or abs(float(value.text)) > 5e9:
                return False
            pairs = zip(argument[::2], argument[1::2], strict=True)
            return all(COMPARE[operator](float(value.text), float(bound.text)) for operator, bound in pairs)
    raise AssertionError(rule)


def interpreted(pattern: Any, node: Any, data: Any, path: list[str]) -> bool:
    if isinstance(pattern, list):
        absent = {"exists": False} in pattern and not everywhere(data, path)
        return absent or any(holds(rule, leaf) for rule in pattern for leaf in leaves(node))
    for each in objects(node) or [{}]:
        kept = []
        for key, inner in pattern.items():
            if key == "$or":
                kept.append(any(interpreted(alternative, each, data, path) for alternative in inner))
            else:
                kept.append(interpreted(inner, each.get(key, []), data, [*path, key]))
        if all(kept):
            return True
    return False


@settings(max_examples=150, deadline=None)
@given(st.lists(patterns, min_size=1, max_size=3), st.lists(documents, min_size=1, max_size=6))
def test_compiled_filters_do_what_their_definition_says(found: list[Any], values: list[Any]) -> None:
    """Facts 6.1, 6.7."""
    compiled = Filter([write({"data": pattern}) for pattern in found])
    for value in values:
        expected = any(interpreted(pattern, value, value, []) for pattern in found)
        event(f"matches: {expected}")
        assert compiled.matches(write(value).encode()) == expected


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_data_makes_a_filter_fail(data: bytes) -> None:
    """Facts 6.4, 6.5."""
    pattern = Filter(['{"data":{"a":[{"exists":false},{"numeric":["<",1]},{"prefix":""}]}}'])
    try:
        json.loads(data.decode(), parse_constant=lambda _: 1 / 0)
        is_json = True
    except (ValueError, ZeroDivisionError):
        is_json = False
    assert pattern.matches(data) <= is_json
