"""Measurements become data that CloudWatch would have: exact sums, bounded memory, EMF as AWS reads it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.metrics import (
    Invocation,
    Measurement,
    MetricBuffer,
    embedded,
    of_invocation,
    of_mapping,
    of_shards,
)
from infra.model.metrics.buffer import RESOLUTION, VALUES_MAX
from infra.model.shard import ShardCounters


def measured(value: float, time_s: float = 0.0, name: str = "m") -> Measurement:
    return Measurement("n", name, (("d", "v"),), "Count", value, time_s)


@given(st.lists(st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6), min_size=1, max_size=400))
def test_sum_number_and_extremes_are_exact_whatever_was_measured(values: list[float]) -> None:
    buffer = MetricBuffer()
    for value in values:
        buffer.add(measured(value))
    (datum,) = buffer.take()
    assert sum(datum.counts) == len(values)
    assert (min(datum.values), max(datum.values)) == pytest.approx((min(values), max(values)))
    weighted = sum(value * count for value, count in zip(datum.values, datum.counts, strict=True))
    assert weighted == pytest.approx(sum(values), rel=1e-9, abs=1e-3)


def test_many_different_values_stay_few_and_close_to_what_was_measured() -> None:
    buffer = MetricBuffer()
    values = [1 + number / 7 for number in range(50_000)]
    for value in values:
        buffer.add(measured(value))
    (datum,) = buffer.take()
    assert len(datum.values) < 2 * VALUES_MAX + 500
    half = len(values) // 2
    seen = 0
    for value, count in zip(datum.values, datum.counts, strict=True):
        seen += count
        if seen > half:
            assert value == pytest.approx(values[half], rel=2 * RESOLUTION)
            break


def test_minutes_are_apart_and_stamped_with_their_newest_measurement() -> None:
    buffer = MetricBuffer()
    for time_s in (59.0, 61.0, 30.0, 75.0):
        buffer.add(measured(1, time_s))
    assert [(datum.time_s, datum.counts) for datum in buffer.take()] == [(59.0, (2,)), (75.0, (2,))]


def test_what_was_taken_is_not_given_again() -> None:
    buffer = MetricBuffer()
    buffer.add(measured(1))
    assert len(buffer.take()) == 1
    assert buffer.take() == []


def test_metrics_without_end_are_bounded_and_counted() -> None:
    buffer = MetricBuffer(metrics_max=3)
    for number in range(10):
        buffer.add(measured(1, name=f"m{number}"))
    buffer.add(measured(2, name="m0"))
    assert buffer.dropped == 7
    assert [datum.name for datum in buffer.take()] == ["m0", "m1", "m2"]


# -- EMF -----------------------------------------------------------------------------------------------------------


def emf(**changes: object) -> str:
    document = {
        "_aws": {
            "Timestamp": 1_500,
            "CloudWatchMetrics": [
                {"Namespace": "N", "Dimensions": [["b", "a"], []], "Metrics": [{"Name": "m", "Unit": "Count"}]}
            ],
        },
        "a": "1",
        "b": "2",
        "m": 3,
    }
    return json.dumps({**document, **changes})


def test_a_metric_is_published_under_every_dimension_set() -> None:
    assert embedded(emf()) == [
        Measurement("N", "m", (("a", "1"), ("b", "2")), "Count", 3.0, 1.5),
        Measurement("N", "m", (), "Count", 3.0, 1.5),
    ]


def test_a_list_is_as_many_measurements() -> None:
    assert [each.value for each in embedded(emf(m=[1, 2.5]))] == [1, 1, 2.5, 2.5]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "START RequestId: 1",
        '{"_aws": {}}',
        '{"_aws": 1}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [1]}}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics"',
        emf(m="3"),
        emf(m=None),
        emf(m=True),
        emf(m=[]),
        emf(m=float("nan")),
        '{"_aws": ' + "[" * 100_000,
    ],
)
def test_what_is_not_emf_is_a_log_line_and_nothing_more(line: str) -> None:
    assert embedded(line) == []


def test_a_dimension_that_is_not_there_takes_only_its_own_set_along() -> None:
    assert [each.dimensions for each in embedded(emf(b=7))] == [()]


@given(st.text() | st.text().map(lambda text: '{"_aws"' + text))
def test_no_log_line_raises(line: str) -> None:
    embedded(line)


# -- what AWS publishes --------------------------------------------------------------------------------------------

ENDED = Invocation("f", throttled=False, failed=True, began_s=100.0, duration_ms=61_000.0, concurrent=4)


def test_errors_are_stamped_with_the_time_the_invocation_began() -> None:
    """Fact 8.7."""
    found = {each.name: each for each in of_invocation(ENDED, 161.0)}
    assert (found["Errors"].value, found["Errors"].time_s) == (1, 100.0)
    assert (found["Invocations"].value, found["Invocations"].time_s) == (1, 100.0)
    assert (found["Duration"].value, found["Duration"].unit) == (61_000.0, "Milliseconds")
    assert found["ConcurrentExecutions"].value == 4
    assert {each.dimensions for each in found.values()} == {(("FunctionName", "f"),)}


def test_a_throttled_call_is_neither_an_invocation_nor_an_error() -> None:
    """Fact 8.7."""
    assert [(each.name, each.value) for each in of_invocation(Invocation("f", True), 1.0)] == [("Throttles", 1)]


@pytest.mark.parametrize(
    ("provisioned", "spilled_over", "counted"), [(True, False, (1, 0)), (False, True, (0, 1)), (False, False, None)]
)
def test_invocations_on_provisioned_concurrency_and_those_that_spilled_over_are_counted_where_there_is_some(
    provisioned: bool, spilled_over: bool, counted: tuple[int, int] | None
) -> None:
    """AWS: monitoring-concurrency. Without provisioned concurrency neither metric is there."""
    ended = replace(ENDED, provisioned=provisioned, spilled_over=spilled_over)
    found = {each.name: each for each in of_invocation(ended, 161.0) if each.name.startswith("Provisioned")}
    names = ("ProvisionedConcurrencyInvocations", "ProvisionedConcurrencySpilloverInvocations")
    assert found.keys() == (set() if counted is None else set(names))
    if counted is not None:
        assert tuple(found[name].value for name in names) == counted
        assert {(each.unit, each.time_s, each.dimensions) for each in found.values()} == {
            ("Count", 100.0, (("FunctionName", "f"),))
        }


def test_a_success_is_no_error() -> None:
    found = {each.name: each.value for each in of_invocation(replace(ENDED, failed=False), 161.0)}
    assert (found["Invocations"], found["Errors"], found["Throttles"]) == (1, 0, 0)


@pytest.mark.parametrize(("name", "unit"), [("IteratorAge", "Milliseconds"), ("PolledEventCount", "Count")])
def test_a_mappings_metric_has_its_dimension_and_unit(name: str, unit: str) -> None:
    found = of_mapping("EventSourceMappingUUID", "u", name, 7, 1.0)
    assert (found.dimensions, found.unit, found.value) == ((("EventSourceMappingUUID", "u"),), unit, 7)


def test_a_stream_has_what_happened_since_the_last_reading_in_all_and_by_shard() -> None:
    before = {"s0": ShardCounters(incoming_records=10, incoming_bytes=100), "s1": ShardCounters(incoming_records=5)}
    after = {
        "s0": ShardCounters(incoming_records=12, incoming_bytes=150, write_provisioned_throughput_exceeded=1),
        "s1": ShardCounters(incoming_records=5),
        "s2": ShardCounters(incoming_records=1, outgoing_bytes=9),
    }
    found = {(each.name, dict(each.dimensions).get("ShardId")): each.value for each in of_shards("x", before, after, 0)}
    assert found["IncomingRecords", "s0"] == 2
    assert found["IncomingRecords", None] == 3
    assert found["IncomingBytes", None] == 50
    assert found["WriteProvisionedThroughputExceeded", None] == 1
    assert (found["OutgoingBytes", "s2"], found["GetRecords.Bytes", None]) == (9, 9)
    assert not any(shard == "s1" for _, shard in found)


def test_a_quiet_stream_publishes_nothing() -> None:
    counters = {"s0": ShardCounters(incoming_records=10)}
    assert list(of_shards("x", counters, counters, 0)) == []
