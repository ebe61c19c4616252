"""What is due is in Kinesis records in time: neither early nor for longer than the wait for company."""

from typing import Any

import pytest

from loadgen.offer.filling import HAND_OVER_S, TICK_S, Filling
from loadgen.offer.schedule import Block, Due, Schedule
from loadgen.offer.truth import Known, Truth
from processor.core.packing import Packed, PackingSettings, UnpackableError

LINGER_S = 0.5


class Filled:
    """What came of a schedule so far."""

    def __init__(self, schedule: Schedule, aggregate: int = 10) -> None:
        self.records: list[tuple[Packed[Known], float]] = []
        self.refused: list[tuple[Packed[Known], str]] = []
        packing = PackingSettings(aggregate=aggregate, lanes=1, linger_s=LINGER_S)
        self.filling = Filling(schedule, packing, lambda *record: self.records.append(record), self._refuse)

    def _refuse(self, record: Packed[Known], error: UnpackableError, now_s: float) -> None:
        self.refused.append((record, error.reason))

    @property
    def events(self) -> int:
        return sum(len(record.members) for record, _ in self.records)


def event(due_s: float | None, payload: bytes = b"1", **changes: Any) -> Due:
    return Due(due_s, "key", payload, Truth(int((due_s or 0.0) * 1e6), "p", "w", "id", {}, **changes))


def block(*due_s: float) -> Block:
    events = [event(at_s) for at_s in due_s]
    return Block(*([getattr(one, name) for one in events] for name in ("due_s", "partition_key", "payload", "truth")))


@pytest.mark.parametrize(("taken_s", "since_s"), [(0.1001, 0.1), (0.0999, 0.1), (5.0, 5.0 - TICK_S)])
def test_an_aggregate_waits_since_its_first_event_was_due_unless_the_schedule_is_behind(
    taken_s: float, since_s: float
) -> None:
    filled = Filled(Schedule([block(0.1, 0.1, 0.1, 99.0)]))
    assert filled.filling.take(taken_s, 10) == 3
    assert filled.filling.deadline_s() == pytest.approx(since_s + LINGER_S)
    leaves_s = since_s + LINGER_S - HAND_OVER_S
    filled.filling.close(leaves_s - 1e-6)
    assert filled.events == 0
    filled.filling.close(leaves_s + 1e-6)
    assert filled.events == 3


def test_nothing_is_taken_before_it_is_due_nor_more_than_asked_for() -> None:
    filled = Filled(Schedule([block(1.0, 1.0, 1.0, 2.0), event(2.0), event(3.0)]))
    assert filled.filling.take(1.0 - 2 * HAND_OVER_S, 9) == 0
    assert [filled.filling.take(1.0, 2) for _ in range(3)] == [2, 1, 0]
    assert [filled.filling.take(2.0, 9) for _ in range(3)] == [1, 1, 0]


def test_when_nothing_more_comes_nothing_waits_for_company() -> None:
    filled = Filled(Schedule([block(0.0, 0.0)]))
    assert filled.filling.take(0.0, 9) == 2
    filled.filling.close(0.0)
    assert (filled.events, filled.filling.deadline_s()) == (2, None)


def test_a_load_that_is_stopped_gives_up_what_it_was_filling() -> None:
    filled = Filled(Schedule([block(0.0, 0.0, 99.0)]))
    filled.filling.take(0.0, 9)
    filled.filling.close_all(0.0)
    assert (filled.events, filled.filling.deadline_s()) == (2, None)


def test_an_event_without_a_pace_is_due_when_it_is_taken() -> None:
    filled = Filled(Schedule([event(None)]))
    assert filled.filling.take(7.25, 9) == 1
    filled.filling.close(7.25)
    assert [member.due_us for record, _ in filled.records for member in record.members] == [7_250_000]


def test_what_fits_no_record_is_refused_and_what_is_malformed_as_a_record_travels_alone() -> None:
    filled = Filled(Schedule([event(0.0, b"x" * 2**21), event(0.0, whole=True)]))
    assert [filled.filling.take(0.0, 9) for _ in range(3)] == [1, 1, 0]
    assert [reason for _, reason in filled.refused] == ["event_too_large"]
    assert [(record.aggregated, record.data) for record, _ in filled.records] == [(False, b"1")]


def test_a_copy_is_in_another_record_than_its_original() -> None:
    filled = Filled(Schedule([event(0.0), event(0.0, copy=True)]))
    assert [filled.filling.take(0.0, 9) for _ in range(2)] == [1, 1]
    assert filled.events == 1
    filled.filling.close(0.0)
    assert [len(record.members) for record, _ in filled.records] == [1, 1]
