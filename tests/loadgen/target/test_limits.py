"""The limit that a load ran into is named from what was measured, and nothing is named that was not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.target.evidence import Capacity, Judgement, Sent
from loadgen.target.limits import judge
from loadgen.target.series import Series

CAPACITY = Capacity("PROVISIONED", shards=2, parallelization_factor=4, batch_size=1000, account_concurrency=1000)
QUIET = Sent(10_000, 0, 0.0, 1_000, {}, {}, 1_000, 10_000_000, 10.0)


def series(name: str, *values: float, statistic: str = "sum", resolution_s: int = 1) -> Series:
    points = tuple((second * resolution_s, value) for second, value in enumerate(values))
    return Series(name, "", statistic, "a test", resolution_s, points)


def throttled(by_shard: Mapping[str, int], seconds: int = 10) -> list[Series]:
    return [series(f"write_throttles {shard}", *[count / seconds] * seconds) for shard, count in by_shard.items()]


def limited(sent: Sent = QUIET, *found: Series, capacity: Capacity = CAPACITY, drain_s: float = 1.0) -> tuple[str, str]:
    judgement = judge(sent, found, capacity, drain_s)
    return judgement.limited_by, judgement.reason


def test_a_load_that_touches_no_limit_is_limited_by_nothing() -> None:
    running = series("concurrency", *[1.0] * 10, statistic="mean")
    assert limited(QUIET, running, series("lambda_throttles", 0, 0))[0] == "nothing"


def test_throttled_records_are_the_shards_write_quota_with_its_shard_and_its_hot_key() -> None:
    by_shard = {"shardId-000000000001": 12_000, "shardId-000000000000": 345}
    four = Capacity(shards=4, parallelization_factor=1)
    sent = QUIET._replace(attempts=20_000, throttled=by_shard, records=8_000)
    limit, reason = limited(sent, *throttled(by_shard), capacity=four)
    assert limit == "shard write quota"
    assert "12,345 attempts of Kinesis records throttled on 2 shards, most on shardId-000000000001" in reason
    assert "97% of them on that one of 4 shards: the keys are spread unevenly" in reason


@pytest.mark.parametrize(("size", "first"), [(1_000_000, "records"), (20_000_000, "bytes")])
def test_it_is_said_whether_records_or_bytes_run_out(size: int, first: str) -> None:
    sent = QUIET._replace(attempts=4_000, throttled={"shardId-0": 2_000}, records=2_000, size=size)
    assert f"{first} run out first" in limited(sent, *throttled({"shardId-0": 2_000}))[1]


def test_a_throttled_load_is_late_because_of_the_quota_and_not_the_other_way_round() -> None:
    sent = QUIET._replace(attempts=3_000, throttled={"shardId-0": 2_000}, late=9_000, late_max_ms=9_000)
    judgement = judge(sent, throttled({"shardId-0": 2_000}), CAPACITY)
    assert judgement.limited_by == "shard write quota"
    assert [also.limit for also in judgement.also] == ["sender: late"]


def test_a_sender_that_is_late_all_the_time_is_not_explained_by_a_moment_of_throttling() -> None:
    sent = QUIET._replace(attempts=3_000, throttled={"shardId-0": 40}, late=9_000, late_max_ms=9_000)
    judgement = judge(sent, throttled({"shardId-0": 40}, seconds=2), CAPACITY)
    assert judgement.limited_by == "sender: late"
    assert [also.limit for also in judgement.also] == ["shard write quota"]


def test_events_held_up_for_a_moment_limit_nothing_and_are_said_all_the_same() -> None:
    judgement = judge(QUIET._replace(late=5_000, late_max_ms=300), [], CAPACITY)
    assert judgement.limited_by == "nothing"
    assert [also.limit for also in judgement.also] == ["sender: late"]


@pytest.mark.parametrize(
    ("is_complete", "said"),
    [(True, "processed whole, 50.0% of it late;"), (False, "50.0% of it left late")],
)
def test_a_load_that_was_late_by_less_than_a_limit_is_not_said_to_have_gone_as_it_was_offered(
    is_complete: bool, said: str
) -> None:
    late = QUIET._replace(late=5_000, late_max_ms=300)
    reason = judge(late, [], CAPACITY, is_complete=is_complete).reason
    assert said in reason
    assert "no limit was touched" not in reason
    assert "as it was offered" not in reason


STALL = {(6_000_000 + 3_000 * number, 10_000_000) for number in range(4)}  # us; all connections wait for their answers


def test_calls_that_waited_for_their_answer_are_the_endpoints_and_not_the_senders() -> None:
    sent = QUIET._replace(late=2_000, late_max_ms=3_900, slow_calls=STALL)
    judgement = judge(sent, [], CAPACITY)
    assert judgement.limited_by == "the stream's endpoint"
    assert "4 calls took 1 s or more to be answered, at worst 4,000 ms" in judgement.reason
    assert "4.0 s of 10.0 s" in judgement.reason
    assert [also.limit for also in judgement.also] == ["sender: late"]


@pytest.mark.parametrize(
    ("slow_calls", "late_max_ms"),
    [
        (set(list(STALL)[:1]), 3_900),  # a process that stood still has its few calls in flight, not all of them
        (STALL, 20_000),  # much later than the calls explain
    ],
)
def test_a_sender_that_is_later_than_slow_calls_explain_is_late_by_itself(
    slow_calls: set[tuple[int, int]], late_max_ms: float
) -> None:
    judgement = judge(QUIET._replace(late=2_000, late_max_ms=late_max_ms, slow_calls=slow_calls), [], CAPACITY)
    assert judgement.limited_by == "sender: late"


def test_calls_that_wait_most_of_the_time_explain_any_lateness() -> None:
    calls = {(second * 1_500_000, (second + 1) * 1_500_000) for second in range(6)}
    judgement = judge(QUIET._replace(late=9_000, late_max_ms=90_000, slow_calls=calls), [], CAPACITY)
    assert judgement.limited_by == "the stream's endpoint"


def test_a_backlog_that_went_on_growing_is_said_with_how_old_and_how_many_and_which_lanes_had_work() -> None:
    found = (
        series("event_age_ms", *[1_000.0 * second for second in range(1, 19)], statistic="max"),
        series("processed", *[800.0] * 10, 1_500.0, 500.0),
        series("lanes_with_work", *[8.0] * 11, 3.0, statistic="max"),
    )
    judgement = judge(QUIET, found, CAPACITY, 8.0)
    assert judgement.limited_by == "processing: behind"
    assert "grew from 1.5 s to 13.5 s" in judgement.reason
    assert "2,000 events were processed after the sending, in 8.0 s" in judgement.reason
    assert "all 8 lanes had work in 11 of 12 seconds" in judgement.reason
    late = judge(QUIET._replace(late=9_000, late_max_ms=9_000), found, CAPACITY, 8.0)
    assert [also.limit for also in late.also] == ["processing: behind"]
    assert limited(QUIET, *found, drain_s=1.5)[0] == "nothing"  # whatever it was, it had caught up


@pytest.mark.parametrize(
    "ages",
    [[5_000.0, 3_000.0, *[1_000.0] * 8], [1_000.0] * 10, [900.0] * 9 + [2_500.0], [], [0.0] * 5, [1e3, 2e3] * 5],
)
def test_ages_that_do_not_go_on_growing_are_no_backlog(ages: list[float]) -> None:
    processed = series("processed", *[800.0] * 12)
    assert limited(QUIET, series("event_age_ms", *ages, statistic="max"), processed, drain_s=3.0)[0] == "nothing"


# Loads of the local stack as their reports had them, on a machine that others used too.
RECORDED = json.loads(Path(__file__).with_name("recorded_loads.json").read_text())


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("is_waited", [True, False])
def test_a_recorded_load_is_behind_when_more_was_left_at_its_end_than_before_however_noisy_its_ages(
    name: str, is_waited: bool
) -> None:
    one = RECORDED[name]
    sent = QUIET._replace(elapsed_s=one["sending_s"], taken=list(enumerate(one["taken"])))
    found = [
        Series("processed", "", "sum", "a test", 1, tuple(map(tuple, one["processed"]))),
        Series("event_age_ms", "", "max", "a test", 1, tuple(map(tuple, one["ages_ms"]))),
    ]
    capacity = Capacity(batching_window_s=one["window_s"])
    judgement = judge(sent, found, capacity, one["drain_s"] if is_waited else None)
    assert judgement.limited_by == ("processing: behind" if one["is_behind"] else "nothing")


@pytest.mark.parametrize("window_s", [1, 5, 10])
@pytest.mark.parametrize("seconds", [10, 20, 60])
def test_a_batching_window_leaves_no_backlog_however_its_ends_fall(window_s: int, seconds: int) -> None:
    """Each window's events are processed when it ends, all lanes at once."""
    for first in range(1, window_s + 1):
        ends = range(first, seconds + window_s + 1, window_s)
        processed = tuple((end, 100.0 * (min(end, seconds) - max(0, end - window_s))) for end in ends)
        ages = tuple((end, 1000.0 * window_s) for end in ends)
        found = [
            Series("processed", "", "sum", "a test", 1, tuple(point for point in processed if point[1] > 0)),
            Series("event_age_ms", "", "max", "a test", 1, ages),
        ]
        sent = QUIET._replace(elapsed_s=float(seconds), taken=[(second, 100) for second in range(seconds)])
        judgement = judge(sent, found, Capacity(batching_window_s=window_s), float(window_s) + 0.9)
        assert judgement.limited_by == "nothing", first
        longer = judge(sent, found, Capacity(batching_window_s=window_s), 2.0 * window_s + 3)
        assert longer.limited_by == "nothing", first


