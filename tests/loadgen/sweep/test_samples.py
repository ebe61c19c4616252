"""The backlog of a probe: what it shows of targets that keep up, that do not, and that stop."""

from bisect import bisect_right
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult
from loadgen.sweep.samples import OVERDRIVE, backlog, cost, due_times, growth
from loadgen.sweep.search import Verdict, verdict
from loadgen.target.function_log import Batch, Invocation

START_S = 1_000_000.0
WARM_UP_S, DURATION_S = 7.0, 24.0


def batch(at_s: float, events: int) -> Batch:
    fields: dict[str, Any] = dict.fromkeys(Batch._fields, 0)
    fields |= {"at_ms": int((START_S + at_s) * 1000), "write_units": events / 2}
    return Batch(**fields | dict.fromkeys(("records", "events", "applied"), events))


def target(rate: float, capacity: float, every_s: float = 1.0, stops_s: float = 1e9) -> list[Batch]:
    """A target that takes what is due, but no more than its capacity, in batches, until it stops."""
    due = list(due_times(rate, WARM_UP_S, DURATION_S))
    found, done, room, at_s = [], 0, 0.0, every_s
    while at_s <= min(DURATION_S + 60, stops_s):
        waiting = bisect_right(due, at_s) - done
        room = room % 1 + capacity * every_s
        took = min(waiting, int(room))
        if took:
            found.append(batch(at_s, took))
        done += took
        at_s += every_s
    return found


def seen(rate: float, batches: list[Batch]) -> Verdict:
    return verdict(growth(backlog(rate, START_S, WARM_UP_S, DURATION_S, batches)), rate, 0.04)


@settings(max_examples=50)
@given(st.floats(50, 400), st.floats(1.03, 3), st.sampled_from([0.1, 0.7, 1.0]))
def test_a_target_with_room_holds(rate: float, room: float, every_s: float) -> None:
    assert seen(rate, target(rate, rate * room, every_s)) is Verdict.HOLDS


@settings(max_examples=50)
@given(st.floats(50, 400), st.floats(1.03, 3), st.sampled_from([1.3, 2.0]))
def test_a_target_with_room_and_batches_so_slow_that_four_samples_are_left_is_not_said_to_grow(
    rate: float, room: float, every_s: float
) -> None:
    """It may be unclear, when the warm-up's backlog is gone only halfway through: then the rate is offered again."""
    assert seen(rate, target(rate, rate * room, every_s)) is not Verdict.GROWS


@settings(max_examples=50)
@given(st.floats(50, 400), st.floats(1.04, 3), st.sampled_from([0.1, 0.7, 1.0, 1.3, 2.0]))
def test_a_target_that_is_offered_too_much_grows(rate: float, excess: float, every_s: float) -> None:
    assert seen(rate, target(rate, rate / excess, every_s)) is Verdict.GROWS


@pytest.mark.parametrize("stops_s", [0.0, 8.0, 12.0, 16.0])
def test_a_target_that_stops_does_not_hold(stops_s: float) -> None:
    assert seen(100.0, target(100.0, 1000.0, stops_s=stops_s)) is not Verdict.HOLDS


def test_the_backlog_grows_by_what_is_offered_above_the_capacity() -> None:
    found = growth(backlog(200.0, START_S, WARM_UP_S, DURATION_S, target(200.0, 150.0)))
    assert found.value == pytest.approx(50, abs=2)


def test_a_quota_that_lets_a_second_through_at_once_is_not_mistaken_for_more() -> None:
    """A token bucket of one second: without the faster warm-up, 3 % too much is taken for the whole probe."""
    tokens, done, capacity, rate = 300.0, 0, 300.0, 318.0
    due, batches = list(due_times(rate, WARM_UP_S, DURATION_S)), []
    for step in range(1, int(DURATION_S * 10)):
        tokens = min(capacity, tokens + capacity / 10)
        took = int(min(tokens, bisect_right(due, step / 10) - done))
        done, tokens = done + took, tokens - took
        batches.append(batch(step / 10, took))
    assert seen(rate, batches) is Verdict.GROWS


