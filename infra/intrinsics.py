"""PURE: CloudFormation's template language: YAML short tags, parameters, conditions and intrinsic functions.

AWS: "Intrinsic function reference", "Pseudo parameters reference", "Parameters section structure". A reference that
cannot be resolved is an error with its path in the template, never an empty string.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

NO_VALUE: Final = object()
"""What `AWS::NoValue` evaluates to; the property or list entry that has it is removed."""


class BlueprintError(Exception):
    """The template, or a parameter given for it, is wrong or not supported here.

    `path` is the place in the template, `Resources.EventStream.Properties.Foo` or `Parameters.ShardCount`; `message`
    says what is wrong and what is allowed.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


NESTING_MAX: Final = 50  # levels of lists and mappings; far more than any resource has
# What PyYAML raises for a scalar that its tag does not allow (`!!int x`); none of them is a YAMLError.
_BAD_SCALAR: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short tags, no timestamps, no aliases, no key given twice.

    AWS: "CloudFormation template formats" has the features of YAML that it does not support.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        place = f"line {self.peek_event().start_mark.line + 1}"  # type: ignore[no-untyped-call]  # the stubs have no type
        if self.check_event(yaml.AliasEvent):
            raise BlueprintError(place, "CloudFormation has no YAML aliases: write out what the alias stands for")
        if self._depth > NESTING_MAX:
            raise BlueprintError(place, f"nested deeper than {NESTING_MAX} lists and mappings")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise BlueprintError(f"line {node.value[index][0].start_mark.line + 1}", f"the key {key!r} is given twice")
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_tag)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# CloudFormation keeps `2012-10-17` a string.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> dict[str, Any]:
    """The template as plain dicts and lists, short tags in their long form. Raises BlueprintError."""
    try:
        # A subclass of SafeLoader, which constructs plain values only.
        template = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise BlueprintError("template", f"not YAML: {error}") from error
    except _BAD_SCALAR as error:
        raise BlueprintError("template", f"not YAML that CloudFormation reads: {error}") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise BlueprintError("template", "a CloudFormation template is a mapping with the section Resources")
    return template


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into a string: `true`, `300`, `0.5`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(value: Any, path: str) -> str:
    """`text` of a scalar. Raises BlueprintError for a list, a mapping or `AWS::NoValue`."""
    if not isinstance(value, (str, bool, int, float)):
        raise BlueprintError(path, f"a string is needed here, not {_kind(value)}")
    return text(value)


def _kind(value: Any) -> str:
    if value is NO_VALUE:
        return "AWS::NoValue"
    return {dict: "a mapping", list: "a list", type(None): "null"}.get(type(value), f"{value!r}")


@dataclass
class Scope:
    """What names stand for while a template is evaluated.

    `reference(logical_id, path)` and `attribute(logical_id, attribute, path)` answer for resources and raise
    BlueprintError for what they do not know; a resource that its condition leaves out is unknown.
    """

    parameters: Mapping[str, str | list[str]]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    reference: Callable[[str, str], Any]
    attribute: Callable[[str, str, str], Any]
    _decided: dict[str, bool | None] = field(default_factory=dict)

    def condition(self, name: str, path: str) -> bool:
        """Whether the named condition holds."""
        if name not in self.conditions:
            raise BlueprintError(path, f"there is no condition {name}; Conditions has {_names(self.conditions)}")
        if name not in self._decided:
            self._decided[name] = None
            self._decided[name] = _boolean(evaluate(self.conditions[name], f"Conditions.{name}", self), path)
        decided = self._decided[name]
        if decided is None:
            raise BlueprintError(f"Conditions.{name}", "the condition refers to itself")
        return decided


def evaluate(value: Any, path: str, scope: Scope) -> Any:
    """`value` with every intrinsic function replaced by its result. Raises BlueprintError with the path."""
    if isinstance(value, list):
        items = [evaluate(item, f"{path}[{index}]", scope) for index, item in enumerate(value)]
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](argument, path, scope)
        if isinstance(name, str) and name.startswith("Fn::"):
            raise BlueprintError(path, f"{name} is not supported; supported are {_names(_FUNCTIONS)}")
        # A bare `Condition` is a function only inside Conditions; in an IAM policy it is an ordinary key.
        if name == "Condition" and path.startswith("Conditions.") and isinstance(argument, str):
            return scope.condition(argument, path)
    pairs = {key: evaluate(item, f"{path}.{key}", scope) for key, item in value.items()}
    return {key: item for key, item in pairs.items() if item is not NO_VALUE}


