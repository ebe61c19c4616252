"""What a load costs is what it used times the one list of prices, part by part, and nothing where nothing is known."""

from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.plan.prices import NAMES, Price, Prices
from loadgen.billing import current_prices
from loadgen.outcome.ledger import Expectations, Findings, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult, encode
from loadgen.showing import report
from loadgen.showing.page import page
from loadgen.showing.report_shape import check
from loadgen.target.cost import Cost, Puts, cost, puts
from loadgen.target.evidence import Capacity
from loadgen.target.observation import Observation
from loadgen.target.series import Series

CAPACITY = Capacity("PROVISIONED", shards=2, parallelization_factor=4, memory_mb=512, architecture="arm64")


def prices(**usd: float) -> Prices:
    return Prices("2026-11-23", "nowhere-1", 730, {name: Price(usd.get(name, 0.0), "", "", "") for name in NAMES})


def series(name: str, *values: float) -> Series:
    return Series(name, "", "sum", f"source of {name}", 1, tuple(enumerate(values)))


SERIES = (series("invocations", 600, 400), series("concurrency", 30, 10), series("write_units", 5_000, 5_000))


def billed(given: Prices, capacity: Capacity = CAPACITY, found: tuple[Series, ...] = SERIES, **more: Any) -> Cost:
    known = {"events": 50_000, "quarantined": 10, "whole_s": 1_800.0, **more}
    made = cost(given, capacity, found, Puts(units=700, rounded_bytes=2**30), **known)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("price", "amount_of_price"),
    [
        ("shard_hour", 2 * 0.5),
        ("put_payload_units", 700 / 1e6),
        ("lambda_requests", 1_000 / 1e6),
        ("lambda_gb_s_arm64", 40 * 0.5),
        ("lambda_gb_s_x86_64", 0),
        ("write_request_units", (10_000 + 2 * 10) / 1e6),
        ("on_demand_stream_hour", 0),
        ("alarm_month", 0),
    ],
)
def test_each_part_is_what_was_used_times_its_price(price: str, amount_of_price: float) -> None:
    assert billed(prices(**{price: 3.0})).usd == pytest.approx(3.0 * amount_of_price)


@pytest.mark.parametrize(
    ("price", "amount_of_price"),
    [("shard_hour", 0), ("put_payload_units", 0), ("on_demand_stream_hour", 0.5), ("on_demand_gb_in", 1)],
)
def test_a_stream_on_demand_pays_for_bytes_and_not_for_shards(price: str, amount_of_price: float) -> None:
    on_demand = replace(CAPACITY, stream_mode="ON_DEMAND")
    assert billed(prices(**{price: 3.0}), on_demand).usd == pytest.approx(3.0 * amount_of_price)


def test_units_that_dynamodb_counted_come_before_estimated_ones() -> None:
    found = (*SERIES, series("table_write_units", 20_000))
    made = billed(prices(write_request_units=1.0), found=found, quarantined=0)
    assert made.usd == pytest.approx(0.02)
    assert "source of table_write_units" in [part.rests_on for part in made.parts]


def test_a_quarantine_whose_units_dynamodb_counted_costs_those_and_one_in_its_index_for_each() -> None:
    found = (*SERIES, series("quarantine_write_units", 400, 210))
    made = billed(prices(write_request_units=1.0), found=found, quarantined=10)
    assert made.usd == pytest.approx((10_000 + 610 + 10) / 1e6)


@pytest.mark.parametrize("lacks", ["invocations", "concurrency", "write_units"])
def test_a_load_whose_function_was_not_seen_has_no_cost(lacks: str) -> None:
    found = [one for one in SERIES if one.name != lacks]
    assert cost(prices(), CAPACITY, found, Puts(1, 1), events=1, quarantined=0, whole_s=1.0) is None


def test_a_million_events_cost_as_many_times_more_as_there_were_fewer() -> None:
    made = billed(current_prices())
    assert made.usd > 0
    assert made.usd_per_million_events == pytest.approx(made.usd * 20)
    assert made.usd == pytest.approx(sum(part.usd for part in made.parts))
    assert billed(current_prices(), events=0).usd_per_million_events is None


def put(size: int, failed: str | None) -> PutResult:
    return PutResult("k", (0,), 0, 1, 1, size, 0, 0, "s", "1", (), failed, False)


@given(st.lists(st.tuples(st.integers(0, 1_100_000), st.booleans()), max_size=20))
def test_a_record_is_as_many_units_as_it_has_begun_and_what_was_refused_costs_nothing(
    sizes: list[tuple[int, bool]],
) -> None:
    found = puts(encode(put(size, "DeadlineExceeded" if failed else None)) + "\n" for size, failed in sizes)
    taken = [size for size, failed in sizes if not failed]
    assert found == Puts(sum(ceil(size / 25_000) for size in taken), sum(ceil(size / 1024) * 1024 for size in taken))


def test_the_report_has_the_cost_as_numbers_and_parts_and_the_page_shows_it() -> None:
    observed = Observation(CAPACITY, SERIES, cost=billed(prices(shard_hour=0.04, lambda_requests=0.02)))
    document = report.document(
        command=[], started_at="", problem=None, configuration={"late_after_us": 1}, metrics=Metrics(0),
        ledger=settle(Expectations(()), Findings()), drain_s=0.0, checked=[], unread=report.Unread(), observed=observed,
    )  # fmt: skip
    check(document)
    assert document["numbers"]["cost_usd"] == pytest.approx(document["cost"]["usd"], abs=1e-8)
    shown = page(document)
    assert "<h2>Cost on AWS: $0.040, $0.80 per million events</h2>" in shown
    assert "$0.000020" in shown
    assert "e-0" not in shown.partition("Cost on AWS")[2].partition("</table>")[0]
    assert "List prices of 2026-11-23 in nowhere-1" in shown
    assert all(part["part"] in shown for part in document["cost"]["parts"])
    del document["cost"]
    check(document)
    assert "Cost on AWS" not in page(document)
