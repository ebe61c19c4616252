"""PURE: usage metering, the rules that come with the processor. This is the file to replace by your own.

Write a module with one function `effects(event, settings)` and name it in the template's `RulesModule` parameter.
Three things to know (processor/core/rule_api.py has the rest):

- It must be pure: the same event always gives the same effects. An event may be delivered many times.
- `raise errors.Refused("why")` sets an event aside in quarantine. Any other exception is a bug and shows as one.
- An effect is `Add` (totals per window), `Record` (an item per event) or `Latest` (the newest state of something).
"""

from collections.abc import Iterable

from processor.core.effects import Add, Effect
from processor.core.events import Event
from processor.core.rule_api import RuleSettings, measure, window_start


def effects(event: Event, settings: RuleSettings) -> Iterable[Effect]:
    """Count the event, and add up its measures, per type, subject and window of its own time.

    The number of events is kept with every window without being asked for. A measure that `data` does not have, or
    has as something else than a number, adds nothing; one with too many digits is malformed (`bad_number`).
    """
    amounts = {}
    for name in settings.measures:
        value = measure(event, name)
        if value is not None:
            amounts[f"sum_{name}"] = value
    window = window_start(event.time_s, settings.window_s)
    return [Add(pk=f"{event.type}#{event.subject}", window=window, amounts=amounts)]
