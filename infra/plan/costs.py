"""PURE: dollars per month and per million events, part by part, each with its amount, price and what it rests on."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from infra.plan.load import Wish, keys_of
from infra.plan.prices import Prices
from processor.core.chain import SEALED_AT

PUT_UNIT_BYTES = 25_000  # AWS: Kinesis pricing, a payload unit is a chunk of 25 KB
KIB, GB = 1024, 1e9
LOG_BYTES_PER_BATCH = 1_750  # EMF line, START, END and REPORT: 1,727 measured on the local stack
LOG_OVERHEAD_BYTES = 26  # AWS: PutLogEvents, for every event
LOG_LINES_PER_BATCH = 4
COMPRESSED = 0.15  # AWS: CloudWatch pricing, "compressed" logs: an assumption
FUNCTION_METRICS, MAPPING_METRICS, SHARD_METRICS = 12, 6, 5  # custom metrics; EventCount of the mapping; template
TEMPLATE_ALARM_METRICS, TEMPLATE_COMPOSITES, TEMPLATE_KEYS, TEMPLATE_DASHBOARDS = 31, 3, 1, 1
QUARANTINE_ITEM_BYTES = 480  # names and values of a quarantine item beside its payload: 462 with the default names
QUARANTINE_DAYS = 30  # the template's
INLINE_MAX_BYTES = 64 * KIB  # the quarantine's own; what is larger is put into the bucket
PAGE_BYTES = 1024  # a sealed page fills most of a write unit
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Per second, of the whole load: events, Kinesis records, invocations, busy seconds of the function, pages written
    and new ones, malformed events."""

    shards: int
    memory_mb: int
    rate: float
    records: float
    record_bytes: float
    invocations: float
    busy: float
    writes: float
    new_pages: float
    malformed: float
    alarm_metrics: int = TEMPLATE_ALARM_METRICS
    shard_metrics: bool = True
    architecture: str = "arm64"
    event_bytes: float = 256.0
    put_units: float | None = None


class Part(NamedTuple):
    """One line of the bill. `amount` of units in a month; `million`: the price is for a million of them."""

    name: str
    amount: float
    unit: str
    price: str
    usd: float
    rests_on: str

    def as_json(self, events_per_month: float, prices: Prices) -> dict[str, Any]:
        price = prices.by_name[self.price]
        return {
            "part": self.name,
            "per_month": round(self.usd, 4),
            "per_million_events": round(self.usd / events_per_month * 1e6, 8),
            "amount": round(self.amount, 3),
            "unit": self.unit,
            "price": price.usd,
            "price_per": price.per,
            "rests_on": self.rests_on,
        }


def bill(usage: Usage, prices: Prices) -> list[Part]:
    """Every part that the template's stack pays for under this load."""
    return [*_stream(usage, prices), *_function(usage, prices), *_tables(usage, prices), *_watching(usage, prices)]


def monthly_usd(usage: Usage, prices: Prices) -> float:
    return sum(part.usd for part in bill(usage, prices))


def _stream(usage: Usage, prices: Prices) -> Iterator[Part]:
    hours, month_s = prices.hours_per_month, prices.hours_per_month * HOUR_S
    yield _part(
        prices,
        "Kinesis: shards",
        usage.shards * hours,
        "shard hours",
        "shard_hour",
        f"{usage.shards:,} of them all month",
    )
    units = usage.put_units or ceil(usage.record_bytes / PUT_UNIT_BYTES)
    yield _part(
        prices,
        "Kinesis: PUT payload units",
        usage.records * units * month_s / 1e6,
        "million units",
        "put_payload_units",
        f"{usage.records:,.1f} records/s of {usage.record_bytes:,.0f} bytes, {units:,.3g} unit(s) each",
    )


def _function(usage: Usage, prices: Prices) -> Iterator[Part]:
    month_s = prices.hours_per_month * HOUR_S
    yield _part(
        prices,
        "Lambda: requests",
        usage.invocations * month_s / 1e6,
        "million requests",
        "lambda_requests",
        f"{usage.invocations:,.2f} invocations/s in virtual time",
    )
    yield _part(
        prices,
        f"Lambda: duration, {usage.architecture}",
        usage.busy * usage.memory_mb / KIB * month_s,
        "GB-seconds",
        f"lambda_gb_s_{usage.architecture}",
        f"{usage.busy:,.3f} executions busy on average x {usage.memory_mb} MB: the measured service time",
    )


