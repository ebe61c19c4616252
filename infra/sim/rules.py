"""DRIVER: the rules of the simulated function: usage metering as in the default rules, and what else rules may do.

Every event adds to a window. With `items` it also writes a `Record` of its own and the `Latest` of its subject. An
event may ask to be refused, or to run into a bug.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from processor.core.effects import Add, Effect, Latest, Record
from processor.core.errors import Refused
from processor.core.events import Event
from processor.core.rule_api import measure, window_start

MEASURES = ("bytes", "quantity")
RECORD_SK, LATEST_SK = "event", "newest"


@dataclass(frozen=True, slots=True)
class SimulatedRules:
    """`window_s` as in the template's WindowSeconds."""

    window_s: int
    items: bool

    def __call__(self, event: Event) -> Iterable[Effect]:
        if "wish" in event.data:
            if event.data["wish"] == "refuse":
                raise Refused("as it wished")
            raise KeyError("as it wished")
        amounts = {f"sum_{name}": value for name in MEASURES if (value := measure(event, name)) is not None}
        effects: list[Effect] = [
            Add(f"{event.type}#{event.subject}", window_start(event.time_s, self.window_s), amounts)
        ]
        if self.items:
            number = event.data["bytes"]
            effects.append(Record(f"record#{event.digest}", RECORD_SK, {"bytes": number}))
            # Every other version has one attribute more: a replacement has to drop what is not there any more.
            odd = {"odd": True} if number % 2 else {}
            effects.append(Latest(f"latest#{event.subject}", LATEST_SK, {"bytes": number, **odd}, number))
        return effects
