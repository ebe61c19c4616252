"""PURE: one template with its parameters: what exists, how it is called, and every property evaluated."""

import re
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

from infra.blueprint import parameters as parameter_values
from infra.blueprint.resources import IDENTITIES, PROPERTIES, check_properties, check_type, default_name
from infra.intrinsics import BlueprintError, Scope, evaluate, parse, plain

_SECTIONS: Final = (
    *("AWSTemplateFormatVersion", "Transform", "Description", "Metadata"),
    *("Parameters", "Mappings", "Conditions", "Globals", "Resources", "Outputs"),
)
_RESOURCE_KEYS: Final = (
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
)
_FUNCTION: Final = "AWS::Serverless::Function"
_CONSUMER: Final = "AWS::Kinesis::StreamConsumer"


class Stack:
    """A template evaluated for one stack name, account and region. Every method raises BlueprintError."""

    def __init__(self, text: str, given: Mapping[str, str], *, stack_name: str, account_id: str, region: str) -> None:
        for path, value, pattern in (
            ("AWS::StackName", stack_name, r"[a-zA-Z][-a-zA-Z0-9]{0,127}"),
            ("AWS::AccountId", account_id, r"[0-9]{12}"),
            ("AWS::Region", region, r"[a-z]{2,3}(-[a-z]+)+-[0-9]+"),
        ):
            if not re.fullmatch(pattern, value):
                raise BlueprintError(path, f"{value!r} is not allowed; allowed is {pattern}")
        self._template = parse(text)
        for section in self._template:
            if section not in _SECTIONS:
                raise BlueprintError(str(section), f"not supported; supported are {', '.join(sorted(_SECTIONS))}")
        self._stack_name = stack_name
        self._pseudo = parameter_values.pseudo(stack_name, account_id, region)
        self.parameters = parameter_values.resolve(self._section("Parameters"), given)
        self._scope = Scope(
            {**self._pseudo, **self.parameters},
            self._section("Mappings"),
            self._section("Conditions"),
            self._reference,
            self._attribute,
        )
        self._resources: dict[str, Any] = {}  # none while their conditions are evaluated, which may not refer to them
        self._names: dict[str, str] = {}
        self._naming: set[str] = set()
        self._globals = self._function_globals()
        self._resources = {
            logical_id: resource
            for logical_id, resource in self._template["Resources"].items()
            if self._exists(logical_id, resource)
        }

    def types(self) -> dict[str, str]:
        """The resource type of every logical id that exists under these parameters, in the template's order."""
        return {logical_id: resource["Type"] for logical_id, resource in self._resources.items()}

    def properties(self, logical_id: str) -> dict[str, Any]:
        """All properties of a resource, evaluated; those of a type in PROPERTIES are known ones."""
        resource, path = self._resources[logical_id], f"Resources.{logical_id}"
        written = self._written(logical_id)
        if resource["Type"] in PROPERTIES:
            check_properties(PROPERTIES[resource["Type"]], written, f"{path}.Properties")
        self._check_depends_on(resource, path)
        evaluated: dict[str, Any] = evaluate(written, f"{path}.Properties", self._scope)
        return evaluated

    def name(self, logical_id: str) -> str:
        """The physical name (AWS: "Name Type"): the one in the template, or the default one."""
        if logical_id in self._names:
            return self._names[logical_id]
        kind = self._resources[logical_id]["Type"]
        name_property = IDENTITIES[kind].name_property
        written = self._written(logical_id)
        if name_property is None or name_property not in written:
            name = default_name(kind, self._stack_name, logical_id)
        else:
            path = f"Resources.{logical_id}.Properties.{name_property}"
            if logical_id in self._naming:
                raise BlueprintError(path, "the name refers to itself")
            self._naming.add(logical_id)
            name = plain(evaluate(written[name_property], path, self._scope), path)
        self._names[logical_id] = name
        return name

    def arn(self, logical_id: str) -> str:
        """The Amazon resource name; empty for types that have none."""
        return self._format(logical_id, IDENTITIES[self._resources[logical_id]["Type"]].arn)

    def lambda_arn(self, function_name: str) -> str:
        """The ARN of a function given by its name, in this account and region."""
        pattern = IDENTITIES[_FUNCTION].arn
        return pattern.format(name=function_name, **self._place())

    def outputs(self) -> dict[str, str]:
        """The stack's outputs, as DescribeStacks shows them."""
        found = {}
        for name, output in self._section("Outputs").items():
            path = f"Outputs.{name}"
            if not isinstance(output, Mapping) or "Value" not in output:
                raise BlueprintError(path, "an output needs a Value")
            if "Condition" not in output or self._scope.condition(plain(output["Condition"], path), path):
                found[name] = plain(evaluate(output["Value"], f"{path}.Value", self._scope), f"{path}.Value")
        return found

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self._template.get(name) or {}
        if not isinstance(section, Mapping):
            raise BlueprintError(name, "this section is a mapping")
        return section

    def _exists(self, logical_id: str, resource: Any) -> bool:
        path = f"Resources.{logical_id}"
        if not isinstance(resource, Mapping):
            raise BlueprintError(path, "a resource is a mapping with a Type")
        check_type(resource.get("Type"), path)
        for key in resource:
            if key not in _RESOURCE_KEYS:
                raise BlueprintError(
                    f"{path}.{key}", f"not supported; supported are {', '.join(sorted(_RESOURCE_KEYS))}"
                )
        return "Condition" not in resource or self._scope.condition(plain(resource["Condition"], path), path)

    def _function_globals(self) -> Mapping[str, Any]:
        for section in self._section("Globals"):
            if section != "Function":
                raise BlueprintError(f"Globals.{section}", "not supported; supported is Function")
        found: Mapping[str, Any] = self._section("Globals").get("Function", {})
        check_properties(PROPERTIES[_FUNCTION], found, "Globals.Function")
        return found

    def _written(self, logical_id: str) -> Mapping[str, Any]:
        resource = self._resources[logical_id]
        own = resource.get("Properties", {})
        if not isinstance(own, Mapping):
            raise BlueprintError(f"Resources.{logical_id}.Properties", "a mapping of properties is needed here")
        return _with_globals(self._globals, own) if resource["Type"] == _FUNCTION else own

    def _check_depends_on(self, resource: Mapping[str, Any], path: str) -> None:
        depends_on = resource.get("DependsOn", [])
        for other in depends_on if isinstance(depends_on, list) else [depends_on]:
            if plain(other, f"{path}.DependsOn") not in self._template["Resources"]:
                raise BlueprintError(f"{path}.DependsOn", f"there is no resource {other}")

    def _find(self, logical_id: str, path: str) -> str:
        if logical_id not in self._resources:
            left_out = logical_id in self._template["Resources"]
            reason = "its condition leaves it out" if left_out else "there is no such parameter or resource"
            raise BlueprintError(path, f"cannot resolve {logical_id}: {reason}")
        kind: str = self._resources[logical_id]["Type"]
        return kind

    def _reference(self, logical_id: str, path: str) -> str:
        kind = self._find(logical_id, path)
        ref = IDENTITIES[kind].ref
        if ref is None:
            raise BlueprintError(path, f"Ref to {logical_id} is not supported: a {kind} has no name")
        return self._format(logical_id, ref)

    def _attribute(self, logical_id: str, attribute: str, path: str) -> str:
        kind = self._find(logical_id, path)
        attributes = IDENTITIES[kind].attributes
        if attribute not in attributes:
            known = ", ".join(sorted(attributes)) or "none"
            raise BlueprintError(path, f"{logical_id} ({kind}) has no attribute {attribute}; supported are {known}")
        return self._format(logical_id, attributes[attribute])

    def _format(self, logical_id: str, pattern: str) -> str:
        values = {"name": self.name(logical_id), **self._place(), **self._consumed(logical_id)}
        arn = IDENTITIES[self._resources[logical_id]["Type"]].arn.format(**values)
        return pattern.format(arn=arn, **values)

    def _consumed(self, logical_id: str) -> dict[str, str]:
        """A consumer's ARN begins with its stream's and ends with the second of its creation, which follows from its
        names here."""
        if self._resources[logical_id]["Type"] != _CONSUMER:
            return {}
        path = f"Resources.{logical_id}.Properties.StreamARN"
        written = self._written(logical_id).get("StreamARN")
        if written is None or path in self._naming:
            raise BlueprintError(path, "a consumer needs the ARN of its stream here")
        self._naming.add(path)
        stream_arn = plain(evaluate(written, path, self._scope), path)
        self._naming.remove(path)
        created_s = 1_600_000_000 + crc32(f"{self._stack_name}/{logical_id}".encode()) % 100_000_000
        return {"stream_arn": stream_arn, "created_s": str(created_s)}

    def _place(self) -> dict[str, str]:
        names = {"partition": "Partition", "region": "Region", "account": "AccountId", "url_suffix": "URLSuffix"}
        return {key: self._pseudo[f"AWS::{name}"] for key, name in names.items()}


def _with_globals(shared: Any, own: Any) -> Any:
    """AWS SAM: "Globals section": mappings are merged, lists are joined (shared first), anything else is replaced."""
    if isinstance(shared, Mapping) and isinstance(own, Mapping):
        # An intrinsic function is one value, not a mapping to merge into.
        if any(str(key).startswith("Fn::") or key == "Ref" for key in (*shared, *own)):
            return own
        return {**shared, **{key: _with_globals(shared[key], own[key]) if key in shared else own[key] for key in own}}
    if isinstance(shared, list) and isinstance(own, list):
        return [*shared, *own]
    return own