def _tables(usage: Usage, prices: Prices) -> Iterator[Part]:
    month_s = prices.hours_per_month * HOUR_S
    yield _part(
        prices,
        "DynamoDB: results, write units",
        usage.writes * month_s / 1e6,
        "million units",
        "write_request_units",
        f"{usage.writes:,.1f} pages written per second in virtual time, 1 unit each (at most 1 KB)",
    )
    if usage.malformed:
        inline = usage.event_bytes if usage.event_bytes <= INLINE_MAX_BYTES else 0.0
        units = ceil((QUARANTINE_ITEM_BYTES + inline) / KIB)
        yield _part(
            prices,
            "DynamoDB: quarantine, write units",
            usage.malformed * (units + 1) * month_s / 1e6,
            "million units",
            "write_request_units",
            f"{usage.malformed:,.2f} malformed events/s, {units} unit(s) in the table and one in its index",
        )
        kept_gb = usage.malformed * (2 * QUARANTINE_ITEM_BYTES + inline) * QUARANTINE_DAYS * 24 * HOUR_S / GB
        kept = f"{QUARANTINE_DAYS} days of them, in the table and in its index"
        yield _part(prices, "DynamoDB: quarantine, storage", kept_gb, "GB-months", "table_gb_month", kept)
        yield _part(
            prices,
            "DynamoDB: quarantine, point-in-time recovery",
            kept_gb,
            "GB-months",
            "table_backup_gb_month",
            kept,
        )
    stored_gb = usage.new_pages * PAGE_BYTES * month_s / GB
    what = f"one month adds {usage.new_pages:,.2f} new pages/s of {PAGE_BYTES} bytes; they are kept, it adds up"
    yield _part(prices, "DynamoDB: storage", stored_gb, "GB-months", "table_gb_month", what)
    yield _part(prices, "DynamoDB: point-in-time recovery", stored_gb, "GB-months", "table_backup_gb_month", what)


def _watching(usage: Usage, prices: Prices) -> Iterator[Part]:
    month_s = prices.hours_per_month * HOUR_S
    log_bytes = LOG_BYTES_PER_BATCH + LOG_LINES_PER_BATCH * LOG_OVERHEAD_BYTES
    log_gb = usage.invocations * log_bytes * month_s / GB
    yield _part(
        prices, "CloudWatch: logs, ingestion", log_gb, "GB", "logs_gb_in", f"{log_bytes:,} bytes for every invocation"
    )
    yield _part(
        prices,
        "CloudWatch: logs, kept",
        log_gb * COMPRESSED,
        "GB-months",
        "logs_gb_month",
        "30 days, compressed to 15 %",
    )
    metrics = FUNCTION_METRICS + MAPPING_METRICS + (SHARD_METRICS * usage.shards if usage.shard_metrics else 0)
    yield _part(
        prices,
        "CloudWatch: metrics",
        metrics,
        "metrics",
        "metric_month",
        f"{FUNCTION_METRICS} of the function, {MAPPING_METRICS} of the mapping"
        + (f", {SHARD_METRICS} of each shard (ShardMetrics=false saves them)" if usage.shard_metrics else ""),
    )
    yield _part(
        prices,
        "CloudWatch: alarms",
        usage.alarm_metrics,
        "alarm metrics",
        "alarm_month",
        "those of the template's alarms",
    )
    yield _part(
        prices,
        "CloudWatch: composite alarms",
        TEMPLATE_COMPOSITES,
        "alarms",
        "composite_alarm_month",
        "the template's",
    )
    yield _part(
        prices, "CloudWatch: dashboard", TEMPLATE_DASHBOARDS, "dashboard(s)", "dashboard_month", "the template's"
    )
    yield _part(prices, "KMS: key", TEMPLATE_KEYS, "key(s)", "kms_key_month", "the template's; requests not counted")
    large = usage.malformed if usage.event_bytes > INLINE_MAX_BYTES else 0.0
    why = "one for each batch that is given up: none; one for each malformed event above 64 KiB"
    yield _part(prices, "S3: failure bucket", large * month_s / 1e6, "million PUTs", "s3_puts", why)


def _part(prices: Prices, name: str, amount: float, unit: str, price: str, rests_on: str) -> Part:
    return Part(name, amount, unit, price, amount * prices.usd(price), rests_on)


def on_demand_stream_usd(usage: Usage, prices: Prices) -> float:
    """What the stream would cost per month in on-demand mode; a record is rounded up to 1 KB."""
    gb = usage.records * ceil(usage.record_bytes / KIB) * KIB * prices.hours_per_month * HOUR_S / 2**30
    hours = prices.hours_per_month * prices.usd("on_demand_stream_hour")
    return hours + gb * (prices.usd("on_demand_gb_in") + prices.usd("on_demand_gb_out"))


def provisioned_table_usd(units_per_s: float, prices: Prices) -> float:
    """What the results table's writes would cost per month with so many provisioned units per second."""
    return ceil(units_per_s) * prices.hours_per_month * prices.usd("write_capacity_unit_hour")


def new_pages_per_s(wish: Wish, events_per_key_and_batch: float, window_s: float) -> float:
    """Items that the results table gains: each key and window has one at least, and one more for every full page."""
    keys = keys_of(wish.keys, wish.skew)
    full = SEALED_AT + max(0.0, events_per_key_and_batch - 1.0) / 2.0
    in_window = wish.rate * (1.0 - wish.malformed) * window_s
    pages = sum(_pages(weight * in_window, full) for weight in keys.weights)
    if keys.rest_count:
        pages += keys.rest_count * _pages(keys.rest / keys.rest_count * in_window, full)
    return pages / window_s


def _pages(events: float, full: float) -> float:
    """Expected pages of a key with so many events on average in a window."""
    return min(events, 1.0) if events < full else events / full
