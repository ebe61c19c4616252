"""A schedule is the same events in the same order, however they were made and however they are taken."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer.schedule import Block, Due, Schedule
from loadgen.offer.truth import Known, Truth


def truth(number: int) -> Known:
    return Truth(number, "p", "w", f"id-{number}", {})


def made(sizes: list[int]) -> tuple[list[Due | Block], list[Due]]:
    """Of each size a block, of 0 an event alone; and all of them one by one, each due 10 s after the one before."""
    items: list[Due | Block] = []
    alone: list[Due] = []
    for size in sizes:
        first = len(alone)
        alone += [Due(i * 10.0, f"key-{i}", b"%d" % i, truth(i)) for i in range(first, first + max(1, size))]
        items.append(Block(*map(list, zip(*alone[first:], strict=True))) if size else alone[-1])
    return items, alone


SIZES = st.lists(st.integers(0, 5), max_size=12)


@given(SIZES)
def test_it_is_every_event_in_order(sizes: list[int]) -> None:
    items, alone = made(sizes)
    assert list(Schedule(items)) == alone


@given(SIZES, st.lists(st.tuples(st.integers(0, 40), st.integers(1, 7), st.booleans())))
def test_what_is_taken_together_is_due_made_together_and_no_more_than_asked_for(
    sizes: list[int], steps: list[tuple[int, int, bool]]
) -> None:
    items, alone = made(sizes)
    schedule, taken, now_s = Schedule(items), 0, -1.0
    for further_s, at_most, one in steps:
        now_s += further_s
        assert bool(schedule) == (taken < len(alone))
        if not schedule:
            return
        assert schedule.upcoming_s == alone[taken].due_s
        if further_s % 3 == 0:
            schedule.make_ahead()
        if one:
            assert next(schedule) == alone[taken]
            taken += 1
            continue
        together = schedule.together(now_s, at_most)
        assert len(together) <= at_most
        assert list(together) == [tuple(due[1:]) for due in alone[taken : taken + len(together)]]
        assert all((due.due_s or 0.0) <= now_s for due in alone[taken : taken + len(together)])
        taken += len(together)


def test_an_event_without_a_pace_and_one_that_was_made_alone_are_taken_alone() -> None:
    unpaced = Due(None, "key", b"", truth(0))
    schedule = Schedule([unpaced, Due(1.0, "key", b"", truth(1))])
    assert (schedule.upcoming_s, list(schedule.together(9.0, 5))) == (None, [])
    assert next(schedule) == unpaced
    assert (schedule.upcoming_s, list(schedule.together(9.0, 5))) == (1.0, [])


def test_nothing_is_made_before_the_one_before_it_was_taken() -> None:
    asked: list[int] = []

    def events() -> Iterator[Due]:
        for i in range(3):
            asked.append(i)
            yield Due(float(i), "key", b"", truth(i))

    schedule = Schedule(events())
    assert asked == [0]
    next(schedule)
    assert asked == [0, 1]