def test_a_log_that_lacks_a_part_of_the_load_shows_no_backlog() -> None:
    processed = Series("processed", "", "sum", "a test", 1, ((0, 10.0), (30, 10.0)), is_partial=True)
    sent = QUIET._replace(taken=[(second, 1_000) for second in range(10)])
    assert limited(sent, processed, drain_s=20.0)[0] == "nothing"


def test_failed_calls_are_the_endpoints() -> None:
    sent = QUIET._replace(errors={"ReadTimeoutError": 300, "EndpointConnectionError": 20})
    limit, reason = limited(sent)
    assert limit == "the stream's endpoint"
    assert "320 attempts of Kinesis records failed: ReadTimeoutError (300), EndpointConnectionError (20)" in reason


@pytest.mark.parametrize(("begun_s", "used", "limit"), [(-9, 8.0, "nothing"), (1, 8.0, "account concurrency")])
def test_throttles_of_a_period_that_began_before_the_load_limit_it_only_when_all_concurrency_was_in_use(
    begun_s: int, used: float, limit: str
) -> None:
    throttles = Series("lambda_throttles", "", "sum", "a test", 10, ((begun_s, 4.0), (11, 0.0)))

    def judged(in_use: float) -> Judgement:
        return judge(QUIET, [throttles, series("concurrent_executions", in_use, statistic="max")], CAPACITY)

    assert judged(used).limited_by == limit
    assert judged(1000.0).limited_by == "account concurrency"
    (said,) = [judged(used).reason, *(also.reason for also in judged(used).also)][-1:]
    assert ("they may be an earlier load's" in said) == (begun_s < 0)


