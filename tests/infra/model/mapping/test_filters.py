"""FilterCriteria as AWS documents it: which data a pattern lets through, and which patterns are refused."""

import json
from typing import Any

import pytest

from infra.model.mapping.errors import MappingError
from infra.model.mapping.filters import PATTERN_CHARS_MAX, Filter


def below_data(rules: Any) -> Filter:
    return Filter([json.dumps({"data": rules})])


def matches(rules: Any, data: Any) -> bool:
    return below_data(rules).matches(json.dumps(data).encode())


OPERATORS: list[tuple[list[Any], list[Any], list[Any]]] = [
    (["sale"], ["sale", ["x", "sale"]], ["Sale", "sale ", 1, None, True, "", [], ["x"]]),
    (["sale", "refund", 3, None, True], ["refund", 3, None, True, [[3]]], ["3", False, "null", 3.5]),
    ([None], [None], ["", 0, False, "null"]),
    ([""], [""], [None, " ", 0]),
    ([{"prefix": "eu-"}], ["eu-", "eu-west"], ["EU-", "xeu-", 5, None]),
    ([{"suffix": ".png"}], [".png", "a.png"], [".PNG", ".pngx", 5]),
    ([{"equals-ignore-case": "Alice"}], ["alice", "ALICE"], ["alic", None, 1]),
    ([{"anything-but": "rain"}], ["sun", "", 5, None, True, ["rain", "sun"]], ["rain", ["rain"], []]),
    ([{"anything-but": ["rain", "snow"]}], ["sun"], ["rain", "snow"]),
    ([{"anything-but": [100, 200]}], [300, "100", None], [100, 200]),
    ([{"anything-but": {"prefix": "us-"}}], ["eu-", 5], ["us-", "us-east"]),
    ([{"anything-but": {"prefix": ["us-", "eu-"]}}], ["ap-"], ["us-1", "eu-1"]),
    ([{"anything-but": {"suffix": ".png"}}], ["a.jpg", None], ["a.png"]),
    ([{"anything-but": {"equals-ignore-case": ["a", "B"]}}], ["c", 1], ["A", "b"]),
    ([{"numeric": ["=", 100]}], [100, 100.0, 1e2], [100.1, "100", None, [], {}]),
    ([{"numeric": [">", 10, "<=", 20]}], [10.5, 20, [5, 15]], [10, 20.001, 5, "15"]),
    ([{"numeric": [">=", -1.5]}], [-1.5, 0, 5_000_000_000], [-2, 5_000_000_001]),
    ([{"numeric": ["<", 0]}], [-0.1], [0, 1, -6e9]),
    ([{"exists": True}], [1, None, "", [1], [[], 5]], [{}, {"b": 1}, [], [[]], [{}]]),
    ([{"exists": False}], [{"b": 1}, {}, []], [1, None, [1], [{}, 1]]),
    ([{"exists": False}, "x"], ["x", {}], ["y", None]),
    ([{"prefix": "a"}, {"numeric": ["=", 1]}, "z"], ["ab", 1, "z"], ["b", 2, None]),
]


@pytest.mark.parametrize(("rules", "passing", "dropped"), OPERATORS, ids=[json.dumps(each[0]) for each in OPERATORS])
def test_every_operator_means_what_the_documentation_says(
    rules: list[Any], passing: list[Any], dropped: list[Any]
) -> None:
    """Fact 6.7."""
    for value in passing:
        assert matches({"field": rules}, {"field": value, "other": 1}), value
    for value in dropped:
        assert not matches({"field": rules}, {"field": value, "other": 1}), value


def test_a_field_that_is_not_there_matches_nothing_but_its_absence() -> None:
    """Fact 6.7: not even `anything-but`."""
    for rules, _, _ in OPERATORS:
        assert matches({"field": rules}, {"other": 1}) == ({"exists": False} in rules)


def test_fields_are_anded_rules_ored_and_filters_ored() -> None:
    """Fact 6.1."""
    both = {"type": ["sale", "refund"], "amount": {"currency": ["EUR"]}}
    assert matches(both, {"type": "refund", "amount": {"currency": "EUR", "value": 3}})
    assert not matches(both, {"type": "refund", "amount": {"currency": "USD"}})
    assert not matches(both, {"type": "visit", "amount": {"currency": "EUR"}})
    either = Filter(['{"data":{"a":[1]}}', '{"data":{"a":[2]}}'])
    assert [either.matches(b'{"a":%d}' % number) for number in (1, 2, 3)] == [True, True, False]


