"""A mapping that is updated while batches are in their retries: they are judged anew, and keep what they have had."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from infra.sim import documents, updates
from infra.sim.faults import Faults, parse
from infra.sim.scenario import scenario
from infra.sim.simulation import simulate

FAILING = parse("mapping_update=0.2,crash_after_commit=0.9,throttle=0.1")


def test_an_update_changes_what_batches_are_or_how_they_are_judged() -> None:
    world = scenario(1, 10, Faults(), template={}, vary=True, fixed={})
    random, before = Random(1), world.mapping("mapping")
    found = [updates.changed(world, before, random) for _ in range(400)]
    same = [each.forms_the_same_batches_as(before) for each in found]
    assert 100 < sum(same) < 300
    judged = [each for each, is_same in zip(found, same, strict=True) if is_same]
    assert {each.retry_attempts_max for each in judged} >= {-1, 0, 1, 2, 5}
    assert {each.record_age_s_max for each in judged} >= {-1, 60, 90}
    assert {each.bisect_batch_on_function_error for each in judged} == {True, False}


def test_what_is_too_large_is_never_tried_for_ever() -> None:
    """Fact 1.14."""
    world = scenario(1, 10, Faults(), template={}, vary=True, fixed={"retries": 2})
    before = replace(world.mapping("mapping"), pace=replace(world.pace, event_bytes_max=5_000))
    random = Random(1)
    for _ in range(400):
        after = updates.changed(world, before, random)
        assert (after.retry_attempts_max, after.record_age_s_max) != (-1, -1)


@pytest.mark.parametrize("fan_out", [False, True])
def test_a_batch_keeps_its_attempts_over_an_update_and_is_judged_by_the_new_settings(
    monkeypatch: pytest.MonkeyPatch, fan_out: bool
) -> None:
    """Fact 4.5: N + 1 attempts, or more where N was lowered after they were made."""
    right, over = documents._used_up, 0

    def used_up(retries: int, made: int, *, updated: bool) -> bool:
        nonlocal over
        over += made > retries + 1
        return right(retries, made, updated=updated)

    monkeypatch.setattr(documents, "_used_up", used_up)
    fixed: dict[str, Any] = {"retries": 10, "record_age_s": -1, "fan_out": fan_out, "rate": 4, "bisect": False}
    fixed |= {"begins_after_s": 0.0, "starting_position": "TRIM_HORIZON", "starting_position_timestamp_s": None}
    for seed in range(1, 16):
        found = simulate(scenario(seed, 60, FAILING, template={}, vary=True, fixed=fixed))
        assert found.violation is None, str(found.violation)
    assert over > 3