@pytest.mark.parametrize(("reserved", "limit"), [(4, "reserved concurrency"), (None, "account concurrency")])
def test_lambda_throttles_are_concurrency_in_use_of_what_is_allowed(reserved: int | None, limit: str) -> None:
    capacity = Capacity(shards=2, parallelization_factor=4, reserved_concurrency=reserved, account_concurrency=1000)
    found = (
        series("lambda_throttles", 100, 20, resolution_s=60),
        series("invocations", 200, 200, resolution_s=60),
        series("concurrent_executions", 4, 3, statistic="max", resolution_s=60),
    )
    name, reason = limited(QUIET, *found, capacity=capacity)
    assert name == limit
    assert f"{limit}: 4 of {reserved or '1,000'} in use, 120 throttles, 8 lanes want one each" in reason


def test_throttled_tables_come_before_the_failures_and_busy_lanes_that_they_cause() -> None:
    found = (
        series("table_write_throttles", 500),
        series("write_units", 100, 120),
        series("batch_item_failures", 900),
        series("batch_records", 1_000),
        series("concurrency", *[8.0] * 10, statistic="mean"),
    )
    judgement = judge(QUIET, found, CAPACITY)
    assert judgement.limited_by == "table write capacity"
    assert "500 accesses throttled, 220 write units used by the estimate of the processor" in judgement.reason
    assert "per second" not in judgement.reason  # a batch's units are in the second of its commit
    assert [also.limit for also in judgement.also] == ["failing batches", "function time"]


def test_what_a_table_used_by_the_second_is_its_own_figure_over_its_period_beside_what_it_allows() -> None:
    capacity = replace(CAPACITY, table_write_units_per_s=40)
    used = series("table_write_units", 390, 410, resolution_s=10)
    found = (series("table_write_throttles", 500), used, series("write_units", 94))
    reason = limited(QUIET, *found, capacity=capacity)[1]
    assert "500 accesses throttled, 800 write units used, at most 41 per second over 10 s" in reason
    assert reason.endswith("; the table allows 40 per second")