def _ref(argument: Any, path: str, scope: Scope) -> Any:
    name = plain(argument, path)
    if name == "AWS::NoValue":
        return NO_VALUE
    return scope.parameters[name] if name in scope.parameters else scope.reference(name, path)


def _get_att(argument: Any, path: str, scope: Scope) -> Any:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2:
        raise BlueprintError(path, "Fn::GetAtt takes a logical id and an attribute's name")
    return scope.attribute(plain(parts[0], path), plain(evaluate(parts[1], path, scope), path), path)


_PLACEHOLDER = re.compile(r"\$\{(!?)([^{}]*)\}")


def _sub(argument: Any, path: str, scope: Scope) -> str:
    template, extra = (argument, {}) if isinstance(argument, str) else _arguments("Fn::Sub", argument, 2, path)
    if not isinstance(extra, dict):
        raise BlueprintError(path, f"Fn::Sub takes a mapping of names as its second value, not {_kind(extra)}")
    local = {name: evaluate(item, f"{path}.{name}", scope) for name, item in extra.items()}

    def fill(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        name = name.strip()
        if name in local:
            return plain(local[name], path)
        if "." in name:
            return plain(_get_att(name, path, scope), path)
        return plain(_ref(name, path, scope), path)

    return _PLACEHOLDER.sub(fill, plain(template, path))


def _join(argument: Any, path: str, scope: Scope) -> str:
    separator, items = _arguments("Fn::Join", argument, 2, path)
    return plain(separator, path).join(plain(item, path) for item in _list(items, path, scope))


def _split(argument: Any, path: str, scope: Scope) -> list[str]:
    separator, source = _arguments("Fn::Split", argument, 2, path)
    if not separator:
        raise BlueprintError(path, "Fn::Split needs a separator")
    return plain(evaluate(source, path, scope), path).split(plain(separator, path))


def _select(argument: Any, path: str, scope: Scope) -> Any:
    index, items = _arguments("Fn::Select", argument, 2, path)
    position, values = plain(evaluate(index, path, scope), path), _list(items, path, scope)
    if not re.fullmatch("[0-9]{1,9}", position) or int(position) >= len(values):
        raise BlueprintError(path, f"Fn::Select: no entry {position} in a list of {len(values)}")
    return values[int(position)]


def _find_in_map(argument: Any, path: str, scope: Scope) -> Any:
    keys = [plain(evaluate(key, path, scope), path) for key in _arguments("Fn::FindInMap", argument, 3, path)]
    found: Any = scope.mappings
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            raise BlueprintError(path, f"Fn::FindInMap: Mappings.{'.'.join(keys)} does not exist")
        found = found[key]
    return found


def _if(argument: Any, path: str, scope: Scope) -> Any:
    name, then, otherwise = _arguments("Fn::If", argument, 3, path)
    return evaluate(then if scope.condition(plain(name, path), path) else otherwise, path, scope)


def _equals(argument: Any, path: str, scope: Scope) -> bool:
    left, right = (evaluate(side, path, scope) for side in _arguments("Fn::Equals", argument, 2, path))
    return plain(left, path) == plain(right, path)


def _not(argument: Any, path: str, scope: Scope) -> bool:
    (value,) = _arguments("Fn::Not", argument, 1, path)
    return not _boolean(evaluate(value, path, scope), path)


def _every(argument: Any, path: str, scope: Scope) -> list[bool]:
    if not isinstance(argument, list) or not 2 <= len(argument) <= 10:
        raise BlueprintError(path, "Fn::And and Fn::Or take two to ten conditions")
    return [_boolean(evaluate(item, path, scope), path) for item in argument]


def _arguments(function: str, argument: Any, count: int, path: str) -> list[Any]:
    if not isinstance(argument, list) or len(argument) != count:
        raise BlueprintError(path, f"{function} takes a list of {count}")
    return argument


def _list(argument: Any, path: str, scope: Scope) -> list[Any]:
    value = evaluate(argument, path, scope)
    if not isinstance(value, list):
        raise BlueprintError(path, f"a list is needed here, not {_kind(value)}")
    return value


def _boolean(value: Any, path: str) -> bool:
    if text(value) not in ("true", "false"):
        raise BlueprintError(path, f"a condition is needed here, not {_kind(value)}")
    return text(value) == "true"


def _names(names: Any) -> str:
    return ", ".join(sorted(map(str, names))) or "none"


_FUNCTIONS: Final[Mapping[str, Callable[[Any, str, Scope], Any]]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::FindInMap": _find_in_map,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::Not": _not,
    "Fn::And": lambda argument, path, scope: all(_every(argument, path, scope)),
    "Fn::Or": lambda argument, path, scope: any(_every(argument, path, scope)),
}
