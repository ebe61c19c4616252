"""What others did in the period in which a load began is not the load's: it is left out, and said once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.plan.prices import NAMES, Price, Prices
from loadgen.outcome.ledger import Expectations, Findings, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult
from loadgen.target.cost import Puts, cost
from loadgen.target.covered import are_in_stream, weigh
from loadgen.target.evidence import Capacity
from loadgen.target.function_log import Batch, Invocation
from loadgen.target.observation import Observation, numbers
from loadgen.target.series import CLOUDWATCH, Series, of_function
from loadgen.target.shared import is_shared, others_put, others_ran, sentence, without_it

EMPTY = settle(Expectations(()), Findings())
STARTED_S = 1000.0


def cloudwatch(name: str, *points: tuple[int, float], statistic: str = "sum") -> Series:
    return Series(name, "", statistic, f"{CLOUDWATCH} AWS/X {name}", 10, points)


def ran(begun_s: float) -> Invocation:
    return Invocation(round((begun_s + 0.1) * 1000), 100.0, None, None, timed_out=False)


def metrics(records: int, errors: tuple[str, ...] = ()) -> Metrics:
    made = Metrics(10_000)
    for number in range(records):
        made.add(PutResult("k", (0,), 0, 10, 1, 10, 0, 0, "s", str(number), errors, None, False))
    return made


@pytest.mark.parametrize(
    ("counted", "begun_s", "others"),
    [
        (((-6, 2.0), (4, 1.0)), [1000.1, 1003.0, 1004.5], False),  # all of it is the load's
        (((-6, 3.0), (4, 1.0)), [1000.1, 1003.0, 1009.0], True),
        (((-6, 1.0),), [999.9], True),  # it ended during the load and began before it
        (((0, 9.0), (10, 9.0)), [], False),  # later periods hold nobody's of before
        (((-6, 0.0), (4, 9.0)), [], False),
    ],
)
def test_more_invocations_than_the_log_has_of_the_load_are_of_others(
    counted: tuple[tuple[int, float], ...], begun_s: list[float], others: bool
) -> None:
    assert others_ran([cloudwatch("invocations", *counted)], map(ran, begun_s), STARTED_S) == others


def test_without_a_log_what_was_there_may_be_anybodys() -> None:
    assert others_ran([cloudwatch("lambda_throttles", (-3, 1.0))], None, STARTED_S)
    assert not others_ran([cloudwatch("lambda_throttles", (-3, 0.0), (7, 5.0))], None, STARTED_S)
    assert not others_ran([], None, STARTED_S)


@pytest.mark.parametrize("name", ["records_put", "polled"])
def test_more_records_than_the_load_put_are_of_others(name: str) -> None:
    assert others_put([cloudwatch(name, (-3, 7.0), (7, 4.0))], 10)
    assert not others_put([cloudwatch(name, (-3, 6.0), (7, 4.0))], 10)
    assert not others_put([cloudwatch(name, (0, 16.0))], 10)  # somebody else's, and nothing of it from before
    assert others_put([cloudwatch("iterator_age_ms", (-3, 9.0))], 10)  # it cannot be told whose


@given(st.lists(st.tuples(st.integers(-60, 300), st.floats(0, 1e6)), max_size=9, unique_by=lambda point: point[0]))
def test_nothing_of_that_period_is_left_and_everything_after_it_is(points: list[tuple[int, float]]) -> None:
    log = Series("processed", "", "sum", "the function's log", 1, tuple(points))
    assert without_it([log]) == [log]
    left = without_it([cloudwatch("invocations", *points)])
    assert [point for one in left for point in one.points] == [point for point in points if point[0] >= 0]
    assert all(one.is_partial for one in left)


def after_another() -> Observation:
    batches = [Batch(2_500, 10, 0, 10, 10, 24.0, 3, 5.0, ("7",), 800.0)]
    invocations = [Invocation(2_500, 100.0, None, None, timed_out=False)]
    series = [
        *of_function(batches, invocations, 0.0, 100),
        Series("lanes_with_work", "", "max", "the function's log", 1, ((2, 1),)),
        cloudwatch("records_put", (-5, 950.0), (5, 4.0)),
        cloudwatch("invocations", (-5, 36.0), (5, 3.0)),
        cloudwatch("concurrent_executions", (-5, 8.0), (5, 1.0), statistic="max"),
        cloudwatch("iterator_age_ms", (-5, 4_000.0), statistic="max"),
        cloudwatch("polled", (-5, 950.0)),
        cloudwatch("invoked", (-5, 2_160.0)),
        cloudwatch("table_write_units", (-5, 846.0)),
        cloudwatch("quarantine_write_units", (-5, 182.0)),
    ]
    return Observation(series=series, batches=batches)


def test_numbers_after_another_load_are_the_loads_own_or_not_known() -> None:
    found = weigh(after_another(), replace(EMPTY, stored=10), metrics(10))
    (said,) = found.missing
    assert said.startswith("CloudWatch's period in which this load began (10 s long) has figures of others")
    named = numbers(found)
    unknown = ("table_write_units", "quarantine_write_units", "invocations_observed", "iterator_age_max_ms")
    assert [named[name] for name in (*unknown, "redelivered_records")] == [None] * 5
    assert (named["write_units"], named["concurrency_max"]) == (24, 1)  # the log has them
    assert weigh(found, replace(EMPTY, stored=10), metrics(10)).missing == found.missing


def test_the_cost_after_another_load_is_the_loads_own() -> None:
    found = weigh(after_another(), replace(EMPTY, stored=10), metrics(10))
    prices = Prices("2026-11-23", "nowhere-1", 730, {name: Price(0.0, "", "", "") for name in NAMES})
    made = cost(prices, Capacity(memory_mb=512), found.series, Puts(1, 1), events=10, quarantined=2, whole_s=3.0)
    assert made is not None
    amounts = {part.part: part.amount for part in made.parts}
    assert (amounts["Lambda: requests"], amounts["DynamoDB: results"], amounts["DynamoDB: quarantine"]) == (1, 24, 4)


def test_a_load_on_an_idle_stack_keeps_its_whole_numbers() -> None:
    own = [cloudwatch("records_put", (-5, 6.0), (5, 4.0)), cloudwatch("table_write_units", (-5, 20.0), (5, 4.0))]
    found = weigh(Observation(series=own), EMPTY, metrics(10))
    assert found.missing == []
    assert numbers(found)["table_write_units"] == 24


def test_records_that_a_lost_answer_may_have_put_twice_are_not_of_others() -> None:
    own = [cloudwatch("records_put", (-5, 8.0), (5, 4.0))]
    assert weigh(Observation(series=own), EMPTY, metrics(10)).missing
    assert not weigh(Observation(series=own), EMPTY, metrics(10, ("ReadTimeoutError",))).missing


def test_a_function_that_never_ran_after_another_load_leaves_its_events_in_the_stream() -> None:
    series = [cloudwatch("records_put", (-5, 15.0)), cloudwatch("invocations", (-5, 9.0))]
    found = weigh(Observation(series=series), EMPTY, metrics(10))
    assert is_shared(found.missing)
    assert are_in_stream(found, metrics(10), ended_s=12.0)


def test_the_sentence_says_how_long_the_period_is() -> None:
    assert "(60 s long)" in sentence([replace(cloudwatch("polled", (-5, 15.0)), resolution_s=60)])
