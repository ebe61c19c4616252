"""docs/loadgen-report.md names exactly what the files have."""

import json
import re
from pathlib import Path

import pytest

from loadgen.observing.stack_metrics import METRICS
from loadgen.outcome.histogram import Histogram
from loadgen.outcome.ledger import Expectations, Findings, settle
from loadgen.outcome.metrics import SECOND_BITS, Metrics
from loadgen.outcome.results import PutResult, encode
from loadgen.showing import report
from loadgen.target.commits import CommitLatency
from loadgen.target.function_log import Batch, Invocation
from loadgen.target.lanes import at_once
from loadgen.target.series import of_function

DOCUMENT = (Path(__file__).parents[3] / "docs" / "loadgen-report.md").read_text()


def documented(heading: str) -> list[str]:
    """The names in the first column of the table under a heading."""
    section = re.split(r"^#+ ", DOCUMENT.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `([a-z0-9_]+)` \|", section, flags=re.MULTILINE)


def a_report() -> dict[str, object]:
    return report.document(
        command=[],
        started_at="",
        problem=None,
        configuration={},
        metrics=Metrics(0),
        ledger=settle(Expectations(()), Findings()),
        drain_s=0.0,
        unread=report.Unread(),
        checked=[],
    )


def test_every_named_number_is_documented_and_no_other() -> None:
    assert documented("`numbers`") == sorted(report.known_numbers(), key=documented("`numbers`").index)
    assert len(documented("`numbers`")) == len(report.known_numbers())


def test_every_field_of_the_report_is_documented_and_no_other() -> None:
    assert set(documented("`report.json`")) == a_report().keys() == report.FIELDS


def test_every_term_of_the_ledger_is_documented_and_no_other() -> None:
    ledger = a_report()["ledger"]
    assert isinstance(ledger, dict)
    assert set(documented("`ledger`")) == ledger.keys()


@pytest.mark.parametrize("failed", [None, "DeadlineExceeded"])
def test_every_field_of_a_line_of_results_is_documented_and_no_other(failed: str | None) -> None:
    line = json.loads(encode(PutResult("k", (0,), 0, 1, 1, 1, 0, 0, None, None, (), failed, False)))
    absent = "failed_us" if failed is None else "acknowledged_us"
    assert set(documented("`results.jsonl`")) == line.keys() | {absent}


def test_every_column_of_the_timeline_is_documented() -> None:
    metrics = Metrics(0)
    metrics.add(PutResult("k", (0,), 0, 1, 1, 1, 0, 0, "s", "1", (), None, False))
    (line,) = [line for line in DOCUMENT.splitlines() if line.startswith("| `timeline`")]
    assert all(f"`{name}`" in line for name in metrics.timeline()[0])


def test_every_series_that_can_be_in_a_report_is_documented() -> None:
    ran = [Invocation(1_500, 500.0, 9.0, 60, timed_out=False)]
    batches = [Batch(1_000, 3, 1, 9, 8, 2.0, 2, 5.0, ("7",), 30.0)]
    named = CommitLatency(seconds={0: Histogram(SECOND_BITS)}).series()
    made = [*of_function(batches, ran, 0.0, 100), *at_once(ran, 0.0), *named]
    names = {one.name for one in made} | {metric.series for metric in METRICS}
    section = DOCUMENT.split("The series of the sender:")[1].split("\n\n")[0]
    assert len(names) > 30
    assert names <= set(re.findall(r"`([a-z0-9_]+)`", section))
    assert f"({len(METRICS)} metrics a load)" in DOCUMENT


def test_the_schema_is_the_one_that_is_documented() -> None:
    assert f"schema `{report.SCHEMA}`" in DOCUMENT
