"""The numbers of a run: percentiles within their stated error, nothing counted twice, the same from the file."""

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.outcome.histogram import PRECISION_BITS, Histogram
from loadgen.outcome.metrics import THROTTLED, Metrics
from loadgen.outcome.results import PutResult, ResultsError, acknowledged_events, decode, decode_all, encode

MOMENT_US = st.integers(0, 10**9)
TEXT = st.text(max_size=20)


def _put_result(
    key: str, due_us: Sequence[int], put_us: int | None, done_us: int, errors: list[str], failed: str | None, odd: bool
) -> PutResult:
    shard = None if failed is not None else "shardId-000000000001"
    number = None if failed is not None else "4959"
    copies = len(due_us) // 2
    return PutResult(
        key, tuple(due_us), put_us, done_us, len(errors) + 1, 1000, copies, 0, shard, number, tuple(errors), failed, odd
    )


RESULTS = st.builds(
    _put_result,
    TEXT,
    st.lists(MOMENT_US, min_size=1, max_size=5),
    st.none() | MOMENT_US,
    MOMENT_US,
    st.lists(st.sampled_from([THROTTLED, "ReadTimeoutError"]), max_size=3),
    st.none() | st.just("DeadlineExceeded"),
    st.booleans(),
)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 0.999, 1.0]))
def test_a_quantile_is_less_than_one_part_in_1024_below_the_true_one(values: list[int], share: float) -> None:
    histogram, at_once = Histogram(), Histogram()
    for value in values:
        histogram.add(value)
    at_once.add_all(np.array(values, np.int64))
    assert at_once == histogram
    true = sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
    found = histogram.quantile_us(share)
    assert found is not None
    assert found <= true
    assert (true - found) * 2**PRECISION_BITS <= true
    assert histogram.mean_us == sum(values) / len(values)
    assert histogram.highest == max(values)


def test_a_million_values_need_no_million_buckets() -> None:
    histogram, draw = Histogram(), random.Random(1)
    for _ in range(50_000):
        histogram.add(int(draw.expovariate(1 / 50_000)))
    assert len(histogram._counts) <= 12 * 2**PRECISION_BITS


def test_without_values_there_is_no_quantile_and_a_clock_set_back_counts_as_0() -> None:
    histogram = Histogram()
    assert (histogram.quantile_us(0.5), histogram.mean_us) == (None, None)
    histogram.add(-5)
    assert (histogram.quantile_us(0.5), histogram.mean_us) == (0, 0)


def put(due_us: list[int], put_us: int | None, done_us: int, **changes: object) -> PutResult:
    result = _put_result("k", due_us, put_us, done_us, [], None, False)
    return result._replace(**changes)  # type: ignore[arg-type]  # a test's shorthand


def test_latency_counts_from_when_an_event_was_due_not_from_when_it_was_put() -> None:
    metrics = Metrics(10_000)
    metrics.add(put([0, 900_000], put_us=1_000_000, done_us=1_005_000))
    numbers = metrics.named()
    assert numbers["latency_max_ms"] == 1005
    assert numbers["latency_mean_ms"] == (1005 + 105) / 2


def test_late_is_put_later_after_it_was_due_than_allowed_and_never_put_is_late_too() -> None:
    metrics = Metrics(10_000)
    metrics.add(put([0], put_us=10_000, done_us=500_000))
    assert metrics.late == 0
    metrics.add(put([0], put_us=10_001, done_us=20_000))
    assert metrics.late == 1
    metrics.add(put([0], None, 60_000, failed="HeldBack", shard_id=None, sequence_number=None))
    assert metrics.named()["events_late"] == 2
    assert metrics.named()["late_max_ms"] == 60


@given(st.lists(RESULTS, max_size=20))
def test_every_event_is_acknowledged_or_failed_in_the_totals_and_in_the_seconds(results: list[PutResult]) -> None:
    metrics = Metrics(10_000)
    for result in results:
        metrics.add(result)
    numbers = metrics.named()
    events = sum(len(result.due_us) for result in results)
    assert numbers["events_offered"] == events == metrics.acknowledged + metrics.failed
    assert numbers["failed_attempts"] == sum(len(result.errors) for result in results)
    assert numbers["throttled_attempts"] == sum(result.errors.count(THROTTLED) for result in results)
    rows = {row["second"]: row for row in metrics.timeline()} if metrics.latest_us < 10**7 else None
    for name in ("offered", "acknowledged", "failed"):
        assert sum(getattr(second, name) for second in metrics.seconds.values()) == getattr(metrics, name)
        assert rows is None or sum(row[name] or 0 for row in rows.values()) == getattr(metrics, name)


