"""Worlds with tumbling windows: each window is ended once, and its state has seen every record of it."""

import re
from collections import Counter
from typing import Any

import pytest

from infra.sim.faults import NONE, Faults
from infra.sim.scenario import scenario
from infra.sim.simulation import simulate

WINDOWS: dict[str, Any] = {"tumbling_window_s": 5, "parallelization_factor": 1, "filters": "", "begins_after_s": 0.0}
FROM_THE_FIRST: dict[str, Any] = {"starting_position": "TRIM_HORIZON", "starting_position_timestamp_s": None}
SENT = re.compile(r"invoke \S+ \S+ (\d+) n=(\d+).* Window.*?start_s=(\d+).*state=b'(.*?)', final=(True|False)")


@pytest.mark.parametrize("seed", range(1, 6))
def test_without_faults_every_window_ends_once_with_the_state_of_all_its_records(seed: int) -> None:
    """Facts 7.1, 7.2, 7.5, 7.6: the state grows by one letter for every record, and the last invocation has it all."""
    lines: list[str] = []
    fixed = {**WINDOWS, **FROM_THE_FIRST, "aggregate": 1, "rate": 20, "record_age_s": -1, "timeout_s": 60}
    fixed["reserved_concurrency"] = -1  # one that is refused is sent again
    world = scenario(seed, 300, NONE, template={}, vary=True, fixed=fixed)
    state_bytes_max = world.pace.window_state_bytes_max
    result = simulate(world, echo=lines.append)
    assert (result.violation, result.applied) == (None, 300)
    records: Counter[tuple[str, str]] = Counter()
    ended: Counter[tuple[str, str]] = Counter()
    for shard, count, start, state, final in (found.groups() for line in lines if (found := SENT.search(line))):
        records[shard, start] += int(count)
        if final == "True":
            ended[shard, start] += 1
            assert int(count) == 0
            if state_bytes_max > 60:
                assert state.count("x") == records[shard, start]
    assert len(ended) > 1
    assert ended.keys() == records.keys()
    assert sum(records.values()) == 300
    if state_bytes_max > 60:
        assert set(ended.values()) == {1}


@pytest.mark.parametrize("seed", range(1, 6))
def test_with_every_fault_windows_break_no_promise(seed: int) -> None:
    """Facts 7.3, 7.4, 7.7, 7.8."""
    assert simulate(scenario(seed, 150, Faults(), template={}, vary=True, fixed=WINDOWS)).violation is None
