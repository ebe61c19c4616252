"""The queue of asynchronous invocations: each event is tried until it is over, and no longer than AWS tries."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from infra.model.function import FunctionError, InvokeOutcome, ServiceError, Succeeded, Throttled
from infra.model.function.queue import AGE_S_MAX, EVENTS_MAX, QUEUE_BYTES_MAX, RUNNING_MAX, EventQueue

SUCCEEDED, FAILED, THROTTLED = Succeeded("r", b""), FunctionError("r", "E", b""), Throttled("why")


def attempts(outcomes: list[InvokeOutcome]) -> list[float]:
    """When one event, offered at 0, is tried if its attempts end at once with `outcomes` (the last one repeats)."""
    queue, times = EventQueue(), list[float]()
    assert queue.offer(1, 10, 0.0)
    now: float | None = 0.0
    while now is not None:
        assert queue.due(now) == [1]
        times.append(now)
        queue.ended(1, outcomes[min(len(times), len(outcomes)) - 1], now)
        now = queue.next_deadline_s
    return times


def test_a_function_error_is_retried_after_one_and_then_two_minutes_and_given_up() -> None:
    assert attempts([FAILED]) == [0.0, 60.0, 180.0]


def test_success_ends_it() -> None:
    assert attempts([SUCCEEDED]) == [0.0]
    assert attempts([FAILED, SUCCEEDED]) == [0.0, 60.0]


def test_throttles_are_not_counted_and_end_with_the_events_age() -> None:
    times = attempts([THROTTLED])
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits[:9] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
    assert set(waits[9:]) == {300.0}
    assert AGE_S_MAX - 300.0 < times[-1] <= AGE_S_MAX
    assert attempts([THROTTLED, ServiceError("x"), FAILED]) == [0.0, 1.0, 3.0, 63.0, 183.0]


def test_a_full_queue_refuses_by_number_and_by_bytes_and_has_room_again_when_one_is_over() -> None:
    queue = EventQueue()
    assert all(queue.offer(number, 1, 0.0) for number in range(EVENTS_MAX))
    assert not queue.offer(EVENTS_MAX, 1, 0.0)
    first = queue.due(0.0)[0]
    assert queue.ended(first, SUCCEEDED, 0.0)
    assert queue.offer(EVENTS_MAX, 1, 0.0)
    heavy = EventQueue()
    assert heavy.offer(1, QUEUE_BYTES_MAX, 0.0)
    assert not heavy.offer(2, 1, 0.0)
    assert heavy.ended(heavy.due(0.0)[0], SUCCEEDED, 0.0)
    assert heavy.offer(3, QUEUE_BYTES_MAX, 0.0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["offer", "end", "wait"]), st.sampled_from([SUCCEEDED, FAILED, THROTTLED])),
        max_size=200,
    )
)
def test_every_event_is_over_exactly_once_and_never_runs_twice_at_the_same_time(
    steps: list[tuple[str, InvokeOutcome]],
) -> None:
    queue, now, running, over, offered = EventQueue(), 0.0, list[int](), list[int](), 0

    def turn() -> None:
        due = queue.due(now)
        assert not set(due) & set(running) | set(due) & set(over)
        running.extend(due)
        assert len(running) <= RUNNING_MAX

    def end(outcome: InvokeOutcome) -> None:
        number = running.pop(0)
        if queue.ended(number, outcome, now):
            over.append(number)

    for kind, outcome in steps:
        if kind == "offer":
            assert queue.offer(offered, 1, now)
            offered += 1
        elif kind == "end" and running:
            end(outcome)
        elif kind == "wait":
            now += 45.0
        turn()
    for _ in range(10 * offered + 10):
        while running:
            end(SUCCEEDED)
        if queue.next_deadline_s is None:
            break
        now = max(now, queue.next_deadline_s)
        turn()
    assert sorted(over) == list(range(offered))
