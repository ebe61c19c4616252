"""What the tests of the plan share: service times, prices, a report as the load generator writes it."""

import json
from pathlib import Path
from typing import Any

from infra.plan.candidates import Aims
from infra.plan.prices import Prices, prices
from infra.plan.service import ServiceTimes
from infra.plan.setup import Setup

ROOT = Path(__file__).parents[3]
TIMES = ServiceTimes(0.005, 3e-5, 4e-4, 0.002, 1.0, 1.0, 0.4, 1769, "made up for a test")
PRICES_PLAIN: dict[str, Any] = json.loads((ROOT / "infra" / "plan" / "prices.json").read_text())
PRICES: Prices = prices(PRICES_PLAIN)
AIMS = Aims(0.75, 5.0, Setup(1, 1, 1, 1, 512))


def report(*, profile: str = "constant", rate: float = 100.0, **capacity: Any) -> dict[str, Any]:
    """A small report.json: four seconds of 2 batches each, of 50 events and 40 write units; one with a cold start."""
    points = range(1, 5)
    series = {
        "batches": 2.0,
        "processed": 100.0,
        "write_units": 80.0,
        "commit_ms": 0.5 * 1000 * (2 * 0.01 + 100 * 0.0001 + 80 * 0.001),
        "concurrency": 2 * 0.01 + 100 * 0.0001 + 80 * 0.001 + 2 * 0.004,
    }
    made = [{"name": name, "points": [[second, value] for second in points]} for name, value in series.items()]
    made.append({"name": "cold_starts", "points": [[1, 2.0]]})
    known = {
        "shards": 1, "parallelization_factor": 2, "batch_size": 100, "batching_window_s": 1, "memory_mb": 512,
        "reserved_concurrency": None, "table_write_units_per_s": None,
    }  # fmt: skip
    return {
        "schema": "loadgen-report/2",
        "configuration": {
            "rate": str(rate), "duration": "4.0", "profile": profile, "event_bytes": "256", "keys": "100", "skew": "0",
            "aggregate": "off", "processes": "1", "endpoint_url": "http://127.0.0.1:1",
        },
        "numbers": {"late_share": 0.0, "commit_latency_p50_ms": 900.0, "processed_events_per_s": 99.0, "drain_events_per_s": 100.0},
        "limits": {"capacity": {**known, **capacity}, "series": made},
    }  # fmt: skip
