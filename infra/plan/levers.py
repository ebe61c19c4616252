"""PURE: what would make a plan quicker that does not meet the wished latency, as sentences."""

from math import ceil

from infra.plan.candidates import P99_MS_RANGE, UTILISATION_RANGE, Aims
from infra.plan.load import PRODUCER_EVENTS_PER_S, Wish, events_per_record
from infra.plan.search import Choice, machine_busy

LARGE = 0.25  # of the wished latency


def levers(wish: Wish, aims: Aims, choice: Choice, sustained: float) -> list[str]:
    """None if it is met. `sustained`: events per second at which the first quota is used up that cannot be raised. No
    value is named that its option would not take.
    """
    if choice.meets:
        return []
    expected = choice.expectation
    busy = machine_busy(wish, choice.setup, expected.invocations, expected.writes)
    used = max(busy, wish.rate / expected.sustained)
    what = "this machine's CPU" if busy >= used else "what the busiest lane can do"
    is_quick = expected.p99_s <= aims.p99_s
    highest = UTILISATION_RANGE[1]
    if used > highest:
        room = [
            f"a lower --rate: {what} is used to {used:.0%} by this one, and used up at about {sustained:,.0f} events/s"
        ]
    elif used > aims.utilisation:
        least = min(highest, ceil(used * 100) / 100)
        and_then = ": that much of" if is_quick else ", too: that much of"
        met = ", and the p99 would be met" if is_quick else ""
        room = [f"a --utilisation of {least:.2f} or more{and_then} {what} is used{met}"]
    else:
        room = []
    return room if room and is_quick and used <= highest else room + _quicker(wish, aims.p99_s, choice)


def _quicker(wish: Wish, p99_s: float, choice: Choice) -> list[str]:
    setup, expected = choice.setup, choice.expectation
    said = ["a longer --latency-p99-ms"] if max(p99_s, expected.p99_s) * 1000 < P99_MS_RANGE[1] else []
    if wish.aggregate > 1 and wish.producer_count > 1:
        each = events_per_record(wish, setup.outer_lanes)
        if each < wish.aggregate / 2:
            said.append(
                f"fewer --producers, if each can send more than {wish.rate / wish.producer_count:,.0f} events/s: "
                f"{wish.producer_count:,} fill a record with {each:,.1f} of up to {wish.aggregate:,} events"
            )
    if wish.aggregate > 1 and wish.linger_s > LARGE * p99_s:
        said.append(f"a shorter --linger-ms: an aggregate waits {wish.linger_s:g} s at most")
    if wish.pause_s > LARGE * p99_s:
        said.append(f"rules that pause for less than {wish.pause_s:g} s in every batch")
    if not setup.read_on_put and p99_s < 1.0 / (1.0 - LARGE):
        said.append("nothing below about a second, for an idle shard is polled once per second")
    return said


def too_much_for_a_producer(wish: Wish) -> str | None:
    """A sentence, if each process has to send more than one is planned with."""
    each = wish.rate / wish.producer_count
    if each <= PRODUCER_EVENTS_PER_S:
        return None
    return (
        f"Each producer has to send {each:,.0f} events/s, and {PRODUCER_EVENTS_PER_S:,} is what a process is planned "
        "with: measure yours, or give more --producers."
    )
