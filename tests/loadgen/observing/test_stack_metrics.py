"""Seconds of CloudWatch's series say whether their period began before the load; what others did in it is left out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.ops.outputs import Connection, Target
from loadgen.observing.observe import Observer
from loadgen.observing.stack_metrics import METRICS, StackMetrics
from tests.support.deployed import STACK

KNOWN = STACK._replace(function="stream", mapping_id="uuid")


class CloudWatch:
    """Has `values` of the invocations from 1000 s on, by 10 s. A function's log has `reports` of 500 ms."""

    def __init__(self, values: list[float], reports: list[int]) -> None:
        self.values, self.reports = values, reports

    def client(self, _service: str) -> "CloudWatch":
        return self

    def get_paginator(self, _name: str) -> "CloudWatch":
        return self

    def paginate(self, **_: object) -> list[dict[str, Any]]:
        number = [one.series for one in METRICS].index("invocations")
        times = [datetime.fromtimestamp(1000 + 10 * index, UTC) for index in range(len(self.values))]
        return [{"MetricDataResults": [{"Id": f"m{number}", "Timestamps": times, "Values": self.values}]}]

    def describe_stream_summary(self, **_: object) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "DescribeStreamSummary")

    def filter_log_events(self, **asked: Any) -> dict[str, Any]:
        lines = [
            {"timestamp": at_ms, "message": "REPORT RequestId: one\tDuration: 500.00 ms\t"}
            for at_ms in self.reports
            if asked["filterPattern"] == "REPORT" and asked["startTime"] <= at_ms <= asked["endTime"]
        ]
        return {"events": lines}


@pytest.fixture
def connection() -> Connection:
    return Connection(Target("http://127.0.0.1:9", None, "stack"))


@pytest.mark.parametrize(("started_s", "seconds"), [(1000.0, [0, 10]), (1000.3, [-1, 9]), (1009.9, [-10, 0])])
def test_a_period_that_began_before_the_load_has_a_negative_second(
    monkeypatch: pytest.MonkeyPatch, connection: Connection, started_s: float, seconds: list[int]
) -> None:
    monkeypatch.setattr(connection, "client", CloudWatch([5.0, 3.0], []).client)
    (series,) = StackMetrics(connection, KNOWN).between(started_s, started_s + 5)
    assert [second for second, _ in series.points] == seconds


@pytest.mark.parametrize(("counted", "points"), [(1.0, ((-5, 1.0), (5, 1.0))), (2.0, ((5, 1.0),))])
def test_what_others_ran_in_the_period_before_is_left_out_and_said_once(
    monkeypatch: pytest.MonkeyPatch, connection: Connection, counted: float, points: tuple[tuple[int, float], ...]
) -> None:
    monkeypatch.setattr(connection, "client", CloudWatch([counted, 1.0], [1_006_000, 1_013_000]).client)
    found = Observer(connection, KNOWN, lambda: False).observe(1005.0, 1015.0, 0.0)
    (series,) = [one for one in found.series if one.name == "invocations"]
    assert series.points == points
    said = [one for one in found.missing if "this load began (10 s long)" in one]
    assert (series.is_partial, len(said)) == (counted == 2.0, int(counted == 2.0))


def test_of_a_part_of_a_load_whose_rest_was_processed_later_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch, connection: Connection
) -> None:
    monkeypatch.setattr(connection, "client", CloudWatch([9.0], [1_006_000]).client)
    found = Observer(connection, KNOWN, lambda: False).observe(1005.0, 1007.0, 0.0, is_whole_load=False)
    (series,) = [one for one in found.series if one.name == "invocations"]
    assert (series.points, series.is_partial) == (((-5, 9.0),), False)
