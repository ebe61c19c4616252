"""The sender: an open loop in real time (runs of well under a second); the target is a function."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from loadgen.offer.filling import HAND_OVER_S, Filling
from loadgen.offer.schedule import Schedule
from loadgen.offer.truth import Truth
from loadgen.outcome.results import PutResult
from loadgen.sending import sender as sender_module
from loadgen.sending.sender import Due, Sender
from processor.core.errors import Reason
from processor.core.packing import PackingSettings
from processor.core.resend import CallFailed, Entry, NotWritten, Reply, RetryPolicy, Written

THROTTLED = NotWritten("ProvisionedThroughputExceededException", "slow down")
LOST = CallFailed("ReadTimeoutError", "no answer", transient=True, uncertain=True)
REFUSED = CallFailed("AccessDeniedException", "no", transient=False, uncertain=False)


@dataclass
class Target:
    """A stream that answers as it is told; remembers what it wrote, in order."""

    answer: Callable[[int, Sequence[Entry[Truth]]], Reply | None] = lambda _number, _entries: None
    delay_s: float = 0.0
    calls: int = 0
    written: list[Entry[Truth]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, entries: Sequence[Entry[Truth]]) -> Reply:
        if self.delay_s:
            time.sleep(self.delay_s)
        with self.lock:
            self.calls += 1
            told = self.answer(self.calls, entries)
            if told is not None:
                return told
            return [self.write(entry) for entry in entries]

    def write(self, entry: Entry[Truth]) -> Written:
        self.written.append(entry)
        return Written("shardId-0", str(len(self.written)))


def due(count: int, every_s: float = 0.0005, **changes: Any) -> list[Due]:
    return [
        Due(i * every_s, f"key-{i % 7}", b"%06d" % i, Truth(int(i * every_s * 1e6), "p", "w", f"id-{i}", {}, **changes))
        for i in range(count)
    ]


class Run:
    """One run of the sender, with everything that it reported."""

    def __init__(
        self, target: Any, *, aggregate: int | None = 10, deadline_s: float = 5.0, linger_s: float = 0.01
    ) -> None:
        self.results: list[tuple[PutResult, Sequence[Truth]]] = []
        packing = PackingSettings(aggregate=aggregate, lanes=4, linger_s=linger_s)
        retry = RetryPolicy(deadline_s=deadline_s, base_s=0.005, cap_s=0.01, stop_lane=False)
        self.sender = Sender(target, packing, retry, self.settled, lambda *_: None)

    def settled(self, result: PutResult, truths: Sequence[Truth]) -> None:
        assert len(result.due_us) == len(truths)
        self.results.append((result, truths))

    def go(self, schedule: Sequence[Due] | Iterator[Due]) -> "Run":
        self.sender.run(iter(schedule))
        return self

    def ended(self) -> Counter[str]:
        return Counter(truth.digest for _, truths in self.results for truth in truths)

    def with_outcome(self, failed: str | None) -> list[str]:
        return [truth.digest for result, truths in self.results if result.failed == failed for truth in truths]


@pytest.mark.parametrize("aggregate", [None, 1, 10])
def test_every_event_of_the_schedule_ends_exactly_once(aggregate: int | None) -> None:
    target = Target()
    run = Run(target, aggregate=aggregate).go(due(300))
    assert run.ended() == Counter(f"id-{i}" for i in range(300))
    assert run.with_outcome(None) == [t.digest for _, truths in run.results for t in truths]
    assert Counter(t.digest for e in target.written for t in e.record.members) == run.ended()


def test_events_of_one_key_arrive_in_order_although_some_puts_fail() -> None:
    def some_fail(number: int, entries: Sequence[Entry[Truth]]) -> Reply | None:
        if number % 5 == 0:
            return LOST
        if number % 2:
            return None
        return [THROTTLED if i % 2 == 0 else target.write(entry) for i, entry in enumerate(entries)]

    target = Target(some_fail)
    run = Run(target).go(due(400))
    assert run.ended() == Counter(f"id-{i}" for i in range(400))
    assert not [result for result, _ in run.results if result.failed]
    for key in range(7):
        arrived = [int(t.digest[3:]) for e in target.written for t in e.record.members if int(t.digest[3:]) % 7 == key]
        assert arrived == sorted(arrived)
    assert any(result.uncertain for result, _ in run.results)


def test_latency_counts_from_the_schedule_while_the_target_stalls() -> None:
    run = Run(Target(delay_s=0.15), aggregate=100, linger_s=0.06).go(due(200, every_s=0.0005))  # all due within 0.1 s
    waits_us = [result.done_us - due_us for result, _ in run.results for due_us in result.due_us]
    assert len(waits_us) == 200
    assert min(waits_us) >= 100_000  # nothing is faster than the target was
    assert {due_us for result, _ in run.results for due_us in result.due_us} == {i * 500 for i in range(200)}


def test_the_schedule_does_not_wait_for_the_target() -> None:
    all_taken = threading.Event()
    in_time: list[bool] = []

    def schedule() -> Iterator[Due]:
        yield from due(100, every_s=0.0005)
        all_taken.set()

    def stalled(entries: Sequence[Entry[Truth]]) -> Reply:
        in_time.append(all_taken.wait(5))  # no put is answered before the last event was taken
        return [Written("shardId-0", "1")] * len(entries)

    run = Run(stalled).go(schedule())
    assert len(run.ended()) == 100
    assert all(in_time)


@pytest.mark.parametrize("aggregate", [None, 10])
def test_a_copy_travels_in_another_kinesis_record_than_its_original(aggregate: int | None) -> None:
    originals = due(60)
    schedule = []
    for event in originals:
        copied = event._replace(truth=event.truth._replace(copy=True))
        schedule += [event, copied, copied]
    target = Target()
    run = Run(target, aggregate=aggregate).go(schedule)
    assert run.ended() == Counter({f"id-{i}": 3 for i in range(60)})
    for entry in target.written:
        digests = [truth.digest for truth in entry.record.members]
        assert len(set(digests)) == len(digests)
    assert sum(result.copies for result, _ in run.results) == 120


def test_what_is_malformed_as_a_kinesis_record_travels_alone_and_as_it_is() -> None:
    spoiled = Due(0.0, "key-0", b"\xf3\x89\x9a\xc2 broken", Truth(0, "", "", "", {}, reason=Reason.DIGEST, whole=True))
    target = Target()
    Run(target).go([*due(5), spoiled, *due(5)])
    (alone,) = [entry.record for entry in target.written if entry.record.data == spoiled.payload]
    assert alone.members == (spoiled.truth,)
    assert not alone.aggregated


def test_a_final_refusal_ends_every_event_and_the_run() -> None:
    run = Run(Target(lambda *_: REFUSED)).go(due(100))
    assert run.ended() == Counter(f"id-{i}" for i in range(100))
    assert len(run.with_outcome("AccessDeniedException")) == 100


def test_a_target_that_never_answers_well_ends_the_run_within_the_deadline() -> None:
    began_s = time.monotonic()
    run = Run(Target(lambda *_: LOST), deadline_s=0.2).go(due(50))
    assert time.monotonic() - began_s < 5
    assert run.ended() == Counter(f"id-{i}" for i in range(50))
    assert all(result.failed and result.uncertain for result, _ in run.results if result.put_us is not None)


def test_an_event_that_fits_no_record_is_a_result_like_every_other() -> None:
    impossible = Due(0.0, "k" * 300, b"x", Truth(0, "p", "w", "too-long", {}))
    run = Run(Target()).go([*due(3), impossible])
    assert run.with_outcome("bad_partition_key") == ["too-long"]
    assert sorted(run.with_outcome(None)) == ["id-0", "id-1", "id-2"]
    (result,) = [result for result, _ in run.results if result.failed]
    assert (result.put_us, result.attempts, result.uncertain) == (None, 0, False)


def test_an_interrupt_ends_the_run_and_every_event_taken_is_accounted_for() -> None:
    taken: list[str] = []

    def endless() -> Iterator[Due]:
        for event in due(5000, every_s=0.001):
            taken.append(event.truth.digest)
            if run.with_outcome(None):  # some are acknowledged, this one cannot be
                run.sender.stopping.set()
            yield event

    run = Run(Target(delay_s=0.05))
    began_s = time.monotonic()
    run.go(endless())
    assert time.monotonic() - began_s < 5
    assert set(taken) - set(run.ended()) <= {taken[-1]}  # the one that was not due yet
    assert set(run.ended().values()) == {1}
    assert run.with_outcome(None)
    assert run.with_outcome("Interrupted")


def test_a_put_still_under_way_when_the_wait_after_an_interrupt_is_over_may_have_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender_module, "DRAIN_S_MAX", 0.1)
    release = threading.Event()
    entered = threading.Event()

    def hang(entries: Sequence[Entry[Truth]]) -> Reply:
        entered.set()
        release.wait(10)
        return LOST

    run = Run(hang, aggregate=None)

    def stop() -> None:
        entered.wait(10)
        run.sender.stopping.set()

    threading.Thread(target=stop).start()
    run.go(due(3, every_s=0.0))
    release.set()
    assert run.ended() == Counter(["id-0", "id-1", "id-2"])
    for result, _ in run.results:
        assert result.failed == "Interrupted"
        assert result.uncertain == (result.put_us is not None)
    assert any(result.uncertain for result, _ in run.results)


def test_an_error_of_the_program_in_a_put_ends_the_run_with_an_account_of_every_event() -> None:
    """Nobody knows what its call has written."""
    calls = itertools.count()

    def broken(entries: Sequence[Entry[Truth]]) -> Reply:
        if next(calls) < 1:
            return LOST
        raise ZeroDivisionError("a mistake")

    run = Run(broken, aggregate=None).go(due(300, every_s=0.01))
    assert run.ended() == Counter(f"id-{number}" for number in range(len(run.results)))
    assert "ZeroDivisionError: a mistake" in (run.sender.problem or "")
    failed = {result.failed for result, _ in run.results}
    assert "ZeroDivisionError" in failed
    assert failed <= {"ZeroDivisionError", "Interrupted"}
    assert all(result.uncertain for result, _ in run.results if result.failed == "ZeroDivisionError")


def test_without_a_pace_events_are_due_when_there_is_room() -> None:
    schedule = [event._replace(due_s=None) for event in due(5000)]
    run = Run(Target()).go(schedule)
    assert len(run.ended()) == 5000
    assert all(0 <= due_us <= result.done_us for result, _ in run.results for due_us in result.due_us)


def test_it_wakes_up_for_an_aggregate_as_long_before_its_time_as_for_an_event() -> None:
    sender = Run(Target()).sender
    first, last = due(1)[0], due(1)[0]._replace(due_s=99.0)
    schedule = Schedule(iter([first, last]))
    packing = PackingSettings(linger_s=0.15)
    filling = Filling(schedule, packing, sender._outbox.add, sender._refuse)
    assert filling.take(0.0, 9) == 1
    assert sender._wait_s(schedule, filling, 0.05) == pytest.approx(0.1 - HAND_OVER_S)


def test_every_connection_is_prepared_in_the_thread_that_will_use_it() -> None:
    ahead, by = list[int](), set[int]()

    class Prepared(Target):
        def prepare(self) -> None:
            ahead.append(threading.get_ident())

        def __call__(self, entries: Sequence[Entry[Truth]]) -> Reply:
            by.add(threading.get_ident())
            return super().__call__(entries)

    Run(Prepared()).go(due(50))
    assert by
    assert by <= set(ahead)
