"""What a refused call does to a load: one strange answer nothing, an incurable refusal or a bad beginning its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.outcome.books import FIRST_CALLS, INCURABLE, Books, ended_early
from loadgen.outcome.ledger import Expectations
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult


def ended(call: int, code: str | None, *, failed: str | None = None, attempts: int = 1) -> PutResult:
    errors = (code,) if code else ()
    number = None if code or failed else "1"
    shard = None if code or failed else "shardId-000000000000"
    return PutResult("k", [0], 0, call, attempts, 9, 0, 0, shard, number, errors, failed or code, False)


def books() -> tuple[Books, list[int]]:
    stops: list[int] = []
    made = Books(Metrics(None), Expectations(()), lambda _line: None, lambda: stops.append(1))
    return made, stops


@given(st.lists(st.integers(1, FIRST_CALLS - 1), max_size=40), st.sampled_from(["400", "InvalidArgumentException"]))
def test_fewer_refused_calls_than_a_load_begins_with_do_not_end_it_however_many_records_they_have(
    calls: list[int], code: str
) -> None:
    ours, stops = books()
    for call in sorted(calls):
        ours.settled(ended(call, code), ())
    assert (ours.refused, stops) == (None, [])


def test_a_load_whose_first_calls_are_all_refused_ends_and_says_by_what() -> None:
    ours, stops = books()
    for call in range(FIRST_CALLS):
        ours.settled(ended(call, "400"), ())
        ours.settled(ended(call, "400"), ())
    assert ours.refused is not None
    assert f"first {FIRST_CALLS} calls were all refused, the last with 400" in ours.refused
    assert stops


def test_calls_refused_after_an_acknowledgement_do_not_end_a_load() -> None:
    ours, stops = books()
    ours.settled(ended(0, None), ())
    for call in range(1, 3 * FIRST_CALLS):
        ours.settled(ended(call, "400"), ())
    assert (ours.refused, stops) == (None, [])


def test_events_that_were_never_put_or_were_stopped_are_no_refused_calls() -> None:
    ours, stops = books()
    for call in range(3 * FIRST_CALLS):
        ours.settled(ended(call, None, failed="too_large", attempts=0), ())
        ours.settled(ended(call, "InternalFailure", failed="Interrupted"), ())
    assert (ours.refused, stops) == (None, [])


@pytest.mark.parametrize("acknowledged", [0, 1])
def test_one_incurable_refusal_ends_a_load_and_says_which_and_when(acknowledged: int) -> None:
    for code in sorted(INCURABLE):
        ours, stops = books()
        for _ in range(acknowledged):
            ours.settled(ended(0, None), ())
        ours.settled(ended(2_500_000, code), ())
        assert ours.refused == f"{code}, 2.5 s after the start"
        assert stops


def test_a_load_that_ends_before_its_schedule_is_partial_and_says_by_how_much() -> None:
    assert ended_early(None, 1_000, 1_000) is None
    assert ended_early(None, 1_000, None) is None
    assert ended_early("why", 1_000, None) == "why"
    rest = "1,026 of the 2,000 events of the schedule are not among those offered"
    assert ended_early("why", 974, 2_000) == f"why; {rest}"
    assert ended_early(None, 974, 2_000) == f"the load ended before its schedule: {rest}"
