"""The machine of a function: each invocation one outcome, never more of them at once than its share allows."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.model.function import (
    Account,
    FunctionError,
    FunctionMachine,
    FunctionSettings,
    InvokeOutcome,
    ServiceError,
    Succeeded,
    Throttled,
)
from infra.model.function.account import GROWTH_MAX
from infra.model.function.settings import PAYLOAD_BYTES_MAX
from tests.support.function_world import STEPS, World, step


def world(*, reserved: int | None = None, timeout_s: float = 3.0, **more: Any) -> World:
    return World(FunctionMachine(FunctionSettings("fn", timeout_s, reserved, **more), Account()))


def warm() -> World:
    """With one idle process."""
    outside = world()
    outside.invoke()
    outside.ready(outside.only)
    outside.answer(outside.only)
    outside.outcomes.clear()
    return outside


def message(outcome: InvokeOutcome) -> str:
    assert isinstance(outcome, FunctionError)
    return str(json.loads(outcome.payload)["errorMessage"])


def test_an_idle_environment_is_used_again() -> None:
    outside = warm()
    process = outside.only
    ticket = outside.invoke()
    assert outside.sent[process].ticket == ticket
    outside.answer(process, b"7")
    assert outside.outcomes[ticket] == Succeeded("request-2", b"7")
    assert outside.machine.counters.cold_starts == 1


def test_a_warm_start_reports_no_init() -> None:
    outside = warm()
    ticket = outside.invoke()
    outside.answer(outside.only)
    report = outside.completes[ticket].report
    assert report is not None
    assert report.init_ms is None


def test_what_does_not_fit_the_state_of_its_process_is_ignored() -> None:
    outside = warm()
    process, machine, now = outside.only, outside.machine, outside.now
    assert machine.responded(process, "request-1", b"1", now) == []  # answered long ago
    ticket = outside.invoke()
    outside.fetch(process)
    assert machine.responded(process, "request-1", b"1", now) == []
    assert machine.raised(process, "request-1", "E", b"1", now) == []
    assert machine.oversized(process, "request-1", 1, now) == []
    assert machine.init_failed(process, "E", b"1", now) == []
    assert machine.ready(process, now) == []
    outside.answer(process, b"2")
    assert outside.outcomes == {ticket: Succeeded("request-2", b"2")}


def test_init_is_not_part_of_the_duration_of_a_cold_start() -> None:
    """fact 8.7: Duration leaves out init"""
    outside = world()
    ticket = outside.invoke()
    outside.later(5.0)  # longer than the function's own timeout of 3 s
    outside.ready(outside.only)
    assert outside.sent[outside.only].deadline_s == outside.now + 3.0
    outside.later(1.0)
    outside.answer(outside.only)
    report = outside.completes[ticket].report
    assert report is not None
    assert (report.init_ms, report.duration_ms) == (5_000.0, 1_000.0)


def test_an_init_over_ten_seconds_is_done_again_inside_the_invocation_under_its_timeout() -> None:
    """fact 11.13"""
    outside = world()
    ticket = outside.invoke()
    first = outside.only
    outside.later(10.0)
    assert outside.killed == {first}
    assert ticket not in outside.outcomes
    outside.exit(first)
    second = outside.only
    outside.later(1.0)
    outside.ready(second)
    outside.later(1.5)
    outside.answer(second)
    report = outside.completes[ticket].report
    assert report is not None
    assert (report.init_ms, report.duration_ms) == (None, 2_500.0)


def test_an_init_that_is_redone_too_slowly_is_the_functions_timeout() -> None:
    """facts 4.6, 11.13"""
    outside = world()
    ticket = outside.invoke()
    outside.later(10.0)
    outside.exit(outside.only)
    outside.later(3.0)
    assert message(outside.outcomes[ticket]) == "RequestId: request-1 Error: Task timed out after 3.00 seconds"


def test_the_timeout_ends_the_invocation_and_the_process_and_keeps_the_environment() -> None:
    """facts 4.6, 11.15"""
    outside = warm()
    first = outside.only
    environment = outside.living[first]
    ticket = outside.invoke()
    outside.fetch(first)
    outside.later(3.0)
    outcome = outside.outcomes[ticket]
    assert isinstance(outcome, FunctionError)
    assert outcome.error_type == "Sandbox.Timedout"
    assert outside.killed == {first}
    outside.exit(first)
    outside.invoke()
    assert outside.living[outside.only] == environment
    assert outside.removed == set()


def test_an_answer_after_the_timeout_is_not_a_second_outcome() -> None:
    outside = warm()
    process = outside.only
    ticket = outside.invoke()
    outside.fetch(process)
    outside.later(3.0)
    outside.answer(process)
    assert isinstance(outside.outcomes[ticket], FunctionError)


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (-9, "Runtime exited with error: signal: killed"),
        (-11, "Runtime exited with error: signal: segmentation fault"),
        (3, "Runtime exited with error: exit status 3"),
        (0, "Runtime exited without providing a reason"),
    ],
)
def test_an_exit_during_an_invocation_is_its_error_in_aws_words(returncode: int, words: str) -> None:
    """fact 4.6"""
    outside = warm()
    ticket = outside.invoke()
    outside.fetch(outside.only)
    outside.exit(outside.only, returncode)
    outcome = outside.outcomes[ticket]
    assert isinstance(outcome, FunctionError)
    assert outcome.error_type == "Runtime.ExitError"
    assert message(outcome) == f"RequestId: request-2 Error: {words}"


def test_a_process_that_dies_idle_costs_the_next_invocation_a_start_and_no_error() -> None:
    outside = warm()
    outside.exit(outside.only)
    ticket = outside.invoke()
    outside.ready(outside.only)
    outside.answer(outside.only)
    assert isinstance(outside.outcomes[ticket], Succeeded)


def test_an_invocation_that_the_dying_process_never_took_runs_in_the_next_one() -> None:
    outside = warm()
    ticket = outside.invoke()  # sent, and not fetched
    outside.exit(outside.only)
    assert ticket not in outside.outcomes
    outside.ready(outside.only)
    outside.answer(outside.only)
    assert isinstance(outside.outcomes[ticket], Succeeded)


def test_a_failed_init_is_new_once_and_the_same_until_an_init_succeeds() -> None:
    outside = world()
    seen = []
    for _ in range(3):
        ticket = outside.invoke()
        process = outside.only
        outside.perform(outside.machine.init_failed(process, "Runtime.ImportModuleError", b"{}", outside.now))
        outside.exit(process, 1)
        report = outside.completes[ticket].report
        assert report is not None
        seen.append(report.init_error)
    assert seen == ["new", "same", "same"]
    outside.invoke()
    outside.ready(outside.only)
    outside.answer(outside.only)
    outside.exit(outside.only)
    ticket = outside.invoke()
    outside.perform(outside.machine.init_failed(outside.only, "Runtime.ImportModuleError", b"{}", outside.now))
    report = outside.completes[ticket].report
    assert report is not None
    assert report.init_error == "new"


def test_a_response_above_the_limit_is_an_error_and_ends_the_process() -> None:
    """fact 11.2"""
    outside = warm()
    process = outside.only
    ticket = outside.invoke()
    outside.fetch(process)
    outside.perform(outside.machine.oversized(process, "request-2", PAYLOAD_BYTES_MAX + 1, outside.now))
    outcome = outside.outcomes[ticket]
    assert isinstance(outcome, FunctionError)
    assert outcome.error_type == "Function.ResponseSizeTooLarge"
    assert outside.killed == {process}


def test_an_idle_environment_is_recycled_after_its_lifetime() -> None:
    """facts 11.16, 11.17: killed outright, as there is no extension"""
    outside = warm()
    process = outside.only
    outside.later(299.0)
    assert outside.killed == set()
    outside.later(1.0)
    assert outside.killed == {process}
    ticket = outside.invoke()  # does not wait for the old one
    assert len(outside.living) == 2
    outside.exit(process)
    assert len(outside.removed) == 1
    assert ticket not in outside.outcomes


def test_the_environment_used_last_is_used_next_so_that_the_others_can_go() -> None:
    outside = world()
    outside.invoke()
    outside.invoke()
    older, newer = outside.living
    for process in (newer, older):
        outside.ready(process)
        outside.answer(process)
    for _ in range(4):
        outside.later(100.0)
        outside.invoke()
        if older in outside.sent:
            outside.answer(older)
    assert outside.killed == {newer}


def test_reserved_concurrency_throttles_with_its_own_reason() -> None:
    """facts 8.6, 8.7: a throttle is no invocation and no error"""
    outside = world(reserved=2)
    tickets = [outside.invoke() for _ in range(3)]
    assert outside.outcomes == {tickets[2]: Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")}
    assert outside.machine.counters.throttles == 1
    assert outside.machine.counters.invocations == 0


def test_reserved_concurrency_of_zero_throttles_everything() -> None:
    """fact 8.1"""
    outside = world(reserved=0)
    assert outside.outcomes[outside.invoke()] == Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")


def test_requests_are_limited_to_ten_per_second_and_unit_of_concurrency() -> None:
    """facts 8.3, 8.6"""
    outside = world(reserved=1)
    outside.invoke()
    outside.ready(outside.only)
    outside.answer(outside.only)
    for _ in range(9):
        outside.invoke()
        outside.answer(outside.only)
    assert outside.outcomes[outside.invoke()] == Throttled("ReservedFunctionInvocationRateLimitExceeded")
    outside.later(0.1)
    assert outside.invoke() not in outside.outcomes


def test_functions_without_a_reservation_share_what_is_left_of_the_account() -> None:
    """facts 8.1, 8.6"""
    account = Account(concurrency_max=110)
    reserving = World(FunctionMachine(FunctionSettings("a", 3.0, 10), account))
    first, second = (World(FunctionMachine(FunctionSettings(name, 3.0), account)) for name in "bc")
    for _ in range(60):
        first.invoke()
    for _ in range(41):
        last = second.invoke()
    assert second.outcomes == {last: Throttled("ConcurrentInvocationLimitExceeded")}
    assert reserving.invoke() not in reserving.outcomes


def test_a_reservation_must_leave_a_hundred_to_the_others() -> None:
    """fact 8.1"""
    account = Account()
    FunctionMachine(FunctionSettings("a", 3.0, 900), account)
    with pytest.raises(ValueError, match=r"below its minimum value of \[100\]"):
        FunctionMachine(FunctionSettings("b", 3.0, 1), account)


def test_a_function_gains_a_thousand_environments_at_once_and_then_a_hundred_a_second() -> None:
    """fact 8.2: refilled continuously, not saved up"""
    outside = World(FunctionMachine(FunctionSettings("fn", 900.0), Account(concurrency_max=3_000)))
    for _ in range(GROWTH_MAX):
        outside.invoke()
    assert outside.outcomes == {}
    assert outside.outcomes[outside.invoke()] == Throttled("ConcurrentInvocationLimitExceeded")
    outside.later(1.0)
    for _ in range(101):
        last = outside.invoke()
    assert sorted(outside.outcomes) == [GROWTH_MAX + 1, last]


def test_what_is_refused_because_the_function_may_not_grow_takes_no_concurrency() -> None:
    """fact 8.2"""
    account = Account(concurrency_max=3_000)
    outside = World(FunctionMachine(FunctionSettings("fn", 900.0), account))
    for _ in range(GROWTH_MAX + 500):
        outside.invoke()
    assert len(outside.outcomes) == 500
    assert account.running("fn") == GROWTH_MAX


def test_growth_that_was_not_used_is_not_saved_up() -> None:
    """fact 8.2"""
    outside = World(FunctionMachine(FunctionSettings("fn", 900.0), Account(concurrency_max=3_000)))
    outside.later(3_600.0)
    tickets = [outside.invoke() for _ in range(GROWTH_MAX + 1)]
    assert outside.outcomes == {tickets[-1]: Throttled("ConcurrentInvocationLimitExceeded")}


def test_an_environment_in_constant_use_is_recycled_after_its_lifetime_between_two_invocations() -> None:
    """fact 11.17"""
    outside = warm()
    first = outside.only
    for _ in range(72):
        outside.invoke()
        outside.later(2.0)
        assert outside.killed == set()
        outside.answer(outside.only)
        if outside.killed:
            break
        outside.later(99.0)
    assert outside.killed == {first}
    assert 8_200.0 <= outside.now < 8_302.0
    assert all(isinstance(outcome, Succeeded) for outcome in outside.outcomes.values())
    outside.exit(first)
    assert len(outside.removed) == 1
    ticket = outside.invoke()
    outside.ready(outside.only)
    outside.answer(outside.only)
    assert isinstance(outside.outcomes[ticket], Succeeded)


def test_a_retired_version_finishes_what_runs_and_then_has_nothing_left() -> None:
    outside = warm()
    running = outside.invoke()
    idle = outside.invoke()
    second = max(outside.living)
    outside.ready(second)
    outside.answer(second)
    outside.perform(outside.machine.retire())
    assert outside.killed == {second}
    outside.exit(second)
    outside.answer(outside.only)
    assert isinstance(outside.outcomes[running], Succeeded)
    assert isinstance(outside.outcomes[idle], Succeeded)
    outside.exit(outside.only)
    assert outside.machine.environments == {}
    assert outside.machine.next_deadline_s is None


def test_shutdown_fails_what_runs_refuses_what_comes_and_ends_every_process() -> None:
    outside = warm()
    running = outside.invoke()
    starting = outside.invoke()
    outside.perform(outside.machine.shutdown(outside.now))
    late = outside.invoke()
    for ticket in (running, starting, late):
        assert isinstance(outside.outcomes[ticket], ServiceError)
    assert outside.killed == set(outside.living)
    for process in list(outside.living):
        outside.exit(process, -15)
    assert outside.machine.environments == {}


def test_a_process_that_cannot_be_started_is_a_service_error() -> None:
    outside = world()
    ticket = outside.invoke()
    process = outside.only
    del outside.living[process]
    outside.perform(outside.machine.start_failed(process, "no more processes", outside.now))
    assert isinstance(outside.outcomes[ticket], ServiceError)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([0, 1, 2, 3, None]), st.booleans())
def test_every_invocation_gets_exactly_one_outcome_and_the_limit_holds(
    steps: list[tuple[str, int, float]], reserved: int | None, shut_down: bool
) -> None:
    account = Account(108 if reserved else 8, unreserved_min=8)
    outside = World(FunctionMachine(FunctionSettings("fn", 3.0, reserved, idle_s_max=60.0), account))
    for kind, which, seconds in steps:
        outside.later(seconds)
        step(outside, kind, which)
        pending = outside.asked - len(outside.outcomes)
        assert pending == outside.machine.counters.concurrent_executions
        assert pending <= (8 if reserved is None else reserved)
        assert len(outside.living) - len(outside.killed & set(outside.living)) <= pending + outside.idle
    if shut_down:
        outside.perform(outside.machine.shutdown(outside.now))
    for _ in range(6):  # what was killed exits; what hangs runs into a limit
        for process in list(outside.living):
            if process in outside.killed:
                outside.exit(process)
        outside.later(11.0)
    assert sorted(outside.outcomes) == list(range(1, outside.asked + 1))
    counters = outside.machine.counters
    runs = [o for o in outside.outcomes.values() if isinstance(o, Succeeded | FunctionError)]
    assert counters.invocations == len(runs)
    assert counters.errors == sum(isinstance(o, FunctionError) for o in runs)
    assert counters.throttles == sum(isinstance(o, Throttled) for o in outside.outcomes.values())
    outside.later(100.0)
    for process in list(outside.living):
        outside.exit(process)
    outside.later(100.0)
    assert outside.machine.environments == {}, "an environment that nobody uses is kept for ever"
    assert outside.machine.next_deadline_s is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 20))
def test_the_deadlines_that_are_kept_do_not_grow_with_the_number_of_invocations(spare: int) -> None:
    outside = warm()
    for _ in range(500 + spare):
        outside.invoke()
        outside.fetch(outside.only)
        outside.answer(outside.only)
        outside.now += 0.001
    assert len(outside.machine._environments._deadlines.heap) < 100
