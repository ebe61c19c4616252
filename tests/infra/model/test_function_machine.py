"""The machine of a function: each invocation one outcome, never more of them at once than its share allows."""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.model.function import (
    Account,
    Command,
    Complete,
    FunctionError,
    FunctionMachine,
    FunctionSettings,
    InvokeOutcome,
    Kill,
    Remove,
    Send,
    ServiceError,
    Start,
    Succeeded,
    Throttled,
)
from infra.model.function.environments import State
from infra.model.function.machine import GROWTH_MAX, PAYLOAD_BYTES_MAX


@dataclass
class World:
    """The outside of one machine: performs commands by writing them down, and has its own view of every process."""

    machine: FunctionMachine
    now: float = 1_000.0
    living: dict[int, int] = field(default_factory=dict)  # process -> environment
    initialised: set[int] = field(default_factory=set)
    sent: dict[int, Send] = field(default_factory=dict)  # process -> work it has not answered
    taken: set[int] = field(default_factory=set)  # processes that have fetched their work
    killed: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    outcomes: dict[int, InvokeOutcome] = field(default_factory=dict)
    completes: dict[int, Complete] = field(default_factory=dict)
    asked: int = 0

    def perform(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Start(environment, process):
                    assert environment not in self.living.values(), "two processes in one environment"
                    assert environment not in self.removed
                    self.living[process] = environment
                case Send(process):
                    assert process in self.initialised
                    assert process in self.living
                    assert process not in self.sent, "two invocations in one process"
                    assert process not in self.killed
                    self.sent[process] = command
                case Kill(process, _):
                    assert process in self.living
                    self.killed.add(process)
                case Remove(environment):
                    assert environment not in self.living.values()
                    assert environment not in self.removed
                    self.removed.add(environment)
                case Complete(ticket, outcome):
                    assert ticket not in self.outcomes, "a second outcome"
                    self.outcomes[ticket] = outcome
                    self.completes[ticket] = command

    def invoke(self, request_id: str | None = None) -> int:
        self.asked += 1
        self.perform(self.machine.invoke(self.asked, request_id or f"request-{self.asked}", self.now))
        return self.asked

    def ready(self, process: int) -> None:
        self.initialised.add(process)
        self.perform(self.machine.ready(process, self.now))
        if process in self.sent:
            self.fetch(process)

    def fetch(self, process: int) -> None:
        self.taken.add(process)
        self.machine.fetched(process)

    def answer(self, process: int, payload: bytes = b"null") -> None:
        work = self.sent.pop(process)
        self.taken.discard(process)
        self.perform(self.machine.responded(process, work.request_id, payload, self.now))

    def fail(self, process: int) -> None:
        work = self.sent.pop(process)
        self.taken.discard(process)
        self.perform(self.machine.raised(process, work.request_id, "ValueError", b"{}", self.now))

    def exit(self, process: int, returncode: int = -9) -> None:
        self.sent.pop(process, None)
        self.taken.discard(process)
        self.living.pop(process)
        self.perform(self.machine.exited(process, returncode, self.now))

    def later(self, seconds: float) -> None:
        self.now += seconds
        deadline_s = self.machine.next_deadline_s
        if deadline_s is not None and deadline_s <= self.now:
            self.perform(self.machine.timer(self.now))
            after = self.machine.next_deadline_s
            assert after is None or after > self.now, "a deadline that has come is still there"

    @property
    def idle(self) -> int:
        return sum(state is State.IDLE for state in self.machine.environments.values())

    @property
    def only(self) -> int:
        (process,) = self.living
        return process


def world(*, reserved: int | None = None, timeout_s: float = 3.0, **more: float) -> World:
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
    outside = world()
    ticket = outside.invoke()
    outside.later(10.0)
    outside.exit(outside.only)
    outside.later(3.0)
    assert message(outside.outcomes[ticket]) == "RequestId: request-1 Error: Task timed out after 3.00 seconds"


def test_the_timeout_ends_the_invocation_and_the_process_and_keeps_the_environment() -> None:
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
    outside = world(reserved=2)
    tickets = [outside.invoke() for _ in range(3)]
    assert outside.outcomes == {tickets[2]: Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")}
    assert outside.machine.counters.throttles == 1
    assert outside.machine.counters.invocations == 0


def test_reserved_concurrency_of_zero_throttles_everything() -> None:
    outside = world(reserved=0)
    assert outside.outcomes[outside.invoke()] == Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")


def test_requests_are_limited_to_ten_per_second_and_unit_of_concurrency() -> None:
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
    account = Account()
    FunctionMachine(FunctionSettings("a", 3.0, 900), account)
    with pytest.raises(ValueError, match="leaves 99 "):
        FunctionMachine(FunctionSettings("b", 3.0, 1), account)


def test_a_function_gains_a_thousand_environments_at_once_and_then_a_hundred_a_second() -> None:
    outside = World(FunctionMachine(FunctionSettings("fn", 900.0), Account(concurrency_max=3_000)))
    for _ in range(GROWTH_MAX):
        outside.invoke()
    assert outside.outcomes == {}
    assert outside.outcomes[outside.invoke()] == Throttled("ConcurrentInvocationLimitExceeded")
    outside.later(1.0)
    for _ in range(101):
        last = outside.invoke()
    assert sorted(outside.outcomes) == [GROWTH_MAX + 1, last]


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


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["invoke", "ready", "fetch", "answer", "fail", "oversize", "init_error", "exit", "late", "lost", "wait"]
        ),
        st.integers(0, 7),  # which of the processes that can do it
        st.sampled_from([0.0, 0.01, 0.4, 2.9, 3.0, 10.0, 61.0]),  # seconds that pass before it
    ),
    max_size=120,
)


def step(outside: World, kind: str, which: int) -> None:
    """One thing that can happen in the world; nothing when no process is in the position to do it."""
    living, sent = outside.living, outside.sent
    able = {
        "ready": [p for p in living if p not in outside.initialised],
        "fetch": [p for p in sent if p not in outside.taken],
        "answer": [p for p in sent if p in outside.taken],
        "fail": [p for p in sent if p in outside.taken],
        "oversize": [p for p in sent if p in outside.taken],
        "init_error": [p for p in living if p not in outside.initialised],
        "exit": list(living),
        "lost": [p for p in living if p not in outside.initialised],
    }
    if kind == "invoke":
        outside.invoke("same" if which == 0 else None)
        return
    if kind == "late":  # inputs about processes that nobody knows
        outside.perform(outside.machine.exited(10_000, 0, outside.now))
        outside.perform(outside.machine.responded(10_000, "request-1", b"", outside.now))
        return
    if not able.get(kind):
        return
    process = able[kind][which % len(able[kind])]
    match kind:
        case "ready":
            outside.initialised.add(process)
            outside.perform(outside.machine.ready(process, outside.now))
        case "fetch":
            outside.fetch(process)
        case "answer":
            outside.answer(process)
        case "fail":
            outside.fail(process)
        case "oversize":
            work = outside.sent.pop(process)
            outside.perform(outside.machine.oversized(process, work.request_id, 7_000_000, outside.now))
        case "init_error":
            outside.perform(outside.machine.init_failed(process, "Runtime.HandlerNotFound", b"{}", outside.now))
        case "exit":
            outside.exit(process, (-9, 0, 1)[which % 3])
        case "lost":
            outside.living.pop(process)
            outside.perform(outside.machine.start_failed(process, "lost", outside.now))


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
    assert len(outside.machine._deadlines.heap) < 100
