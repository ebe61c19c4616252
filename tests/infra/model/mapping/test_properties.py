"""Whatever is put, whatever the function answers, however the stream is resharded: the promises of `Witness` hold,
and in the end every record has succeeded or was discarded with a document. Time is moved by hand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from infra.model.function import FunctionError, InvokeOutcome, ServiceError, Succeeded, Throttled
from infra.model.mapping import Invoke, Pace
from tests.support.mapping_world import World, succeeded

DESTINATION = "arn:aws:s3:::failures"
GARBAGE = [b"[1]", b'"x"', b"{", b'{"batchItemFailures":[{"itemIdentifier":"1"}]}', b'{"batchItemFailures":[{}]}', b"7"]
KEYS = st.sampled_from(["a", "b", "c", "d", "e", "é", ""])


@dataclass(frozen=True)
class Answer:
    """`place` is where a partial failure begins, as a share of the batch; `index` chooses the garbage."""

    kind: str
    place: float = 0.0
    index: int = 0

    def __call__(self, invoke: Invoke) -> InvokeOutcome:
        match self.kind:
            case "raised":
                return FunctionError(invoke.request_id, "ValueError", b"{}")
            case "throttled":
                return Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
            case "service error":
                return ServiceError("ServiceException: lost")
            case "garbage":
                return Succeeded(invoke.request_id, GARBAGE[self.index % len(GARBAGE)])
            case "partial":
                failed = invoke.records[int(self.place * len(invoke.records)) :]
                identifiers = [{"itemIdentifier": str(record.sequence_number)} for record in reversed(failed)]
                return Succeeded(invoke.request_id, json.dumps({"batchItemFailures": identifiers}).encode())
        return succeeded(invoke)


@dataclass(frozen=True)
class Step:
    """One thing that happens to the stream; `what` is put, wait, split or merge."""

    what: str
    shard: int = 0
    keys: list[str] = field(default_factory=list)
    seconds: float = 0.0
    data_bytes: int = 0


answers = st.builds(
    Answer,
    st.sampled_from(["raised", "throttled", "service error", "garbage", "partial", "partial", "fine", "fine"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 5),
)
steps = st.one_of(
    st.builds(
        Step,
        st.just("put"),
        st.integers(0, 7),
        st.lists(KEYS, min_size=1, max_size=12),
        st.sampled_from([0.0, 0.0, 30.0, 61.0, 200.0]),
        st.sampled_from([0, 10, 700, 2_000]),
    ),
    st.builds(Step, st.just("wait"), seconds=st.sampled_from([0.0, 0.1, 0.3, 1.0, 7.0, 45.0])),
    st.builds(Step, st.sampled_from(["split", "merge"]), st.integers(0, 7)),
)
configs = st.fixed_dictionaries(
    {
        "batch_size": st.sampled_from([1, 2, 3, 7, 100]),
        "batching_window_s": st.sampled_from([0, 0, 2]),
        "parallelization_factor": st.sampled_from([1, 2, 5]),
        "bisect_batch_on_function_error": st.booleans(),
        "report_batch_item_failures": st.booleans(),
        "retry_attempts_max": st.sampled_from([0, 1, 3]),
        "record_age_s_max": st.sampled_from([-1, 60]),
        "event_count_metrics": st.just(True),
        "on_failure_destination_arn": st.just(DESTINATION),
        # Small limits, so that the payload quota, oversized records and full buffers come up.
        "pace": st.builds(
            Pace,
            event_bytes_max=st.sampled_from([1_500, 6_000, 6_291_556]),
            held_records_max=st.sampled_from([4, 20_000]),
            held_bytes_max=st.sampled_from([1, 10**9]),
            read_on_put=st.booleans(),
        ),
    }
)
faults = st.lists(st.sampled_from([None, None, "throttled", "AccessDeniedException"]), max_size=8)
durations = st.lists(st.sampled_from([0.0, 0.05, 1.0, 20.0]), min_size=1, max_size=5)


def taking_turns(choices: list[Any], then: Any) -> Callable[[Any], Any]:
    turns = iter(choices)
    return lambda _: next(turns, then)


def apply(world: World, step: Step) -> None:
    open_ids = [shard.shard_id for shard in world.shards.values() if not shard.closed]
    chosen = open_ids[step.shard % len(open_ids)]
    new_id = f"shardId-{len(world.shards):012}"
    match step.what:
        case "put":
            world.put(*step.keys, shard_id=chosen, age_s=step.seconds, data=bytes(step.data_bytes))
        case "wait":
            world.run(step.seconds)
        case "split":
            world.close(chosen)
            world.add_shard(new_id, chosen)
            world.add_shard(f"shardId-{len(world.shards):012}", chosen)
        case "merge" if len(open_ids) > 1:
            other = open_ids[(step.shard + 1) % len(open_ids)]
            world.close(chosen)
            world.close(other)
            world.add_shard(new_id, chosen, other)


def finish(world: World) -> None:
    """From now on the function succeeds: everything is settled within the time that retries may take."""
    world.answer = succeeded
    world.duration_s = lambda _: 0.0
    world.read_fault = lambda _: None
    for _ in range(40):
        world.run(100)
        if not any(world.witness.unsettled(shard_id) for shard_id in world.shards):
            break
    world.run(30)
    assert [shard_id for shard_id in world.shards if world.witness.unsettled(shard_id)] == [], "lost records"
    assert set(world.completed) == {shard.shard_id for shard in world.shards.values() if shard.closed}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, st.lists(steps, max_size=14), st.lists(answers, max_size=30), durations, faults, st.booleans())
def test_nothing_is_lost_and_every_promise_holds(
    config: dict[str, Any],
    happenings: list[Step],
    outcomes: list[Answer],
    takes_s: list[float],
    read_faults: list[str | None],
    refusing: bool,
) -> None:
    world = World(shards=2, **config)
    turn = taking_turns(outcomes, Answer("fine"))
    world.answer = lambda invoke: turn(invoke)(invoke)
    world.duration_s = taking_turns(takes_s, 0.0)
    world.read_fault = taking_turns(read_faults, None)
    world.refusing = refusing
    world.start()
    for step in happenings:
        apply(world, step)
    finish(world)
    totals = world.machine.totals
    records = sum(len(shard.records) for shard in world.shards.values())
    given_up = sum(len(deliver.discarded.records) for _, deliver in world.documents)
    assert totals["PolledEventCount"] == records
    assert totals["DroppedEventCount" if refusing else "OnFailureDestinationDeliveredEventCount"] == given_up
    assert totals["InvokedEventCount"] - totals["FailedInvokeEventCount"] == records - given_up
    event(f"discarded: {given_up > 0}, shards: {len(world.shards) > 2}")
    assert world.machine.settled


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, st.lists(steps, max_size=10), st.lists(answers, max_size=12), durations, st.floats(0, 30))
def test_a_restart_from_a_snapshot_loses_nothing(
    config: dict[str, Any], happenings: list[Step], outcomes: list[Answer], takes_s: list[float], until_s: float
) -> None:
    """Facts 2.16, 3.5: what was under way comes again, what was settled before the checkpoint does not."""
    world = World(shards=2, **config)
    turn = taking_turns(outcomes, Answer("fine"))
    world.answer = lambda invoke: turn(invoke)(invoke)
    world.duration_s = taking_turns(takes_s, 20.0)
    world.start()
    for step in happenings:
        apply(world, step)
    world.run(until_s)
    again = world.restarted()
    again.start()
    finish_restarted(world, again)


def finish_restarted(world: World, again: World) -> None:
    again.run(1_000)
    for shard in again.shards.values():
        for record in shard.records:
            name = (shard.shard_id, record.sequence_number)
            assert name in world.settled or name in again.settled, "lost records"
    completed = set(world.completed) | set(again.completed)
    assert completed == {shard.shard_id for shard in again.shards.values() if shard.closed}
    assert set(world.completed).isdisjoint(again.completed)


@settings(max_examples=50, deadline=None)
@given(configs, st.lists(steps, max_size=10), st.lists(answers, max_size=10))
def test_the_same_inputs_give_the_same_commands(
    config: dict[str, Any], happenings: list[Step], outcomes: list[Answer]
) -> None:
    """Request ids and object names included: what a simulation found can be replayed."""

    def play() -> list[object]:
        world = World(shards=2, **config)
        turn = taking_turns(outcomes, Answer("fine"))
        world.answer = lambda invoke: turn(invoke)(invoke)
        world.start()
        for step in happenings:
            apply(world, step)
        world.run(50)
        return [world.invokes, world.documents, world.checkpoints, world.metrics, world.reads, world.completed]

    assert play() == play()