def test_or_needs_one_of_its_patterns_and_everything_beside_it() -> None:
    """Fact 6.7."""
    rules = {"type": ["sale"], "$or": [{"amount": [{"numeric": [">", 100]}]}, {"vip": [True]}]}
    assert matches(rules, {"type": "sale", "amount": 101})
    assert matches(rules, {"type": "sale", "amount": 1, "vip": True})
    assert not matches(rules, {"type": "sale", "amount": 1, "vip": False})
    assert not matches(rules, {"type": "visit", "vip": True})
    at_the_top = Filter(['{"$or":[{"data":{"a":[1]}},{"data":{"b":[1]}}]}'])
    assert [at_the_top.matches(data) for data in (b'{"a":1}', b'{"b":1}', b'{"c":1}')] == [True, True, False]
    nested = {"a": {"$or": [{"b": [1]}, {"$or": [{"c": [1]}, {"d": [1]}]}]}}
    assert matches(nested, {"a": {"d": 1}})
    assert not matches(nested, {"a": {"e": 1}})


@pytest.mark.parametrize("written", ["300", "300.0", "3.0e2", "3e2", "-0", "0"])
def test_numbers_in_lists_are_compared_as_they_are_written(written: str) -> None:
    """Fact 6.7: 300, 300.0 and 3.0e2 are three numbers."""
    pattern = Filter([f'{{"data":{{"n":[{written}]}}}}'])
    for other in ["300", "300.0", "3.0e2", "3e2", "-0", "0"]:
        assert pattern.matches(f'{{"n":{other}}}'.encode()) == (other == written)


def test_of_duplicate_keys_the_last_counts_in_patterns_and_in_data() -> None:
    """Fact 6.7."""
    pattern = Filter(['{"data":{"a":[1],"a":[2]}}'])
    assert pattern.matches(b'{"a":2}')
    assert not pattern.matches(b'{"a":1}')
    assert pattern.matches(b'{"a":1,"a":2}')
    assert not pattern.matches(b'{"a":2,"a":1}')


def test_an_array_matches_if_one_element_matches_all_fields() -> None:
    """Facts 6.2, 6.7, as in EventBridge: fields of two elements do not add up."""
    rules = {"items": {"kind": ["book"], "price": [{"numeric": ["<", 10]}]}}
    assert matches(rules, {"items": [{"kind": "pen", "price": 1}, {"kind": "book", "price": 9}]})
    assert not matches(rules, {"items": [{"kind": "pen", "price": 1}, {"kind": "book", "price": 11}]})
    assert not matches(rules, {"items": []})
    assert matches({"kind": ["book"]}, [{"kind": "pen"}, [{"kind": "book"}]])
    absent = {"items": {"kind": [{"exists": False}]}}
    assert matches(absent, {"items": [{"price": 1}, {"price": 2}]})
    assert matches(absent, {"items": []})
    assert matches(absent, {"items": 5})
    assert not matches(absent, {"items": [{"price": 1}, {"kind": "book"}]})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b'{"a":',
        b'{"a":1}x',
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'\xff\xfe{"a":1}',
        b'\xef\xbb\xbf{"a":1}',
        b"\xf3\x89\x9a\xc2" + bytes(40),  # the beginning of an aggregate of the Kinesis producer library
        b"[" * 100_000,
        b"[" * 3_000 + b"1" + b"]" * 3_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_data_that_is_not_json_never_matches(data: bytes) -> None:
    """Facts 6.4, 6.9: not even a pattern that asks for absence."""
    assert not below_data({"a": ["x"]}).matches(data)
    if not data.startswith(b"[" * 3_000 + b"1"):  # deep, but JSON: whether it can be read depends on Python
        assert not below_data({"zzz": [{"exists": False}]}).matches(data)


def test_json_that_is_no_object_has_no_fields() -> None:
    """Fact 6.4: it is compared like other JSON."""
    for data in (b"5", b'"a"', b"null", b"[]", b"[1]"):
        assert not below_data({"a": [{"anything-but": "x"}]}).matches(data)
        assert below_data({"a": [{"exists": False}]}).matches(data)


