"""Varied seeds with every fault: nothing lost, nothing twice, everything in order (docs/simulation.md)."""

import pytest

from infra.sim.faults import Faults
from infra.sim.many import run
from infra.sim.scenario import scenario


@pytest.mark.parametrize("first", range(1, 101, 20))
def test_varied_seeds_break_no_promise(first: int) -> None:
    """Facts 2.15, 2.16, 2.26, 3.2, 3.5, 4.3, 4.8, 4.14, 4.28, 5.13 in hundreds of small worlds."""
    scenarios = [scenario(seed, 200, Faults(), template={}, vary=True, fixed={}) for seed in range(first, first + 20)]
    tally, failures = run(scenarios)
    assert [(failure.seed, str(failure.violation)) for failure in failures] == []
    assert tally.seeds == 20
    assert tally.applied > 1_000
