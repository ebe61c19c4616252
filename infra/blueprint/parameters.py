"""PURE: the values of a template's parameters: given or default, checked against what the template allows.

AWS: "CloudFormation template Parameters syntax". Values are strings, as CloudFormation passes them on; those of a
CommaDelimitedList are lists of strings.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from infra.intrinsics import NO_VALUE, BlueprintError, plain, text

ParameterValue = str | list[str]

_KEYS: Final = (
    *("Type", "Default", "Description", "NoEcho", "AllowedValues", "AllowedPattern", "ConstraintDescription"),
    *("MinLength", "MaxLength", "MinValue", "MaxValue"),
)
_NUMERIC: Final = ("MinLength", "MaxLength", "MinValue", "MaxValue")
_TYPES: Final = ("String", "Number", "CommaDelimitedList")


def resolve(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, ParameterValue]:
    """The value of every declared parameter. Raises BlueprintError naming the parameter and what is allowed."""
    for name in given:
        if name not in declared:
            raise BlueprintError(
                f"Parameters.{name}", f"no such parameter; the template has {', '.join(sorted(declared)) or 'none'}"
            )
    return {name: _resolve(name, declaration, given) for name, declaration in declared.items()}


def _resolve(name: str, declaration: Any, given: Mapping[str, str]) -> ParameterValue:
    path = f"Parameters.{name}"
    if not isinstance(declaration, Mapping) or text(declaration.get("Type")) not in _TYPES:
        raise BlueprintError(path, f"a parameter needs a Type; supported are {', '.join(_TYPES)}")
    if unknown := sorted(map(str, set(declaration) - set(_KEYS))):
        raise BlueprintError(f"{path}.{unknown[0]}", f"not supported; supported are {', '.join(sorted(_KEYS))}")
    _check_declaration(path, declaration)
    if name not in given and "Default" not in declaration:
        raise BlueprintError(path, "has no default and no value was given")
    value = text(given[name] if name in given else declaration["Default"])
    if declaration["Type"] == "CommaDelimitedList":
        entries = [entry.strip() for entry in value.split(",")]
        for entry in entries:
            _check(path, declaration, entry)
        return entries
    _check(path, declaration, value)
    return value


def _check_declaration(path: str, declaration: Mapping[str, Any]) -> None:
    """What the checks of a value rely on."""
    for key in ("Default", *_NUMERIC):
        if key in declaration:
            plain(declaration[key], f"{path}.{key}")
    for key in _NUMERIC:
        if key in declaration:
            _number(f"{path}.{key}", text(declaration[key]))
    allowed = declaration.get("AllowedValues", [])
    if not isinstance(allowed, list):
        raise BlueprintError(f"{path}.AllowedValues", "a list is needed here")
    for index, item in enumerate(allowed):
        plain(item, f"{path}.AllowedValues[{index}]")
    try:
        re.compile(plain(declaration.get("AllowedPattern", ""), f"{path}.AllowedPattern"))
    except (re.error, OverflowError, RecursionError) as error:
        raise BlueprintError(f"{path}.AllowedPattern", f"it is no regular expression: {error}") from error


def _check(path: str, declaration: Mapping[str, Any], value: str) -> None:
    allowed = [text(item) for item in declaration.get("AllowedValues", ())]
    if allowed and value not in allowed:
        raise BlueprintError(path, f"{value!r} is not allowed; allowed are {', '.join(allowed)}")
    if "AllowedPattern" in declaration and not re.fullmatch(text(declaration["AllowedPattern"]), value):
        hint = declaration.get("ConstraintDescription", f"allowed is {declaration['AllowedPattern']}")
        raise BlueprintError(path, f"{value!r} is not allowed; {hint}")
    measured: Decimal = Decimal(len(value))
    if declaration["Type"] == "Number":
        measured = _number(path, value)
        _check_range(path, declaration, value, measured, "MinValue", "MaxValue")
    else:
        _check_range(path, declaration, value, measured, "MinLength", "MaxLength")


def _number(path: str, value: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise BlueprintError(path, f"{value!r} is not a number") from None
    if not number.is_finite():
        raise BlueprintError(path, f"{value!r} is not a number")
    return number


def _check_range(path: str, declaration: Mapping[str, Any], value: str, measured: Decimal, low: str, high: str) -> None:
    minimum, maximum = (Decimal(text(declaration[key])) if key in declaration else None for key in (low, high))
    if (minimum is not None and measured < minimum) or (maximum is not None and measured > maximum):
        what = "length " if low == "MinLength" else ""
        raise BlueprintError(path, f"{value!r} is not allowed; allowed is {what}{_span(minimum, maximum)}")


def _span(minimum: Decimal | None, maximum: Decimal | None) -> str:
    if minimum is None:
        return f"at most {maximum}"
    return f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"


def pseudo(stack_name: str, account_id: str, region: str) -> dict[str, Any]:
    """The pseudo parameters; `AWS::StackId` is the same for the same stack, account and region."""
    partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    stack = stable_uuid(account_id, region, stack_name)
    return {
        "AWS::AccountId": account_id,
        "AWS::NoValue": NO_VALUE,
        "AWS::NotificationARNs": [],
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::StackId": f"arn:{partition}:cloudformation:{region}:{account_id}:stack/{stack_name}/{stack}",
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": suffix,
    }


def stable_uuid(*parts: str) -> str:
    """The same UUID for the same names (version 5), where AWS would draw one."""
    return str(uuid5(NAMESPACE_URL, "/".join(parts)))