REFUSED = [
    "",
    "x",
    "[]",
    "5",
    "null",
    "{}",
    '"data"',
    '{"data":"sale"}',
    '{"data":["sale"]}',
    '{"data":5}',
    '{"data":{}}',
    '{"data":{"a":{}}}',
    '{"data":{"a":[]}}',
    '{"data":{"a":"sale"}}',
    '{"data":{"a":1}}',
    '{"data":{"a":null}}',
    '{"data":{"a":[["x"]]}}',
    '{"data":{"a":[{}]}}',
    '{"data":{"a":[{"prefix":"x","suffix":"y"}]}}',
    '{"data":{"a":[{"prefix":1}]}}',
    '{"data":{"a":[{"suffix":["x"]}]}}',
    '{"data":{"a":[{"equals-ignore-case":null}]}}',
    '{"data":{"a":[{"exists":"true"}]}}',
    '{"data":{"a":[{"exists":1}]}}',
    '{"data":{"a":[{"anything-but":[]}]}}',
    '{"data":{"a":[{"anything-but":["x",1]}]}}',
    '{"data":{"a":[{"anything-but":[true]}]}}',
    '{"data":{"a":[{"anything-but":null}]}}',
    '{"data":{"a":[{"anything-but":{"prefix":1}}]}}',
    '{"data":{"a":[{"anything-but":{"prefix":[]}}]}}',
    '{"data":{"a":[{"anything-but":{"numeric":["=",1]}}]}}',
    '{"data":{"a":[{"numeric":[]}]}}',
    '{"data":{"a":[{"numeric":["="]}]}}',
    '{"data":{"a":[{"numeric":["=","1"]}]}}',
    '{"data":{"a":[{"numeric":["!",1]}]}}',
    '{"data":{"a":[{"numeric":[1,"="]}]}}',
    '{"data":{"a":[{"numeric":["=",6e9]}]}}',
    '{"data":{"a":[{"numeric":["<",9,">",5]}]}}',
    '{"data":{"a":[{"numeric":[">",9,"<",5]}]}}',
    '{"data":{"a":[{"numeric":[">=",5,"<=",5]}]}}',
    '{"data":{"a":[{"numeric":[">",5,">",9]}]}}',
    '{"data":{"a":[{"numeric":[">",5,"<",9,"<",10]}]}}',
    '{"data":{"a":[{"numeric":5}]}}',
    '{"data":{"a":[{"wildcard":"a*"}]}}',
    '{"data":{"a":[{"cidr":"10.0.0.0/8"}]}}',
    '{"data":{"a":[{"sounds-like":"x"}]}}',
    '{"data":{"a":[NaN]}}',
    '{"data":{"$or":[]}}',
    '{"data":{"$or":[{"a":[1]}]}}',
    '{"data":{"$or":["a","b"]}}',
    '{"data":{"$or":{"a":[1]}}}',
    '{"$or":[{"data":{"a":[1]}},{"partitionKey":["1"]}]}',
    '{"$or":{"data":{"a":[1]}}}',
    '{"partitionKey":["1"]}',
    '{"data":{"a":[1]},"partitionKey":["1"]}',
    '{"eventName":["INSERT"=123}',
    '{"data":{"a":[1]}',
    '{"data":' + '{"a":' * 650 + "[1]" + "}" * 651,
]


@pytest.mark.parametrize("pattern", REFUSED, ids=lambda pattern: pattern[:40] or "empty")
def test_what_is_no_pattern_is_refused_in_the_words_of_aws(pattern: str) -> None:
    """Facts 6.3, 6.4, 6.8: only `data`, and never a plain string below it."""
    with pytest.raises(MappingError) as refused:
        Filter([pattern])
    assert refused.value.code == "InvalidParameterValueException"
    assert refused.value.message == "Invalid filter pattern definition."


def test_a_pattern_has_4096_characters_and_a_mapping_five_filters_at_most() -> None:
    """Fact 6.1."""
    longest = '{"data":{"a":["%s"]}}'
    longest %= "é" * (PATTERN_CHARS_MAX - len(longest % ""))
    assert len(longest) == 4_096
    Filter([longest] * 5)
    with pytest.raises(MappingError) as refused:
        Filter(['{"data":{"a":[1]}}', longest + " "])
    assert refused.value.code == "ValidationException"
    assert refused.value.message == (
        f"1 validation error detected: Value '{longest} ' at 'filterCriteria.filters.2.member.pattern' failed to "
        "satisfy constraint: Member must have length less than or equal to 4096"
    )
    with pytest.raises(MappingError, match="6 filters") as refused:
        Filter([longest] * 6)
    assert refused.value.code == "InvalidParameterValueException"
