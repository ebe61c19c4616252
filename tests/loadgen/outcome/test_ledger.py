"""The ledger: it balances when everything is where it belongs exactly once, and names every way in which it is not."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadgen.offer.items import Item
from loadgen.offer.truth import AddTo, Amounts, More, Truth
from loadgen.outcome.ledger import Expectations, Findings, Ledger, Page, Position, reconcile, settle
from processor.core.effects import Number
from processor.core.errors import Reason

NAMES = ("sum_bytes", "sum_quantity")
WINDOWS = [("t#a", "w0"), ("t#a", "w1"), ("t#b", "w0")]
PAGE = 4  # identities per page of the model

AMOUNTS = st.tuples(
    st.one_of(st.none(), st.integers(-(10**6), 10**6)),
    st.one_of(st.none(), st.decimals(-1000, 1000, places=3)),
).map(lambda values: {name: value for name, value in zip(NAMES, values, strict=True) if value is not None})
EVENTS = st.lists(st.tuples(st.sampled_from(WINDOWS), AMOUNTS), max_size=30).map(
    lambda events: [Truth(0, pk, window, f"id-{i}", amounts) for i, ((pk, window), amounts) in enumerate(events)]
)
SOME = EVENTS.filter(bool)
BAD = st.lists(st.sampled_from([Reason.NOT_JSON, Reason.DIGEST, Reason.EMPTY]), max_size=6)


def some_of(events: list[Truth], least: int = 0) -> st.SearchStrategy[list[Truth]]:
    return st.lists(st.sampled_from(events), min_size=least, unique_by=lambda truth: truth.digest)


@dataclass
class Tables:
    """The model: what a right processor leaves behind, one identity once, in the order of its arrival."""

    rows: dict[tuple[str, str], list[tuple[str, Amounts]]] = field(default_factory=dict)
    reasons: dict[Position, str] = field(default_factory=dict)
    extra_events: dict[tuple[str, str], int] = field(default_factory=dict)

    def apply(self, truth: Truth, *, again: bool = False) -> None:
        rows = self.rows.setdefault((truth.pk, truth.window), [])
        if again or all(identity != truth.digest for identity, _ in rows):
            rows.append((truth.digest, truth.amounts))

    def pages(self, key: tuple[str, str]) -> list[Page]:
        rows = self.rows.get(key, [])
        pages = []
        for i in range(0, len(rows), PAGE):
            part = rows[i : i + PAGE]
            sums: dict[str, Number] = {}
            for _, amounts in part:
                for name, value in amounts.items():
                    sums[name] = Decimal(sums.get(name, 0)) + value
            more = self.extra_events.get(key, 0) if i == 0 else 0
            pages.append(Page(len(part) + more, sums, frozenset(identity for identity, _ in part)))
        return pages


def send(expected: Expectations, tables: Tables, events: list[Truth], bad: list[Reason], copies: list[int]) -> None:
    """Everything acknowledged, one Kinesis record per event, malformed ones after the others."""
    sent = [*events, *(events[i % len(events)]._replace(copy=True) for i in copies if events)]
    for number, truth in enumerate(sent):
        expected.acknowledged([truth], "shardId-0", str(number))
        tables.apply(truth)
    for number, reason in enumerate(bad):
        truth = Truth(0, "", "", "", {}, reason=reason)
        expected.acknowledged([truth], "shardId-1", str(number))
        tables.reasons[Position("shardId-1", str(number), 0)] = reason


def off(amounts: Amounts) -> Amounts:
    """Wrong by the smallest amount."""
    return {**amounts, "sum_quantity": Decimal(amounts.get("sum_quantity", 0)) + Decimal("0.001")}


def account(expected: Expectations, tables: Tables, findings: Findings | None = None) -> Ledger:
    findings = findings or Findings()
    for key, window in expected.windows.items():
        findings.checks[key] = reconcile(window, tables.pages(key))
    findings.reasons.update({p: r for p, r in tables.reasons.items() if p in expected.quarantine})
    return settle(expected, findings)


@given(EVENTS, BAD, st.lists(st.integers(0, 99), max_size=20))
def test_it_balances_when_everything_is_found_once_whatever_was_sent_twice(
    events: list[Truth], bad: list[Reason], copies: list[int]
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, bad, copies)
    ledger = account(expected, tables)
    assert ledger.balanced
    assert (ledger.sent, ledger.stored, ledger.quarantined) == (len(events) + len(bad), len(events), len(bad))
    assert ledger.copies == (len(copies) if events else 0)
    assert expected.distinct_events == ledger.sent
    assert (ledger.lost, ledger.duplicates_applied, ledger.sums_different, ledger.sums_not_checked) == (0, 0, 0, 0)
    assert ledger.expected_reasons == ledger.found_reasons


@given(SOME, BAD, st.data())
def test_a_lost_event_is_counted_and_it_does_not_balance(
    events: list[Truth], bad: list[Reason], data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, bad, [])
    gone = data.draw(some_of(events, 1))
    for key in WINDOWS:
        tables.rows[key] = [row for row in tables.rows.get(key, []) if row[0] not in {truth.digest for truth in gone}]
    ledger = account(expected, tables)
    assert not ledger.balanced
    assert (ledger.lost, ledger.stored) == (len(gone), len(events) - len(gone))


@given(EVENTS, BAD.filter(bool), st.data())
def test_a_malformed_event_missing_from_quarantine_is_lost(
    events: list[Truth], bad: list[Reason], data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, bad, [])
    gone = data.draw(st.sets(st.sampled_from(sorted(tables.reasons)), min_size=1))
    for position in gone:
        del tables.reasons[position]
    ledger = account(expected, tables)
    assert not ledger.balanced
    assert ledger.lost == len(gone)


@given(SOME, BAD, st.data())
def test_an_event_applied_twice_with_its_identity_on_two_pages_is_counted(
    events: list[Truth], bad: list[Reason], data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, bad, [])
    twice = data.draw(st.sampled_from(events))
    key = (twice.pk, twice.window)
    pages = [*tables.pages(key), Page(1, twice.amounts, frozenset([twice.digest]))]
    findings = Findings()
    ledger = account(expected, tables, findings)
    assert ledger.balanced
    findings.checks[key] = reconcile(expected.windows[key], pages)
    ledger = settle(expected, findings)
    assert not ledger.balanced
    assert (ledger.duplicates_applied, ledger.lost) == (1, 0)
    assert ledger.sums_different == any(amount for amount in twice.amounts.values() if amount)


@given(SOME, BAD, st.integers(1, 5), st.data())
def test_a_count_beyond_the_identities_is_an_event_applied_again(
    events: list[Truth], bad: list[Reason], more: int, data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, bad, [])
    truth = data.draw(st.sampled_from(events))
    tables.extra_events[truth.pk, truth.window] = more
    ledger = account(expected, tables)
    assert not ledger.balanced
    assert ledger.duplicates_applied == more


@given(SOME, BAD, st.data())
def test_what_was_not_waited_for_is_not_yet_found_and_every_event_is_in_exactly_one_term(
    events: list[Truth], bad: list[Reason], data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, bad, [])
    gone = {truth.digest for truth in data.draw(some_of(events))}
    for key in WINDOWS:
        tables.rows[key] = [row for row in tables.rows.get(key, []) if row[0] not in gone]
    findings = Findings()
    account(expected, tables, findings)
    for waited in (True, False):
        ledger = settle(expected, findings, waited=waited)
        assert (ledger.lost, ledger.not_yet_found) == ((len(gone), 0) if waited else (0, len(gone)))
        terms = (ledger.stored, ledger.quarantined, ledger.expired, ledger.lost, ledger.not_yet_found)
        assert ledger.sent == sum(terms)
        assert ledger.balanced == (not gone)


def noted(tables: Tables) -> Expectations:
    """The expectations of a load that first read what the tables have."""
    expected = Expectations()
    for key in WINDOWS:
        if pages := tables.pages(key):
            expected.there_before(key, pages)
    return expected


@given(EVENTS, EVENTS, st.data())
def test_events_of_an_earlier_load_are_told_from_those_of_this_one(
    before: list[Truth], now: list[Truth], data: st.DataObject
) -> None:
    tables = Tables()
    send(Expectations(), tables, before, [], [])
    again = data.draw(some_of(before)) if before else []
    known = {truth.digest for truth in before}
    expected = noted(tables)
    send(expected, tables, [*again, *(truth for truth in now if truth.digest not in known)], [], [])
    ledger = account(expected, tables)
    assert ledger.balanced
    assert ledger.sums_not_checked == 0
    assert (ledger.stored_before, ledger.foreign_before) == (len(again), len(before) - len(again))
    assert ledger.stored - ledger.stored_before == len({truth.digest for truth in now} - known)


@given(SOME, st.data())
def test_a_second_load_of_the_same_events_must_find_their_exact_truth_and_not_only_no_change(
    events: list[Truth], data: st.DataObject
) -> None:
    tables = Tables()
    send(Expectations(), tables, events, [], [])
    wrong = data.draw(st.sampled_from(events))
    rows = tables.rows[wrong.pk, wrong.window]
    at = [identity for identity, _ in rows].index(wrong.digest)
    rows[at] = (wrong.digest, off(rows[at][1]))
    expected = noted(tables)
    send(expected, tables, events, [], [])
    ledger = account(expected, tables)
    assert (ledger.stored_before, ledger.sums_different, ledger.balanced) == (len(events), 1, False)


@given(SOME, SOME, st.data())
def test_beside_events_of_others_the_sums_must_change_by_exactly_this_load(
    others: list[Truth], events: list[Truth], data: st.DataObject
) -> None:
    events = [truth._replace(digest=f"new-{truth.digest}") for truth in events]
    tables = Tables()
    send(Expectations(), tables, others, [], [])
    expected = noted(tables)
    send(expected, tables, events, [], [])
    findings = Findings()
    assert account(expected, tables, findings).balanced
    truth = data.draw(st.sampled_from(events))
    key = (truth.pk, truth.window)
    first, *rest = tables.pages(key)
    wrong = first._replace(sums=off(first.sums))
    findings.checks[key] = reconcile(expected.windows[key], [wrong, *rest])
    assert settle(expected, findings).sums_different == 1


@given(SOME)
def test_what_others_add_meanwhile_is_foreign_also_beside_what_was_there_before(events: list[Truth]) -> None:
    tables = Tables()
    send(Expectations(), tables, events, [], [])
    expected = noted(tables)
    send(expected, tables, events, [], [])
    tables.apply(events[0]._replace(digest="meanwhile"))
    ledger = account(expected, tables)
    assert (ledger.foreign, ledger.foreign_before, ledger.balanced) == (1, 0, False)


@given(SOME, st.data())
def test_a_sum_that_is_off_by_the_smallest_amount_is_seen(events: list[Truth], data: st.DataObject) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, [], [])
    truth = data.draw(st.sampled_from(events))
    key = (truth.pk, truth.window)
    first, *rest = tables.pages(key)
    wrong = first._replace(sums=off(first.sums))
    findings = Findings()
    account(expected, tables, findings)
    findings.checks[key] = reconcile(expected.windows[key], [wrong, *rest])
    ledger = settle(expected, findings)
    assert not ledger.balanced
    assert ledger.sums_different == 1


def test_sums_beyond_every_default_precision_are_compared_exactly() -> None:
    expected = Expectations()
    large, small = Decimal(10) ** 30, Decimal("1e-15")
    for number, amount in enumerate((large, small)):
        expected.acknowledged([Truth(0, "p", "w", f"id-{number}", {"sum_quantity": amount})], "s", str(number))
    window = expected.windows["p", "w"]
    ids = frozenset(["id-0", "id-1"])
    assert reconcile(window, [Page(2, {"sum_quantity": large}, ids)]).sums == "different"
    exact = Decimal("1000000000000000000000000000000.000000000000001")
    assert reconcile(window, [Page(2, {"sum_quantity": exact}, ids)]).sums == "equal"


def test_an_absent_sum_is_not_a_sum_of_0() -> None:
    expected = Expectations()
    expected.acknowledged([Truth(0, "p", "w", "id-0", {"sum_quantity": 0})], "s", "0")
    window = expected.windows["p", "w"]
    assert reconcile(window, [Page(1, {"sum_quantity": Decimal(0)}, frozenset(["id-0"]))]).sums == "equal"
    assert (
        reconcile(window, [Page(1, {"sum_bytes": Decimal(0), "sum_quantity": Decimal(0)}, frozenset(["id-0"]))]).sums
        == "different"
    )
    assert reconcile(window, [Page(1, {}, frozenset(["id-0"]))]).sums == "different"


@given(SOME, st.data())
def test_an_identity_that_was_not_sent_is_foreign_and_it_does_not_balance(
    events: list[Truth], data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, [], [])
    truth = data.draw(st.sampled_from(events))
    tables.apply(truth._replace(digest="not-ours"))
    ledger = account(expected, tables)
    assert not ledger.balanced
    assert (ledger.foreign, ledger.sums_not_checked, ledger.lost, ledger.duplicates_applied) == (1, 1, 0, 0)


@given(SOME, EVENTS, st.data())
def test_an_event_of_unknown_fate_may_be_there_or_not_but_not_wrongly(
    events: list[Truth], others: list[Truth], data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, [], [])
    unknown = [truth._replace(digest=f"unknown-{truth.digest}") for truth in others]
    expected.failed(unknown, uncertain=True)
    there = data.draw(some_of(unknown)) if unknown else []
    for truth in there:
        tables.apply(truth)
    ledger = account(expected, tables)
    assert ledger.balanced
    assert (ledger.unknown, ledger.unknown_stored) == (len(unknown), len(there))
    assert (ledger.sent, ledger.foreign, ledger.sums_different) == (len(events), 0, 0)
    assume(there)
    tables.apply(there[0], again=True)
    assert not account(expected, tables).balanced


def test_an_event_that_was_certainly_not_sent_is_foreign_when_it_is_found() -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, [Truth(0, "p", "w", "id-0", {"sum_bytes": 1})], [], [])
    never = Truth(0, "p", "w", "id-1", {"sum_bytes": 1})
    expected.failed([never], uncertain=False)
    assert account(expected, tables).balanced
    tables.apply(never)
    assert account(expected, tables).foreign == 1


def test_an_unknown_event_that_was_acknowledged_later_is_just_sent() -> None:
    expected, tables = Expectations(), Tables()
    truth = Truth(0, "p", "w", "id-0", {"sum_bytes": 1})
    expected.failed([truth], uncertain=True)
    send(expected, tables, [truth], [], [])
    ledger = account(expected, tables)
    assert ledger.balanced
    assert (ledger.sent, ledger.unknown) == (1, 0)


@given(EVENTS, BAD.filter(bool), st.data())
def test_another_reason_in_quarantine_is_misfiled_and_named(
    events: list[Truth], bad: list[Reason], data: st.DataObject
) -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, events, bad, [])
    position = data.draw(st.sampled_from(sorted(tables.reasons)))
    right = tables.reasons[position]
    tables.reasons[position] = "too_deep"
    ledger = account(expected, tables)
    assert not ledger.balanced
    assert ledger.misfiled == {f"too_deep instead of {right}": 1}
    assert ledger.sent == ledger.stored + ledger.quarantined


def test_a_well_formed_event_in_quarantine_is_refused_and_not_lost() -> None:
    expected, tables = Expectations(), Tables()
    send(expected, tables, [Truth(0, "p", "w", "id-0", {"sum_bytes": 1})], [], [])
    tables.rows.clear()
    ledger = account(expected, tables, Findings(refused={"id-0": "rules_error"}))
    assert not ledger.balanced
    assert (ledger.lost, ledger.quarantined, ledger.refused) == (0, 1, {"rules_error": 1})


def test_what_expired_to_the_on_failure_destination_is_accounted_for() -> None:
    expected, tables = Expectations(), Tables()
    events = [Truth(0, "p", "w", f"id-{i}", {"sum_bytes": 1}) for i in range(3)]
    send(expected, tables, events, [Reason.NOT_JSON], [])
    tables.rows["p", "w"].pop()
    (position,) = tables.reasons
    tables.reasons.clear()
    ledger = account(expected, tables, Findings(expired_digests={"id-2"}, expired_positions={position}))
    assert ledger.balanced
    assert (ledger.expired, ledger.lost, ledger.stored, ledger.quarantined) == (2, 0, 2, 0)


def test_a_window_that_was_never_read_is_lost_not_fine() -> None:
    expected = Expectations()
    expected.acknowledged([Truth(0, "p", "w", "id-0", {"sum_bytes": 1})], "s", "1")
    ledger = settle(expected, Findings())
    assert not ledger.balanced
    assert (ledger.lost, ledger.sums_not_checked) == (1, 1)
    assert (ledger.stored, ledger.unknown_stored, ledger.duplicates_applied, ledger.foreign) == (0, 0, 0, 0)


@pytest.mark.parametrize("whole", [True, False])
def test_a_malformed_event_is_expected_at_its_position_in_its_kinesis_record(whole: bool) -> None:
    expected = Expectations()
    fine = Truth(0, "p", "w", "id-0", {"sum_bytes": 1})
    spoiled = Truth(0, "", "", "", {}, reason=Reason.NOT_JSON, whole=whole)
    expected.acknowledged([spoiled] if whole else [fine, spoiled], "shardId-3", "77")
    assert list(expected.quarantine) == [Position("shardId-3", "77", None if whole else 1)]


def with_more(truth: Truth) -> Truth:
    """An event that is added to a window that all share too, and writes an item of its own and a state."""
    more = More(
        (AddTo("all", "day", {"orders": 1}),),
        (Item("event", truth.digest, b"x"), Item("state", truth.pk, truth.digest.encode(), truth.digest)),
    )
    return truth._replace(more=more)


def more_account(
    expected: Expectations, tables: Tables, shared: Tables, items: dict[tuple[str, str], Item], **found: Any
) -> Ledger:
    findings = Findings(itemized=len(expected.itemized), **found)
    for key, item in expected.items.items():
        findings.items[key] = item.check(items.get(key), None)
    for key, window in expected.windows.items():
        findings.checks[key] = reconcile(window, (shared if key[0] == "all" else tables).pages(key))
    ledger = settle(expected, findings)
    assert findings.found() == expected.distinct_events - ledger.lost - ledger.expired - ledger.elsewhere
    return ledger


@given(SOME, st.lists(st.integers(0, 99), max_size=9), st.data())
def test_an_event_is_stored_when_everything_that_it_changes_is_there_and_counted_once(
    events: list[Truth], copies: list[int], data: st.DataObject
) -> None:
    expected, tables, shared = Expectations(), Tables(), Tables()
    events = [with_more(truth) for truth in events]
    send(expected, tables, events, [], copies)
    items: dict[tuple[str, str], Item] = {}
    for truth in events:
        shared.apply(Truth(0, "all", "day", truth.digest, {"orders": 1}))
        for item in truth.more.items if truth.more else ():
            items[item.pk, item.sk] = max(items.get((item.pk, item.sk), item), item, key=lambda one: one.version or "")
    ledger = more_account(expected, tables, shared, items)
    assert ledger.balanced
    assert (ledger.sent, ledger.stored, ledger.copies) == (len(events), len(events), len(copies))
    assert ledger.items == len(items)

    gone = data.draw(st.sampled_from(events))
    what = data.draw(st.sampled_from(["window", "item", "state"]))
    if what == "window":
        shared.rows["all", "day"] = [row for row in shared.rows["all", "day"] if row[0] != gone.digest]
    elif what == "item":
        del items["event", gone.digest]
    else:
        newest = items["state", gone.pk]
        items["state", gone.pk] = newest._replace(content=b"", version="")
    ledger = more_account(expected, tables, shared, items)
    assert (ledger.lost, ledger.stored, ledger.balanced) == (1, len(events) - 1, False)


def only(identity: str, *items: Item) -> Truth:
    return Truth(0, "", "", identity, {}, more=More((), items) if items else None)


def test_events_that_only_write_items_are_proven_by_them() -> None:
    expected = Expectations()
    record, old, new = Item("event", "1", b"r"), Item("state", "s", b"old", 1), Item("state", "s", b"new", 2)
    expected.acknowledged([only("id-0", record), only("id-1", old), only("id-2", new)], "s", "1")
    items = {("event", "1"): record, ("state", "s"): new}
    ledger = more_account(expected, Tables(), Tables(), items)
    assert (ledger.sent, ledger.stored, ledger.superseded, ledger.balanced) == (3, 3, 1, True)
    items["event", "1"] = record._replace(content=b"other")
    ledger = more_account(expected, Tables(), Tables(), items)
    assert (ledger.lost, ledger.items_different, ledger.balanced) == (0, 1, False)
    assert more_account(expected, Tables(), Tables(), {}).lost == 3
    assert settle(expected, Findings()).lost == 3


def test_an_event_for_which_the_rules_ask_for_nothing_is_sent_and_not_looked_for() -> None:
    expected = Expectations()
    expected.acknowledged([only("id-0"), only("id-0")], "s", "1")
    ledger = settle(expected, Findings())
    assert (ledger.sent, ledger.without_effect, ledger.copies, ledger.lost) == (1, 1, 1, 0)
    assert (expected.distinct_events, ledger.balanced) == (0, True)


def test_what_is_found_where_it_does_not_belong_is_elsewhere_and_not_lost() -> None:
    expected = Expectations()
    refused = Truth(0, "", "", "id-1", {}, reason=Reason.RULES_REFUSED)
    expected.acknowledged([Truth(0, "p", "w", "id-0", {}), refused, only("id-2", Item("event", "2", b""))], "s", "1")
    ledger = settle(expected, Findings(elsewhere={"id-0", "id-1", "id-2"}))
    assert (ledger.elsewhere, ledger.lost, ledger.balanced) == (3, 0, False)
    assert ledger.sent == ledger.stored + ledger.quarantined + ledger.elsewhere


def test_an_event_of_unknown_fate_may_have_changed_everything_or_nothing() -> None:
    truth = with_more(Truth(0, "p", "w", "id-0", {"sum_bytes": 1}))
    expected, tables, shared = Expectations(), Tables(), Tables()
    expected.failed([truth], uncertain=True)
    assert more_account(expected, tables, shared, {}).balanced
    tables.apply(truth)
    shared.apply(Truth(0, "all", "day", "id-0", {"orders": 1}))
    assert truth.more is not None
    ledger = more_account(expected, tables, shared, {(item.pk, item.sk): item for item in truth.more.items})
    assert (ledger.balanced, ledger.unknown, ledger.unknown_stored) == (True, 1, 1)
