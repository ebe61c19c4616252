"""What never becomes the function's is counted as that, and only that: expired, put too early, filtered out."""

from typing import Any

import pytest

from infra.model.mapping.filters import Filter
from infra.sim.faults import NONE, Faults
from infra.sim.filtering import FILTERS, wants
from infra.sim.garbage import KINDS
from infra.sim.scenario import RETENTION_S, START_S, Scenario, scenario
from infra.sim.simulation import simulate
from infra.sim.stock import Stock

EVERYTHING: dict[str, Any] = {"record_age_s": -1, "retries": -1, "aggregate": 1, "rate": 20, "filters": ""}


def world(seed: int, faults: Faults = NONE, **fixed: Any) -> Scenario:
    start = {"starting_position": "TRIM_HORIZON", "starting_position_timestamp_s": None, "begins_after_s": 0.0}
    return scenario(seed, 200, faults, template={}, vary=True, fixed={**EVERYTHING, **start, **fixed})


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_mapping_that_begins_when_records_expire_gets_those_that_are_left(seed: int) -> None:
    """Facts 2.21, 9.10: TRIM_HORIZON is the oldest record that is kept, and those before it count as expired."""
    result = simulate(world(seed, begins_after_s=RETENTION_S + 5.0))
    assert result.violation is None
    assert result.applied > 0
    assert 0 < result.missed["expired"] == result.put - result.applied


@pytest.mark.parametrize("seed", range(1, 6))
def test_latest_and_a_timestamp_leave_out_what_was_put_before(seed: int) -> None:
    """Fact 2.21."""
    latest = simulate(world(seed, begins_after_s=5.0, starting_position="LATEST"))
    timed = world(
        seed, begins_after_s=5.0, starting_position="AT_TIMESTAMP", starting_position_timestamp_s=START_S + 2.5
    )
    for result in (latest, simulate(timed)):
        assert result.violation is None
        assert result.missed == {"before the mapping": result.put - result.applied}
        assert 0 < result.applied < result.put
    assert latest.applied < simulate(timed).applied < simulate(world(seed, begins_after_s=5.0)).applied == latest.put


@pytest.mark.parametrize("name", FILTERS)
def test_filters_let_through_what_they_mean(name: str) -> None:
    """Facts 6.1, 6.5: what does not match is processed without the function, what matches is in the totals."""
    found = simulate(world(3, filters=name))
    wanted, stock = wants(name), Stock(1, world(3).keys, world(3).window_s)
    matching = sum(wanted(stock.parcel(number).entry.data) for number in range(200))
    assert found.violation is None
    assert (found.applied, found.missed) == (matching, {"filtered out": 200 - matching})
    assert 0 < matching < 200


@pytest.mark.parametrize("name", FILTERS)
def test_what_a_filter_means_is_what_its_patterns_say(name: str) -> None:
    """Facts 6.2, 6.4, 6.7, 6.9, for well-formed events, garbage of every kind, and aggregates."""
    wanted, patterns = wants(name), Filter(FILTERS[name].patterns)
    single, several = Stock(1, 3, 60), Stock(5, 3, 60)
    datas = [single.parcel(number).entry.data for number in range(40)]
    datas += [kind.spoil(data) for kind in KINDS for data in datas[:8]]
    datas += [several.parcel(number).entry.data for number in range(5)]
    assert [wanted(data) for data in datas] == [patterns.matches(data) for data in datas]
    assert {wanted(data) for data in datas} == {True, False}