def held_back(drain_s: float, *, taken: int) -> Judgement:
    """Late, and throttled by Lambda; `taken` of 1,000 events per second were accepted."""
    sent = QUIET._replace(
        late=2_800, late_max_ms=1_291, taken=[(second, taken) for second in range(10)], due_s=10, elapsed_s=10.1
    )
    found = (
        series("lambda_throttles", 64, resolution_s=60),
        series("invocations", 36, resolution_s=60),
        series("concurrent_executions", 1, statistic="max", resolution_s=60),
        series("processed", *[500.0] * 22),
    )
    return judge(sent, found, replace(CAPACITY, reserved_concurrency=1), drain_s)


def test_lateness_that_cost_nothing_of_the_pace_does_not_come_before_a_target_that_left_work_behind() -> None:
    judgement = held_back(12.0, taken=995)
    assert judgement.limited_by == "reserved concurrency"
    assert [(also.limit, also.share) for also in judgement.also if also.limit == "sender: late"] == [
        ("sender: late", 0.28)
    ]
    assert held_back(12.0, taken=900).limited_by == "sender: late"  # it did cost some of it
    assert held_back(0.5, taken=995).limited_by == "sender: late"  # nothing was left behind


def test_a_limit_that_held_nothing_up_keeps_its_share_and_is_not_named() -> None:
    judgement = judge(QUIET._replace(late=5_000, late_max_ms=300), [], CAPACITY)
    assert [(also.limit, also.share, also.is_limit) for also in judgement.also] == [("sender: late", 0.5, False)]


def throttled_now_and_then(*ages_ms: float) -> Judgement:
    found = (
        series("lambda_throttles", 9, resolution_s=60),
        series("invocations", 91, resolution_s=60),
        series("processed", *[1_000.0] * 10),
        series("event_age_ms", *ages_ms, statistic="max"),
    )
    return judge(QUIET, found, replace(CAPACITY, reserved_concurrency=1), 0.4)


def test_throttles_that_left_nothing_limit_nothing_unless_records_grew_old_meanwhile() -> None:
    judgement = throttled_now_and_then(*[300.0] * 9, 4_000.0)
    assert judgement.limited_by == "nothing"
    (also,) = judgement.also
    assert judgement.reason.endswith("as it was offered; the limits that it touched held nothing up")
    assert also.limit == "reserved concurrency"
    assert also.share == pytest.approx(0.09)
    assert also.reason.endswith(", but nothing was left when sending ended")
    held_up = throttled_now_and_then(*[300.0] * 4, *[4_000.0] * 4, 300.0, 300.0)
    assert held_up.limited_by == "reserved concurrency"
    assert "nothing was left" not in held_up.reason


@pytest.mark.parametrize(
    ("reserved", "account", "advice", "who"),
    [
        (1, 1000, "more reserved concurrency, or a faster function", "1 execution that 8 lanes share"),
        (None, 3, "more account concurrency, or a faster function", "3 executions that 8 lanes share"),
        (8, 1000, "more shards or a higher parallelization factor, or a faster function", "8 lanes"),
    ],
)
def test_what_would_help_follows_from_whether_lanes_or_executions_are_fewer(
    reserved: int | None, account: int, advice: str, who: str
) -> None:
    capacity = replace(CAPACITY, reserved_concurrency=reserved, account_concurrency=account)
    most = float(capacity.at_once or 0)
    busy = series("concurrency", *[most] * 10, statistic="mean")
    limit, reason = limited(QUIET, busy, capacity=capacity)
    assert limit == "function time"
    assert reason.endswith(f"90% or more of {who} ran in 10 of 10 seconds; {advice}")
    behind = (
        series("event_age_ms", *[1_000.0 * second for second in range(1, 19)], statistic="max"),
        series("processed", *[800.0] * 10, 1_500.0, 500.0),
        series("lanes_with_work", *[most] * 11, 0.0, statistic="max"),
    )
    reason = limited(QUIET, *behind, capacity=capacity, drain_s=8.0)[1]
    assert reason.endswith(f"had work in 11 of 12 seconds: {advice}")


def test_a_throttled_quarantine_is_named_and_not_only_the_batches_that_fail_by_it() -> None:
    found = (
        series("quarantine_throttles", 400, 100),
        series("quarantine_write_units", 90, 110),
        series("batch_item_failures", 900),
        series("batch_records", 1_000),
    )
    judgement = judge(QUIET, found, CAPACITY)
    assert judgement.limited_by == "quarantine write capacity"
    assert "500 accesses throttled" in judgement.reason
    assert [also.limit for also in judgement.also] == ["failing batches"]
    assert limited(QUIET, series("quarantine_throttles", 1), series("quarantine_write_units", 900))[0] == "nothing"


