"""What the target's log and metrics say, as series, numbers and latencies: nothing is made up where nothing was said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.outcome.metrics import THROTTLED, Metrics
from loadgen.outcome.results import PutResult, encode
from loadgen.target.commits import commits, latencies, named
from loadgen.target.evidence import Sent
from loadgen.target.function_log import Batch, Invocation, read
from loadgen.target.observation import Observation, limits, numbers, rows, sent
from loadgen.target.series import Series, of_function, running
from processor.adapters.telemetry import BatchReport, Telemetry

REPORT = (
    "REPORT RequestId: 6f7f0961-aaaa\tDuration: 123.45 ms\tBilled Duration: 124 ms\tMemory Size: 512 MB\t"
    "Max Memory Used: 71 MB"
)


def batch(at_ms: int, committed: tuple[str, ...] = (), records: int = 10, failed: int = 0, keys: int = 3) -> Batch:
    return Batch(at_ms, records, failed, 100, 90, 7.0, keys, 5.0, committed, 800.0)


def test_the_processors_own_line_is_read_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    report = BatchReport(
        "arn", 4, "1", events_in=9, applied=7, records_failed=1, write_units=3, commit_latency_ms=12.5,
        effective_parallelism=2, event_ages_ms=[30.0, 20.0], committed=["49", "50"], quarantined={"not_json": 2},
    )  # fmt: skip
    Telemetry("service", "StreamProcessor", "INFO").batch(report)
    lines = capsys.readouterr().out.splitlines()
    ((found, line),) = [(found, line) for line in lines if (found := read(0, line)) is not None]
    assert isinstance(found, Batch)
    assert found.at_ms == json.loads(line)["_aws"]["Timestamp"]
    assert found[1:] == (4, 1, 9, 7, 3.0, 2, 12.5, ("49", "50"), 30.0, 2)


def test_a_report_line_is_an_invocation_cold_or_warm_in_time_or_not() -> None:
    assert read(5, REPORT) == Invocation(5, 123.45, None, 71, False)
    assert read(5, f"{REPORT}\tInit Duration: 250.10 ms\t") == Invocation(5, 123.45, 250.1, 71, False)
    timed_out = read(5, f"{REPORT}\tStatus: timeout")
    assert isinstance(timed_out, Invocation)
    assert timed_out.timed_out


@given(st.text() | st.text().map(lambda text: '{"_aws": {}, "BatchSize": ' + text) | st.text().map("REPORT ".__add__))
def test_any_other_line_is_passed_over(line: str) -> None:
    assert read(0, line) is None or line.startswith("REPORT RequestId")


def put(number: str, due_us: list[int]) -> PutResult:
    return PutResult("k", due_us, 0, 10, 1, 10, 0, 0, "shardId-0", number, (), None, False)


def test_latency_to_the_commit_counts_from_when_an_event_was_due_and_for_the_records_between() -> None:
    known = commits([batch(1_000_900, ("7", "9"), records=10)])
    lines = [encode(put(number, [0, 100_000])) + "\n" for number in ("7", "8", "9")]
    found = latencies(lines, known, started_s=1000.0)
    histogram = found.whole
    assert histogram.count == 2 * 2 * 5
    assert histogram.highest == 900_000
    assert named(histogram)["commit_latency_mean_ms"] == 850
    assert set(named(latencies(lines, {}, 1000.0).whole).values()) == {None}


def test_latency_to_the_commit_is_known_second_by_second() -> None:
    known = commits([batch(1_000_900, ("7",), records=1), batch(1_002_500, ("8",), records=1)])
    lines = [encode(put("7", [100_000, 800_000])) + "\n", encode(put("8", [2_000_000])) + "\n"]
    p50, p99 = latencies(lines, known, started_s=1000.0).series()
    assert (p50.name, p99.name, p50.statistic) == ("commit_latency_p50_ms", "commit_latency_p99_ms", "p50")
    assert [second for second, _ in p50.points] == [0, 2]
    assert [value for _, value in p50.points] == pytest.approx([100, 500], rel=0.02)
    assert [value for _, value in p99.points] == pytest.approx([800, 500], rel=0.02)
    assert latencies(lines, {}, 1000.0).series() == []


def test_a_record_that_is_delivered_again_was_committed_when_it_was_first() -> None:
    known = commits([batch(2_000, ("7",)), batch(1_000, ("7",)), batch(3_000, ("7",))])
    assert known["7"].at_ms == 1_000


def test_batches_and_invocations_become_series_by_the_second_of_the_load() -> None:
    found = [batch(10_500, keys=2), batch(10_600, keys=4, failed=3), batch(12_000), batch(9_000)]
    ran = [Invocation(11_500, 1_000.0, 200.0, 60, False), Invocation(11_250, 250.0, None, 60, False)]
    series = {one.name: one for one in of_function(found, ran, 10.0, 100)}
    assert series["batches"].points == ((0, 2), (2, 1))  # what was before the load is not the load's
    assert series["effective_parallelism"].points == ((0, 3.0), (2, 3.0))
    assert series["batch_item_failures"].points == ((0, 3.0), (2, 0.0))
    assert series["batch_fill"].points == ((0, 0.1), (2, 0.1))
    assert series["concurrency"].points == ((0, 0.5), (1, 0.75))
    assert series["cold_starts"].points == ((0, 1),)
    assert {one.resolution_s for one in series.values()} == {1}


@given(st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 5_000)), max_size=20))
def test_the_time_that_invocations_ran_is_the_sum_of_their_durations(ran: list[tuple[int, float]]) -> None:
    invocations = [Invocation(at_ms, duration_ms, None, None, False) for at_ms, duration_ms in ran]
    busy_s = sum(running(invocations, 0.0).values())
    assert busy_s == pytest.approx(sum(duration_ms for _, duration_ms in ran) / 1000, abs=1e-6)


def test_what_was_not_observed_is_null_and_what_was_without_any_is_0() -> None:
    assert set(numbers(Observation()).values()) == {None}
    metric = Series("invocations", "", "sum", "CloudWatch AWS/Lambda Invocations", 60, ((0, 5.0),))
    found = numbers(Observation(series=[metric]))
    assert (found["invocations_observed"], found["lambda_throttles"], found["cold_starts"]) == (5.0, 0, None)


def test_a_log_alone_says_nothing_of_cloudwatchs_counts_so_no_threshold_passes_by_them() -> None:
    latency = latencies([encode(put("7", [0])) + "\n"], commits([batch(1_000, ("7",))]), 0.0)
    found = numbers(Observation(series=latency.series()))
    counts = ("read_throttles", "lambda_throttles", "function_errors", "table_throttles", "invocations_observed")
    assert [found[name] for name in counts] == [None] * len(counts)


def test_what_was_consumed_delivered_again_and_how_old_it_became_have_names() -> None:
    def cloudwatch(name: str, value: float) -> Series:
        return Series(name, "", "sum", "CloudWatch", 60, ((0, value),))

    log = [
        Series(name, "", "max", "the function's log", 1, ((0, 3.0), (1, 4.0)))
        for name in ("event_age_ms", "lanes_with_work")
    ]
    metrics = [cloudwatch("polled", 900.0), cloudwatch("invoked", 1_000.0), cloudwatch("table_write_units", 70.0)]
    found = numbers(Observation(series=[*metrics, *log]))
    assert (found["redelivered_records"], found["table_write_units"], found["table_read_units"]) == (100.0, 70.0, None)
    assert (found["event_age_max_ms"], found["lanes_with_work_max"]) == (4.0, 4.0)
    assert found["quarantine_write_units"] == 0  # write units are published, and of this table there were none
    assert numbers(Observation(series=metrics[:2]))["quarantine_write_units"] is None


def test_a_load_without_a_schedule_has_no_latency_to_the_commit() -> None:
    known = commits([batch(1_000, ("7",))])
    observed = Observation(commit_latency=latencies([encode(put("7", [0])) + "\n"], known, 0.0).whole)
    assert numbers(observed, scheduled=False)["commit_latency_max_ms"] is None
    assert numbers(observed)["commit_latency_max_ms"] == 1000


def test_the_reports_limits_rest_on_the_senders_and_the_targets_series() -> None:
    metrics = Metrics(10_000)
    errors, attempts = (THROTTLED,) * 2, ((0, "shardId-4"), (1_000_000, "shardId-4"))
    metrics.add(PutResult("k", [0], 0, 1_500_000, 3, 10, 0, 0, "s", "1", errors, None, False, attempts))
    told = limits(Observation(missing=["the function's log: no"]), metrics, None)
    assert told["limited_by"] == "shard write quota"
    assert "throttled on shardId-4" in told["reason"]
    (series,) = told["series"]
    assert (series["name"], series["points"]) == ("write_throttles shardId-4", [[0, 1], [1, 1]])
    assert told["missing"] == ["the function's log: no"]
    assert json.loads(json.dumps(told)) == told


def test_the_senders_part_of_the_evidence_is_in_the_units_of_its_names() -> None:
    metrics = Metrics(10_000)
    errors, attempts = (THROTTLED, "InternalFailure"), ((0, "shardId-4"), (1_000_000, None))
    metrics.add(PutResult("k", [0, 0], 1_500_000, 4_000_000, 3, 700, 0, 0, "s", "1", errors, None, False, attempts))
    assert sent(metrics) == Sent(
        2,
        2,
        1_500.0,
        3,
        {"shardId-4": 1},
        {"InternalFailure": 1},
        1,
        700,
        4.0,
        set(),
        [(0, 0), (1, 0), (4, 2)],
        due_s=1,
    )


def test_a_row_has_rates_of_sums_and_holds_other_values_for_their_period() -> None:
    coarse = Series("throttles", "", "sum", "x", 10, ((-5, 100.0), (5, 50.0))).as_json()
    age = Series("age", "", "max", "x", 10, ((0, 7.0),)).as_json()
    made = rows([coarse, age], 12)
    assert [row["throttles"] for row in made] == [10.0] * 5 + [5.0] * 7
    assert [row["age"] for row in made] == [7.0] * 10 + [None] * 2
