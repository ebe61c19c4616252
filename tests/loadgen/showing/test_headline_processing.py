"""A load that was taken when it was due and processed more slowly says so in its first sentence."""

from dataclasses import replace
from typing import Any

import pytest

from loadgen.outcome.ledger import Ledger
from loadgen.showing import report
from loadgen.showing.headline import is_behind, processing
from loadgen.showing.page import page
from loadgen.target.evidence import Capacity
from loadgen.target.observation import Observation
from loadgen.target.series import CLOUDWATCH, LOG, Series
from tests.loadgen.showing.test_headline import of_seconds
from tests.loadgen.showing.test_verdict import BALANCED

ALL = replace(BALANCED, sent=2000, stored=2000)
THROTTLED = Series("table_write_throttles", "accesses", "sum", f"{CLOUDWATCH} AWS/DynamoDB", 10, ((0, 900.0),))


def processed(per_s: float, drain_s: float, of: int = 20) -> Series:
    """So many by the second while events were sent, the others in the time after it."""
    rest = max(0.0, of * (100 - per_s)) / max(1, round(drain_s))
    return Series(
        "processed", "events", "sum", LOG, 1,
        tuple((second, per_s if second < of else rest) for second in range(of + round(drain_s))),
    )  # fmt: skip


def made(
    drain_s: float, *series: Series, late: int = 0, ledger: Ledger = ALL, profile: str = "constant"
) -> dict[str, Any]:
    """100 events/s for 20 s."""
    return report.document(
        command=[], started_at="", problem=None, configuration={"duration": "20", "profile": profile},
        metrics=of_seconds(late), ledger=ledger, drain_s=drain_s, checked=[], unread=report.Unread(),
        observed=Observation(Capacity(shards=1, parallelization_factor=1, batching_window_s=1), series),
    )  # fmt: skip


def test_less_processed_than_accepted_is_the_first_sentence_with_the_limit_and_how_long_the_rest_took() -> None:
    document = made(27.4, processed(43, 27.4), THROTTLED)
    assert document["passed"]
    assert document["limits"]["limited_by"] == "table write capacity"
    assert document["verdict"].startswith(
        "43 of 100 offered events/s were processed, limited by table write capacity; the rest took 27 s more. "
        "The ledger balances"
    )
    assert "<header class=late>" in page(document)


def test_a_backlog_that_grew_is_said_when_nothing_says_what_kept_it_and_before_the_sending() -> None:
    document = made(27.4, processed(43, 27.4))
    assert document["limits"]["limited_by"] == "processing: behind"
    assert processing(document) == "43 of 100 offered events/s were processed; the rest took 27 s more."
    late = made(27.4, processed(43, 27.4), late=10)["verdict"]
    assert late.startswith("39 of 100 offered events/s were processed; the rest took 27 s more. 83 of 100 offered")


def test_without_the_functions_log_a_long_draining_tells_it() -> None:
    assert processing(made(21.0)) == "50 of 100 offered events/s were processed; the rest took 21 s more."
    assert processing(made(4.0)) == "", "what is always under way takes the window and a second"


@pytest.mark.parametrize("drain_s", [0.5, 1.9, 3.0])
def test_a_target_that_kept_up_is_not_said_to_be_behind_however_short_the_load(drain_s: float) -> None:
    document = made(drain_s, processed(97, drain_s))
    assert not is_behind(document)
    assert document["verdict"].startswith("The ledger balances")


def test_a_few_records_that_are_tried_again_for_long_are_not_a_target_that_is_behind() -> None:
    assert processing(made(40.0, processed(99.5, 40.0))) == ""


def test_a_backlog_on_purpose_is_not_behind() -> None:
    assert processing(made(27.4, profile="backlog")) == ""


def test_what_was_there_before_leaves_the_logs_rate_and_a_log_with_a_gap_none() -> None:
    before = replace(ALL, stored_before=2000, stored=2001)
    assert processing(made(27.4, processed(43, 27.4), ledger=before)).startswith("43 of 100 offered")
    assert processing(made(27.4, replace(processed(43, 27.4), is_partial=True), ledger=before)) == ""


def test_a_report_without_limits_has_the_same_sentence() -> None:
    document = {**made(21.0), "limits": None}
    assert processing(document) == "50 of 100 offered events/s were processed; the rest took 21 s more."
