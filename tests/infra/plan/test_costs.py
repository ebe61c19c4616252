"""The bill: parts that add up, from prices in one dated file."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.plan import costs
from infra.plan.costs import (
    TEMPLATE_ALARM_METRICS,
    TEMPLATE_COMPOSITES,
    TEMPLATE_DASHBOARDS,
    TEMPLATE_KEYS,
    Usage,
    bill,
    monthly_usd,
    new_pages_per_s,
    on_demand_stream_usd,
)
from infra.plan.expect import expect
from infra.plan.load import Wish
from infra.plan.packing import pack
from infra.plan.prices import NAMES, PricesError, prices
from infra.plan.setup import Setup
from processor.adapters import quarantine
from tests.infra.plan.support import PRICES, PRICES_PLAIN, ROOT, TIMES

USAGE = Usage(2, 512, 1000.0, 20.0, 13_000.0, 4.0, 0.5, 100.0, 1.0, 0.0)


def usage(**changed: Any) -> Usage:
    from dataclasses import replace

    return replace(USAGE, **changed)


@given(st.integers(1, 500), st.floats(0.1, 1e5), st.floats(0.1, 1e6), st.floats(0, 1e5))
def test_parts_add_up_and_more_of_anything_costs_more(shards: int, records: float, writes: float, bad: float) -> None:
    whole = usage(shards=shards, records=records, writes=writes, malformed=bad)
    parts = bill(whole, PRICES)
    assert sum(part.usd for part in parts) == pytest.approx(monthly_usd(whole, PRICES))
    for part in parts:
        assert part.usd == pytest.approx(part.amount * PRICES.usd(part.price))
        assert part.usd >= 0
        assert part.rests_on
    for more in (
        usage(shards=shards + 1, records=records, writes=writes, malformed=bad),
        usage(shards=shards, records=records * 2, writes=writes, malformed=bad),
        usage(shards=shards, records=records, writes=writes * 2, malformed=bad),
        usage(shards=shards, records=records, writes=writes, malformed=bad + 1),
    ):
        assert monthly_usd(more, PRICES) > monthly_usd(whole, PRICES)


@pytest.mark.parametrize(
    ("event_bytes", "units", "puts"), [(256, 2, 0), (2_000, 4, 0), (60_000, 61, 0), (70_000, 2, 1)]
)
def test_a_malformed_event_costs_what_its_size_in_quarantine_costs(event_bytes: int, units: int, puts: int) -> None:
    found = {part.name: part.amount for part in bill(usage(malformed=1.0, event_bytes=event_bytes), PRICES)}
    month_s = 730 * 3600
    assert found["DynamoDB: quarantine, write units"] == pytest.approx(units * month_s / 1e6)
    assert found["S3: failure bucket"] == pytest.approx(puts * month_s / 1e6)
    assert costs.INLINE_MAX_BYTES == quarantine.INLINE_MAX_BYTES


def test_records_of_different_sizes_are_as_many_units_as_each_of_them_has_begun() -> None:
    wish, setup = Wish(50, 15_000, keys=1000, skew=0), Setup(1, 1, 10_000, 0, 1769)
    records, _ = pack(wish, wish.rate, 120, [0], 1, setup.outer_lanes, "any")
    each = sum(-(-record.size // 25_000) for record in records) / len(records)
    assert 1.1 < each < 1.9
    found = expect(wish, setup, TIMES).put_units
    assert found == pytest.approx(each, rel=0.05)
    parts = {part.name: part.amount for part in bill(usage(put_units=found), PRICES)}
    assert parts["Kinesis: PUT payload units"] == pytest.approx(20 * found * 730 * 3600 / 1e6)


def test_the_bill_is_that_of_arithmetic() -> None:
    found = {part.name: part.usd for part in bill(USAGE, PRICES)}
    seconds = 730 * 3600
    assert found["Kinesis: shards"] == pytest.approx(2 * 730 * 0.015)
    assert found["Kinesis: PUT payload units"] == pytest.approx(20 * seconds / 1e6 * 0.014)
    assert found["Lambda: duration, arm64"] == pytest.approx(0.5 * 0.5 * seconds * 0.0000133334)
    assert found["DynamoDB: results, write units"] == pytest.approx(100 * seconds / 1e6 * 0.625)
    assert on_demand_stream_usd(USAGE, PRICES) == pytest.approx(730 * 0.04 + 20 * 13 * 1024 * seconds / 2**30 * 0.12)


def test_a_record_above_25_kb_is_two_payload_units() -> None:
    small, large = (
        next(part.usd for part in bill(usage(record_bytes=size), PRICES) if "PUT" in part.name)
        for size in (25e3, 25001)
    )
    assert large == 2 * small


def test_what_the_template_has_of_alarms_keys_and_dashboards_is_what_is_paid_for() -> None:
    text = (ROOT / "infra" / "template.yaml").read_text()
    blocks = text.partition("\nResources:")[2].split("\n    Type: ")
    alarms = [block for block in blocks if block.startswith("AWS::CloudWatch::Alarm\n")]
    assert sum(max(1, block.count("MetricStat:")) for block in alarms) == TEMPLATE_ALARM_METRICS
    assert text.count("Type: AWS::CloudWatch::CompositeAlarm") == TEMPLATE_COMPOSITES
    assert text.count("Type: AWS::CloudWatch::Dashboard") == TEMPLATE_DASHBOARDS
    assert text.count("Type: AWS::KMS::Key\n") == TEMPLATE_KEYS


@given(st.floats(0.01, 1e5), st.integers(1, 20_000), st.floats(0, 2))
def test_new_pages_are_at_least_one_for_a_busy_key_and_at_most_one_for_an_event(
    rate: float, keys: int, skew: float
) -> None:
    pages = new_pages_per_s(Wish(rate, keys=keys, skew=skew), 1.0, 3600.0)
    assert 0 < pages <= rate * 1.0001
    assert pages >= min(rate, 1 / 3600) * 0.5


def test_the_prices_have_a_date_a_region_and_a_page_for_each() -> None:
    assert PRICES.date.count("-") == 2
    assert PRICES.region == "us-east-1"
    for name in NAMES:
        price = PRICES.by_name[name]
        assert price.page.startswith("https://aws.amazon.com/")
        assert price.per
        assert price.seen
    assert set(PRICES_PLAIN["prices"]) == set(NAMES)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": "other"}, "its schema is 'other'"),
        ({"date": "soon"}, "ValueError"),
        ({"prices": {}}, "no price for shard_hour"),
        ({"region": ...}, "KeyError"),
    ],
)
def test_prices_that_cannot_be_used_say_why(change: dict[str, Any], named: str) -> None:
    plain = {**json.loads(json.dumps(PRICES_PLAIN)), **change}
    plain = {key: value for key, value in plain.items() if value is not ...}
    with pytest.raises(PricesError, match=named):
        prices(plain)


def test_a_negative_price_is_refused() -> None:
    plain = json.loads(json.dumps(PRICES_PLAIN))
    plain["prices"]["shard_hour"]["usd"] = -1
    with pytest.raises(PricesError, match="shard_hour costs -1"):
        prices(plain)
