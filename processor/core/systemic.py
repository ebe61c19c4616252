"""PURE: when it is the rules that are at fault, and not the events.

One event that raises is set aside. When most of them raise, a bad deployment is at work: then the batch is reported,
so that the line stops and nothing is poured into quarantine. Lambda answers by bisecting the batch, down to one
Kinesis record; so the judgement also looks back at the latest events this execution environment has seen. Events are
told apart by identity: one event delivered ten times is one event that raised, not ten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

RAISED_MIN: Final = 10
"""Fewer distinct events than this stop no line: a share of three events says nothing."""
RECENT_EVENTS_MAX: Final = 1_000
"""Remembered events: one whole batch of the default batch size, so that its halves are judged like it."""


@dataclass(frozen=True, slots=True)
class Systemic:
    """The rules fail so often that they, not the events, are at fault: the whole batch is to be reported.

    `raised` of `total` distinct events raised, which is `share`; `first_traceback` is the first one of this batch.
    """

    share: float
    raised: int
    total: int
    first_traceback: str


@dataclass(frozen=True, slots=True)
class RecentOutcomes:
    """Which of the latest events raised in the rules: identity (digest) -> raised, oldest first, bounded."""

    raised: Mapping[str, bool] = field(default_factory=dict)

    def followed_by(self, outcomes: Mapping[str, bool]) -> "RecentOutcomes":
        """Return the memory after a batch with these outcomes; an event seen again moves to the end."""
        before = self.raised if len(outcomes) < RECENT_EVENTS_MAX else {}
        if before.keys().isdisjoint(outcomes):
            merged = {**before, **outcomes}
        else:
            merged = {digest: raised for digest, raised in before.items() if digest not in outcomes}
            merged.update(outcomes)
        surplus = len(merged) - RECENT_EVENTS_MAX
        return RecentOutcomes(dict(islice(merged.items(), surplus, None)) if surplus > 0 else merged)


def judge(
    outcomes: Mapping[str, bool], recent: RecentOutcomes, *, systemic_share: float, first_traceback: str
) -> Systemic | None:
    """Say whether the batch with these outcomes is to be reported; `recent` already includes it.

    It is when at least RAISED_MIN distinct events and more than `systemic_share` of them raised, either in this batch
    alone (a healthy past does not excuse it) or together with the recent ones (a bisected batch is small). A batch in
    which nothing raised is never reported. A `systemic_share` of 1 switches the judgement off.
    """
    if not any(outcomes.values()):
        return None
    for view in (outcomes, recent.raised):
        total = len(view)
        raised = sum(view.values())
        if raised >= RAISED_MIN and raised > systemic_share * total:
            return Systemic(raised / total, raised, total, first_traceback)
    return None
