"""PURE: what is known of a load's account before anything is sent, from the truths of its first events."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from loadgen.offer.truth import Known
from processor.core.errors import Reason

FIRST = 1_000
END_SAID_S = 366 * 86_400


class Foreseen(NamedTuple):
    """`sentences`: what the account will not be able to say, and what to expect of it. `keys`: windows' and items'
    partition keys."""

    sentences: list[str]
    keys: set[str]


def foresee(rules_module: str, truths: Iterable[Known]) -> Foreseen:
    """Of rules that do not come with the processor; `truths`: of the load's first events."""
    first = list(truths)
    well_formed = [truth for truth in first if truth.reason is None]
    keys = {pk for truth in well_formed for pk, _ in (*truth.windows(), *truth.item_keys())}
    seen = (
        (
            sum(not truth.has_effect for truth in well_formed),
            "change nothing under these rules: no table can show whether they were processed",
        ),
        (
            sum(_only_latest(truth) for truth in well_formed),
            "only write latest values: of one that a newer one has replaced no table can show whether it was processed",
        ),
        (
            sum(truth.reason is Reason.RULES_REFUSED for truth in first),
            "are refused by the rules: they are expected in quarantine",
        ),
        (
            sum(truth.reason is Reason.RULES_ERROR for truth in first),
            "raise an error in the rules: they are expected in quarantine (a batch with too many of them is not taken)",
        ),
    )
    ours = f"the account goes by {rules_module} as it is in this checkout; what is deployed must be the same"
    return Foreseen(
        [ours, *(f"{count:,} of the first {len(first):,} events {what}" for count, what in seen if count)], keys
    )


def _only_latest(truth: Known) -> bool:
    if truth.pk or truth.more is None:
        return False
    return all(item.version is not None for item in truth.more.items)


def how_long(name: str, lasts_s: float, speed: float, now_s: float) -> str:
    """A recording's span, and how long it takes to send it in `lasts_s`."""
    until = ""
    if lasts_s < END_SAID_S:
        until = f", until about {datetime.fromtimestamp(now_s + lasts_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    takes = f"at --speed {speed:g} sending it takes {clock(lasts_s)}{until}"
    return f"{name} spans {clock(lasts_s * speed)}: {takes} (--speed max: as fast as the stream takes it)"


def clock(seconds: float) -> str:
    """A duration for people."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours:,} h {rest // 60:02d} min {rest % 60:02d} s" if hours else f"{rest // 60} min {rest % 60:02d} s"
