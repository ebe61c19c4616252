"""Whatever a template holds, it is read or refused with the place of what is wrong; never a traceback, never a hang."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.blueprint import BlueprintError, load
from infra.cli import main
from infra.intrinsics import parse

STACK = {"stack_name": "trial", "account_id": "123456789012", "region": "eu-west-1"}
TEMPLATE = parse((Path(__file__).parents[2] / "infra" / "template.yaml").read_text(encoding="utf-8"))


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in `value`, itself first."""
    yield place
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*place, key))


# What is evaluated and turned into a blueprint; alarms and policies are only evaluated, and are most of the template.
PLACES = [
    place for place in places(TEMPLATE) if place[1:] and "Alarm" not in str(place) and "Dashboard" not in str(place)
]
FUNCTIONS = (
    "Ref",
    "Condition",
    *(f"Fn::{name}" for name in ["GetAtt", "Sub", "Join", "Split", "Select", "FindInMap", "If", "Not", "And"]),
)
names = st.sampled_from(["EventStream", "Arn", "ShardCount", "AWS::NoValue", "AWS::Region", "Measures", "0", ""])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | names | st.just("9" * 5000)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FUNCTIONS) | names | st.text(max_size=3), inner, max_size=2)
        | st.tuples(st.sampled_from(FUNCTIONS), inner).map(lambda pair: dict([pair]))
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), values)
def test_any_value_at_any_place_is_read_or_refused_with_its_place(place: tuple[Any, ...], value: Any) -> None:
    template = copy.deepcopy(TEMPLATE)
    inside = template
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    try:
        with patch("infra.blueprint.stack.parse", lambda _: template):  # reading the YAML takes a quarter of a second
            load("", {}, **STACK)
    except BlueprintError as error:
        assert error.path
        assert error.message


NESTED = "Resources: " + "[" * 5000 + "]" * 5000
LAUGHS = "Resources:\n" + "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(30))
NO_TEMPLATES = {
    "nested": (NESTED, "line 1: nested deeper than"),
    "nested_mappings": ("Resources: " + "{a: " * 5000 + "1" + "}" * 5000, "line 1: nested deeper than"),
    "nested_tags": ("Resources: " + "!Not [" * 5000 + "]" * 5000, "line 1: nested deeper than"),
    "laughs": (LAUGHS, "line 3: CloudFormation has no YAML aliases"),
    "itself": ("Resources: &a\n  b: *a\n", "line 2: CloudFormation has no YAML aliases"),
    "number": ("Resources: !!int x", "not YAML"),
    "digits": ("Resources: " + "9" * 5000, "not YAML"),
    "hexadecimal": ("Resources: 0x_", "not YAML"),
    "bool": ("Resources: !!bool x", "not YAML"),
    "time": ("Resources: !!timestamp x", "not YAML"),
    "binary": ("Resources: !!binary é", "not YAML"),
    "object": ("Resources: !!python/object:os.system x", "not YAML"),
    "key": ("Resources: {[a]: 1}", "not YAML"),
    "control": ("Resources: \x00", "not YAML"),
    "two": ("Resources: {}\n---\nResources: {}", "not YAML"),
    "empty": ("", "Resources"),
}


@pytest.mark.parametrize("command", [["up"], ["simulate"]], ids=" ".join)
@pytest.mark.parametrize("name", NO_TEMPLATES)
def test_what_is_no_template_is_one_message_and_status_2(
    name: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = NO_TEMPLATES[name]
    (tmp_path / "template.yaml").write_text(text, encoding="utf-8")
    assert main([*command, "--template", str(tmp_path / "template.yaml")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert len(captured.err) < 2000
