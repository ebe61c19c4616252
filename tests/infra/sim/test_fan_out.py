"""Worlds whose mapping has a consumer for its source: subscriptions, aggregates taken apart, every promise as before."""

import re
from typing import Any

import pytest

from infra.sim.faults import NONE, Faults, parse
from infra.sim.scenario import Scenario, scenario
from infra.sim.simulation import simulate

FAN_OUT: dict[str, Any] = {"fan_out": True, "aggregate": 20, "filters": "", "tumbling_window_s": 0}
FROM_THE_FIRST: dict[str, Any] = {
    "begins_after_s": 0.0,
    "starting_position": "TRIM_HORIZON",
    "starting_position_timestamp_s": None,
}
SENT = re.compile(r" invoke \S+ \S+ (\d+) n=(\d+) (\d+)\.\.(\d+)")


def world(seed: int, faults: Faults, events: int = 300, **fixed: Any) -> Scenario:
    return scenario(seed, events, faults, template={}, vary=True, fixed={**FAN_OUT, **FROM_THE_FIRST, **fixed})


def test_without_faults_every_user_record_is_handed_over_and_applied_once() -> None:
    """Facts 2.18, 3.9: pushed and taken apart, so that batches are of user records, and nothing is read."""
    for seed in range(1, 9):
        lines: list[str] = []
        found = simulate(world(seed, NONE, retries=-1, record_age_s=-1), echo=lines.append)
        assert (found.violation, found.missed) == (None, {})
        assert found.put == found.applied == found.handed
        sent = [int(match[2]) for line in lines if (match := SENT.search(line))]
        assert sum(sent) >= found.put  # more where the concurrency is reserved: what is refused is sent again
        assert any(" pushed " in line for line in lines)
        assert not any(" read " in line for line in lines)


def test_batches_begin_and_end_within_aggregates_with_every_fault() -> None:
    """Facts 3.9, 4.14, 4.20: the rest of an aggregate has its number; nothing of it is lost or twice in the totals."""
    within = 0
    for seed in range(1, 13):
        lines: list[str] = []
        fixed: dict[str, Any] = {"batch_size": 3, "report": True, "bisect": seed % 2 == 0}
        found = simulate(world(seed, Faults(), 200, **fixed), echo=lines.append)
        assert found.violation is None, str(found.violation)
        last: dict[str, str] = {}
        for shard, _, begins, ends in (match.groups() for line in lines if (match := SENT.search(line))):
            within += last.get(shard) == begins != ends
            last[shard] = ends
    assert within > 50


def test_a_mapping_that_moves_finds_its_shards_taken_and_takes_them_over() -> None:
    """Fact 9.10: the one before it is subscribed for five seconds at least, or until it is taken over."""
    refused = over = 0
    for seed in range(1, 9):
        lines: list[str] = []
        found = simulate(world(seed, parse("lease_move=0.3"), rate=4, keys=1), echo=lines.append)
        assert found.violation is None, str(found.violation)
        assert found.applied == found.put
        refused += sum("ResourceInUseException" in line for line in lines)
        over += sum(" lease " in line for line in lines)
    assert over > 20
    assert refused > 5


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_subscription_that_is_cut_off_goes_on_where_it_was(seed: int) -> None:
    """Fact 9.10."""
    fixed: dict[str, Any] = {"rate": 20, "retries": -1, "record_age_s": -1}
    found = simulate(world(seed, parse("subscription_dropped=0.5"), **fixed))
    assert (found.violation, found.missed) == (None, {})
    assert found.put == found.applied == found.handed
    assert found.faults_met["subscription_dropped"] > 0


def test_an_idle_subscription_is_renewed_after_five_minutes() -> None:
    """Fact 9.10: and nothing that comes while there is none is lost."""
    lines: list[str] = []
    found = simulate(world(2, NONE, 1_000, rate=1, aggregate=1, shards=1), echo=lines.append)
    assert (found.violation, found.applied) == (None, 1_000)
    began = [float(line.split()[0]) for line in lines if " subscribe " in line]
    assert began == pytest.approx([0.0, 300.0, 600.0, 900.0], abs=1.0)
