"""Mappings that poll one shard, which allows five reads per second: each keeps to its part, none is shut out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.model.mapping import Pace, Sharing
from infra.model.stream import Throttled
from tests.support.mapping_crowd import Crowd
from tests.support.mapping_world import ONE, STREAM, World


def pause_max_s(members: int) -> float:
    """A part of the reads would be one in max(1, members / 5) seconds; the rest is for refused ones that come back."""
    return 2.0 + members / 4


def crowd_of(members: int, every_s: float, *, apart_s: float = 0.0, seconds: float = 30.0, **pace: bool) -> Crowd:
    crowd = Crowd(members, pace=Pace(**pace), name=f"crowd-{members}-{every_s}")
    for member in range(members):
        crowd.begin(member, member * apart_s)
    for number in range(int(seconds / every_s)):
        crowd.later(number * every_s, lambda number=number: crowd.put(f"key-{number}"))  # type: ignore[misc] # mypy cannot type the default
    return crowd.run(seconds)


@given(
    members=st.integers(2, 31),
    every_s=st.floats(0.05, 9.0),
    apart_s=st.floats(0.0, 0.3),
    read_on_put=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_none_of_two_to_31_mappings_of_a_shard_waits_longer_than_two_seconds_and_a_quarter_for_each(
    members: int, every_s: float, apart_s: float, read_on_put: bool
) -> None:
    """Facts 2.10, 2.17, 9.1: from its own beginning on, each reads at least so often, whatever is put when."""
    crowd = crowd_of(members, every_s, apart_s=apart_s, read_on_put=read_on_put)
    last_began_s = (members - 1) * apart_s
    assert crowd.longest_pause_s() <= pause_max_s(members) + last_began_s
    assert all(times for times in crowd.read_at)


@pytest.mark.parametrize("read_on_put", [True, False])
@pytest.mark.parametrize("members", [2, 3, 4, 5])
def test_up_to_five_mappings_lag_about_a_second_while_a_record_comes_every_quarter(
    members: int, read_on_put: bool
) -> None:
    """Fact 2.17: the base rate of each, and five reads per second of the shard."""
    crowd = crowd_of(members, 0.25, read_on_put=read_on_put)
    assert all(max(lags_s) < 1.5 for lags_s in crowd.lags_s)
    assert {len(lags_s) >= 116 for lags_s in crowd.lags_s} == {True}


@pytest.mark.parametrize("members", [6, 7, 31])
def test_more_than_five_mappings_use_all_reads_of_the_shard_and_get_equal_parts(members: int) -> None:
    """Fact 9.1."""
    crowd = crowd_of(members, 0.25, seconds=60.0)
    reads = [len(times) for times in crowd.read_at]
    assert sum(reads) >= 0.95 * 5 * 60
    assert min(reads) >= 0.7 * max(reads)
    assert crowd.refused > 0  # as on AWS, there are more than the shard allows


@pytest.mark.parametrize("members", [1, 2, 3])
def test_up_to_three_mappings_read_an_idle_shard_at_once_after_a_put(members: int) -> None:
    """Also when all of them have polled in step half a second before, which leaves the shard three of its reads."""
    crowd = crowd_of(members, 1_000.0, seconds=5.5)
    crowd.put("a")
    crowd.run(0.001)
    assert [len(lags_s) for lags_s in crowd.lags_s] == [1] * members


def test_while_others_take_four_reads_per_second_a_mapping_still_reads() -> None:
    """Fact 2.17: it shares the reads with those that are no mapping."""
    crowd = Crowd(1)
    crowd.begin(0)
    position = crowd.stream.position(ONE, "LATEST", crowd.now)

    def read() -> None:
        try:
            crowd.stream.read(position, 1, crowd.now)
        except Throttled:
            crowd.refused += 1

    for number in range(30 * 50):  # tries ten times as often as the shard allows
        crowd.later(number * 0.02 + 0.1, read)
    crowd.run(30.0)
    assert crowd.refused > 1_000
    assert len(crowd.read_at[0]) >= 1


def test_the_same_crowd_reads_at_the_same_times_again() -> None:
    first, second = (crowd_of(7, 0.3, apart_s=0.01) for _ in range(2))
    assert first.read_at == second.read_at
    assert first.refused > 0


def test_refused_reads_come_back_within_the_base_rate_and_never_in_step() -> None:
    pace = Pace()
    waits_s = [pace.refused_read_after_s(f"mapping-{number}/{ONE}", 1) for number in range(100)]
    assert all(0.5 <= wait_s <= 1.0 for wait_s in waits_s)
    assert len({round(wait_s, 3) for wait_s in waits_s}) > 80


def test_a_refused_read_keeps_its_time_whatever_is_put_meanwhile() -> None:
    world = World()
    faults = iter([None, None, "throttled"])
    world.read_fault = lambda _: next(faults, None)
    world.start().run(0.9)
    world.put("a")
    world.run(0.2)
    world.put("a")
    refused_s = world.run(0.001).reads[-1][0]
    for _ in range(20):
        world.put("a")
        world.run(0.02)
    assert world.reads[-1][0] == refused_s
    world.run(1.0)
    assert world.reads[3][0] - refused_s >= 0.5
    assert sum(map(len, world.sent)) == 22


# Who has a part


def test_a_shard_that_nobody_has_entered_is_of_whoever_asks() -> None:
    sharing = Sharing()
    assert sharing.pollers(STREAM, ONE) == 1
    sharing.leave(STREAM, ONE, "somebody")
    for uuid in ("a", "a", "b"):
        sharing.enter(STREAM, ONE, uuid)
    assert sharing.pollers(STREAM, ONE) == 2
    assert sharing.pollers(STREAM, "shardId-000000000001") == 1
    sharing.leave(STREAM, ONE, "a")
    assert sharing.pollers(STREAM, ONE) == 1


@pytest.mark.parametrize("how", ["disabled", "deleted", "stopped"])
def test_a_mapping_that_polls_no_more_gives_its_part_back(how: str) -> None:
    crowd = crowd_of(3, 1_000.0, seconds=2.5)
    assert crowd.sharing.pollers(STREAM, ONE) == 3
    machine = crowd.machines[0]
    if how == "stopped":
        machine.stop()
    elif how == "deleted":
        crowd.feed(0, machine.delete(crowd.now))
    else:
        crowd.feed(0, machine.update(crowd.now, enabled=False))
    crowd.run(5.0)
    assert crowd.sharing.pollers(STREAM, ONE) == 2
    if how == "disabled":
        crowd.feed(0, machine.update(crowd.now, enabled=True))
        crowd.run(5.0)
        assert crowd.sharing.pollers(STREAM, ONE) == 3


def test_a_shard_that_is_completed_has_no_pollers_and_its_children_have() -> None:
    crowd = crowd_of(2, 1_000.0, seconds=1.5)
    crowd.stream.split(ONE, 2**127, crowd.now)
    crowd.run(40.0)
    children = [each.shard_id for each in crowd.stream.shards(crowd.now) if each.shard_id != ONE]
    assert len(children) == 2
    assert [crowd.sharing.pollers(STREAM, each) for each in children] == [2, 2]
    assert crowd.sharing.pollers(STREAM, ONE) == 1
