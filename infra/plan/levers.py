"""PURE: what would make a plan quicker that does not meet the wished latency, as sentences."""

from infra.plan.load import PRODUCER_EVENTS_PER_S, Wish, events_per_record
from infra.plan.search import Choice, machine_busy

LARGE = 0.25  # of the wished latency


def levers(wish: Wish, p99_s: float, choice: Choice) -> list[str]:
    """None if it is met."""
    if choice.meets:
        return []
    setup = choice.setup
    expected = choice.expectation
    busy = machine_busy(wish, setup, expected.invocations, expected.writes)
    if busy and expected.p99_s <= p99_s:
        return [f"a --utilisation above {busy:.2f}: that much of this machine's CPU is used, and the p99 would be met"]
    said = ["a longer --latency-p99-ms"]
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
