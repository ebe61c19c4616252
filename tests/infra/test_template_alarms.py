"""Alarms and dashboard: every metric is one that AWS or our code publishes, every alarm tells somebody what to do."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.blueprint.stack import Stack
from processor.adapters.telemetry import BatchReport, Telemetry

STACK = {"stack_name": "stream-processor", "account_id": "000000000000", "region": "us-east-1"}

STREAM, FUNCTION, MAPPING = ("StreamName",), ("FunctionName",), ("EventSourceMappingUUID",)
SHARD = ("ShardId", "StreamName")
TABLE, INDEX, SERVICE = ("TableName",), ("GlobalSecondaryIndexName", "TableName"), ("service",)

# Every metric that is published, and with which dimensions (AWS: "Monitoring the Amazon Kinesis Data Streams service
# with Amazon CloudWatch", "Types of metrics for Lambda functions", "DynamoDB metrics and dimensions").
PUBLISHED: dict[tuple[str, str], set[tuple[str, ...]]] = {
    **{
        ("AWS/Kinesis", name): {STREAM}
        for name in (*("GetRecords.Bytes", "GetRecords.IteratorAgeMilliseconds", "PutRecords.FailedRecords"),)
    },
    **{
        ("AWS/Lambda", name): {FUNCTION}
        for name in (
            *("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "IteratorAge"),
            "DestinationDeliveryFailures",
        )
    },
    **{
        ("AWS/Lambda", name): {MAPPING}
        for name in (
            *("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount"),
            *("DroppedEventCount", "OnFailureDestinationDeliveredEventCount"),
        )
    },
    **{
        # Shard-level metrics have no prefix; the template asks for five of them.
        ("AWS/Kinesis", name): {STREAM, SHARD}
        for name in (
            *("IncomingBytes", "IncomingRecords"),
            *("WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded"),
        )
    },
    ("AWS/Kinesis", "IteratorAgeMilliseconds"): {SHARD},
    ("AWS/DynamoDB", "WriteThrottleEvents"): {TABLE, INDEX},
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): {TABLE, INDEX},
    **{
        ("StreamProcessor", name): {SERVICE}
        for name in (
            *("EventsIn", "EventsApplied", "EventsDuplicate", "RecordsFailed", "ItemsWritten", "WriteUnits"),
            *("CommitLatency", "BatchSize", "EffectiveParallelism", "EventAge"),
        )
    },
    ("StreamProcessor", "EventsQuarantined"): {SERVICE, ("reason", "service")},
}

# What the alarms of operations are: metric or expression over metrics, statistic, period, datapoints, bound, no data.
ALARMS = {
    "lag-crit": ("IteratorAge", "Maximum", 60, "3/3", "> 0.25", "notBreaching", "page"),
    "poller-dead": ("PolledEventCount", "SampleCount", 60, "5/5", "< 1", "breaching", "page"),
    "dropped": ("DroppedEventCount", "Sum", 60, "1/1", "> 0", "notBreaching", "page"),
    "on-failure": ("OnFailureDestinationDeliveredEventCount", "Sum", 300, "1/1", "> 0", "notBreaching", "ticket"),
    "delivery-failures": ("DestinationDeliveryFailures", "Sum", 60, "1/1", "> 0", "notBreaching", "page"),
    "fn-errors": ("Errors Invocations", "Sum", 60, "3/3", "> 0.01", "notBreaching", "page"),
    "fn-throttles": ("Throttles", "Sum", 60, "5/5", ">= 1", "notBreaching", "page"),
    "write-throttle": (
        *("IncomingRecords WriteProvisionedThroughputExceeded", "Sum", 60, "5/5", "> 0.01", "notBreaching", "ticket"),
    ),
    "ddb-throttle": ("WriteThrottleEvents", "Sum", 60, "5/5", "> 0", "notBreaching", "ticket"),
}
# A month's error budget of 0.1 % burnt 14.4, 6 and 3 times too fast: long window, short window, bound, severity.
BURN_RATES = {
    "fast": (3600, 300, 0.0144, "page"),
    "slow": (21600, 1800, 0.006, "page"),
    "creeping": (86400, 7200, 0.003, "ticket"),
}
COMPARISONS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": ">=",
    "LessThanThreshold": "<",
}


class Metric(NamedTuple):
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    stat: str
    period_s: int


@pytest.fixture(scope="module")
def stack(template_text: str) -> Stack:
    return Stack(template_text, {}, **STACK)


@pytest.fixture(scope="module")
def alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    """Metric alarms by their name without the stack's."""
    return {
        stack.name(key).removeprefix("stream-processor-"): stack.properties(key)
        for key, kind in stack.types().items()
        if kind == "AWS::CloudWatch::Alarm"
    }


