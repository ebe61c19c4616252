"""The check of order finds what it is there for: it must not pass because it cannot fail."""

from pathlib import Path

import pytest

from tests.support import witness
from tests.support.witness import Call, Record


def call(began: int, ended: int | None, *records: tuple[str, int, int], settled: bool = True) -> Call:
    """`records` are (partition key, shard number, sequence number)."""
    named = tuple((key, Record(shard, number)) for key, shard, number in records)
    done = frozenset(record for _, record in named) if settled and ended is not None else frozenset[Record]()
    return Call(began, ended, None, named, done)


@pytest.mark.parametrize(
    "calls",
    [
        [call(1, 2, ("k", 0, 1)), call(3, 4, ("k", 0, 2))],
        [call(1, 2, ("k", 0, 1), ("k", 0, 2))],
        [call(1, 5, ("k", 0, 1)), call(2, 3, ("other", 0, 2))],
        [call(1, None, ("k", 0, 1)), call(3, 4, ("k", 0, 1)), call(5, 6, ("k", 0, 2))],
        [call(1, 2, ("k", 0, 9)), call(3, 4, ("k", 2, 1))],
    ],
    ids=["one after the other", "in one batch", "other keys at once", "after a retry", "child after parent"],
)
def test_order_that_held_is_no_finding(calls: list[Call]) -> None:
    assert witness.out_of_order(calls) == []


@pytest.mark.parametrize(
    "calls",
    [
        [call(1, 2, ("k", 0, 2)), call(3, 4, ("k", 0, 1))],
        [call(1, 2, ("k", 0, 2), ("k", 0, 1))],
        [call(1, 5, ("k", 0, 1)), call(2, 3, ("k", 0, 2))],
        [call(1, 2, ("k", 0, 1), settled=False), call(3, 4, ("k", 0, 2))],
        [call(1, None, ("k", 0, 1)), call(3, 4, ("k", 0, 2))],
        [call(1, 2, ("k", 2, 1)), call(3, 4, ("k", 0, 9))],
    ],
    ids=["later first", "within a batch", "before it ended", "not settled", "died", "child before parent"],
)
def test_order_that_was_broken_is_found(calls: list[Call]) -> None:
    assert len(witness.out_of_order(calls)) == 1


def test_a_partial_failure_settles_what_is_before_its_lowest_sequence_number(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    seen.write_text(
        '{"at": 1, "run": "a", "fault": null, "records": [["k", "shardId-000000000003:5"], '
        '["k", "shardId-000000000003:7"], ["k", "shardId-000000000003:9"]]}\n'
        '{"at": 2, "run": "a", "failed": ["9", "7"]}\n'
    )
    (found,) = witness.read(seen)
    assert found.settled == {Record(3, 5)}


def test_calls_that_overlap_are_counted() -> None:
    assert witness.concurrency([call(1, 4), call(2, 5), call(4, 6), call(7, 8), call(7, None)]) == 2
