"""PURE: what a plan rests on beside the choice itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.plan.check import Compared
from infra.plan.prices import Prices
from infra.plan.service import ServiceTimes


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan rests on beside the choice. `calibrated`: figures against the runs that the service times come from.

    `held_out`: the default calibration's own error on runs it did not see, as its file has it; empty if other runs
    were given. `window_s`: of the rules' totals.
    """

    times: ServiceTimes
    prices: Prices
    held_out: dict[str, Any]
    calibrated: Sequence[Compared] = ()
    window_s: int = 3600
    shard_metrics: bool = True
    architecture: str = "arm64"
