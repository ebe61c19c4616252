"""The promises of `Witness` for a mapping on a consumer: whatever is pushed, answered, resharded and cut off."""

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.infra.model.mapping.test_properties import (
    Answer,
    Step,
    answers,
    apply,
    configs,
    durations,
    finish,
    finish_restarted,
    steps,
    taking_turns,
)
from tests.support.mapping_world import STREAM, World

CONSUMER = STREAM + "/consumer/quick:1789808973"
CUT_OFF = "ResourceInUseException: Another active subscription exists for this consumer"


def begun(config: dict[str, Any], outcomes: list[Answer], takes_s: list[float], then_s: float) -> World:
    world = World(shards=2, event_source_arn=CONSUMER, **config)
    turn = taking_turns(outcomes, Answer("fine"))
    world.answer = lambda invoke: turn(invoke)(invoke)
    world.duration_s = taking_turns(takes_s, then_s)
    return world.start()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    configs,
    st.lists(st.tuples(steps, st.booleans()), max_size=14),
    st.lists(answers, max_size=30),
    durations,
    st.booleans(),
)
def test_nothing_that_is_pushed_is_lost_and_every_promise_holds(
    config: dict[str, Any],
    happenings: list[tuple[Step, bool]],
    outcomes: list[Answer],
    takes_s: list[float],
    refusing: bool,
) -> None:
    world = begun(config, outcomes, takes_s, 0.0)
    world.refusing = refusing
    for step, cut_off in happenings:
        apply(world, step)
        if cut_off:
            for shard_id in world.shards:
                world.cut_off(shard_id, CUT_OFF)
    finish(world)
    totals = world.machine.totals
    records = sum(len(shard.records) for shard in world.shards.values())
    given_up = sum(len(deliver.discarded.records) for _, deliver in world.documents)
    assert totals["PolledEventCount"] == records
    assert totals["InvokedEventCount"] - totals["FailedInvokeEventCount"] == records - given_up
    assert world.reads == []
    assert world.machine.settled
    event(f"subscribed again: {len(world.subscriptions) > len(world.shards)}")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, st.lists(steps, max_size=10), st.lists(answers, max_size=12), durations, st.floats(0, 30))
def test_a_restart_from_a_snapshot_loses_nothing_that_was_pushed(
    config: dict[str, Any], happenings: list[Step], outcomes: list[Answer], takes_s: list[float], until_s: float
) -> None:
    """Facts 2.16, 3.5."""
    world = begun(config, outcomes, takes_s, 20.0)
    for step in happenings:
        apply(world, step)
    world.run(until_s)
    again = world.restarted().start()
    finish_restarted(world, again)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, st.lists(st.tuples(steps, st.booleans()), max_size=10), st.lists(answers, max_size=10), durations)
def test_disabling_and_enabling_loses_nothing_and_leaves_no_subscription_behind(
    config: dict[str, Any], happenings: list[tuple[Step, bool]], outcomes: list[Answer], takes_s: list[float]
) -> None:
    """Fact 2.24."""
    world = begun(config, outcomes, takes_s, 0.0)
    for step, disabling in happenings:
        apply(world, step)
        if disabling:
            world.update(enabled=False).run(400)
            assert world.machine.state == "Disabled"
            assert world._subscribed == {}
            world.update(enabled=True).run(1)
    finish(world)
