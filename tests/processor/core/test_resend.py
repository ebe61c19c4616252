"""Resending: whatever fails, nothing is lost, nothing acknowledged is put again, and lanes keep their order."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.packing import CALL_BYTES_MAX, CALL_RECORDS_MAX, Packed
from processor.core.resend import (
    Acknowledged,
    CallFailed,
    Entry,
    Failed,
    NotWritten,
    Outbox,
    Reply,
    RetryPolicy,
    Settled,
    Written,
    classify,
)

THROTTLED = NotWritten("ProvisionedThroughputExceededException", "slow down")
LOST = CallFailed("ReadTimeoutError", "no answer", transient=True, uncertain=True)
REFUSED = CallFailed("AccessDeniedException", "no", transient=False, uncertain=False)


def record(lane: str, tag: int, size: int = 10) -> Packed[int]:
    return Packed(lane, None, bytes(size), (tag,), aggregated=False)


class Stream:
    """Answers calls from a list of decisions per record and remembers what it wrote, in order."""

    def __init__(self, decisions: list[str]) -> None:
        self.decisions, self.turn = decisions, 0
        self.written: list[int] = []

    def decide(self) -> str:
        self.turn += 1
        return self.decisions[(self.turn - 1) % len(self.decisions)] if self.decisions else "write"

    def answer(self, entries: list[Entry[int]]) -> Reply:
        whole = self.decide()
        if whole == "lost":
            self.written += [entry.record.members[0] for entry in entries]
            return LOST
        if whole == "refused":
            return REFUSED
        replies: list[Written | NotWritten] = []
        for entry in entries:
            if self.decide() == "throttle":
                replies.append(THROTTLED)
            else:
                self.written.append(entry.record.members[0])
                replies.append(Written("shardId-0", str(len(self.written))))
        return replies


def drive(outbox: Outbox[int], stream: Stream) -> list[Settled[int]]:
    settled: list[Settled[int]] = []
    now_s = 0.0
    for _ in range(10_000):
        if not outbox.records:
            return settled
        taken, expired = outbox.take(now_s)
        settled += expired
        if taken:
            assert len({entry.record.order_key for entry in taken}) == len(taken)
            assert len(taken) <= CALL_RECORDS_MAX
            settled += outbox.settle(taken, stream.answer(taken), now_s + 0.01, 0.5)
        elif (wake_at := outbox.wake_at()) is not None:
            now_s = max(now_s, wake_at)
        now_s += 0.01
    raise AssertionError("the outbox never ended")


DECISIONS = st.lists(st.sampled_from(["write", "write", "throttle", "lost", "refused"]), max_size=40)
LANES = st.lists(st.sampled_from("abcd"), max_size=40)


@given(LANES, DECISIONS, st.booleans())
def test_every_record_ends_once_and_an_acknowledged_one_is_never_put_again(
    lanes: list[str], decisions: list[str], stop_lane: bool
) -> None:
    outbox: Outbox[int] = Outbox(RetryPolicy(deadline_s=3.0, stop_lane=stop_lane))
    for tag, lane in enumerate(lanes):
        outbox.add(record(lane, tag), 0.0)
    stream = Stream(decisions)
    settled = drive(outbox, stream)
    assert sorted(end.entry.record.members[0] for end in settled) == list(range(len(lanes)))
    assert (outbox.records, outbox.events, outbox.size) == (0, 0, 0)
    for end in settled:
        copies = stream.written.count(end.entry.record.members[0])
        if isinstance(end.outcome, Acknowledged):
            assert copies >= 1
            assert copies == 1 or end.outcome.uncertain
        else:
            assert copies == 0 or end.outcome.uncertain


@given(LANES, DECISIONS)
def test_no_record_is_overtaken_by_a_later_one_of_its_lane(lanes: list[str], decisions: list[str]) -> None:
    outbox: Outbox[int] = Outbox(RetryPolicy(deadline_s=3.0))
    for tag, lane in enumerate(lanes):
        outbox.add(record(lane, tag), 0.0)
    stream = Stream(decisions)
    settled = drive(outbox, stream)
    first_written: dict[str, list[int]] = defaultdict(list)
    for tag in stream.written:
        if tag not in first_written[lanes[tag]]:
            first_written[lanes[tag]].append(tag)
    assert all(tags == sorted(tags) for tags in first_written.values())
    # After a record that was given up, nothing of its lane was acknowledged: the caller can resend in order.
    given_up = {lanes[end.entry.record.members[0]]: end.entry.record.members[0] for end in settled[::-1]
                if isinstance(end.outcome, Failed)}  # fmt: skip
    for end in settled:
        tag = end.entry.record.members[0]
        if isinstance(end.outcome, Acknowledged) and lanes[tag] in given_up:
            assert tag < given_up[lanes[tag]]


def test_a_call_stays_within_500_records_and_5_mib() -> None:
    outbox: Outbox[int] = Outbox(RetryPolicy())
    for tag in range(1200):
        outbox.add(record(f"lane-{tag}", tag), 0.0)
    assert [len(outbox.take(0.0)[0]) for _ in range(4)] == [500, 500, 200, 0]
    big: Outbox[int] = Outbox(RetryPolicy())
    for tag in range(12):
        big.add(record(f"lane-{tag:02d}", tag, 1024 * 1024 - 7), 0.0)
    sizes = []
    for _ in range(3):
        taken, _ = big.take(0.0)
        sizes.append(sum(entry.size for entry in taken))
    assert sizes == [5 * 1024 * 1024, 5 * 1024 * 1024, 2 * 1024 * 1024]
    assert max(sizes) <= CALL_BYTES_MAX


def test_waits_grow_exponentially_within_their_jitter_and_are_capped() -> None:
    policy = RetryPolicy(base_s=0.1, cap_s=1.0)
    assert [policy.wait_s(n, 0.0) for n in (1, 2, 3, 4, 5, 50)] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5])
    assert policy.wait_s(3, 0.999) == pytest.approx(0.4, rel=0.01)


def test_a_record_is_given_up_when_its_next_attempt_would_start_after_the_deadline() -> None:
    outbox: Outbox[int] = Outbox(RetryPolicy(deadline_s=1.0, base_s=0.3, cap_s=0.3))
    outbox.add(record("a", 0), 0.0)
    ends: list[Settled[int]] = []
    for now_s in (0.0, 0.3, 0.6, 0.9):
        taken, _ = outbox.take(now_s)
        ends += outbox.settle(taken, [THROTTLED], now_s, 0.9)
    (end,) = ends
    assert end.outcome == Failed("ProvisionedThroughputExceededException", "slow down", uncertain=False)
    assert end.entry.errors == ["ProvisionedThroughputExceededException"] * 4


def test_a_record_whose_time_ran_out_in_the_queue_is_given_up_without_being_put() -> None:
    outbox: Outbox[int] = Outbox(RetryPolicy(deadline_s=1.0, stop_lane=False))
    outbox.add(record("a", 0), 0.0)
    outbox.add(record("a", 1), 0.5)
    taken, expired = outbox.take(1.2)
    assert [end.entry.record.members for end in expired] == [(0,)]
    assert isinstance(expired[0].outcome, Failed)
    assert expired[0].outcome.code == "DeadlineExceeded"
    assert [entry.record.members for entry in taken] == [(1,)]


def test_a_permanent_refusal_is_final_at_once() -> None:
    outbox: Outbox[int] = Outbox(RetryPolicy())
    outbox.add(record("a", 0), 0.0)
    outbox.add(record("a", 1), 0.0)
    taken, _ = outbox.take(0.0)
    ends = outbox.settle(taken, REFUSED, 0.0, 0.5)
    assert [end.outcome.code for end in ends if isinstance(end.outcome, Failed)] == [
        "AccessDeniedException",
        "HeldBack",
    ]


@pytest.mark.parametrize(
    ("code", "status", "transient", "uncertain"),
    [
        ("ProvisionedThroughputExceededException", 400, True, False),
        ("KMSThrottlingException", 400, True, False),
        ("InternalFailure", 500, True, True),
        ("SomethingNew", 503, True, True),
        ("ResourceNotFoundException", 400, False, False),
        ("AccessDeniedException", 400, False, False),
        ("ExpiredTokenException", 400, False, False),
        ("ValidationException", 400, False, False),
    ],
)
def test_whole_call_errors_are_told_apart_by_code_and_status(
    code: str, status: int, transient: bool, uncertain: bool
) -> None:
    assert classify(code, status, "") == CallFailed(code, "", transient, uncertain)


def test_giving_up_ends_everything_that_waits() -> None:
    outbox: Outbox[int] = Outbox(RetryPolicy())
    for tag, lane in enumerate("aab"):
        outbox.add(record(lane, tag), 0.0)
    taken, _ = outbox.take(0.0)
    outbox.settle(taken, LOST, 0.0, 0.5)
    ends = outbox.give_up("Interrupted", "stopped by a signal")
    assert {end.entry.record.members[0]: end.outcome.uncertain for end in ends} == {0: True, 1: False, 2: True}
    assert outbox.records == 0
    assert outbox.take(99.0) == ([], [])