@pytest.fixture(scope="module")
def composites(stack: Stack) -> dict[str, dict[str, Any]]:
    return {
        stack.name(key).removeprefix("stream-processor-quarantine-rate-"): stack.properties(key)
        for key, kind in stack.types().items()
        if kind == "AWS::CloudWatch::CompositeAlarm"
    }


@pytest.fixture(scope="module")
def widgets(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]
    return found


def metrics_of(alarm: dict[str, Any]) -> list[Metric]:
    if "MetricName" in alarm:
        given = {entry["Name"]: entry["Value"] for entry in alarm["Dimensions"]}
        return [Metric(alarm["Namespace"], alarm["MetricName"], given, alarm["Statistic"], alarm["Period"])]
    return [
        Metric(
            entry["MetricStat"]["Metric"]["Namespace"],
            entry["MetricStat"]["Metric"]["MetricName"],
            {dimension["Name"]: dimension["Value"] for dimension in entry["MetricStat"]["Metric"]["Dimensions"]},
            entry["MetricStat"]["Stat"],
            entry["MetricStat"]["Period"],
        )
        for entry in alarm["Metrics"]
        if "MetricStat" in entry
    ]


def graphed(widget: dict[str, Any]) -> Iterator[Metric]:
    for row in widget["properties"].get("metrics", ()):
        if isinstance(row[0], str):
            *words, options = row if isinstance(row[-1], dict) else [*row, {}]
            namespace, name, *pairs = words
            given = dict(zip(pairs[::2], pairs[1::2], strict=True))
            stat = options.get("stat", widget["properties"]["stat"])
            yield Metric(namespace, name, given, stat, widget["properties"]["period"])


def variables(expression: str) -> set[str]:
    """Names of other metrics in a metric math expression: words that are not functions."""
    return set(re.findall(r"\b[a-z][A-Za-z0-9_]*\b(?!\s*\()", re.sub(r"'[^']*'", "", expression)))


def assert_published(metric: Metric, stack: Stack) -> None:
    assert tuple(sorted(metric.dimensions)) in PUBLISHED[metric.namespace, metric.name], metric
    resources = {
        "StreamName": {stack.name("EventStream")},
        "FunctionName": {stack.name("StreamFunction")},
        "EventSourceMappingUUID": {stack.name("StreamMapping")},
        "TableName": {stack.name("ResultsTable"), stack.name("QuarantineTable")},
        "GlobalSecondaryIndexName": {"by-reason"},
        "service": {"stream-processor"},
    }
    for name, value in metric.dimensions.items():
        assert value in resources[name], metric


def test_every_metric_of_an_alarm_is_published_with_these_dimensions(
    stack: Stack, alarms: dict[str, dict[str, Any]]
) -> None:
    for alarm in alarms.values():
        assert metrics_of(alarm)
        for metric in metrics_of(alarm):
            assert_published(metric, stack)


def test_every_metric_of_the_dashboard_is_published_with_these_dimensions(
    stack: Stack, widgets: list[dict[str, Any]]
) -> None:
    metrics = [metric for widget in widgets for metric in graphed(widget)]
    assert len(metrics) > 40
    for metric in metrics:
        assert_published(metric, stack)


