"""Provisioned concurrency of one version: started ahead, used first, replaced when it ends, and what spills over."""

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.model.function import (
    Account,
    FunctionError,
    FunctionMachine,
    FunctionSettings,
    InitFailed,
    Succeeded,
    Throttled,
)
from tests.support.function_world import STEPS, World, step


def provisioned(count: int, *, reserved: int | None = None) -> World:
    account = Account()
    outside = World(FunctionMachine(FunctionSettings("fn", 3.0, reserved), account))
    account.provision("fn", count)
    outside.perform(outside.machine.provision(count, outside.now))
    return outside


def ready(count: int, *, reserved: int | None = None) -> World:
    outside = provisioned(count, reserved=reserved)
    for process in list(outside.living):
        outside.ready(process)
    return outside


def test_environments_are_started_before_anybody_invokes() -> None:
    """facts 8.4, 11.21"""
    outside = provisioned(2)
    assert outside.provisioned_starts == set(outside.living)
    assert len(outside.living) == 2
    assert outside.machine.provisioned.status == "IN_PROGRESS"
    for process in list(outside.living):
        outside.ready(process)
    assert (outside.machine.provisioned.available, outside.machine.provisioned.status) == (2, "READY")


def test_an_invocation_finds_a_provisioned_environment_warm() -> None:
    """facts 8.4, 11.21"""
    outside = ready(1)
    ticket = outside.invoke()
    outside.answer(outside.only)
    report = outside.completes[ticket].report
    assert report is not None
    assert (report.provisioned, report.spilled_over, report.init_ms) == (True, False, None)
    assert outside.machine.counters.provisioned_invocations == 1


