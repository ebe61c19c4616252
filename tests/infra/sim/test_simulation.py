"""One seed, one trace: whatever the process, its hash seed, and whether payloads are remembered."""

import os
import subprocess
import sys

import pytest

from infra.sim.faults import NONE, Faults, parse
from infra.sim.many import run
from infra.sim.scenario import Scenario, scenario
from infra.sim.simulation import simulate

EVERYTHING: dict[str, object] = {
    "begins_after_s": 0.0,
    "starting_position": "TRIM_HORIZON",
    "starting_position_timestamp_s": None,
    "filters": "",
}
"""A mapping that is there from the beginning, and lets every record through."""


def varied(seed: int, events: int = 150, faults: Faults | None = None) -> Scenario:
    return scenario(seed, events, Faults() if faults is None else faults, template={}, vary=True, fixed={})


def test_two_processes_with_other_hash_seeds_have_the_same_traces() -> None:
    program = """if True:
        from infra.sim.faults import Faults
        from infra.sim.scenario import scenario
        from infra.sim.simulation import simulate
        for seed in range(1, 9):
            print(simulate(scenario(seed, 150, Faults(), template={}, vary=True, fixed={})).trace_hash)
    """
    traces = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for hash_seed in ("1", "4242")
    ]
    assert traces[0] == traces[1]
    assert len(set(traces[0])) == 8


def test_remembering_payloads_changes_no_trace() -> None:
    for seed in range(1, 9):
        assert simulate(varied(seed), memo=True) == simulate(varied(seed), memo=False)


def test_the_results_do_not_depend_on_how_many_processes_run() -> None:
    scenarios = [varied(seed, 100) for seed in range(1, 31)]
    hashes: dict[int, list[str]] = {1: [], 2: []}
    for processes, seen in hashes.items():
        run(scenarios, processes=processes, done=lambda result, seen=seen: seen.append(result.trace_hash))  # type: ignore[misc]  # mypy cannot type the default
    assert hashes[1] == hashes[2]
    assert len(set(hashes[1])) >= 25  # a world of few records, all put before the mapping began, may look like another


def test_the_echoed_trace_is_the_one_that_is_hashed() -> None:
    lines: list[str] = []
    assert simulate(varied(3), echo=lines.append).trace_hash == simulate(varied(3)).trace_hash
    assert lines
    assert all(float(line.split()[0]) >= 0 for line in lines)


def test_without_faults_every_event_is_handed_over_and_applied_once() -> None:
    for seed in range(1, 11):
        fixed = {**EVERYTHING, "record_age_s": -1, "retries": -1}
        result = simulate(scenario(seed, 400, NONE, template={}, vary=True, fixed=fixed))
        assert result.violation is None
        assert result.put == result.applied == result.handed
        assert result.faults_met == {}


@pytest.mark.parametrize("name", [name for name, _ in Faults()])
def test_every_fault_happens_and_breaks_no_promise(name: str) -> None:
    faults = parse(f"{name}=0.3")
    if name == "destination_fails":
        faults = parse(f"{name}=0.5,crash_before_commit=0.5")
    fixed = {**EVERYTHING, "retries": 2, "rate": 20}
    if name == "subscription_dropped":
        fixed["fan_out"] = True
    scenarios = [scenario(seed, 80, faults, template={}, vary=True, fixed=fixed) for seed in range(1, 5)]
    tally, failures = run(scenarios)
    assert [str(failure.violation) for failure in failures] == []
    assert tally.faults_met.get(name, 0) > 0


def test_a_function_that_always_crashes_ends_in_documents_or_waits_for_better_times() -> None:
    always = parse("crash_before_commit=1")
    given_up = simulate(scenario(1, 100, always, template={}, vary=False, fixed={"retries": 2}))
    assert (given_up.violation, given_up.applied) == (None, 0)
    assert given_up.documents > 0
    waits = simulate(scenario(1, 100, always, template={}, vary=False, fixed={"retries": -1}))
    assert (waits.violation, waits.applied, waits.documents) == (None, 100, 0)
    assert waits.virtual_s > 300
