"""A chain of pages, one writer at a time: what is asked, what is learned."""

from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.pages import (
    IDENTITY_BYTES,
    LAST_PAGE,
    SEALED_AT,
    Chain,
    ChainFull,
    ForeignItem,
    Page,
    PageWriter,
    capacity,
    page_key,
)
from processor.core.plan import Contribution
from processor.core.sizes import item_bytes
from processor.core.statements import (
    CONDITION_FAILED,
    DUPLICATE_ITEM,
    WRITTEN,
    AddToPage,
    Insert,
    Outcome,
    ReadPages,
    Value,
)

WINDOW = "2026-11-23T09:00:00Z"


def some(numbers: range, **amounts: int | Decimal) -> dict[str, Contribution]:
    return {f"{n:011d}": Contribution(amounts, (n,)) for n in numbers}


def writer(numbers: range, chain: Chain | None = None, **amounts: int | Decimal) -> PageWriter:
    return PageWriter("usage#x", WINDOW, some(numbers, **amounts), chain or Chain())


def test_page_keys_sort_by_number() -> None:
    keys = [page_key(WINDOW, number) for number in (0, 1, 2, 10, 99, 100, 9_999, 10_000, LAST_PAGE)]
    assert keys == sorted(keys)
    assert keys[:2] == [WINDOW, WINDOW + "#00001"]


def test_a_chain_ends_with_an_error_rather_than_a_key_that_sorts_wrongly() -> None:
    with pytest.raises(ChainFull, match="shorter window"):
        page_key(WINDOW, LAST_PAGE + 1)


@given(
    pk=st.text(min_size=1, max_size=300), names=st.sets(st.from_regex(r"sum_[a-z]{1,60}", fullmatch=True), max_size=10)
)
def test_a_full_page_fits_one_write_unit_unless_its_own_names_leave_no_room(pk: str, names: set[str]) -> None:
    room = capacity(pk, WINDOW, names)
    ids = frozenset(f"{n:011d}" for n in range(room))
    sums = dict.fromkeys(names, 10**20 + 1)
    assert room >= SEALED_AT
    assert room == SEALED_AT or item_bytes({"pk": pk, "sk": WINDOW, "events": room, "ids": ids, **sums}) <= 1024


def test_a_default_page_holds_about_75_identities() -> None:
    assert 70 <= capacity("usage#customer-0001", WINDOW, ("sum_bytes", "sum_quantity")) <= 80


def test_a_new_window_begins_with_an_insert_of_everything_that_fits() -> None:
    work = writer(range(10), sum_bytes=3)
    ask = work.ask()
    assert isinstance(ask, Insert)
    assert (ask.pk, ask.sk) == ("usage#x", WINDOW)
    assert ask.attributes == {"events": 10, "ids": frozenset(some(range(10))), "sum_bytes": 30}


