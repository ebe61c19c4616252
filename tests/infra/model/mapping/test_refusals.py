"""Throttles and service errors of many lanes: what the waits do to a function with less concurrency than lanes."""

from collections import defaultdict
from heapq import heappop, heappush
from itertools import pairwise

from infra.model.function import InvokeOutcome, Throttled
from infra.model.mapping import Invoke, Pace
from infra.model.mapping.shard import lane_of
from tests.support.mapping_world import EPOCH_S, World, raised, succeeded

REFUSED = Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
DURATION_S = 0.02


class Slots:
    """A function with so many concurrent executions; `busy` are its executions: begin, shard, first record's key."""

    def __init__(self, world: World, concurrency: int) -> None:
        self._world = world
        self._concurrency = concurrency
        self._ends_s: list[float] = []
        self._accepted = False
        self.busy: list[tuple[float, str, str]] = []
        self.refused = 0
        world.answer, world.duration_s = self._answer, lambda _: DURATION_S if self._accepted else 0.0

    def _answer(self, invoke: Invoke) -> InvokeOutcome:
        now = self._world.now
        while self._ends_s and self._ends_s[0] <= now:
            heappop(self._ends_s)
        self._accepted = len(self._ends_s) < self._concurrency
        if not self._accepted:
            self.refused += 1
            return REFUSED
        heappush(self._ends_s, now + DURATION_S)
        self.busy.append((now, invoke.shard_id, invoke.records[0].partition_key))
        return succeeded(invoke)


def backlog(shards: int, keys: int, records: int, *, pace: Pace | None = None) -> World:
    """A mapping with ten lanes per shard, and in every shard `keys` partition keys with `records` each."""
    world = World(shards=shards, parallelization_factor=10, batch_size=10, pace=pace or Pace())
    for shard_id in world.shards:
        world.put(*(f"{shard_id[-1]}/{key}" for _ in range(records) for key in range(keys)), shard_id=shard_id)
    return world.start()


def test_forty_lanes_with_four_concurrent_executions_keep_them_busy_and_none_starves() -> None:
    """Facts 4.3, 4.10: throttled lanes wait at most a second, and take turns with those that run.

    The bound: twice the time in which every lane has had one turn (40 lanes / 4 executions * 20 ms = 0.2 s).
    """
    world = backlog(4, 100, 40)
    slots = Slots(world, 4)
    world.run(60)
    assert len(world.settled) == 4 * 100 * 40
    first_s, last_s = slots.busy[0][0], slots.busy[-1][0] + DURATION_S
    assert len(slots.busy) * DURATION_S / (4 * (last_s - first_s)) > 0.9
    assert 0 < slots.refused < 2 * len(slots.busy)

    turns: defaultdict[tuple[str, int], list[float]] = defaultdict(lambda: [EPOCH_S])
    for began, shard_id, key in slots.busy:
        turns[shard_id, lane_of(key, 10)].append(began)
    assert len(turns) == 40
    assert max(later - earlier for each in turns.values() for earlier, later in pairwise(each)) <= 0.4


def test_when_the_executions_that_others_held_are_free_again_lanes_are_back_within_a_second_one_by_one() -> None:
    """Facts 4.3, 4.10."""
    world = backlog(4, 40, 10)
    world.answer = lambda _: REFUSED
    world.run(120)
    tried_s = [at for at, _ in world.invokes]
    gaps_s = [later - earlier for earlier, later in pairwise(tried_s) if earlier > EPOCH_S + 60]
    assert max(gaps_s) < 0.25  # with one rhythm for all it would be 1 s of nothing
    slots = Slots(world, 4)
    free_s = world.now
    world.run(60)
    assert slots.busy[0][0] - free_s < 0.25
    assert slots.busy[3][0] - free_s < 0.5
    assert len(world.settled) == 4 * 40 * 10


def test_a_refused_batch_waits_200_ms_doubling_up_to_a_second_spread_by_half() -> None:
    """Facts 4.3, 4.10: a choice, for AWS does not publish it."""
    world = backlog(1, 1, 1)
    world.answer = lambda _: REFUSED
    world.run(60)
    for gap_s, whole_s in zip(world.gaps_s, [0.2, 0.4, 0.8, *[1.0] * 30], strict=False):
        assert whole_s / 2 <= gap_s <= whole_s
    assert len(set(world.gaps_s[3:])) > 20


def test_refusals_are_spread_the_same_way_again() -> None:
    pace = Pace()
    waits_s = [pace.refused_retry_after_s("request", count) for count in range(1, 20)]
    assert waits_s == [pace.refused_retry_after_s("request", count) for count in range(1, 20)]
    assert waits_s != [pace.refused_retry_after_s("another", count) for count in range(1, 20)]
    assert pace.refused_retry_after_s("request", 10**6) <= pace.refused_retry_interval_s_max


def test_a_turn_is_for_refused_lanes_only_a_failed_batch_waits_to_the_end() -> None:
    """Facts 4.9, 4.10: other lanes' successes do not shorten what a failure of the function has to wait."""
    world = backlog(1, 2, 1)
    keys = sorted({record.partition_key for record in world.shards["shardId-000000000000"].records})
    outcomes = {keys[0]: raised, keys[1]: succeeded}
    world.answer = lambda invoke: outcomes[invoke.records[0].partition_key](invoke)
    world.run(0.05)
    for _ in range(10):
        world.put(keys[1])
        world.run(0.2)
    failed_s = [at for at, invoke in world.invokes if invoke.records[0].partition_key == keys[0]]
    assert [round(later - earlier, 3) for earlier, later in pairwise(failed_s)] == [0.2, 0.4, 0.8]
