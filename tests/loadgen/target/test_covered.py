"""Where the target's own sources lack a part of a load nothing is made up; what they prove of its end is used."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loadgen.outcome.histogram import Histogram
from loadgen.outcome.ledger import Expectations, Findings, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult
from loadgen.target.covered import Drained, are_in_stream, drained, weigh
from loadgen.target.function_log import Batch
from loadgen.target.observation import Observation, numbers, rows
from loadgen.target.series import CLOUDWATCH, Series, of_function

EMPTY = settle(Expectations(()), Findings())
READ = Drained(7.0, None)


def batch(at_ms: int, applied: int, quarantined: int = 0, events: int | None = None) -> Batch:
    number = applied + quarantined if events is None else events
    return Batch(at_ms, 10, 0, number, applied, 7.0, 3, 5.0, ("7",), 800.0, quarantined)


def metrics(records: int = 1, events: int = 1) -> Metrics:
    made = Metrics(10_000)
    for number in range(records):
        made.add(PutResult("k", (0,) * events, 0, 10, 1, 10, 0, 0, "s", str(number), (), None, False))
    return made


def cloudwatch(name: str, *points: tuple[int, float], resolution_s: int = 10) -> Series:
    return Series(name, "", "sum", f"{CLOUDWATCH} AWS/X {name}", resolution_s, points)


def observed(batches: Sequence[Batch], *series: Series) -> Observation:
    latency = Histogram()
    latency.add(5, 1)
    return Observation(series=[*of_function(batches, (), 0.0, 100), *series], commit_latency=latency, batches=batches)


def test_a_log_that_lacks_a_part_of_the_load_gives_no_numbers_and_gaps_where_it_is_silent() -> None:
    found = weigh(observed([batch(2_500, 81)]), replace(EMPTY, sent=100, stored=100), metrics())
    (said,) = found.missing
    assert said.startswith("the function's log covers only 81 % of this load (81 of 100 events")
    named = numbers(found)
    log = ("cold_starts", "write_units", "batch_item_failures", "commit_latency_p99_ms", "event_age_max_ms")
    assert [named[name] for name in log] == [None] * len(log)
    assert [row["processed"] for row in rows([one.as_json() for one in found.series], 4)] == [None, None, 81, None]


def test_a_log_that_tells_of_everything_in_the_tables_is_taken_at_its_word() -> None:
    ledger = replace(EMPTY, sent=110, stored=100, stored_before=10, quarantined=10)
    found = weigh(observed([batch(2_500, 90, 10)]), ledger, metrics())
    assert found.missing == []
    assert numbers(found)["write_units"] == 7
    assert [row["processed"] for row in rows([one.as_json() for one in found.series], 4)] == [0, 0, 100, 0]


def test_metrics_that_lack_a_part_of_the_load_give_no_numbers() -> None:
    series = (cloudwatch("records_put", (0, 2.0)), cloudwatch("lambda_throttles", (0, 0.0)))
    found = weigh(observed([], *series), EMPTY, metrics(records=4))
    assert [said.split(" (")[0] for said in found.missing] == ["CloudWatch covers only 50 % of this load"]
    assert numbers(found)["lambda_throttles"] is None
    assert numbers(weigh(observed([], *series), EMPTY, metrics(records=2)))["lambda_throttles"] == 0


def test_a_log_that_could_not_be_read_is_not_said_to_be_incomplete_too() -> None:
    found = replace(observed([], cloudwatch("records_put", (0, 1.0))), missing=["the function's log: no right"])
    assert weigh(found, replace(EMPTY, stored=5), metrics()).missing == ["the function's log: no right"]
    assert weigh(Observation(), replace(EMPTY, stored=5), metrics()).missing == ()


def test_what_drains_is_counted_from_the_end_of_sending_by_the_commits_after_it() -> None:
    batches = [batch(9_000, 50), batch(10_000, 5), batch(10_400, 30, 3), batch(12_500, 12), batch(13_000, 0, events=9)]
    assert drained(batches, replace(EMPTY, stored=97, quarantined=3), 10.0, READ) == Drained(2.5, 45)
    assert drained(batches, replace(EMPTY, stored=97, quarantined=3), 13.5, READ) == Drained(0.0, 0)


@pytest.mark.parametrize("stored", [99, 101])
def test_without_a_log_of_exactly_these_events_how_many_drained_is_not_known(stored: int) -> None:
    assert drained([batch(9_000, 50), batch(11_000, 50)], replace(EMPTY, stored=stored), 10.0, READ) == READ


def test_events_that_a_function_which_never_ran_has_not_seen_are_still_in_the_stream() -> None:
    refused = cloudwatch("lambda_throttles", (0, 159.0))
    assert are_in_stream(observed([], refused), metrics(5), ended_s=12.0)
    assert not are_in_stream(observed([], cloudwatch("invocations", (0, 3.0)), refused), metrics(5), ended_s=60.0)
    assert not are_in_stream(Observation(), metrics(5), ended_s=12.0)
    no_log = replace(observed([], refused), missing=["the function's log: no right"])
    assert not are_in_stream(no_log, metrics(5), ended_s=12.0)


@pytest.mark.parametrize(("processed", "refused_s", "said"), [(3, 10, True), (5, 10, False), (3, 0, False)])
def test_only_a_function_that_is_refused_to_the_end_leaves_events_in_the_stream(
    processed: int, refused_s: int, said: bool
) -> None:
    found = observed(
        [batch(500, processed)], cloudwatch("invocations", (0, 1.0)), cloudwatch("lambda_throttles", (refused_s, 2.0))
    )
    assert are_in_stream(found, metrics(5), ended_s=29.0) == said


def test_what_nothing_reads_any_more_is_still_in_the_stream() -> None:
    found = observed([batch(500, 3)], cloudwatch("invocations", (0, 1.0)))
    stopped = replace(found, capacity=replace(found.capacity, stopped="the event source mapping is Disabled"))
    assert are_in_stream(stopped, metrics(5), ended_s=29.0)
    assert not are_in_stream(found, metrics(5), ended_s=29.0)
