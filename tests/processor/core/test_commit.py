"""The commit machine in virtual time: what it sends, what it repeats, what it reports."""

import itertools
from collections import Counter

import pytest

from processor.core.cache import PageCache
from processor.core.commit import CALL_MAX, CONTENDED, OUT_OF_TIME, Commit, RetryPolicy
from processor.core.pages import CONFLICTS_MAX, SEALED_AT
from processor.core.plan import ItemWrite, Plan
from processor.core.sizes import item_bytes, write_units
from processor.core.statements import (
    DUPLICATE_ITEM,
    RETRIABLE,
    UNSURE,
    Insert,
    Outcome,
    ReadPages,
    Statement,
    Table,
)
from processor.core.works import InsertOnce
from tests.support.driving import WINDOW, Fault, Run, adding, drive, writing
from tests.support.toytable import ToyTable

HOUR_S = 3600.0


def commit_of(plan: Plan, cache: PageCache | None = None, *, deadline_s: float = HOUR_S, jitter: float = 1.0) -> Commit:
    return Commit(plan, cache if cache is not None else PageCache(), deadline_s=deadline_s, jitter=lambda: jitter)


def once(code: str, *, applied: bool = False) -> "Once":
    return Once(Fault(code, applied))


class Once:
    """Every statement fails the first time that it is sent."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen: set[tuple[str, str]] = set()

    def __call__(self, statement: Statement | ReadPages) -> Fault | None:
        if isinstance(statement, ReadPages):
            return None
        key = (statement.pk, statement.sk)
        first = key not in self.seen
        self.seen.add(key)
        return self.fault if first else None


def test_calls_hold_at_most_25_statements_of_one_table_and_no_item_twice() -> None:
    table = ToyTable()
    keeps = [InsertOnce(Insert(Table.QUARANTINE, f"shard:{n}", "000000", {}), (n,)) for n in range(30)]
    plan = adding({f"k{n}": range(n * 100, n * 100 + n % 90 + 1) for n in range(100)})
    commit = Commit(plan, PageCache(), deadline_s=HOUR_S, jitter=lambda: 0.5, keeps=keeps)
    run = drive(commit, table)
    assert commit.failed == {}
    for call in run.calls:
        assert len(call.statements) <= CALL_MAX
        assert {statement.table for statement in call.statements} == {call.table}
        assert len({(statement.pk, statement.sk) for statement in call.statements}) == len(call.statements)
    assert all(keep.written for keep in keeps)


def test_the_pages_of_a_hot_key_ride_in_calls_that_are_sent_anyway() -> None:
    commit = commit_of(adding({"hot": range(200), **{f"k{n}": [1000 + n] for n in range(97)}}))
    run = drive(commit, ToyTable())
    assert commit.counts.items_written == 100
    assert len(run.calls) == 4


@pytest.mark.parametrize("code", sorted(RETRIABLE))
@pytest.mark.parametrize("applied", [False, True])
def test_every_statement_failing_once_loses_nothing_and_counts_nothing_twice(code: str, applied: bool) -> None:
    table, cache = ToyTable(), PageCache()
    plan = adding({"hot": range(200), "warm": range(200, 210), "cold": [300]})
    commit = commit_of(plan, cache)
    drive(commit, table, once(code, applied=applied and code in UNSURE))
    assert commit.failed == {}
    assert commit.applied == 211
    assert commit.duplicates == 0
    assert table.totals("hot", WINDOW) == {"events": 200, "sum_bytes": sum(range(200))}
    again = commit_of(plan, cache)
    drive(again, table)
    assert (again.applied, again.duplicates, again.counts.calls) == (0, 211, 0)


@pytest.mark.parametrize("code", ["ValidationError", "AccessDenied", "ResourceNotFound", "SomethingNew"])
def test_a_permanent_error_fails_at_once_the_records_that_fed_the_item_and_no_others(code: str) -> None:
    table = ToyTable()
    commit = commit_of(adding({"bad": [3, 5], "good": [1, 4, 6]}))
    run = drive(commit, table, lambda s: Fault(code) if s.pk == "bad" else None)
    assert commit.failed == {3: code, 5: code}
    assert table.totals("good", WINDOW)["events"] == 3
    assert len(run.calls) == 1


def test_whole_call_validation_errors_are_told_apart_by_sending_each_statement_alone() -> None:
    table = ToyTable()
    plan = adding({f"k{n}": [n] for n in range(60)})
    commit = commit_of(plan)

    def faults_for(run: list[Statement]) -> bool:
        return any(statement.pk == "k7" for statement in run)

    # A poisoned statement fails whatever call it is in.
    now_s = 0.0
    while (step := commit.step(now_s)) is not None:
        statements = step.statements  # type: ignore[union-attr]  # no waits and reads here
        if faults_for(list(statements)):
            commit.answer([Outcome("Validation", None, True)] * len(statements), now_s)
        else:
            commit.answer([table.apply(statement) for statement in statements], now_s)
    assert commit.failed == {7: "Validation"}
    assert len(table.items) == 59


def test_retries_are_bounded_and_wait_exponentially_with_full_jitter() -> None:
    policy = RetryPolicy()
    commit = commit_of(adding({"k": [0]}), jitter=0.5)
    run = drive(commit, ToyTable(), lambda _: Fault("ThrottlingError"))
    assert commit.failed == {0: "ThrottlingError"}
    assert len(run.calls) == policy.attempts_max
    assert run.waits_s == pytest.approx([0.5 * min(policy.cap_s, policy.base_s * 2**n) for n in range(9)])


def test_progress_starts_the_count_of_attempts_anew() -> None:
    """A hot key under a throttle that lets every third call pass is written to the end."""
    turns = itertools.count()
    commit = commit_of(adding({"hot": range(3_000)}))
    drive(commit, ToyTable(), lambda _: Fault("ProvisionedThroughputExceeded") if next(turns) % 3 else None)
    assert commit.failed == {}


def test_a_throttled_item_does_not_hold_up_the_others() -> None:
    table = ToyTable()
    commit = commit_of(adding({f"k{n}": [n] for n in range(100)}))
    run = drive(commit, table, lambda s: Fault("ThrottlingError") if s.pk == "k0" else None)
    assert set(commit.failed) == {0}
    assert len(table.items) == 99
    assert [len(call.statements) for call in run.calls[:4]] == [25, 25, 25, 25]


def test_out_of_time_stops_cleanly_and_reports_exactly_what_is_not_written() -> None:
    table = ToyTable()
    plan = adding({f"k{n}": [n] for n in range(100)})
    commit = commit_of(plan, deadline_s=2.5)
    run = drive(commit, table, call_s=1.0)
    assert run.now_s == 3.0
    assert len(table.items) == 75
    assert set(commit.failed) == {n for n in range(100) if (f"k{n}", WINDOW) not in table.items}
    assert set(commit.failed.values()) == {OUT_OF_TIME}


def test_out_of_time_reports_what_waits_for_its_next_attempt() -> None:
    commit = commit_of(adding({"k": [0]}), deadline_s=0.2)
    run = drive(commit, ToyTable(), lambda _: Fault("ThrottlingError"))
    assert commit.failed == {0: OUT_OF_TIME}
    assert run.now_s == pytest.approx(0.2)


def test_a_deadline_in_the_past_sends_nothing() -> None:
    commit = commit_of(adding({"k": [0, 1]}), deadline_s=-1.0)
    assert drive(commit, ToyTable()) == Run()
    assert set(commit.failed) == {0, 1}


def test_a_part_of_a_chain_that_is_written_is_not_reported() -> None:
    """Of a hot key only the records whose identities are in no page fail."""
    calls = itertools.count()
    commit = commit_of(adding({"hot": range(200)}))
    drive(commit, ToyTable(), lambda _: Fault("AccessDenied") if next(calls) == 1 else None)
    assert min(commit.failed) > SEALED_AT
    assert set(commit.failed) == set(range(min(commit.failed), 200))


@pytest.mark.parametrize(("code", "fails"), [("InternalServerError", False), ("AccessDenied", True)])
def test_a_failed_read_is_repeated_or_reported_like_a_write(code: str, fails: bool) -> None:
    table = ToyTable()
    drive(commit_of(adding({"hot": range(100)})), table)
    reads = itertools.count()
    commit = commit_of(adding({"hot": range(50, 150)}))
    drive(commit, table, lambda s: Fault(code) if isinstance(s, ReadPages) and next(reads) == 0 else None)
    assert set(commit.failed) == (set(range(50, 150)) if fails else set())
    assert table.totals("hot", WINDOW)["events"] == (100 if fails else 150)


def test_a_long_chain_is_read_in_parts() -> None:
    table = ToyTable()
    drive(commit_of(adding({"hot": range(4_000)})), table)
    commit = commit_of(adding({"hot": range(3_990, 4_040)}))
    run = drive(commit, table)
    assert (commit.applied, commit.duplicates, commit.failed) == (40, 10, {})
    assert len(run.reads) == 2


def test_two_commits_that_keep_losing_to_others_give_up_instead_of_turning_for_ever() -> None:
    class Liar(ToyTable):
        def apply(self, statement: Statement) -> Outcome:
            return Outcome(DUPLICATE_ITEM)

    commit = commit_of(adding({"k": range(40)}))
    run = drive(commit, Liar())
    assert set(commit.failed.values()) == {CONTENDED}
    assert len(run.calls) == CONFLICTS_MAX + 1


def test_write_units_are_those_of_the_items_as_stored() -> None:
    table = ToyTable()
    commit = commit_of(adding({f"customer-{n}": range(n * 1000, n * 1000 + 60) for n in range(20)}))
    drive(commit, table)
    stored = {key: {"pk": key[0], "sk": key[1], **item} for key, item in table.items.items()}
    assert commit.counts.write_units == sum(write_units(item_bytes(item)) for item in stored.values()) == 20


def test_a_record_is_written_once_and_found_again_by_its_key() -> None:
    table = ToyTable()
    plan = writing(records={("r", str(n)): ItemWrite({"x": n, "none": None}, (n,)) for n in range(30)})
    first, second = commit_of(plan), commit_of(plan)
    drive(first, table, once("InternalServerError", applied=True))
    drive(second, table)
    assert (first.applied, first.duplicates, first.failed) == (30, 0, {})
    assert (second.applied, second.duplicates, second.failed) == (0, 30, {})


LATEST = [
    ItemWrite({"state": "open", "price": 5}, (0,), 1),
    ItemWrite({"state": "paid"}, (1,), 2),
    ItemWrite({"state": "sent", "parcel": "p"}, (2,), 3),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("shared_cache", [False, True])
def test_the_latest_value_is_the_same_whole_item_in_any_order(order: tuple[int, ...], shared_cache: bool) -> None:
    table, cache = ToyTable(), PageCache()
    for index in (*order, *order):
        commit = commit_of(writing(latest={("order", "7"): LATEST[index]}), cache if shared_cache else PageCache())
        drive(commit, table)
        assert commit.failed == {}
    assert table.items["order", "7"] == {"state": "sent", "parcel": "p", "version": 3, "_shape": "parcel,state"}


def test_a_known_version_costs_one_write_if_newer_and_none_if_older() -> None:
    table, cache = ToyTable(), PageCache()
    writes = []
    for index in (0, 1, 0, 2):
        run = drive(commit_of(writing(latest={("order", "7"): LATEST[index]}), cache), table)
        writes.append(sum(len(call.statements) for call in run.calls))
    assert writes == [1, 1, 0, 1]


def test_versions_of_different_types_fail_with_a_name_and_without_the_value() -> None:
    table = ToyTable()
    drive(commit_of(writing(latest={("o", "1"): ItemWrite({"a": 1}, (0,), 7)})), table)
    commit = commit_of(writing(latest={("o", "1"): ItemWrite({"a": "canary"}, (0,), "canary")}))
    drive(commit, table)
    assert commit.failed == {0: "ForeignItem"}
    assert "canary" not in str(commit.problems)


def test_rules_that_use_one_key_for_different_effects_fail_the_records_concerned() -> None:
    table = ToyTable()
    drive(commit_of(writing(records={("k", WINDOW): ItemWrite({"x": 1}, (0,))})), table)
    commit = commit_of(adding({"k": [1], "other": [2]}))
    drive(commit, table)
    assert Counter(commit.failed) == {1: "ForeignItem"}
