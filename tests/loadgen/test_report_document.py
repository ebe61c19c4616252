"""docs/loadgen-report.md names exactly what the files have."""

import json
import re
from pathlib import Path

import pytest

from loadgen import report
from loadgen.ledger import Expectations, Findings, settle
from loadgen.metrics import Metrics
from loadgen.results import PutResult, encode

DOCUMENT = (Path(__file__).parents[2] / "docs" / "loadgen-report.md").read_text()


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


def test_the_schema_is_the_one_that_is_documented() -> None:
    assert f"schema `{report.SCHEMA}`" in DOCUMENT