def test_batches_that_were_delivered_again_count_once() -> None:
    batches = target(100.0, 1000.0)
    again = [one._replace(at_ms=one.at_ms + 1, applied=0) for one in batches]
    assert backlog(100.0, START_S, WARM_UP_S, DURATION_S, batches + again) == backlog(
        100.0, START_S, WARM_UP_S, DURATION_S, batches
    )


@given(st.floats(1, 2000), st.floats(0, 10), st.floats(5, 20))
def test_the_schedule_is_faster_in_the_warm_up_and_constant_then(rate: float, warm_up_s: float, more_s: float) -> None:
    due = list(due_times(rate, warm_up_s, warm_up_s + more_s))
    assert due == sorted(due)
    assert sum(at_s < warm_up_s for at_s in due) == pytest.approx(rate * OVERDRIVE * warm_up_s, abs=2)
    assert sum(at_s >= warm_up_s for at_s in due) == pytest.approx(rate * more_s, abs=2)


def test_costs_are_averages_over_the_batches_between_two_moments() -> None:
    metrics = Metrics(None)
    metrics.add(PutResult("k", [0] * 10, 1, 2, 1, 2000, 0, 0, "shardId-000000000000", "1", (), None, False, ()))
    batches = [batch(1, 1000), batch(10, 40), batch(11, 60), batch(30, 1000)]
    invocations = [Invocation(int((START_S + 10) * 1000), 500.0, None, None, False)]
    found = cost(metrics, batches, invocations, (START_S + 5, START_S + 20))
    assert found is not None
    assert (found.events_per_record, found.record_bytes, found.event_bytes) == (10, 2000, 200)
    assert (found.events_per_batch, found.batch_s, found.write_units) == (50, 0.5, 0.5)
    assert cost(metrics, batches, invocations, (START_S + 100, START_S + 200)) is None


def test_noise_alone_is_seldom_called_growth() -> None:
    """The line begins where the backlog is lowest, which must not make it rise: as rare as chance makes it anyway."""
    random, called = Random(3), 0
    for _ in range(300):
        noise, points = 0.0, []
        for step in range(30):
            noise = 0.6 * noise + random.gauss(0, 25)
            points.append((step / 2, 300 + noise))
        called += verdict(growth(points), 1000.0, 0.04) is Verdict.GROWS
    assert called <= 0.05 * 300


LANES, LANE_BATCH, PAUSE_S = 20, 5, 1.0


def lanes(rate: float, overdrive: float, seed: int) -> list[Batch]:
    """Lanes before a function that waits, each with a batch at a time; keys come to them at random."""
    random, queues = Random(seed), [list[float]() for _ in range(LANES)]
    for due_s in due_times(rate, WARM_UP_S, DURATION_S, overdrive):
        queues[random.randrange(LANES)].append(due_s)
    found = []
    for queue in queues:
        done, free_s = 0, 0.0
        while done < len(queue):
            begin_s = max(free_s, queue[done])
            took = min(LANE_BATCH, bisect_right(queue, begin_s) - done)
            done, free_s = done + took, begin_s + PAUSE_S
            found.append(batch(free_s, took))
    return found


@pytest.mark.parametrize(("share", "expected"), [(0.96, Verdict.HOLDS), (1.05, Verdict.GROWS)])
def test_keys_that_come_to_slow_lanes_at_random_are_not_taken_for_a_limit(share: float, expected: Verdict) -> None:
    """A backlog in every lane keeps them busy, and what is left is what they can do."""
    rate = share * LANES * LANE_BATCH / PAUSE_S
    for seed in range(10):
        points = backlog(rate, START_S, WARM_UP_S, DURATION_S, lanes(rate, 1.8, seed), 1.8)
        assert verdict(growth(points), rate, 0.06) is expected
