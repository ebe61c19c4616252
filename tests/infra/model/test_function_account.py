"""Shares of an account's concurrency: what AWS refuses, and that no share ever runs more than it has."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.function import Account, ConcurrencyRefusedError

REST = "ConcurrentInvocationLimitExceeded"
RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"


def account(limit: int = 1_000, **reserved: int | None) -> Account:
    made = Account(limit)
    for name, share in reserved.items():
        made.register(name, share)
    return made


def admitted(made: Account, name: str, times: int) -> tuple[int, str | None]:
    """How many of `times` invocations are admitted, and why the last was not."""
    reasons = [made.admit(name, 0.0) for _ in range(times)]
    return reasons.count(None), reasons[-1]


def test_an_account_runs_a_thousand_at_once() -> None:
    """facts 8.1, 8.6"""
    assert admitted(account(a=None), "a", 1_001) == (1_000, REST)


def test_a_reservation_is_taken_from_the_others_and_given_back() -> None:
    """fact 8.1"""
    made = account(a=None, b=None)
    made.reserve("b", 900)
    assert made.unreserved == 100
    assert admitted(made, "a", 101) == (100, REST)
    made.reserve("b", None)
    assert (made.unreserved, made.reserved("b")) == (1_000, None)
    assert admitted(made, "a", 901) == (900, REST)


def test_a_reservation_changes_while_the_function_runs_and_what_runs_counts_in_the_new_share() -> None:
    made = account(a=None, b=None)
    assert admitted(made, "a", 3) == (3, None)
    made.reserve("a", 2)
    assert made.running("b") == 0
    assert made.admit("a", 0.0) == RESERVED
    for _ in range(2):
        made.release("a")
    assert made.admit("a", 0.0) is None
    made.reserve("a", None)
    assert made.running("b") == 2


def test_what_must_stay_unreserved_is_said_in_awss_words() -> None:
    """fact 8.1"""
    made = account(a=800, b=None)
    message = (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100]."
    )
    with pytest.raises(ConcurrencyRefusedError) as refused:
        made.reserve("b", 101)
    assert str(refused.value) == message
    made.reserve("b", 100)
    made.reserve("a", 800)
    assert made.unreserved == 100


def test_a_refused_registration_leaves_nothing_behind() -> None:
    made = account()
    with pytest.raises(ConcurrencyRefusedError):
        made.register("a", 901)
    made.register("a", 900)


def test_provisioned_concurrency_counts_within_the_reservation() -> None:
    """fact 8.4: with a reservation of 3, 2 provisioned leave 1 on demand"""
    made = account(a=3)
    made.provision("a", 2)
    assert admitted(made, "a", 2) == (1, RESERVED)
    with pytest.raises(ConcurrencyRefusedError, match="should not be greater than the reservedConcurrentExecution"):
        made.provision("a", 4)
    with pytest.raises(ConcurrencyRefusedError) as refused:
        made.reserve("a", 1)
    assert str(refused.value) == (
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    )


def test_provisioned_concurrency_without_a_reservation_is_taken_from_the_account() -> None:
    """fact 8.4"""
    made = account(a=None, b=None)
    made.provision("a", 890)
    assert admitted(made, "b", 111) == (110, REST)
    with pytest.raises(ConcurrencyRefusedError, match=r"below its minimum value of \[100\]"):
        made.provision("a", 901)
    with pytest.raises(ConcurrencyRefusedError, match=r"greater than account's unreserved concurrency \[1000\]"):
        made.provision("a", 1_001)
    made.provision("a", 0)
    assert made.running("b") == 110
    assert admitted(made, "b", 891) == (890, REST)


def test_a_function_that_is_forgotten_gives_its_share_back() -> None:
    made = account(a=900, b=None)
    made.forget("a")
    assert made.unreserved == 1_000
    made.register("a", None)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "admit", "release", "reserve", "provision", "forget"]),
        st.sampled_from("abc"),
        st.none() | st.integers(0, 12),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_share_admits_more_than_it_has_whatever_is_reserved_and_provisioned(
    steps: list[tuple[str, str, int | None]],
) -> None:
    """facts 8.1, 8.4, against a model that counts"""
    made = Account(14, unreserved_min=2)
    reserved: dict[str, int | None] = {}
    provisioned: Counter[str] = Counter()
    running: Counter[str] = Counter()
    for now, (kind, name, value) in enumerate(steps):
        if name not in reserved:
            made.register(name, None)
            reserved[name] = None
        shared = [each for each in reserved if reserved[each] is None]
        taken = sum(share for share in reserved.values() if share is not None)
        if kind == "admit":
            own = reserved[name]
            if own is None:
                room = 14 - taken - sum(provisioned[each] for each in shared) - sum(running[each] for each in shared)
            else:
                room = own - provisioned[name] - running[name]
            assert (made.admit(name, float(now)) is None) == (room > 0)
            running[name] += room > 0
        elif kind == "release" and running[name]:
            made.release(name)
            running[name] -= 1
        elif kind == "forget" and not running[name]:
            made.forget(name)
            del reserved[name]
            del provisioned[name]
        elif kind == "reserve":
            others = taken - (reserved[name] or 0) + sum(provisioned[each] for each in shared if each != name)
            fine = value is None or (value >= provisioned[name] and 14 - others - value >= 2)
            if fine:
                made.reserve(name, value)
                reserved[name] = value
            else:
                with pytest.raises(ConcurrencyRefusedError):
                    made.reserve(name, value)
        elif kind == "provision" and value is not None:
            own = reserved[name]
            others = taken + sum(provisioned[each] for each in shared if each != name)
            if own is not None:
                fine = value <= own
            else:
                fine = value <= 14 - others and (value <= provisioned[name] or 14 - others - value >= 2)
            if fine:
                made.provision(name, value)
                provisioned[name] = value
            else:
                with pytest.raises(ConcurrencyRefusedError):
                    made.provision(name, value)


def most(times: list[float], rate_per_s: float) -> float:
    """The most that any span of time had above what flows in at `rate_per_s` while it lasts."""
    return max(
        (last - first + 1 - (times[last] - times[first]) * rate_per_s)
        for first in range(len(times))
        for last in range(first, len(times))
    )


GAPS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), min_size=1, max_size=25)


@given(GAPS)
def test_in_no_span_of_time_is_a_function_given_more_requests_than_ten_per_second_and_unit(
    bursts: list[tuple[int, int]],
) -> None:
    """fact 8.3"""
    made, now, admitted_at = account(a=1), 0.0, []
    for gap_eighths, requests in bursts:
        now += gap_eighths / 8
        for _ in range(requests):
            if made.admit("a", now) is None:
                admitted_at.append(now)
                made.release("a")
    assert most(admitted_at, 10.0) <= 10.001


@given(GAPS)
def test_in_no_span_of_time_does_a_function_gain_more_than_a_thousand_and_a_hundred_a_second(
    bursts: list[tuple[int, int]],
) -> None:
    """fact 8.2: 1,000 environments in 10 s, refilled continuously and not saved up"""
    made, now, gained_at = account(a=None), 0.0, []
    while made.grow("a", now):
        gained_at.append(now)
    assert len(gained_at) == 1_000
    gained_at.clear()
    for gap_eighths, environments in bursts:
        now += gap_eighths / 8
        gained_at += [now for _ in range(environments) if made.grow("a", now)]
    if gained_at:
        assert most([0.0, *gained_at], 100.0) <= 1_000
        assert len(gained_at) <= now * 100.0 + 0.001
