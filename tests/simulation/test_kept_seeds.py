"""Seeds that once failed, by the name of what they found, with the settings that they need.

A seed decides on another world as soon as anything draws differently, so each entry fixes the settings that made it
fail; faults and arrival are the seed's.
"""

from typing import Any

import pytest

from infra.sim.faults import Faults, parse
from infra.sim.scenario import scenario
from infra.sim.simulation import simulate

KEPT: dict[str, tuple[int, int, Faults, dict[str, Any]]] = {
    # Ten lanes, one environment, a mapping that begins again at a checkpoint of long ago: everything was settled under
    # an earlier lease, and the simulator ended before the last mapping's checkpoints were behind it.
    "over before the checkpoints": (
        334,
        300,
        Faults(),
        {"shards": 2, "batch_size": 1_000, "batching_window_s": 5, "parallelization_factor": 10, "retries": -1}
        | {
            "record_age_s": -1,
            "bisect": False,
            "fan_out": False,
            "reserved_concurrency": 1,
            "aggregate": 1,
            "keys": 60,
            "rate": 20,
        },
    ),
    # Records too large for an event have no invocation, but attempts that count; one was too old after sixteen of them.
    "attempts without an invocation": (
        9,
        300,
        Faults(),
        {"retries": -1, "record_age_s": 60, "aggregate": 20, "fan_out": False},
    ),
    # Fan-out hands nothing over of a foreign aggregate: the checker took it for the record that the window left behind.
    "a foreign aggregate before a later window": (
        217,
        300,
        Faults(),
        {"fan_out": True, "tumbling_window_s": 5, "parallelization_factor": 1, "aggregate": 5, "batch_size": 3},
    ),
    # A batch that always crashes with unlimited retries waits until nothing goes wrong any more.
    "unlimited retries end with the faults": (1, 60, parse("crash_during_commit=1"), {"retries": -1, "fan_out": False}),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_seed_that_once_failed_breaks_no_promise(name: str) -> None:
    seed, events, faults, fixed = KEPT[name]
    result = simulate(scenario(seed, events, faults, template={}, vary=True, fixed=fixed))
    assert result.violation is None, str(result.violation)
