"""DRIVER: event filters of simulated mappings, each as its patterns and, written down a second time, as what it means.

Data that is no JSON does not match, and so an aggregate does not (facts 6.4, 6.9). Patterns are joined by OR (fact
6.1). For an array of events, one that matches is enough.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

NUMERIC_MAX = 5.0e9  # AWS: EventBridge's numeric matching goes no further


class Filtering(NamedTuple):
    """`patterns` as FilterCriteria has them; `means` says it of one parsed event."""

    patterns: tuple[str, ...]
    means: Callable[[dict[str, Any]], bool]


def _pattern(data: dict[str, Any]) -> str:
    return json.dumps({"data": data})


def _amount(event: dict[str, Any], name: str) -> float | None:
    data = event.get("data")
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) <= NUMERIC_MAX else None


def _is_large(event: dict[str, Any]) -> bool:
    size = _amount(event, "bytes")
    return size is not None and size > 5_000


def _is_first_or_few(event: dict[str, Any]) -> bool:
    quantity = _amount(event, "quantity")
    return event.get("subject") == "key-00000" or (quantity is not None and 20 <= quantity < 60)


FILTERS: dict[str, Filtering] = {
    "large": Filtering((_pattern({"data": {"bytes": [{"numeric": [">", 5_000]}]}}),), _is_large),
    "first or few": Filtering(
        (
            _pattern({"subject": ["key-00000"]}),
            _pattern({"data": {"quantity": [{"numeric": [">=", 20, "<", 60]}]}}),
        ),
        _is_first_or_few,
    ),
    "not the first": Filtering(
        (_pattern({"type": ["sim.metered"], "subject": [{"anything-but": ["key-00000"]}]}),),
        lambda event: (
            event.get("type") == "sim.metered"
            and isinstance(event.get("subject"), str)
            and event["subject"] != "key-00000"
        ),
    ),
}


def wants(name: str) -> Callable[[bytes], bool]:
    """Whether a record's data is let through; without a filter everything is."""
    if not name:
        return lambda _: True
    means = FILTERS[name].means

    def wanted(data: bytes) -> bool:
        try:
            found = json.loads(data.decode("utf-8"), parse_constant=_no_number)
        except (ValueError, RecursionError):
            return False
        events = found if isinstance(found, list) else [found]
        return any(isinstance(event, dict) and means(event) for event in events)

    return wanted


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)