def test_all_lanes_busy_is_the_functions_time() -> None:
    limit, reason = limited(QUIET, series("concurrency", *[7.9] * 8, 2.0, 1.0, statistic="mean"))
    assert limit == "function time"
    assert "all lanes busy: 90% or more of 8 lanes ran in 8 of 10 seconds" in reason


def test_lanes_that_are_busy_with_all_there_is_limit_nothing() -> None:
    """Small batches one after the other: every lane is busy, and nothing waits."""
    found = (series("concurrency", *[8.0] * 10, statistic="mean"), series("processed", *[1_000.0] * 10, 200.0))
    judgement = judge(QUIET, found, CAPACITY, 0.8)
    assert judgement.limited_by == "nothing"
    assert "nothing was left when sending ended" in judgement.also[0].reason
    assert limited(QUIET, *found, drain_s=2.0)[0] == "function time"
    batches = series("batches", *[16.0] * 10)  # each of half a second: one is under way, and one waits for it
    assert limited(QUIET, *found, batches, drain_s=1.9)[0] == "nothing"
    assert limited(QUIET, *found, batches, drain_s=2.1)[0] == "function time"


def test_lanes_that_are_busy_now_and_then_are_no_limit() -> None:
    assert limited(QUIET, series("concurrency", *[8.0] * 4, *[1.0] * 6, statistic="mean"))[0] == "nothing"


def test_refused_reads_are_the_shards_read_quota() -> None:
    assert limited(QUIET, series("read_throttles", 40, 50))[0] == "shard read quota"
    assert limited(QUIET, series("read_throttles", 5))[0] == "nothing"


def test_failing_batches_are_named_with_both_kinds() -> None:
    found = (
        series("batch_item_failures", 300),
        series("batch_records", 1_000),
        series("function_errors", 7),
        series("invocations", 70),
    )
    limit, reason = limited(QUIET, *found)
    assert limit == "failing batches"
    assert "300 Kinesis records reported as batch item failures and 7 invocations that ended in an error" in reason


def test_one_key_per_batch_while_lanes_are_idle_and_the_backlog_drains_slowly_is_the_partition_keys() -> None:
    found = (
        series("effective_parallelism", 1.0, 1.0, statistic="mean"),
        series("batch_size", 800.0, 900.0, statistic="mean"),
        series("concurrency", 1.9, 2.0, statistic="mean"),
    )
    assert limited(QUIET, *found, drain_s=60.0)[0] == "partition keys"
    assert limited(QUIET, *found, drain_s=1.0)[0] == "nothing"


NAMES = (
    "lambda_throttles", "invocations", "concurrent_executions", "table_write_throttles", "write_units", "read_throttles",
    "batch_item_failures", "batch_records", "batches", "function_errors", "concurrency", "effective_parallelism",
    "batch_size", "quarantine_throttles", "quarantine_write_units", "processed", "event_age_ms",
)  # fmt: skip
VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=5)


@given(
    st.dictionaries(st.sampled_from(NAMES), VALUES),
    st.integers(0, 10_000),
    st.dictionaries(st.sampled_from(["shardId-0", "unknown"]), st.integers(1, 1000)),
    st.builds(Capacity, shards=st.none() | st.integers(1, 9), parallelization_factor=st.none() | st.integers(1, 10),
              reserved_concurrency=st.none() | st.integers(0, 9)),
)  # fmt: skip
def test_whatever_was_measured_there_is_one_judgement_whose_reason_begins_with_its_limit(
    measured: dict[str, list[float]], late: int, by_shard: dict[str, int], capacity: Capacity
) -> None:
    sent = QUIET._replace(
        late=late,
        late_max_ms=late,
        throttled=by_shard,
        attempts=1_000 + sum(by_shard.values()),
        taken=[(second, 1_000) for second in range(10)],
    )
    found: list[Any] = [series(name, *values) for name, values in measured.items()]
    judgement = judge(sent, found, capacity, None)
    assert judgement.limited_by == "nothing" or judgement.reason.startswith(judgement.limited_by)
    for also in judgement.also:
        assert 0 <= also.share <= 1
        assert also.reason.startswith(also.limit)


@pytest.mark.parametrize(("is_complete", "limit"), [(False, "event source mapping"), (True, "nothing")])
def test_a_mapping_that_was_disabled_limits_a_load_that_was_not_processed_whole(is_complete: bool, limit: str) -> None:
    stopped = Capacity(stopped="the event source mapping is Disabled")
    found = judge(Sent(10, 0, 0.0, 1, {}, {}, 1, 100, 1.0), [], stopped, is_complete=is_complete)
    assert found.limited_by == limit
    assert ("is Disabled" in found.reason) == (not is_complete)
    assert "stopped" not in stopped.as_json()
