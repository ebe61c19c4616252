"""PURE: which mappings a request means: pages of them, those of a function or a source, the one of a pair.

AWS: API_ListEventSourceMappings, API_CreateEventSourceMapping.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from infra.model.mapping.config import name_failures
from infra.model.mapping.errors import mapping_exists, range_failure, serialization, validation

_INTEGER = re.compile(r"-?[0-9]{1,10}")
_ASKED_MAX = 10_000
_PAGE_MAX = 100  # AWS returns at most 100, also when MaxItems says more


class Mapped(Protocol):
    @property
    def uuid(self) -> str: ...
    @property
    def event_source_arn(self) -> str: ...
    @property
    def function_arn(self) -> str: ...


Some = TypeVar("Some", bound=Mapped)


def page(query: Mapping[str, str], mappings: Iterable[Some]) -> tuple[Sequence[Some], str | None]:
    """What ListEventSourceMappings answers, in order of UUID, and the marker of the next page. Raises MappingError."""
    source, function = query.get("EventSourceArn"), query.get("FunctionName")
    limit = _limit(query.get("MaxItems", str(_PAGE_MAX)), [*name_failures(source or None, function or None)])
    chosen = [
        mapping
        for mapping in sorted(mappings, key=lambda each: each.uuid)
        if (not source or mapping.event_source_arn == source)
        and (not function or _names(function, mapping.function_arn))
        and mapping.uuid > query.get("Marker", "")
    ]
    shown = chosen[: min(limit, _PAGE_MAX)]
    return shown, shown[-1].uuid if len(shown) < len(chosen) else None


def check_new_pair(mappings: Iterable[Mapped], event_source_arn: str, function_arn: str) -> None:
    """Raises MappingError if one of the mappings has the same source and function already.

    `$LATEST` is what a function without a qualifier is; every other version or alias is a function of its own.
    """
    for other in mappings:
        if other.event_source_arn == event_source_arn and _plain(other.function_arn) == _plain(function_arn):
            raise mapping_exists(event_source_arn, function_arn.split(":", 6)[6], other.uuid)


def _limit(text: str, failures: list[str]) -> int:
    if not _INTEGER.fullmatch(text):
        raise serialization("MaxItems has to be a whole number")
    wrong = range_failure(int(text), "maxItems", 1, _ASKED_MAX)
    failures += [wrong] if wrong is not None else []
    if failures:
        raise validation(failures)
    return int(text)


def _names(wanted: str, function_arn: str) -> bool:
    """A function is named by its ARN, by `account:function:name`, or by name; with its qualifier if it has one."""
    account_id, name = function_arn.split(":")[4], _plain(":".join(function_arn.split(":")[6:]))
    return _plain(wanted) in (
        _plain(function_arn),
        name,
        f"{account_id}:function:{name}",
        f"{account_id}:{name}",
        f"function:{name}",
    )


def _plain(name: str) -> str:
    return name.removesuffix(":$LATEST")
