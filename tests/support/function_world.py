"""The outside of one function machine, with time moved by hand."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from infra.model.function import (
    Command,
    Complete,
    FunctionMachine,
    InitFailed,
    InvokeOutcome,
    Kill,
    Remove,
    Send,
    Start,
)
from infra.model.function.environments import State


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
    provisioned_starts: set[int] = field(default_factory=set)
    init_failures: list[InitFailed] = field(default_factory=list)
    asked: int = 0

    def perform(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Start(environment, process, provisioned):
                    assert environment not in self.living.values(), "two processes in one environment"
                    assert environment not in self.removed
                    self.living[process] = environment
                    if provisioned:
                        self.provisioned_starts.add(process)
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
                case InitFailed():
                    self.init_failures.append(command)
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
