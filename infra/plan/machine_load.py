"""PURE: the rates at which what a local stack shares is used up: more load comes in fuller batches, which cost less."""

from dataclasses import replace

from infra.plan.batches import cycle
from infra.plan.load import LIMITS, Wish
from infra.plan.search import Choice
from infra.plan.service import ServiceTimes

HALVINGS = 40


def machine_used_up_at(wish: Wish, choice: Choice, times: ServiceTimes) -> tuple[float, float]:
    """Events per second of the whole load, of the stack's process and of all cores. Batches are those that a lane cuts
    at that rate by arithmetic, times what those in virtual time were off by at the wished one. Beyond it they get
    fuller only because they wait.
    """
    machine = choice.setup.machine
    assert machine is not None
    expected = choice.expectation
    estimated = _counts(wish, choice, times, wish.rate)
    seen = expected.invocations / estimated[0], expected.writes / max(1e-9, estimated[1])

    def used(rate: float) -> tuple[float, float]:
        batches, writes = (count * off for count, off in zip(_counts(wish, choice, times, rate), seen, strict=True))
        stack, every = machine.busy(batches, rate, writes + rate * wish.malformed)
        return stack / machine.stack_share, every / machine.cores

    def used_up(which: int) -> float:
        lowest, highest = LIMITS["rate"]
        if (at_most := used(highest)[which]) <= 1.0:
            return highest / at_most
        low, high = (lowest, wish.rate) if used(wish.rate)[which] > 1.0 else (wish.rate, highest)
        for _ in range(HALVINGS):
            rate = (low + high) / 2
            low, high = (low, rate) if used(rate)[which] > 1.0 else (rate, high)
        return low

    return used_up(0), used_up(1)


def _counts(wish: Wish, choice: Choice, times: ServiceTimes, rate: float) -> tuple[float, float]:
    """Batches and pages written per second, of all lanes if they are alike."""
    lane = cycle(replace(wish, rate=rate), choice.setup, times, 1 / choice.setup.lanes)
    batches = rate / max(1e-9, lane.events)
    return batches, batches * lane.writes
