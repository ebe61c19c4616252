"""DRIVER: what a mistake is: functions in the place of others."""

from collections.abc import Callable
from typing import Any, TypeAlias

Patch: TypeAlias = tuple[Any, str, Callable[[Any], Any]]
"""An object, the name of its attribute, and what makes the broken attribute of the right one."""


def always(value: object) -> Callable[[Any], Any]:
    """A function that answers `value` whatever it is asked."""
    return lambda _right: lambda *_arguments, **_named: value
