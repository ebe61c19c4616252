"""The truth about what is put: the simulator's own arithmetic agrees with the processor's on every kind of payload."""

import random

import pytest

from infra.sim.garbage import KINDS
from infra.sim.rules import SimulatedRules
from infra.sim.stock import Parcel, Stock
from processor.core.plan import Plan, plan
from processor.core.records import KinesisRecord

WINDOW_S = 60


def planned(parcel: Parcel) -> Plan:
    record = KinesisRecord("shardId-000000000000", "1", parcel.entry.partition_key, 1, parcel.entry.data)
    return plan([record], SimulatedRules(WINDOW_S, items=False), systemic_share=1.0)


def told(plan: Plan) -> set[tuple[str, str, str, object, object]]:
    return {
        (pk, window, digest, contribution.amounts["sum_bytes"], contribution.amounts["sum_quantity"])
        for (pk, window), identities in plan.adds.items()
        for digest, contribution in identities.items()
    }


def truth(parcel: Parcel) -> set[tuple[str, str, str, object, object]]:
    return {(event.pk, event.window, event.digest, event.bytes, event.quantity) for event in parcel.events}


@pytest.mark.parametrize("aggregate", [1, 2, 30])
def test_well_formed_events_are_counted_where_the_truth_says(aggregate: int) -> None:
    stock = Stock(aggregate, 7, WINDOW_S)
    for number in range(40):
        parcel = stock.parcel(number)
        assert len(parcel.events) == aggregate
        assert told(planned(parcel)) == truth(parcel)
        again = stock.repacked(parcel)
        assert told(planned(again)) == truth(again) <= truth(parcel)


@pytest.mark.parametrize("aggregate", [1, 2, 30])
def test_variants_of_an_event_are_counted_or_set_aside_where_the_truth_says(aggregate: int) -> None:
    stock = Stock(aggregate, 7, WINDOW_S)
    for number in range(10):
        parcel = stock.with_variants(stock.parcel(number))
        half = max(1, aggregate // 2)
        assert (len(truth(parcel)), len(parcel.malformed), parcel.users) == (2 * half, half, 4 * half)
        assert {event.name for event in parcel.events} == parcel.names <= stock.truths.keys()
        found = planned(parcel)
        assert told(found) == truth(parcel)
        assert (found.events, found.duplicates) == (parcel.users, half)
        assert [(bad.subsequence_number, str(bad.reason), bad.payload) for bad in found.quarantined] == [
            tuple(bad) for bad in parcel.malformed
        ]


@pytest.mark.parametrize("aggregate", [1, 5])
@pytest.mark.parametrize("kind", KINDS, ids=[f"{place}-{kind.reason}" for place, kind in enumerate(KINDS)])
def test_a_spoiled_record_is_set_aside_for_its_reason_and_its_neighbours_are_not(
    aggregate: int, kind: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = Stock(aggregate, 3, WINDOW_S)
    monkeypatch.setattr("infra.sim.stock.KINDS", [kind])
    parcel = stock.spoiled(stock.parcel(4), random.Random(1))
    found = planned(parcel)
    assert told(found) == truth(parcel)
    assert [(bad.subsequence_number, str(bad.reason), bad.payload) for bad in found.quarantined] == [
        tuple(bad) for bad in parcel.malformed
    ]
    assert len(parcel.malformed) == 1


def test_a_record_of_a_stock_is_always_the_same() -> None:
    first, second = Stock(20, 7, WINDOW_S), Stock(20, 7, WINDOW_S)
    second.parcel(9)
    assert [first.parcel(number).entry for number in range(9)] == [second.parcel(number).entry for number in range(9)]