def test_a_hot_key_fills_one_page_after_the_other_without_reading() -> None:
    work = writer(range(1_000))
    pages = []
    while (ask := work.ask()) is not None:
        assert isinstance(ask, Insert)
        pages.append((ask.sk, ask.attributes["events"]))
        work.answer(WRITTEN)
    room = capacity("usage#x", WINDOW, ())
    assert len(pages) == -(-1_000 // (room - 1)) or len(pages) == -(-1_000 // room)
    assert [sk for sk, _ in pages] == [page_key(WINDOW, number) for number in range(len(pages))]
    assert work.applied == list(some(range(1_000)))


def test_a_page_that_stays_open_is_added_to_whatever_others_added() -> None:
    chain = Chain()
    chain.page = Page(set(some(range(5))), {"sum_bytes"})
    ask = writer(range(5, 10), chain, sum_bytes=1).ask()
    assert isinstance(ask, AddToPage)
    assert not ask.exactly
    assert ask.events == SEALED_AT - 1
    assert ask.absent == frozenset()


def test_a_write_that_seals_asks_for_exactly_the_known_page() -> None:
    chain = Chain()
    chain.page = Page(set(some(range(5))), set())
    ask = writer(range(5, 60), chain, sum_bytes=1).ask()
    assert isinstance(ask, AddToPage)
    assert (ask.exactly, ask.events, ask.absent) == (True, 5, frozenset({"sum_bytes"}))
    assert len(ask.identities) == min(55, capacity("usage#x", WINDOW, ("sum_bytes",)) - 5)


def test_known_identities_cost_no_write() -> None:
    chain = Chain()
    chain.sealed = set(some(range(40)))
    chain.number = 1
    chain.page = Page(set(some(range(40, 50))), set())
    work = writer(range(50), chain)
    assert work.ask() is None
    assert len(work.duplicates) == 50
    assert work.sources() == set()


def test_few_identities_are_tried_on_an_existing_page_and_many_make_it_read() -> None:
    few = writer(range(3))
    few.ask()
    few.answer(Outcome(DUPLICATE_ITEM))
    assert isinstance(few.ask(), AddToPage)
    many = writer(range(40))
    many.ask()
    many.answer(Outcome(DUPLICATE_ITEM))
    assert many.ask() == ReadPages("usage#x", WINDOW, f"{WINDOW}#99999")


def test_an_identity_found_after_a_lost_answer_counts_as_applied() -> None:
    work = writer(range(3))
    work.ask()
    work.unsure()
    work.ask()
    work.answer(Outcome(DUPLICATE_ITEM, {"pk": "usage#x", "sk": WINDOW, "events": 2, "ids": frozenset(some(range(2)))}))
    assert sorted(work.applied) == list(some(range(2)))
    assert work.duplicates == []
    assert work.sources() == {2}


def test_a_page_that_somebody_deleted_makes_the_chain_be_read_again() -> None:
    chain = Chain()
    chain.sealed, chain.number, chain.page = set(some(range(40))), 1, Page(set(some(range(40, 45))), set())
    work = writer(range(50, 53), chain)
    work.ask()
    work.answer(Outcome(CONDITION_FAILED))
    assert work.ask() == ReadPages("usage#x", WINDOW, f"{WINDOW}#99999")
    work.read([], complete=True)
    assert isinstance(work.ask(), Insert)


@pytest.mark.parametrize("item", [{"events": 3}, {"ids": frozenset({"a"})}, {"events": "3", "ids": frozenset({"a"})}])
def test_an_item_that_is_no_page_is_refused_without_naming_its_key(item: dict[str, Value]) -> None:
    work = writer(range(3))
    work.ask()
    with pytest.raises(ForeignItem) as refused:
        work.answer(Outcome(DUPLICATE_ITEM, {"pk": "usage#x", "sk": WINDOW, **item}))
    assert "usage" not in str(refused.value)


def test_sums_are_exact_decimals_and_never_rounded() -> None:
    pending = {
        "a": Contribution({"sum_x": Decimal("12345678901234567890.123456789012345")}, (0,)),
        "b": Contribution({"sum_x": 10**19}, (1,)),
        "c": Contribution({"sum_x": Decimal("-0.000000000000005")}, (2,)),
    }
    ask = PageWriter("p", WINDOW, pending, Chain()).ask()
    assert isinstance(ask, Insert)
    assert ask.attributes["sum_x"] == Decimal("22345678901234567890.123456789012340")
    pending["d"] = Contribution({"sum_x": Decimal("1e-90")}, (3,))
    with pytest.raises(Inexact):
        PageWriter("p", WINDOW, pending, Chain()).ask()


@pytest.mark.parametrize("names", [0, 1, 2, 10])
def test_an_update_stays_within_the_operators_of_one_expression(names: int) -> None:
    amounts = {f"sum_{n}": 1 for n in range(names)}
    chain = Chain()
    chain.page = Page({"x"}, set())
    ask = writer(range(200), chain, **amounts).ask()
    assert isinstance(ask, AddToPage)
    # per identity NOT, contains, AND; per amount =, +, IS, NOT, AND; the key and `events` =, =, =, +, AND, AND, set_add
    assert 3 * len(ask.identities) + 6 * names + 8 <= 300
    assert len(next(iter(some(range(1))))) == IDENTITY_BYTES
