"""The limit that was named stands in the report's page and on the terminal, and is what a running stack ran into."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from loadgen.outcome.ledger import Expectations, Findings, settle
from loadgen.outcome.metrics import THROTTLED, Metrics
from loadgen.outcome.results import PutResult
from loadgen.showing import report
from loadgen.showing.page import page
from loadgen.target.evidence import Capacity
from loadgen.target.observation import Observation
from loadgen.target.series import Series
from tests.support.local_stack import INFRA, Up

LOADGEN = str(Path(INFRA).with_name("loadgen"))


def made(observed: Observation, throttled: int = 0) -> dict[str, Any]:
    metrics = Metrics(10_000)
    for second in range(4):
        errors = (THROTTLED,) * throttled
        attempts = ((second * 1_000_000, "shardId-<1>"),) * throttled
        due_us = [second * 1_000_000]
        metrics.add(
            PutResult(
                "k", due_us, due_us[0], due_us[0] + 9, 1 + throttled, 9, 0, 0, "s", "1", errors, None, False, attempts
            )
        )
    return report.document(
        command=[], started_at="", problem=None, configuration={}, metrics=metrics,
        ledger=settle(Expectations(()), Findings()), drain_s=3.0, checked=[], unread=report.Unread(), observed=observed,
    )  # fmt: skip


def observed() -> Observation:
    points = tuple((second, 5.0 + second) for second in range(4))
    log = "the function's log"
    series = [
        Series("processed", "events", "sum", log, 1, points),
        Series("concurrency", "invocations", "mean", log, 1, points),
        Series("lambda_throttles", "invocations", "sum", "CloudWatch AWS/Lambda Throttles", 60, ((0, 120.0),)),
        Series("invocations", "invocations", "sum", "CloudWatch AWS/Lambda Invocations", 60, ((0, 40.0),)),
        Series("event_age_ms", "ms", "max", log, 1, points),
    ]
    return Observation(Capacity(shards=2, parallelization_factor=4, reserved_concurrency=4), series, missing=["x <y>"])


def test_the_page_says_the_limit_the_rest_and_what_was_not_observed_and_draws_the_series() -> None:
    shown = page(made(observed()))
    assert (
        "<h2>What limited it</h2><p class=note>Limited by reserved concurrency: 0 of 4 in use, 120 throttles" in shown
    )
    assert "Not observed: x &lt;y&gt;." in shown
    for title in ("Events per second<", "Invocations at the same time<", "Age of the oldest record, ms<"):
        assert f"<h3>{title}" in shown
    assert "<h3>Throttled, per second<" in shown
    assert "invocations (by 60 s) <b>2</b>" in shown
    assert "processed <b>max 8</b>" in shown
    assert "<header class=late>" in page(made(observed()) | {"passed": True}), "passed, and limited all the same"
    assert "<td>reserved concurrency<td>4" in shown


def test_a_throttled_shards_name_is_escaped_and_drawn_by_the_second() -> None:
    document = made(Observation(), throttled=3)
    assert document["limits"]["limited_by"] == "shard write quota"
    assert "throttled on shardId-&lt;1&gt;" in page(document)
    assert "<h3>Throttled, per second<" in page(document)


def test_the_shards_that_were_throttled_have_a_line_each() -> None:
    def shard(number: int) -> Series:
        return Series(f"write_throttles shardId-{number}", "records", "sum", "s", 1, ((0, 1.0 + number), (2, 1.0)))

    two = page(made(Observation(series=[shard(0), shard(1)])))
    assert "<h3>Kinesis records throttled, by shard<" in two
    assert "shardId-1 <b>max 2</b>" in two
    many = page(made(Observation(series=[shard(number) for number in range(9)])))
    assert "by shard (the 6 of 9 that had most)" in many
    assert "shardId-8" in many
    assert "shardId-2 <b>" not in many
    assert "by shard" not in page(made(Observation(series=[shard(0)])))


def test_what_was_tried_again_consumed_and_filled_has_its_chart_and_nothing_else_has() -> None:
    points = tuple((second, 0.5 + second) for second in range(4))
    named = {
        "batch_item_failures": "Tried again, Kinesis records per second",
        "table_read_units": "Capacity units per second",
        "batch_fill": "Fill of the batches, % of BatchSize",
        "cold_starts": "Cold starts per second",
        "commit_latency_p99_ms": "Latency, from due to committed, ms",
        "lanes_with_work": "Invocations at the same time",
    }
    for name, title in named.items():
        shown = page(made(Observation(series=[Series(name, "", "max", "x", 1, points)])))
        assert {other for other in named.values() if f"<h3>{other}<" in shown} == {title}
    assert "max 350" in page(made(Observation(series=[Series("batch_fill", "", "mean", "x", 1, points)])))


def test_an_older_report_without_limits_is_shown_as_before() -> None:
    document = made(observed())
    del document["limits"]
    shown = page(document)
    assert "What limited it" not in shown
    assert report.limit_sentences(document) == []


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A stack with one execution at a time."""
    up = Up(tmp_path_factory.mktemp("narrow") / "stderr", "--parameter", "ReservedConcurrency=1")
    try:
        yield up
    finally:
        up.stop()


def load(up: Up, out: Path, *arguments: str) -> dict[str, Any]:
    command = [LOADGEN, "run", "--endpoint-url", up.ready["endpoint_url"], "--out", str(out), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    document: dict[str, Any] = json.loads((out / "report.json").read_text())
    assert document["ledger"]["balanced"]
    assert document["numbers"]["commit_latency_p50_ms"] >= document["numbers"]["latency_p50_ms"]
    return document


@pytest.mark.slow
@pytest.mark.integration
def test_a_stack_with_one_execution_is_limited_by_it_and_a_narrow_table_by_its_capacity(
    narrow: Up, tmp_path: Path
) -> None:
    limits = load(narrow, tmp_path / "one", "--rate", "600", "--duration", "6", "--processes", "2")["limits"]
    seen = {limits["limited_by"], *(also["limit"] for also in limits["also"])}
    assert "reserved concurrency" in seen
    assert limits["missing"] == []
    table = f"{narrow.ready['endpoint_url']}/_local/tables/{narrow.ready['tables'][0]}"
    urlopen(Request(table, method="PUT", data=b'{"write_units_per_s": 40, "burst_s": 1}')).read()
    limits = load(narrow, tmp_path / "two", "--rate", "200", "--duration", "6")["limits"]
    assert limits["limited_by"] == "table write capacity"
    urlopen(Request(table, method="DELETE")).read()


@pytest.mark.slow
@pytest.mark.integration
def test_a_backlog_of_a_running_stack_drains_whole(narrow: Up, tmp_path: Path) -> None:
    arguments = ("--rate", "500", "--duration", "4", "--profile", "backlog", "--processes", "2")
    numbers = load(narrow, tmp_path, *arguments)["numbers"]
    assert numbers["drained_events"] == numbers["sent"] == 2000
    assert numbers["drain_events_per_s"] == pytest.approx(2000 / numbers["drain_s"], rel=0.01)
    lambda_client = narrow.client("lambda")
    (mapping,) = lambda_client.list_event_source_mappings()["EventSourceMappings"]
    assert mapping["State"] in ("Enabled", "Enabling")
