"""However a mapping is changed, disabled and enabled while it runs: order per partition key, one invocation per key at
a time, no lane of an old configuration beside one of a new, nothing lost (all checked by `Witness`)."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from infra.model.function import FunctionError, InvokeOutcome, Throttled
from infra.model.mapping import Delays, Invoke, MappingInUseError, Pace
from tests.support.mapping_world import STREAM, World, succeeded

DESTINATION = "arn:aws:s3:::failures"


@dataclass(frozen=True)
class Step:
    """`what` is put, wait, update, disable or enable."""

    what: str
    seconds: float = 0.0
    keys: list[str] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)


changes = st.fixed_dictionaries(
    {},
    optional={
        "batch_size": st.sampled_from([1, 2, 5, 100]),
        "batching_window_s": st.sampled_from([0, 2]),
        "parallelization_factor": st.sampled_from([1, 2, 3, 10]),
        "bisect_batch_on_function_error": st.booleans(),
        "report_batch_item_failures": st.booleans(),
        "retry_attempts_max": st.sampled_from([0, 1, 3]),
        "record_age_s_max": st.sampled_from([-1, 60]),
        "event_count_metrics": st.booleans(),
        "role_arn": st.sampled_from(["arn:aws:iam::111111111111:role/a", "arn:aws:iam::111111111111:role/longer"]),
    },
)
waits = st.sampled_from([0.0, 0.05, 0.3, 1.0, 7.0, 45.0])
steps = st.one_of(
    st.builds(Step, st.just("put"), keys=st.lists(st.sampled_from(list("abcdefgh")), min_size=1, max_size=12)),
    st.builds(Step, st.just("update"), changes=changes),
    st.builds(Step, st.just("update"), changes=st.builds(dict, parallelization_factor=st.sampled_from([1, 2, 3, 10]))),
    st.builds(Step, st.sampled_from(["wait", "wait", "disable", "enable"]), waits),
)
durations = st.lists(st.sampled_from([0.0, 0.05, 1.0, 20.0]), min_size=1, max_size=5)
# Which invocations fail, by number: every third, say.
failing = st.sets(st.integers(0, 40), max_size=15)
refused = st.sets(st.integers(0, 40), max_size=8)


def apply(world: World, step: Step) -> None:
    try:
        match step.what:
            case "put":
                world.put(*step.keys)
            case "update":
                world.update(**step.changes)
            case "disable":
                world.update(enabled=False)
            case "enable":
                world.update(enabled=True)
    except MappingInUseError:
        event("refused while it was changing")
    world.run(step.seconds)


def finish(world: World) -> None:
    world.answer = succeeded
    world.run(60)
    if world.machine.state == "Disabled":
        world.update(enabled=True)
    world.run(2_000)
    assert [shard_id for shard_id in world.shards if world.witness.unsettled(shard_id)] == [], "lost records"
    assert world.machine.settled


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(steps, max_size=16),
    durations,
    failing,
    refused,
    st.sampled_from([Delays(), Delays(0.1, 0.5)]),
    st.sampled_from([4, 20_000]),
    st.sampled_from(["TRIM_HORIZON", "LATEST"]),
    st.sampled_from([STREAM, STREAM + "/consumer/quick:1789808973"]),
)
def test_no_change_while_it_runs_loses_reorders_or_doubles(
    happenings: list[Step],
    takes_s: list[float],
    fails: set[int],
    refuses: set[int],
    delays: Delays,
    held_records_max: int,
    starting_position: str,
    event_source_arn: str,
) -> None:
    """Facts 2.24, 3.2, 3.6."""
    world = World(
        shards=2,
        delays=delays,
        starting_position=starting_position,
        event_source_arn=event_source_arn,
        on_failure_destination_arn=DESTINATION,
        retry_attempts_max=2,
        pace=Pace(held_records_max=held_records_max),
    )
    turns = iter(takes_s)
    world.duration_s = lambda _: next(turns, 0.0)

    def answer(invoke: Invoke) -> InvokeOutcome:
        if len(world.invokes) in refuses:
            return Throttled("ConcurrentInvocationLimitExceeded")
        if len(world.invokes) in fails:
            return FunctionError(invoke.request_id, "ValueError", b"{}")
        return succeeded(invoke)

    world.answer = answer
    world.create()
    for step in happenings:
        apply(world, step)
    finish(world)
    event(f"discarded: {bool(world.documents)}, resumed: {bool(world.witness.settled_before)}")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3, 7, 10]), max_size=6), st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_factor_changes_alone_deliver_every_record_once_and_in_the_order_of_its_key(
    factors: list[int], keys: list[str]
) -> None:
    """Facts 3.2, 3.6."""
    world = World(batch_size=3).start()
    world.duration_s = lambda invoke: 0.3 + invoke.records[0].sequence_number % 5
    for place, key in enumerate(keys):
        world.put(key)
        if factors and place % 10 == 9:
            world.update(parallelization_factor=factors[place // 10 % len(factors)])
        world.run(0.1)
    world.run(1_000)
    delivered = [record for _, invoke in world.invokes for record in invoke.records]
    assert len(delivered) == len(keys)
    for key in set(keys):
        numbers = [record.sequence_number for record in delivered if record.partition_key == key]
        assert numbers == sorted(numbers)
