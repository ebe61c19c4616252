"""Late events are this machine's or the endpoint's as far as what was measured tells them apart, and no further."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.outcome.results import PutResult, encode
from loadgen.target.evidence import Capacity, Sent
from loadgen.target.lateness import CALLS, CPU, FULL, MACHINE, STILL, UNKNOWN, Circumstances, cause, in_flight, who
from loadgen.target.limits import judge

LATE = Sent(10_000, 2_000, 3_000.0, 1_000, {}, {}, 1_000, 10_000_000, 10.0)
WAITED = Circumstances(0.2, 0.0, 0.0, 0.3, 3.9, 4)


def line(due_us: int, sent_us: int | None, done_us: int, attempts: int = 1) -> str:
    result = PutResult("k", (due_us,), sent_us, done_us, attempts, 9, 0, 0, "s", "1", (), None, uncertain=False)
    return encode(result) + "\n"


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (WAITED, CALLS),
        (WAITED._replace(in_flight=0.4), MACHINE),
        (WAITED._replace(in_flight=2.9), UNKNOWN),
        (WAITED._replace(in_flight=None), UNKNOWN),
        (WAITED._replace(cpu_share=0.9), CPU),
        (WAITED._replace(still_s=1.6, still_max_s=1.6), STILL),
        (WAITED._replace(still_s=0.4, still_max_s=0.4), CALLS),
        (WAITED._replace(machine_share=0.99), FULL),
        (Circumstances(), UNKNOWN),
    ],
)
def test_why_events_were_late_is_told_by_the_first_that_shows(known: Circumstances, why: str) -> None:
    assert cause(known, 3_000.0) == why
    limited = judge(LATE._replace(circumstances=known), [], Capacity())
    assert limited.limited_by == ("the stream's endpoint" if why == CALLS else "sender: late")


def test_the_sentence_has_what_it_rests_on() -> None:
    reason = judge(LATE._replace(circumstances=WAITED), [], Capacity()).reason
    assert "the connections did not keep up, not this machine" in reason
    assert "it used 20% of a core per process, this machine was 30% busy, 3.9 of 4 calls were in flight" in reason
    still = WAITED._replace(still_s=3.0, still_max_s=2.0)
    assert (
        "it stood still for 3.0 s (2.0 s at once)" in judge(LATE._replace(circumstances=still), [], Capacity()).reason
    )


def test_a_process_that_stood_still_does_not_blame_the_calls_that_it_could_not_take_in() -> None:
    calls = {(number, 4_000_000) for number in range(4)}
    still = LATE._replace(circumstances=WAITED._replace(still_s=3.0, still_max_s=3.0), slow_calls=calls)
    assert judge(still, [], Capacity()).limited_by == "sender: late"
    waited = judge(LATE._replace(circumstances=WAITED._replace(machine_share=1.0), slow_calls=calls), [], Capacity())
    assert waited.limited_by == "the stream's endpoint"
    assert waited.also[0].reason.endswith("calls waited for their answers")


def test_calls_count_while_late_events_wait_and_a_calls_records_count_once() -> None:
    calm = [line(0, 1_000, 500_000), line(0, 1_000, 500_000)]  # nothing is late: whatever was in flight
    assert in_flight(calm, 10_000, 5.0) is None
    stalled = [line(1_000_000, 1_000_000, 4_000_000) for _ in range(3)]  # one call of three records
    stalled += [line(1_000_000, 1_000_001 + call, 4_000_000) for call in range(3)]
    late = line(2_000_000, 3_999_999, 4_100_000)
    assert in_flight([*calm, *stalled, late], 10_000, 5.0) == pytest.approx(4.0, abs=0.01)
    unknown = [line(1_000_000, 1_000_000, 4_000_000, attempts=2), line(1_000_000, None, 4_000_000, attempts=0)]
    assert in_flight([*unknown, late], 10_000, 5.0) == pytest.approx(0.0, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(1, 10**6)), min_size=1, max_size=9))
def test_calls_one_after_the_other_are_never_more_than_one(drawn: list[tuple[int, int, int]]) -> None:
    lines, free_us = [], 0
    for due_us, wait_us, took_us in drawn:
        sent_us = max(free_us, due_us + wait_us)
        free_us = sent_us + took_us
        lines.append(line(due_us, sent_us, free_us))
    found = in_flight(lines, 100, free_us / 1e6)
    assert found is None or 0 <= found <= 1 + 1e-9
    assert in_flight([*lines, "half a li"], 100, free_us / 1e6) == found


def test_a_report_of_before_has_no_circumstances_and_names_both() -> None:
    assert Circumstances.of({}, {}) == Circumstances()
    assert who(Circumstances.of({}, {"connections": "x", "processes": "?"}), 1.0) == "this machine or the target"
    numbers = {**WAITED.named()}
    assert who(Circumstances.of(numbers, {"connections": 4, "processes": "1"}), 9_000.0) == "the target"
