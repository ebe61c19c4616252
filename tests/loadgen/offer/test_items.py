"""Items of `Record` and `Latest`: what may be there after any order of the same events, and what may not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer.items import ExpectedItem, Item, ItemCheck, content_of

CONTENTS = st.sampled_from([b"a", b"b", b"c"])
LATEST = st.lists(st.tuples(st.integers(0, 5), CONTENTS), min_size=1, max_size=8).map(
    lambda wanted: [(f"id-{n}", Item("p", "s", content, version)) for n, (version, content) in enumerate(wanted)]
)
RECORDS = st.lists(CONTENTS, min_size=1, max_size=5).map(
    lambda wanted: [(f"id-{n}", Item("p", "s", content)) for n, content in enumerate(wanted)]
)


def table(order: list[tuple[str, Item]], before: Item | None = None) -> Item | None:
    """What a right processor leaves: the first Record, the highest version, of equal versions the first."""
    found = before
    for _, item in order:
        newer = found is not None and item.version is not None and item.version > found.version  # type: ignore[operator]
        found = item if found is None or newer else found
    return found


def expecting(wanted: list[tuple[str, Item]]) -> ExpectedItem:
    expected = ExpectedItem()
    for identity, item in wanted:
        expected.take(identity, item)
    return expected


@given(st.one_of(LATEST, RECORDS), st.data())
def test_what_any_order_of_the_events_leaves_is_right(wanted: list[tuple[str, Item]], data: st.DataObject) -> None:
    found = table(data.draw(st.permutations(wanted)))
    sent = data.draw(st.permutations([*wanted, *wanted]))
    assert expecting(sent).check(found, None).complete


@given(st.one_of(LATEST, RECORDS), st.data())
def test_what_was_there_before_stays_or_is_replaced_and_nothing_else(
    wanted: list[tuple[str, Item]], data: st.DataObject
) -> None:
    is_latest = wanted[0][1].version is not None
    before = Item("p", "s", data.draw(CONTENTS), data.draw(st.integers(0, 5)) if is_latest else None)
    found = table(data.draw(st.permutations(wanted)), before)
    check = expecting(wanted).check(found, before)
    assert check.complete
    assert check.before == (found == before)


@given(LATEST, st.data())
def test_an_item_that_is_not_there_or_older_than_what_was_sent_is_missing_and_not_wrong(
    wanted: list[tuple[str, Item]], data: st.DataObject
) -> None:
    expected = expecting(wanted)
    assert expected.check(None, None) == ItemCheck(frozenset(identity for identity, _ in wanted))
    newest = max(item.version for _, item in wanted if isinstance(item.version, int))
    older = Item("p", "s", data.draw(CONTENTS), newest - 1)
    check = expected.check(older, None)
    assert check.missing == {identity for identity, item in wanted if item.version == newest}
    assert not check.different


@given(st.one_of(LATEST, RECORDS))
def test_contents_that_nothing_sent_explains_are_different(wanted: list[tuple[str, Item]]) -> None:
    expected = expecting(wanted)
    wrong = Item("p", "s", b"other", expected.version)
    assert expected.check(wrong, None).different
    assert not expected.check(wrong, None).missing


@given(LATEST)
def test_a_version_that_nobody_sent_is_different_and_one_of_unknown_fate_is_not(
    wanted: list[tuple[str, Item]],
) -> None:
    expected = expecting(wanted)
    newer = Item("p", "s", b"a", 9)
    assert expected.check(newer, None).different
    expected.unknown.add((newer.version, newer.content))
    assert expected.check(newer, None).complete


@given(st.one_of(LATEST, RECORDS), st.integers(0, 255))
def test_two_senders_together_expect_what_one_would(wanted: list[tuple[str, Item]], owners: int) -> None:
    parts: tuple[list[tuple[str, Item]], list[tuple[str, Item]]] = ([], [])
    for number, one in enumerate(wanted):
        parts[owners >> number & 1].append(one)
    ours, whole = ExpectedItem(), expecting(wanted)
    for part in parts:
        ours.absorb(expecting(part))
    assert (ours.version, ours.contents, ours.deciding) == (whole.version, whole.contents, whole.deciding)
    assert set(ours.older or ()) == set(whole.older or ())


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, Decimal("1.00"), True),
        (100, Decimal("1E+2"), True),
        (0, Decimal("-0"), True),
        (10**37 + 1, Decimal(10**37 + 1), True),
        (10**37 + 1, 10**37, False),
        (1, "1", False),
        (1, True, False),
        (None, "None", False),
        ("a", "b", False),
    ],
)
def test_contents_are_equal_when_the_table_would_read_the_same(one: object, other: object, is_same: bool) -> None:
    assert (content_of({"x": one}) == content_of({"x": other})) == is_same  # type: ignore[dict-item]  # scalars


def test_an_attribute_more_or_less_is_another_content() -> None:
    assert content_of({"x": 1, "y": None}) != content_of({"x": 1}) != content_of({})
    assert content_of({"x": 1, "y": 2}) == content_of({"y": 2, "x": 1})
