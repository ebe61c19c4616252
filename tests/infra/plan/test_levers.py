"""What would help a plan that is not met: nothing that the command itself refuses."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.plan.candidates import UTILISATION_RANGE, Aims
from infra.plan.expect import Expectation, expect
from infra.plan.levers import levers
from infra.plan.load import Wish, spread
from infra.plan.machine import Machine, Work
from infra.plan.search import Choice, machine_busy
from infra.plan.setup import Setup
from tests.infra.plan.support import TIMES

MACHINE = Machine(2, Work(0.004, 2e-5, 5e-4), Work(0.01, 2e-4, 1.2e-3), 0.8, 0.6, 0.002, "made up for a test")
WISH = Wish(100, keys=500, skew=0)
LOCAL = Setup(1, 2, 50, 1, 1769, read_on_put=True, machine=MACHINE)
EXPECTED: Expectation = expect(WISH, LOCAL, TIMES)


def said(utilisation: float, p99_s: float, *, batches: float, sustained: float, machine: bool = True) -> list[str]:
    """Of a plan with so many batches per second and a lane that sustains so much."""
    setup = LOCAL if machine else replace(LOCAL, machine=None)
    expected = replace(EXPECTED, invocations=batches, p99_s=2.0, sustained=sustained)
    placed = spread(WISH, setup.shards, setup.factor, setup.outer_lanes)
    choice = Choice(setup, expected, placed, meets=False, tried=())
    return levers(WISH, Aims(utilisation, p99_s, setup), choice, 77.0)


@settings(max_examples=60)
@given(st.floats(0.05, 1), st.sampled_from([1.0, 5.0]), st.floats(1, 400), st.floats(20, 2_000), st.booleans())
def test_a_utilisation_that_is_advised_is_accepted_higher_and_enough(
    utilisation: float, p99_s: float, batches: float, sustained: float, machine: bool
) -> None:
    found = "; ".join(said(utilisation, p99_s, batches=batches, sustained=sustained, machine=machine))
    busy = machine_busy(WISH, LOCAL, batches, EXPECTED.writes) if machine else 0.0
    used = max(busy, WISH.rate / sustained)
    for advised in map(float, re.findall(r"--utilisation of ([\d.]+)", found)):
        assert UTILISATION_RANGE[0] <= advised <= UTILISATION_RANGE[1]
        assert advised >= used - 1e-9
        assert advised > utilisation - 0.01
    if used > 1:
        assert "--utilisation" not in found
        assert "a lower --rate" in found


def test_more_than_all_of_the_machine_asks_for_a_lower_rate_or_fuller_batches() -> None:
    first, then, *_ = said(0.75, 5.0, batches=300, sustained=8_000)
    assert re.fullmatch(
        r"a lower --rate: this machine's CPU is used to 1\d\d% by this one, and used up at about 77 events/s", first
    )
    assert then == "a longer --latency-p99-ms"


@pytest.mark.parametrize(
    ("batches", "sustained", "what"), [(120, 8_000, "this machine's CPU"), (1, 110, "what the busiest lane can do")]
)
def test_what_lacks_only_room_is_helped_by_less_of_it(batches: float, sustained: float, what: str) -> None:
    (only,) = said(0.5, 5.0, batches=batches, sustained=sustained)
    assert re.fullmatch(
        rf"a --utilisation of 0\.\d\d or more: that much of {what} is used, and the p99 would be met", only
    )
    both = said(0.5, 1.0, batches=batches, sustained=sustained)
    assert both[0].endswith(f"or more, too: that much of {what} is used")
    assert both[1] == "a longer --latency-p99-ms"


def test_the_longest_latency_there_is_cannot_be_longer() -> None:
    assert "a longer --latency-p99-ms" in said(0.75, 1.0, batches=1, sustained=8_000)
    assert "a longer --latency-p99-ms" not in said(0.75, 3_600.0, batches=300, sustained=8_000)
