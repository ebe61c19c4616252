"""Tumbling windows over generated histories: whatever is put, answered, delivered late or restarted, the state of every
window counts each of its records exactly once, and every window has its end."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from infra.model.function import FunctionError, InvokeOutcome, ServiceError, Succeeded, Throttled
from infra.model.mapping import Invoke, Pace
from tests.support.mapping_windows import WindowWitness, WindowWorld
from tests.support.mapping_world import ONE, World

CHILDREN = ["shardId-000000000001", "shardId-000000000002"]


def count(invoke: Invoke, done: int) -> dict[str, Any]:
    assert invoke.window is not None
    state = json.loads(invoke.window.state)
    state["records"] = state.get("records", 0) + done
    return dict(state)


def answer(kind: str, invoke: Invoke) -> InvokeOutcome:
    """Counts what it has done into the state. `partial` stops in the middle, `fat` makes the state too large."""
    done = len(invoke.records)
    match kind:
        case "raised":
            return FunctionError(invoke.request_id, "ValueError", b"{}")
        case "throttled":
            return Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        case "lost":
            return ServiceError("ServiceException: lost")
        case "stateless":
            return Succeeded(invoke.request_id, b'{"batchItemFailures":[]}')
        case "partial" if invoke.records:
            done //= 2
            failures = [{"itemIdentifier": str(invoke.records[done].sequence_number)}]
            payload = {"batchItemFailures": failures, "state": count(invoke, done)}
            return Succeeded(invoke.request_id, json.dumps(payload).encode())
        case "fat":
            return Succeeded(invoke.request_id, json.dumps({"state": count(invoke, done) | {"x": "X" * 300}}).encode())
    return Succeeded(invoke.request_id, json.dumps({"state": count(invoke, done)}).encode())


configs = st.fixed_dictionaries(
    {
        "tumbling_window_s": st.sampled_from([1, 7, 10, 60]),
        "batch_size": st.sampled_from([1, 3, 100]),
        "batching_window_s": st.sampled_from([0, 0, 2]),
        "bisect_batch_on_function_error": st.booleans(),
        "retry_attempts_max": st.sampled_from([0, 1, 3]),
        "record_age_s_max": st.sampled_from([-1, 60]),
        "report_batch_item_failures": st.just(True),
        "on_failure_destination_arn": st.just("arn:aws:s3:::failures"),
        "pace": st.builds(
            Pace,
            window_state_bytes_max=st.just(200),
            window_idle_close_s=st.sampled_from([0.0, 5.0, 120.0]),
            event_bytes_max=st.sampled_from([2_500, 6_291_556]),
        ),
    }
)
kinds = st.sampled_from(["raised", "throttled", "lost", "stateless", "partial", "partial", "fat", "fine", "fine"])
# What is put, how old it is, how long is waited, what is changed of the mapping.
steps = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from([0.0, 0.0, 0.5, 12.0, 70.0]),
        st.sampled_from([0.0, 0.3, 4.0, 40.0]),
        st.sampled_from(["", "", "", "update", "disable"]),
    ),
    max_size=12,
)
durations = st.lists(st.sampled_from([0.0, 0.0, 1.0, 9.0]), max_size=8)


def turns(choices: list[Any], then: Any) -> Callable[[], Any]:
    left = iter(choices)
    return lambda: next(left, then)


def prepare(world: World, outcomes: list[str], takes_s: list[float]) -> None:
    kind, takes = turns(outcomes, "fine"), turns(takes_s, 0.0)
    world.answer = lambda invoke: answer(kind(), invoke)
    world.duration_s = lambda _: takes()


def happen(world: World, happenings: list[tuple[int, float, float, str]]) -> None:
    for records, age_s, wait_s, change in happenings:
        world.put(*"a" * records, age_s=age_s)
        world.run(wait_s)
        if change == "update":
            world.update(batch_size=world.config.batch_size % 5 + 1)
        if change == "disable":
            world.update(enabled=False).run(3.0)
            world.update(enabled=True)


def finish(world: World) -> None:
    """The shard is split, everything comes to its end."""
    world.close()
    for child in CHILDREN:
        world.add_shard(child, ONE)
        world.put("a", shard_id=child)
        world.close(child)
    world.run(500)
    assert set(world.completed) == {ONE, *CHILDREN}
    assert world.machine.snapshot()["windows"] == {}


def counted(*witnesses: WindowWitness) -> int:
    return sum(state.get("records", 0) for witness in witnesses for _, _, state in witness.ended)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, steps, st.lists(kinds, max_size=25), durations)
def test_every_window_ends_with_a_state_that_counts_each_of_its_records_once(
    config: dict[str, Any], happenings: list[tuple[int, float, float, str]], outcomes: list[str], takes_s: list[float]
) -> None:
    """Facts 7.1, 7.2, 7.4, 7.5, 7.6, 7.7, 7.8, 5.12: what succeeded is in a state, what was discarded in a document."""
    world = WindowWorld(**config)
    prepare(world, outcomes, takes_s)
    world.start()
    happen(world, happenings)
    finish(world)
    assert world.windows.open == {}
    given_up = sum(map(len, world.discarded))
    records = sum(len(shard.records) for shard in world.shards.values())
    assert len(world.windows.processed) == records
    assert counted(world.windows) == records - given_up
    event(f"windows: {min(len(world.windows.ended), 5)}, given up: {given_up > 0}")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, steps, st.lists(kinds, max_size=12), durations, st.floats(0, 20), st.lists(kinds, max_size=12))
def test_a_restart_neither_forgets_nor_counts_twice(
    config: dict[str, Any],
    happenings: list[tuple[int, float, float, str]],
    outcomes: list[str],
    takes_s: list[float],
    until_s: float,
    later: list[str],
) -> None:
    """Fact 7.2, and the promise of `windows`: snapshot and checkpoint agree."""
    world = WindowWorld(**config)
    prepare(world, outcomes, takes_s)
    world.start()
    happen(world, happenings)
    world.run(until_s)
    again = world.restarted()
    prepare(again, later, [])
    again.start()
    finish(again)
    witness = again.witness
    assert isinstance(witness, WindowWitness)
    assert world.windows.processed.isdisjoint(witness.settled)
    given_up = {
        (deliver.discarded.shard_id, record.sequence_number)
        for _, deliver in (*world.documents, *again.documents)
        for record in deliver.discarded.records
    }
    records = sum(len(shard.records) for shard in again.shards.values())
    assert len(witness.processed) == records
    assert counted(world.windows, witness) == records - len(given_up)
