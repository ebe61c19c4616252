"""PURE: what a load costs on AWS at list prices, part by part, from what was measured of it.

Only what this load uses is in it: its shards' time, its records, invocations, duration, write units and log lines. What
the stack costs whether it is used or not (alarms, dashboard, metrics, key, storage) is a matter of `infra plan`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from infra.plan.costs import KIB, LOG_BYTES_PER_BATCH, LOG_LINES_PER_BATCH, LOG_OVERHEAD_BYTES, PUT_UNIT_BYTES
from infra.plan.prices import Prices
from loadgen.target.evidence import Capacity
from loadgen.target.series import Series

SIZE = re.compile(r'"bytes":(\d+),')
ACKNOWLEDGED = '"acknowledged_us":'
MILLION, GB, GIB, HOUR_S = 1e6, 1e9, 2**30, 3600.0
ON_DEMAND = "ON_DEMAND"
LEFT_OUT = (
    "what the stack costs unused (alarms, dashboard, metrics, key, storage: `infra plan`)",
    "reads of the tables, KMS and S3 requests, the inits of cold starts",
    "the machine that sends, and asking CloudWatch",
)


class Part(NamedTuple):
    """`amount` of `unit`; `price`: the price's name; `rests_on`: where the amount comes from."""

    part: str
    amount: float
    unit: str
    price: str
    usd: float
    rests_on: str


@dataclass(frozen=True, slots=True)
class Puts:
    """Of acknowledged Kinesis records: payload units of 25 KB, and bytes with every record rounded up to 1 KB."""

    units: int = 0
    rounded_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """`prices_of`: the date of the prices; `events`: acknowledged ones."""

    parts: tuple[Part, ...]
    events: int
    prices_of: str
    region: str

    @property
    def usd(self) -> float:
        return sum(part.usd for part in self.parts)

    @property
    def usd_per_million_events(self) -> float | None:
        return self.usd / self.events * MILLION if self.events else None

    def as_json(self) -> dict[str, Any]:
        return {
            "usd": round(self.usd, 8),
            "usd_per_million_events": self.usd_per_million_events,
            "prices_of": self.prices_of,
            "region": self.region,
            "parts": [part._asdict() for part in self.parts],
            "left_out": list(LEFT_OUT),
        }


def puts(lines: Iterable[str]) -> Puts:
    """`lines` of results.jsonl."""
    units = rounded = 0
    for line in lines:
        size = SIZE.search(line)
        if size is not None and ACKNOWLEDGED in line:
            units += ceil(int(size[1]) / PUT_UNIT_BYTES)
            rounded += ceil(int(size[1]) / KIB) * KIB
    return Puts(units, rounded)


def cost(
    prices: Prices,
    capacity: Capacity,
    series: Iterable[Series],
    put: Puts,
    *,
    events: int,
    quarantined: int,
    whole_s: float,
) -> Cost | None:
    """`whole_s`: from the first event until all was in the tables. None: what the function did is not known.
    What CloudWatch counted comes before what the function's log says, unless it lacks a part of the load."""
    by_name = {one.name: one for one in series if not one.is_partial}
    invocations = by_name.get("invocations") or by_name.get("batches")
    busy, units = by_name.get("concurrency"), by_name.get("table_write_units") or by_name.get("write_units")
    if invocations is None or busy is None or units is None or capacity.memory_mb is None:
        return None
    bill = _Bill(prices)
    if capacity.stream_mode == ON_DEMAND:
        gib = put.rounded_bytes / GIB
        bill.add(
            "Kinesis: stream on demand", whole_s / HOUR_S, "stream hours", "on_demand_stream_hour", "the load's time"
        )
        bill.add("Kinesis: written", gib, "GB", "on_demand_gb_in", "every record rounded up to 1 KB")
        bill.add("Kinesis: read", gib, "GB", "on_demand_gb_out", "what was written, once")
    else:
        hours = (capacity.shards or 0) * whole_s / HOUR_S
        what = f"{capacity.shards:,} of them for {whole_s:,.1f} s" if capacity.shards else "not known"
        bill.add("Kinesis: shards", hours, "shard hours", "shard_hour", what)
        bill.add("Kinesis: PUT payload units", put.units, "units", "put_payload_units", "results.jsonl", MILLION)
    bill.add("Lambda: requests", invocations.total, "requests", "lambda_requests", invocations.source, MILLION)
    architecture = capacity.architecture or "x86_64"
    duration = f"{busy.total:,.1f} s of {capacity.memory_mb:,} MB, {busy.source}"
    gb_s = busy.total * capacity.memory_mb / KIB
    bill.add(f"Lambda: duration, {architecture}", gb_s, "GB-seconds", f"lambda_gb_s_{architecture}", duration)
    written = f"{units.source}{', as the processor estimates them' if units.name == 'write_units' else ''}"
    bill.add("DynamoDB: results", units.total, "write units", "write_request_units", written, MILLION)
    counted = by_name.get("quarantine_write_units")
    kept = counted.total if counted else quarantined  # by DynamoDB, which knows their sizes
    index = f"{counted.source if counted else 'one each'}, and one in its index"
    bill.add("DynamoDB: quarantine", kept + quarantined, "write units", "write_request_units", index, MILLION)
    lines = LOG_BYTES_PER_BATCH + LOG_LINES_PER_BATCH * LOG_OVERHEAD_BYTES
    log = f"{lines:,} bytes per invocation"
    bill.add("CloudWatch: logs", invocations.total * lines / GB, "GB ingested", "logs_gb_in", log)
    return Cost(tuple(bill.parts), events, prices.date, prices.region)


class _Bill:
    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self.parts: list[Part] = []

    def add(self, part: str, amount: float, unit: str, price: str, rests_on: str, per: float = 1.0) -> None:
        """`per`: the price is for so many units."""
        if amount:
            self.parts.append(Part(part, amount, unit, price, amount / per * self._prices.usd(price), rests_on))


def numbers(found: Cost | None) -> Mapping[str, float | None]:
    """By their names in report.json."""
    return {
        "cost_usd": found.usd if found else None,
        "cost_usd_per_million_events": found.usd_per_million_events if found else None,
    }