def test_a_search_of_the_dashboard_asks_for_published_dimensions(widgets: list[dict[str, Any]]) -> None:
    expressions = [
        row[0]["expression"]
        for widget in widgets
        for row in widget["properties"].get("metrics", ())
        if isinstance(row[0], dict) and "SEARCH" in row[0]["expression"]
    ]
    assert expressions
    for expression in expressions:
        found = re.fullmatch(
            r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<name>\w+)\""
            r" (?P<by>\w+)=\"(?P<value>[^\"]+)\"', 'Sum', \d+\)",
            expression,
        )
        assert found, expression
        namespace, *dimensions = found["schema"].split(",")
        assert tuple(sorted(dimensions)) in PUBLISHED[namespace, found["name"]]
        assert found["value"] == {"service": "stream-processor", "StreamName": "stream-processor-events"}[found["by"]]


def test_every_metric_of_ours_is_published_by_the_telemetry(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("stream-processor", "StreamProcessor", "INFO")
    telemetry.batch(BatchReport("arn", 1, "1", quarantined={"not_json": 1}, event_ages_ms=[1.0]))
    published: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for line in capsys.readouterr().out.splitlines():
        for group in json.loads(line).get("_aws", {}).get("CloudWatchMetrics", ()):
            for metric in group["Metrics"]:
                places = published.setdefault((group["Namespace"], metric["Name"]), set())
                places |= {tuple(sorted(dimensions)) for dimensions in group["Dimensions"]}
    assert published == {key: where for key, where in PUBLISHED.items() if key[0] == "StreamProcessor"}


def test_expressions_use_the_metrics_beside_them_and_all_of_those(
    alarms: dict[str, dict[str, Any]], widgets: list[dict[str, Any]]
) -> None:
    for name, alarm in alarms.items():
        entries = alarm.get("Metrics", [])
        inputs = {entry["Id"] for entry in entries if "MetricStat" in entry}
        returned = [entry for entry in entries if entry["ReturnData"]]
        if entries:
            assert len(returned) == 1, name
            assert variables(returned[0]["Expression"]) == inputs, name
    for widget in widgets:
        options = [row[-1] for row in widget["properties"].get("metrics", ()) if isinstance(row[-1], dict)]
        inputs = {option["id"] for option in options if option.get("visible") is False}
        used = {word for option in options for word in variables(option.get("expression", ""))}
        assert used == inputs, widget["properties"]["title"]


def test_the_runbook_has_an_entry_for_every_alarm_and_names_the_parts_of_the_composite_ones(
    alarms: dict[str, dict[str, Any]], composites: dict[str, dict[str, Any]]
) -> None:
    text = (Path(__file__).parents[2] / "docs/runbook.md").read_text()
    entries = {title.split("\n")[0] for title in text.split("\n## ")[1:]}
    parts = {name for name in alarms if name not in ALARMS}
    assert entries == set(ALARMS) | {f"quarantine-rate-{name}" for name in composites}
    for name in parts:
        assert name in text
    for name, alarm in alarms.items():
        severity = alarm["AlarmDescription"].split(":")[0]
        if name not in parts:
            assert f"\n## {name}\n\n*{severity}.*" in text, name


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_the_one_that_operations_asks_for(alarms: dict[str, dict[str, Any]], name: str) -> None:
    alarm = alarms[name]
    metrics, stat, period_s, points, bound, missing, severity = ALARMS[name]
    found = metrics_of(alarm)
    assert " ".join(sorted({metric.name for metric in found})) == metrics
    assert {(metric.stat, metric.period_s) for metric in found} == {(stat, period_s)}
    periods = alarm["EvaluationPeriods"]
    assert f"{alarm.get('DatapointsToAlarm', periods)}/{periods}" == points
    assert f"{COMPARISONS[alarm['ComparisonOperator']]} {alarm['Threshold']}" == bound
    assert alarm["TreatMissingData"] == missing
    assert alarm["AlarmDescription"].startswith(f"{severity}: ")


def test_every_alarm_tells_the_topic_and_its_description_is_the_first_step(
    stack: Stack, alarms: dict[str, dict[str, Any]], composites: dict[str, dict[str, Any]]
) -> None:
    topic = "arn:aws:sns:us-east-1:000000000000:stream-processor-alarms"
    rules = " ".join(composite["AlarmRule"] for composite in composites.values())
    parts = {name for name in alarms if f'"stream-processor-{name}"' in rules}
    assert set(alarms) == set(ALARMS) | parts
    for name, alarm in [*alarms.items(), *composites.items()]:
        if name in parts:
            assert "AlarmActions" not in alarm
            continue
        assert alarm["AlarmActions"] == [topic], name
        assert alarm["OKActions"] == [topic], name
        assert re.match(r"(page|ticket): .+First: .+", alarm["AlarmDescription"]), name
        assert len(alarm["AlarmDescription"]) <= 1024


@pytest.mark.parametrize("name", BURN_RATES)
def test_the_quarantine_rate_burns_a_month_of_0_1_percent_in_two_windows(
    alarms: dict[str, dict[str, Any]], composites: dict[str, dict[str, Any]], name: str
) -> None:
    long_s, short_s, bound, severity = BURN_RATES[name]
    names = re.findall(r'ALARM\("stream-processor-([^"]+)"\)', composites[name]["AlarmRule"])
    assert composites[name]["AlarmRule"].count(" AND ") == 1
    assert composites[name]["AlarmDescription"].startswith(f"{severity}: ")
    windows = [alarms[window] for window in names]
    assert [{metric.period_s for metric in metrics_of(window)} for window in windows] == [{long_s}, {short_s}]
    for window in windows:
        assert {metric.name for metric in metrics_of(window)} == {
            "EventsQuarantined",
            "EventsApplied",
            "EventsDuplicate",
        }
        assert (window["Threshold"], window["EvaluationPeriods"]) == (bound, 1)
        (expression,) = [entry["Expression"] for entry in window["Metrics"] if entry["ReturnData"]]
        assert "> 100," in expression


def test_the_stream_reports_the_shard_metrics_that_runbook_and_dashboard_use(
    stack: Stack, alarms: dict[str, dict[str, Any]], template_text: str
) -> None:
    wanted = {name for (namespace, name), where in PUBLISHED.items() if namespace == "AWS/Kinesis" and SHARD in where}
    assert set(stack.properties("EventStream")["DesiredShardLevelMetrics"]) == wanted
    assert "IteratorAgeMilliseconds" in alarms["lag-crit"]["AlarmDescription"]
    without = Stack(template_text, {"ShardMetrics": "false"}, **STACK)
    assert "DesiredShardLevelMetrics" not in without.properties("EventStream")


def test_no_alarm_looks_back_more_than_a_day(alarms: dict[str, dict[str, Any]]) -> None:
    for alarm in alarms.values():
        for metric in metrics_of(alarm):
            assert metric.period_s * alarm["EvaluationPeriods"] <= 86400
            assert metric.period_s % 60 == 0


def test_widgets_fill_a_grid_of_24_columns_without_overlap(widgets: list[dict[str, Any]]) -> None:
    cells = [
        (x, y)
        for widget in widgets
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))


def test_the_dashboard_shows_every_alarm_that_notifies(stack: Stack, widgets: list[dict[str, Any]]) -> None:
    (shown,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    notifying = {
        stack.arn(key)
        for key, kind in stack.types().items()
        if kind in {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
        and "AlarmActions" in stack.properties(key)
    }
    assert set(shown) == notifying


def test_lines_of_the_dashboard_are_the_bounds_of_the_alarms(
    alarms: dict[str, dict[str, Any]], widgets: list[dict[str, Any]]
) -> None:
    lines = {
        line["label"]: line["value"]
        for widget in widgets
        for line in widget["properties"].get("annotations", {}).get("horizontal", ())
    }
    assert lines == {
        "page": pytest.approx(100 * alarms["quarantine-rate-1h"]["Threshold"]),
        "ticket": pytest.approx(100 * alarms["quarantine-rate-24h"]["Threshold"]),
        "lag-crit": 100 * alarms["lag-crit"]["Threshold"],
        "a shard's limit, 1 MiB/s": 60 * 2**20,
    }