def test_what_provisioned_concurrency_cannot_take_spills_over_to_environments_on_demand() -> None:
    """fact 8.4"""
    outside = ready(1, reserved=2)
    outside.invoke()
    spilled = outside.invoke()
    refused = outside.invoke()
    assert outside.outcomes == {refused: Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")}
    process = max(outside.living)
    outside.ready(process)
    outside.answer(process)
    report = outside.completes[spilled].report
    assert report is not None
    assert (report.provisioned, report.spilled_over) == (False, True)
    assert report.init_ms is not None
    assert outside.machine.counters.spillover_invocations == 1


def test_another_version_of_a_function_whose_reservation_is_all_provisioned_is_throttled() -> None:
    """facts 8.4, 8.6"""
    account = Account()
    latest = World(FunctionMachine(FunctionSettings("fn", 3.0, 1), account))
    account.provision("fn", 1)
    assert latest.outcomes[latest.invoke()] == Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")


def test_an_environment_on_demand_never_counts_as_provisioned() -> None:
    """fact 8.4"""
    outside = ready(1)
    first, second = outside.invoke(), outside.invoke()
    process = max(outside.living)
    outside.ready(process)
    outside.answer(process)
    third = outside.invoke()  # the provisioned one is still busy
    assert outside.sent[process].ticket == third
    outside.answer(process)
    outside.answer(outside.sent[min(outside.living)].process)
    kinds = [report.provisioned for t in (first, second, third) if (report := outside.completes[t].report)]
    assert kinds == [True, False, False]


def test_requests_above_ten_a_second_and_provisioned_unit_spill_over() -> None:
    """fact 8.3"""
    outside = ready(1)
    process = outside.only
    for _ in range(10):
        outside.invoke()
        outside.answer(process)
    eleventh = outside.invoke()
    other = max(outside.living)
    assert other != process
    outside.ready(other)
    outside.answer(other)
    report = outside.completes[eleventh].report
    assert report is not None
    assert report.spilled_over


def test_a_provisioned_environment_whose_process_ends_is_started_again_at_once() -> None:
    outside = ready(1)
    ticket = outside.invoke()
    outside.fetch(outside.only)
    outside.exit(outside.only, 1)
    assert isinstance(outside.outcomes[ticket], FunctionError)
    assert outside.machine.provisioned.status == "IN_PROGRESS"
    outside.ready(outside.only)
    assert outside.machine.provisioned.status == "READY"


def test_init_of_provisioned_concurrency_may_take_more_than_ten_seconds() -> None:
    """fact 11.13: the longer of 130 s and the function's timeout"""
    outside = provisioned(1)
    outside.later(129.0)
    assert outside.killed == set()
    outside.later(1.0)
    assert outside.killed == {outside.only}
    outside.exit(outside.only)
    assert outside.machine.provisioned.status == "FAILED"
    assert outside.machine.environments == {}


def test_an_init_that_fails_is_told_once_and_not_repeated_until_it_is_set_anew() -> None:
    outside = provisioned(2)
    for process in list(outside.living):
        outside.perform(outside.machine.init_failed(process, "ImportError", b"{}", outside.now))
        outside.exit(process, 1)
    assert [failure.new for failure in outside.init_failures] == [True, False]
    assert isinstance(outside.init_failures[0], InitFailed)
    assert (outside.machine.provisioned.status, outside.living) == ("FAILED", {})
    outside.perform(outside.machine.provision(1, outside.now))
    outside.ready(outside.only)
    assert outside.machine.provisioned.status == "READY"


def test_a_process_that_ends_before_its_first_invocation_is_not_started_for_ever() -> None:
    outside = ready(1)
    outside.exit(outside.only)
    assert (outside.machine.provisioned.status, outside.living) == ("FAILED", {})


def test_less_provisioned_concurrency_ends_what_is_idle_now_and_what_runs_after_its_invocation() -> None:
    outside = ready(3)
    running = outside.invoke()
    (busy,) = outside.sent
    outside.perform(outside.machine.provision(0, outside.now))
    assert outside.killed == set(outside.living) - {busy}
    outside.answer(busy)
    assert isinstance(outside.outcomes[running], Succeeded)
    assert busy in outside.killed
    for process in list(outside.living):
        outside.exit(process)
    assert outside.machine.environments == {}


def test_a_provisioned_environment_is_kept_while_idle_and_replaced_after_its_lifetime() -> None:
    """fact 11.17"""
    outside = ready(1)
    first = outside.only
    outside.later(7_199.0)
    assert outside.killed == set()
    outside.later(1.0)
    assert outside.killed == {first}
    assert len(outside.living) == 2
    outside.exit(first)
    outside.ready(outside.only)
    assert outside.machine.provisioned.status == "READY"


@settings(max_examples=150)
@given(STEPS, st.lists(st.tuples(st.integers(0, 119), st.integers(0, 3)), max_size=6), st.booleans())
def test_every_invocation_gets_one_outcome_and_nothing_is_left_whatever_is_provisioned_meanwhile(
    steps: list[tuple[str, int, float]], changes: list[tuple[int, int]], retired: bool
) -> None:
    account = Account(6, unreserved_min=0)
    outside = World(FunctionMachine(FunctionSettings("fn", 3.0, None, idle_s_max=60.0), account))
    counters = outside.machine.counters
    at = dict(changes)
    for number, (kind, which, seconds) in enumerate(steps):
        if number in at:
            account.provision("fn", at[number])
            outside.perform(outside.machine.provision(at[number], outside.now))
        outside.later(seconds)
        step(outside, kind, which)
        pending = outside.asked - len(outside.outcomes)
        assert pending == counters.concurrent_executions
        have = sum(each in outside.provisioned_starts for each in outside.living if each not in outside.killed)
        assert pending <= 6 + have, "an environment that is no longer provisioned may still finish what it has"
    account.provision("fn", 0)
    outside.perform(outside.machine.retire() if retired else outside.machine.shutdown(outside.now))
    for _ in range(8):  # what was killed exits; what hangs runs into a limit
        for process in list(outside.living):
            if process in outside.killed:
                outside.exit(process)
        outside.later(131.0)
    assert sorted(outside.outcomes) == list(range(1, outside.asked + 1))
    assert (outside.machine.environments, outside.living, outside.machine.next_deadline_s) == ({}, {}, None)
    runs = [report for each in outside.completes.values() if (report := each.report) is not None]
    assert counters.provisioned_invocations == sum(report.provisioned for report in runs)
    assert counters.spillover_invocations == sum(report.spilled_over for report in runs)
