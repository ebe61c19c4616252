"""The chain of pages under several writers, interleaved at every step, with crashes, lost and late statements."""

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from processor.core.pages import SEALED_AT, Chain, PageWriter, capacity, page_key
from processor.core.plan import Contribution
from processor.core.statements import Item, Outcome, ReadPages, Statement
from tests.support.toytable import ToyTable

PK, WINDOW = "usage#someone", "2026-11-23T09:00:00Z"
WRITERS = st.integers(0, 2)
SPAN = st.tuples(st.integers(0, 200), st.one_of(st.integers(1, 25), st.integers(20, 130)))


def identity(number: int) -> str:
    return f"{number:011d}"


def contribution(number: int) -> Contribution:
    """Events differ in which measures they carry, as real ones do."""
    amounts: dict[str, int | Decimal] = {}
    if number % 3:
        amounts["sum_bytes"] = number * 1000 + 1
    if number % 5 == 0:
        amounts["sum_quantity"] = Decimal(number) / 8
    return Contribution(amounts, (number,))


class Writer:
    """One execution environment: what it remembers, the batch it is at, and the statement it has in flight."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.work: PageWriter | None = None
        self.asked: Statement | ReadPages | None = None
        self.outcome: Outcome | None = None
        self.read: list[Item] = []


class Pages(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = ToyTable()
        self.writers = [Writer() for _ in range(3)]
        self.produced: set[int] = set()
        self.late: list[Statement] = []
        self.sealed: dict[tuple[str, str], dict[str, Any]] = {}

    @rule(tells=st.booleans())
    def the_table_may_tell_duplicates(self, tells: bool) -> None:
        self.table.tells = tells

    @rule(index=WRITERS, span=SPAN)
    def a_batch_arrives(self, index: int, span: tuple[int, int]) -> None:
        """New events, resent ones and redelivered ones alike: spans overlap."""
        writer = self.writers[index]
        if writer.work is None:
            numbers = range(span[0], sum(span))
            self.produced.update(numbers)
            writer.work = PageWriter(PK, WINDOW, {identity(n): contribution(n) for n in numbers}, writer.chain)

    @rule(index=WRITERS)
    def it_asks(self, index: int) -> None:
        writer = self.writers[index]
        if writer.work is not None and writer.asked is None:
            writer.asked = writer.work.ask()
            if writer.asked is None:
                assert not writer.work.sources()
                writer.work = None

    @rule(index=WRITERS)
    def the_statement_reaches_the_table(self, index: int) -> None:
        writer = self.writers[index]
        if isinstance(writer.asked, ReadPages):
            # A Query is no snapshot: it reads one page after the other while others write.
            pages = self.table.query(writer.asked)
            if len(writer.read) < len(pages):
                writer.read.append(pages[len(writer.read)])
        elif writer.asked is not None and writer.outcome is None:
            writer.outcome = self.table.apply(writer.asked)

    @rule(index=WRITERS)
    def the_answer_comes_back(self, index: int) -> None:
        writer = self.writers[index]
        if writer.work is not None and writer.outcome is not None:
            writer.work.answer(writer.outcome)
            writer.asked = writer.outcome = None

    @rule(index=WRITERS)
    def the_answer_to_a_read_comes_back(self, index: int) -> None:
        writer = self.writers[index]
        if writer.work is not None and isinstance(writer.asked, ReadPages):
            complete = len(writer.read) >= len(self.table.query(writer.asked))
            writer.work.read(writer.read, complete=complete)
            writer.asked, writer.read = None, []

    @rule(index=WRITERS, arrives_late=st.booleans())
    def the_answer_is_lost(self, index: int, arrives_late: bool) -> None:
        writer = self.writers[index]
        if writer.work is not None and writer.asked is not None and not isinstance(writer.asked, ReadPages):
            writer.work.unsure()
            if arrives_late:
                self.late.append(writer.asked)
            writer.asked = writer.outcome = None

    @rule(index=WRITERS, arrives_late=st.booleans())
    def the_environment_crashes(self, index: int, arrives_late: bool) -> None:
        writer = self.writers[index]
        if arrives_late and writer.asked is not None and not isinstance(writer.asked, ReadPages):
            self.late.append(writer.asked)
        self.writers[index] = Writer()

    @rule(index=WRITERS)
    def the_batch_is_abandoned(self, index: int) -> None:
        """Out of time: what was learned stays, the batch comes again later."""
        writer = self.writers[index]
        if writer.asked is None:
            writer.work = None

    @rule(index=WRITERS)
    def the_cache_forgets(self, index: int) -> None:
        writer = self.writers[index]
        if writer.work is None:
            writer.chain = Chain()

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_late_statement_arrives(self, data: st.DataObject) -> None:
        self.table.apply(self.late.pop(data.draw(st.integers(0, len(self.late) - 1))))

    @rule(index=WRITERS)
    def it_runs_undisturbed(self, index: int) -> None:
        self.finish(self.writers[index])

    @rule(index=WRITERS, span=SPAN)
    def a_batch_arrives_and_runs_undisturbed(self, index: int, span: tuple[int, int]) -> None:
        self.a_batch_arrives(index, span)
        self.finish(self.writers[index])

    def finish(self, writer: Writer) -> None:
        """Drive one writer to the end of its batch."""
        for _ in range(500):
            if writer.work is None:
                return
            if writer.asked is None:
                writer.asked = writer.work.ask()
            if writer.asked is None:
                writer.work = None
                return
            if isinstance(writer.asked, ReadPages):
                writer.work.read(self.table.query(writer.asked), complete=True)
                writer.asked, writer.read = None, []
            else:
                writer.work.answer(writer.outcome or self.table.apply(writer.asked))
                writer.asked = writer.outcome = None
        raise AssertionError("a writer that is alone must come to an end")

    @invariant()
    def no_identity_is_in_two_pages(self) -> None:
        everywhere = [one for item in self.table.items.values() for one in item["ids"]]
        assert len(everywhere) == len(set(everywhere))

    @invariant()
    def every_page_tells_the_truth_about_itself(self) -> None:
        for item in self.table.items.values():
            held = [contribution(int(one)).amounts for one in item["ids"]]
            names = {name for amounts in held for name in amounts}
            assert item["events"] == len(held)
            assert set(item) == {"events", "ids"} | names
            for name in names:
                assert item[name] == sum(amounts.get(name, 0) for amounts in held)

    @invariant()
    def no_page_is_over_its_capacity_and_only_the_last_is_open(self) -> None:
        keys = sorted(self.table.items)
        assert keys == [(PK, page_key(WINDOW, number)) for number in range(len(keys))]
        for key in keys:
            assert self.table.items[key]["events"] <= capacity(*key, ())
        for key in keys[:-1]:
            assert self.table.items[key]["events"] >= SEALED_AT

    @invariant()
    def a_sealed_page_never_changes(self) -> None:
        for key, item in self.sealed.items():
            assert self.table.items[key] == item
        for key, item in self.table.items.items():
            if item["events"] >= SEALED_AT:
                self.sealed.setdefault(key, dict(item))

    @invariant()
    def what_a_writer_remembers_is_true(self) -> None:
        for writer in self.writers:
            chain = writer.chain
            before: set[str] = set()
            for number in range(chain.number):
                before |= self.table.items[PK, page_key(WINDOW, number)]["ids"]
            assert chain.sealed == before
            if chain.page is not None:
                stored = self.table.items.get((PK, page_key(WINDOW, chain.number)))
                assert stored is not None
                assert chain.page.known <= stored["ids"]

    def teardown(self) -> None:
        """Redelivery in the end: everything produced comes again, and late statements arrive after all."""
        for writer in self.writers:
            self.finish(writer)
        last = Writer()
        last.work = PageWriter(PK, WINDOW, {identity(n): contribution(n) for n in self.produced}, last.chain)
        self.finish(last)
        before = {key: dict(item) for key, item in self.table.items.items()}
        for statement in self.late:
            self.table.apply(statement)
        assert self.table.items == before
        expected: dict[str, int | Decimal] = {"events": len(self.produced)} if self.produced else {}
        for number in self.produced:
            for name, amount in contribution(number).amounts.items():
                expected[name] = expected.get(name, 0) + amount
        assert self.table.totals(PK, WINDOW) == expected


TestPages = Pages.TestCase
TestPages.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
