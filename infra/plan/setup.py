"""PURE: a configuration in virtual time, and what was seen there."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.model.mapping import MappingConfig, Pace
from infra.plan.machine import Machine

ACCOUNT, REGION = "000000000000", "us-east-1"


@dataclass(frozen=True, slots=True)
class Setup:
    """A configuration, in AWS's words, and the delays around it. `concurrency`: executions at most, None: one per lane.

    `read_on_put`: an idle shard is read at once, as the local stack does; otherwise once per second, as on AWS.
    `machine`: what everything shares, as on the local stack; None: each execution has its own CPU, as on AWS.
    `put_s`, `read_s`, `invoke_s`: a PutRecords, a GetRecords, and from the mapping's decision to the function.
    """

    shards: int
    factor: int
    batch_size: int
    window_s: int
    memory_mb: int
    outer_lanes: int = 16
    concurrency: int | None = None
    read_on_put: bool = False
    put_s: float = 0.015
    read_s: float = 0.015
    invoke_s: float = 0.01
    machine: Machine | None = None

    @property
    def lanes(self) -> int:
        return self.shards * self.factor

    def mapping(self) -> MappingConfig:
        """Raises MappingError outside of AWS's ranges."""
        return MappingConfig(
            uuid="planned",
            function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:planned",
            event_source_arn=f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/planned",
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/planned",
            batch_size=self.batch_size,
            batching_window_s=self.window_s,
            parallelization_factor=self.factor,
            report_batch_item_failures=True,
            pace=Pace(read_on_put=self.read_on_put),
        )


@dataclass(slots=True)
class Seen:
    """What happened. `commits`: (seconds from the start, events, seconds of the invocation, pages written).

    `latencies`: seconds from when each event was due to its commit, in the order of `due_s`.
    """

    commits: list[tuple[float, int, float, int]] = field(default_factory=list)
    due_s: "array[float]" = field(default_factory=lambda: array("d"))
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    records: int = 0
    put_units: int = 0
    refused: int = 0
    read_throttles: int = 0
    lambda_throttles: int = 0
    running_max: int = 0

    def quantiles(self, shares: Sequence[float], *, from_s: float = 0.0, to_s: float = float("inf")) -> list[float]:
        """Of the latencies of events that were due within these seconds; infinite without any."""
        inside = sorted(
            latency for due_s, latency in zip(self.due_s, self.latencies, strict=True) if from_s <= due_s < to_s
        )
        return [inside[min(len(inside) - 1, int(share * len(inside)))] if inside else float("inf") for share in shares]
