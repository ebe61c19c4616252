"""Many seeds on several processes."""

import os

import pytest

from infra.sim.faults import Faults
from infra.sim.many import run
from infra.sim.scenario import scenario


def test_a_program_that_has_threads_may_simulate_on_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started anew: what is forked from a program with threads may wait for a lock for ever."""

    def fork() -> int:
        raise AssertionError("forked")

    monkeypatch.setattr(os, "fork", fork)
    scenarios = [scenario(seed, 20, Faults(), template={}, vary=True, fixed={}) for seed in range(1, 31)]
    tally, failures = run(scenarios, processes=2)
    assert (tally.seeds, failures) == (30, [])
