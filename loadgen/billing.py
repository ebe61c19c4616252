"""SHELL: the cost of a load from its files, at the prices that `infra plan` goes by."""

import json
from importlib.resources import files
from pathlib import Path

from infra.plan.prices import Prices, prices
from loadgen.outcome.ledger import Ledger
from loadgen.outcome.metrics import Metrics
from loadgen.target.cost import Cost, Puts, cost, puts
from loadgen.target.observation import Observation


def current_prices() -> Prices:
    """The dated list in infra/plan/prices.json: there is no other one."""
    return prices(json.loads(files("infra.plan").joinpath("prices.json").read_text(encoding="utf-8")))


def bill(results: Path, metrics: Metrics, ledger: Ledger, drain_s: float, observed: Observation) -> Cost | None:
    """None: what the function did is not all known, or `results` cannot be read (a device has no end)."""
    if not observed.series or not results.is_file():
        return None
    try:
        with results.open() as lines:
            put = puts(lines)
    except OSError:
        put = Puts()
    if not put.units:
        return None
    return cost(
        current_prices(),
        observed.capacity,
        [one for one in observed.series if not one.is_partial],
        put,
        events=metrics.acknowledged,
        quarantined=ledger.quarantined,
        whole_s=metrics.latest_us / 1e6 + drain_s,
    )
