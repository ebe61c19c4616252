"""PURE: the prices, each with what it is per, its page and how it was checked. One dated file has them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

SCHEMA = "infra-plan-prices/1"
NAMES = (
    "shard_hour", "put_payload_units", "on_demand_stream_hour", "on_demand_gb_in", "on_demand_gb_out",
    "lambda_requests", "lambda_gb_s_arm64", "lambda_gb_s_x86_64", "write_request_units", "write_capacity_unit_hour",
    "table_gb_month", "table_backup_gb_month", "logs_gb_in", "logs_gb_month", "metric_month", "alarm_month",
    "composite_alarm_month", "dashboard_month", "kms_key_month", "s3_puts",
)  # fmt: skip


class PricesError(ValueError):
    """The file cannot be used; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Price:
    usd: float
    per: str
    page: str
    seen: str


@dataclass(frozen=True, slots=True)
class Prices:
    """`date`: as of when, ISO. `by_name`: every name of NAMES."""

    date: str
    region: str
    hours_per_month: float
    by_name: Mapping[str, Price]

    def usd(self, name: str) -> float:
        return self.by_name[name].usd


def prices(plain: Any) -> Prices:
    """Of the file's JSON. Raises PricesError."""
    try:
        if plain["schema"] != SCHEMA:
            raise PricesError(f"its schema is {plain['schema']!r}; needed is {SCHEMA!r}")
        date.fromisoformat(plain["date"])
        missing = [name for name in NAMES if name not in plain["prices"]]
        if missing:
            raise PricesError(f"it has no price for {', '.join(missing)}")
        by_name = {name: _price(name, plain["prices"][name]) for name in NAMES}
        return Prices(str(plain["date"]), str(plain["region"]), float(plain["hours_per_month"]), by_name)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, PricesError):
            raise
        raise PricesError(
            f"it is not of the form of infra/plan/prices.json: {type(error).__name__}: {error}"
        ) from error


def _price(name: str, plain: Mapping[str, Any]) -> Price:
    usd = float(plain["usd"])
    if not 0 <= usd < 1e6:
        raise PricesError(f"{name} costs {usd:g}; a price is a number from 0")
    return Price(usd, str(plain["per"]), str(plain["page"]), str(plain["seen"]))
