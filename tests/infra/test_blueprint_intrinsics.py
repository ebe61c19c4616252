"""The template language: what each intrinsic function evaluates to, and that nothing unresolved passes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.intrinsics import BlueprintError, Scope, evaluate, parse

ATTRIBUTES = {("Stream", "Arn"): "arn:stream", ("Stream", "Deep.Name"): "deep"}
words = st.text(st.characters(exclude_characters="${}", exclude_categories=["Cs"]), max_size=12)


def reference(logical_id: str, path: str) -> str:
    if logical_id != "Stream":
        raise BlueprintError(path, f"cannot resolve {logical_id}")
    return "events"


def attribute(logical_id: str, name: str, path: str) -> str:
    if (logical_id, name) not in ATTRIBUTES:
        raise BlueprintError(path, f"cannot resolve {logical_id}.{name}")
    return ATTRIBUTES[logical_id, name]


def scope(**conditions: Any) -> Scope:
    return Scope(
        parameters={"Mode": "fast", "Count": "2", "Zones": ["a", "b"], "AWS::Region": "eu-west-1"},
        mappings={"Sizes": {"eu-west-1": {"fast": 4, "zones": ["x", "y"]}}},
        conditions={"Yes": {"Fn::Equals": ["1", 1]}, "No": {"Fn::Equals": ["a", "b"]}, **conditions},
        reference=reference,
        attribute=attribute,
    )


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"Ref": "Mode"}, "fast"),
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Ref": "Stream"}, "events"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Fn::GetAtt": ["Stream", "Arn"]}, "arn:stream"),
        ({"Fn::GetAtt": "Stream.Arn"}, "arn:stream"),
        ({"Fn::GetAtt": ["Stream", "Deep.Name"]}, "deep"),
        ({"Fn::GetAtt": ["Stream", {"Fn::Join": ["", ["A", "rn"]]}]}, "arn:stream"),
        ({"Fn::Sub": "${Mode}-${Stream.Arn}-${AWS::Region}"}, "fast-arn:stream-eu-west-1"),
        ({"Fn::Sub": "${!Mode} $Mode $"}, "${Mode} $Mode $"),
        ({"Fn::Sub": ["${Mode}/${Own}", {"Own": {"Ref": "Count"}}]}, "fast/2"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Count"}, 3, True]]}, "a-2-3-true"),
        ({"Fn::Join": [",", {"Ref": "Zones"}]}, "a,b"),
        ({"Fn::Split": [",", "a,b,"]}, ["a", "b", ""]),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b"]}]}, "b"),
        ({"Fn::Select": ["0", {"Ref": "Zones"}]}, "a"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, {"Ref": "Mode"}]}, 4),
        ({"Fn::If": ["Yes", "then", "else"]}, "then"),
        ({"Fn::If": ["No", "then", {"Fn::If": ["Yes", {"Ref": "Mode"}, 1]}]}, "fast"),
        ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        (["x", {"Ref": "AWS::NoValue"}, "y"], ["x", "y"]),
        ({"Condition": {"StringEquals": {"k": {"Ref": "Mode"}}}}, {"Condition": {"StringEquals": {"k": "fast"}}}),
        ("plain", "plain"),
        (None, None),
    ],
)
def test_an_intrinsic_function_evaluates_as_cloudformation_documents(value: Any, result: Any) -> None:
    assert evaluate(value, "Here", scope()) == result


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"Ref": "Nothing"}, "cannot resolve Nothing"),
        ({"Fn::Sub": "a-${Nothing}"}, "cannot resolve Nothing"),
        ({"Fn::Sub": "${Stream.Arnn}"}, "cannot resolve Stream.Arnn"),
        ({"Fn::Sub": "${Zones}"}, "a string is needed here, not a list"),
        ({"Fn::Sub": "${AWS::NoValue}"}, "a string is needed here, not AWS::NoValue"),
        ({"Fn::Sub": ["${A}", {"A": {}}, 1]}, "Fn::Sub takes a list of 2"),
        ({"Fn::GetAtt": ["Stream", "Arnn"]}, "cannot resolve Stream.Arnn"),
        ({"Fn::GetAtt": "Stream"}, "takes a logical id and an attribute's name"),
        ({"Fn::If": ["Maybe", 1, 2]}, "there is no condition Maybe; Conditions has No, Yes"),
        ({"Fn::If": ["Yes", 1]}, "Fn::If takes a list of 3"),
        ({"Fn::Select": [2, ["a", "b"]]}, "no entry 2 in a list of 2"),
        ({"Fn::Select": [-1, ["a", "b"]]}, "no entry -1 in a list of 2"),
        ({"Fn::Split": ["", "a"]}, "needs a separator"),
        ({"Fn::Join": ["-", "abc"]}, "a list is needed here"),
        ({"Fn::FindInMap": ["Sizes", "us-east-1", "fast"]}, "Mappings.Sizes.us-east-1.fast does not exist"),
        ({"Fn::ImportValue": "other"}, "Fn::ImportValue is not supported; supported are"),
        ({"Fn::And": [True]}, "take two to ten conditions"),
        ({"Fn::Not": ["perhaps"]}, "a condition is needed here"),
    ],
)
def test_what_cannot_be_resolved_is_an_error_with_its_path(value: Any, complaint: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        evaluate({"Deep": [1, value]}, "Resources.X.Properties", scope())
    assert caught.value.path.startswith("Resources.X.Properties.Deep[1]")
    assert complaint in caught.value.message


def test_a_branch_that_is_not_taken_is_not_evaluated() -> None:
    assert evaluate({"Fn::If": ["No", {"Ref": "Nothing"}, "kept"]}, "Here", scope()) == "kept"


def test_a_condition_that_depends_on_itself_is_refused() -> None:
    loop = scope(A={"Fn::Not": [{"Condition": "B"}]}, B={"Fn::Not": [{"Condition": "A"}]})
    with pytest.raises(BlueprintError, match="refers to itself"):
        loop.condition("A", "Here")


@given(st.lists(words, max_size=5), st.characters(categories=["P"]))
def test_split_undoes_join_where_the_separator_does_not_occur(items: list[str], separator: str) -> None:
    items = [item.replace(separator, "") for item in items] or [""]
    joined = {"Fn::Join": [separator, items]}
    assert evaluate({"Fn::Split": [separator, joined]}, "Here", scope()) == items


@given(st.lists(st.tuples(words, st.sampled_from(["Mode", "Count", "Stream", "Stream.Arn"]))), words)
def test_sub_is_the_join_of_its_parts(parts: list[tuple[str, str]], last: str) -> None:
    template = "".join(f"{before}${{{name}}}" for before, name in parts) + last
    pieces: list[Any] = []
    for before, name in parts:
        pieces += [before, {"Fn::GetAtt": name} if "." in name else {"Ref": name}]
    assert evaluate({"Fn::Sub": template}, "H", scope()) == evaluate({"Fn::Join": ["", [*pieces, last]]}, "H", scope())


@given(st.lists(st.booleans(), min_size=2, max_size=10))
def test_and_or_not_are_those_of_logic(sides: list[bool]) -> None:
    named = [{"Condition": "Yes" if side else "No"} for side in sides]
    both = scope(All={"Fn::And": named}, Any={"Fn::Or": named}, None_={"Fn::Not": [{"Condition": "Any"}]})
    assert both.condition("All", "Here") == all(sides)
    assert both.condition("Any", "Here") == any(sides)
    assert both.condition("None_", "Here") == (not any(sides))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    )
)
def test_a_value_without_functions_stays_as_it_is(value: Any) -> None:
    assert evaluate(value, "Here", scope()) == value


def test_short_tags_mean_the_same_as_long_names_and_dates_stay_text() -> None:
    text = """
    Resources:
      R:
        Version: 2012-10-17
        A: !GetAtt Stream.Arn
        B: !Sub ['${X}', {X: !Ref Mode}]
        C: !If [IsFast, !Join ['', [a, b]], !Ref AWS::NoValue]
    """
    assert parse(text)["Resources"]["R"] == {
        "Version": "2012-10-17",
        "A": {"Fn::GetAtt": ["Stream", "Arn"]},
        "B": {"Fn::Sub": ["${X}", {"X": {"Ref": "Mode"}}]},
        "C": {"Fn::If": ["IsFast", {"Fn::Join": ["", ["a", "b"]]}, {"Ref": "AWS::NoValue"}]},
    }


@pytest.mark.parametrize(
    ("text", "path", "complaint"),
    [
        ("a: [", "template", "not YAML"),
        ("just text", "template", "a mapping with the section Resources"),
        ("Outputs: {}", "template", "a mapping with the section Resources"),
        ("Resources:\n  A: 1\n  A: 2\n", "line 3", "the key 'A' is given twice"),
        ("Resources: {A: !!python/object:os.system {}}", "template", "not YAML"),
    ],
)
def test_text_that_is_no_template_is_refused(text: str, path: str, complaint: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        parse(text)
    assert caught.value.path == path
    assert complaint in caught.value.message