@given(st.lists(st.lists(st.integers(0, 4_000_000), min_size=1, max_size=4), max_size=8))
def test_an_event_is_offered_in_the_very_second_in_which_it_was_due(dues_us: list[list[int]]) -> None:
    metrics = Metrics(10_000)
    for due_us in dues_us:
        metrics.add(_put_result("k", due_us, 0, 9_500_000, ["ReadTimeoutError"] * 2, None, False))
    due_s = Counter(at_us // 1_000_000 for due_us in dues_us for at_us in due_us)
    assert [row["offered"] for row in metrics.timeline()[:9]] == [due_s[second] for second in range(9)] * bool(dues_us)
    assert sum(second.errors for second in metrics.seconds.values()) == 2 * len(dues_us)


def test_the_timeline_has_a_row_for_every_second() -> None:
    metrics = Metrics(0)
    metrics.add(put([0], 0, 3_500_000))
    assert [row["second"] for row in metrics.timeline()] == [0, 1, 2, 3]
    assert metrics.timeline()[1]["latency_p99_ms"] is None


@given(RESULTS, st.lists(st.tuples(MOMENT_US, st.none() | TEXT), max_size=3))
def test_a_line_is_byte_for_byte_what_json_writes(
    result: PutResult, failed_attempts: list[tuple[int, str | None]]
) -> None:
    result = result._replace(failed_attempts=failed_attempts)
    due = list(result.due_us)
    assert encode(result) == json.dumps(
        {
            "partition_key": result.partition_key,
            "scheduled_us": [*due[:1], *(after - before for before, after in pairwise(due))],
            "sent_us": result.put_us,
            "acknowledged_us" if result.failed is None else "failed_us": result.done_us,
            "attempts": result.attempts,
            "events": len(due),
            "bytes": result.size,
            "copies": result.copies,
            "malformed": result.malformed,
            "shard": result.shard_id,
            "sequence_number": result.sequence_number,
            "errors": list(result.errors),
            "failed_attempts": [list(attempt) for attempt in failed_attempts],
            "failed": result.failed,
            "uncertain": result.uncertain,
        },
        separators=(",", ":"),
    )


@given(
    st.lists(st.integers(-5, 100) | st.integers(-(2**20), 2**40) | st.integers(2**20, 2**21 - 1)), st.integers(1, 12)
)
def test_many_values_at_once_count_as_one_by_one(values: list[int], bits: int) -> None:
    one, many = Histogram(bits), Histogram(bits)
    for value in values:
        one.add(value)
    for place in range(0, len(values), 7):
        many.add_all(np.array(values[place : place + 7], np.int64))
    assert one == many


@given(st.lists(st.lists(st.integers(0, 2**24)), max_size=4), st.integers(1, 10))
def test_a_packed_histogram_is_the_same_one_also_when_more_comes(parts: list[list[int]], bits: int) -> None:
    packed, plain, merged = Histogram(bits), Histogram(bits), Histogram(bits)
    for values in parts:
        packed.add_all(np.array(values, np.int64))
        plain.add_all(np.array(values, np.int64))
        packed.pack()
        assert packed == plain
        assert [packed.quantile_us(q / 10) for q in range(11)] == [plain.quantile_us(q / 10) for q in range(11)]
    merged.merge(packed)
    assert merged == plain


@given(RESULTS)
def test_a_result_survives_its_line(result: PutResult) -> None:
    line = encode(result)
    assert "\n" not in line
    assert decode(line) == result


@given(st.lists(RESULTS, max_size=10))
def test_the_numbers_from_the_file_are_those_of_the_live_run(results: list[PutResult]) -> None:
    live, again = Metrics(10_000), Metrics(10_000)
    for result in results:
        live.add(result)
    for result in decode_all([encode(result) + "\n" for result in results]):
        again.add(result)
    assert live.named() == again.named()


@pytest.mark.parametrize(("schedule_s", "per_s"), [(0.0, 1.6), (2.0, 1.0), (1.0, 1.6)])
def test_rates_are_over_the_schedule_and_not_only_until_its_last_answer(schedule_s: float, per_s: float) -> None:
    metrics = Metrics(10_000, schedule_s)
    metrics.add(PutResult("k", (0, 1_250_000), 1_250_000, 1_250_000, 1, 10, 0, 0, "s", "1", (), None, False))
    numbers = metrics.named()
    assert numbers["acknowledged_events_per_s"] == pytest.approx(per_s)
    assert numbers["acknowledged_bytes_per_s"] == pytest.approx(5 * per_s)
    assert (numbers["schedule_s"], numbers["elapsed_s"]) == (schedule_s or None, 1.25)


@given(st.lists(RESULTS, max_size=10))
def test_acknowledged_events_are_counted_without_decoding_their_lines(results: list[PutResult]) -> None:
    named = [
        result._replace(partition_key=f'{result.partition_key}"events":7,"acknowledged_us":1') for result in results
    ]
    lines = [encode(result) + "\n" for result in named]
    assert acknowledged_events(lines) == sum(len(result.due_us) for result in results if result.failed is None)
    assert acknowledged_events([line[:-1] for line in lines]) == 0


def test_a_half_written_last_line_is_left_out() -> None:
    line = encode(put([0], 0, 1))
    assert len(list(decode_all([line + "\n", line[:20]]))) == 1


@pytest.mark.parametrize("broken", ["", "{}", "[1]", '{"partition_key": 1}', "null", "{", "\x00"])
def test_a_line_that_is_none_of_ours_is_said_with_its_number(broken: str) -> None:
    with pytest.raises(ResultsError, match="line 2: "):
        list(decode_all([encode(put([0], 0, 1)) + "\n", broken + "\n"]))


def test_without_a_schedule_nothing_is_late_and_there_is_no_latency() -> None:
    metrics = Metrics(None)
    metrics.add(PutResult("k", (0, 5), 900_000, 1_500_000, 1, 100, 0, 0, "s", "1", (), None, False))
    named = metrics.named()
    absent = {name for name, value in named.items() if value is None}
    assert absent == {name for name in named if "late" in name} | {"schedule_s"}
    assert (named["events_acknowledged"], named["elapsed_s"]) == (2, 1.5)
    assert [row["latency_p99_ms"] for row in metrics.timeline()] == [None, None]
    assert [row["acknowledged"] for row in metrics.timeline()] == [0, 2]


@given(st.lists(RESULTS, max_size=10), st.lists(RESULTS, max_size=10))
def test_two_senders_numbers_are_added_up_as_if_one_had_sent_everything(
    one: list[PutResult], other: list[PutResult]
) -> None:
    whole, first, second = Metrics(10_000), Metrics(10_000), Metrics(10_000)
    for metrics, results in ((whole, one + other), (first, one), (second, other)):
        for result in results:
            metrics.add(result)
    first.merge(second)
    assert first.named() == whole.named()
    assert first.seconds == whole.seconds
    assert (first.shards, first.throttled, first.errors) == (whole.shards, whole.throttled, whole.errors)


def test_throttled_attempts_are_counted_at_the_shard_and_in_the_second_of_their_answer() -> None:
    metrics = Metrics(10_000)
    attempts = ((500_000, "shardId-7"), (1_500_000, "shardId-7"), (2_500_000, None))
    metrics.add(put([0], 0, 3_500_000, errors=(THROTTLED,) * 3, attempts=4, failed_attempts=attempts))
    assert [row["throttled_attempts"] for row in metrics.timeline()] == [1, 1, 1, 0]
    assert metrics.throttled == {"shardId-7": 2, "unknown": 1}
    assert (metrics.named()["throttled_records"], metrics.named()["throttled_attempts"]) == (1, 3)


def test_calls_that_were_answered_late_are_counted_once_each_of_all_senders() -> None:
    senders = Metrics(10_000), Metrics(10_000)
    for metrics in senders:
        for number, (put_us, done_us) in enumerate([(0, 999_999), (5, 2_000_005), (5, 2_000_005)]):
            metrics.add(PutResult("k", (0,), put_us, done_us, 1, 9, 0, 0, "s", str(number), (), None, False))
        metrics.add(PutResult("k", (0,), 7, 9_000_000, 2, 9, 0, 0, "s", "9", (THROTTLED,), None, False))
    senders[1].add(PutResult("k", (0,), 6, 1_000_006, 1, 9, 0, 0, "s", "8", (), None, False))
    senders[0].merge(senders[1])
    assert senders[0].slow_calls == {(5, 2_000_005), (6, 1_000_006)}
