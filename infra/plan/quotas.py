"""PURE: what AWS allows, each number with its page, and how much of it a configuration uses.

Two kinds: what no request changes (a shard's, a partition's, an invocation's), which a plan never exceeds, and what an
account begins with and may ask to have raised, which a plan names when it needs more.
"""

from dataclasses import dataclass
from typing import Any

MIB = 1024 * 1024
SHARD_WRITE_BYTES_PER_S, SHARD_WRITE_RECORDS_PER_S = MIB, 1_000  # AWS: Kinesis quotas and limits (fact 9.1)
SHARD_READ_BYTES_PER_S, SHARD_READS_PER_S = 2 * MIB, 5  # the same
EVENT_BYTES_MAX = 6_291_556  # an invocation's payload (fact 1.13)
RECORD_EVENT_BYTES = 480  # of the event for each record beside its data: names, ARNs, sequence numbers (fact 1.12)
BATCH_SIZE_MAX, FACTOR_MAX, WINDOW_S_MAX = 10_000, 10, 300  # fact 2.2
ACCOUNT_CONCURRENCY, ACCOUNT_UNRESERVED_MIN = 1_000, 100  # fact 8.1
PARTITION_WRITE_UNITS_PER_S = 1_000  # fact 10.3
NEW_TABLE_WRITE_UNITS_PER_S = 4_000  # fact 10.5
TABLE_WRITE_UNITS_PER_S = 40_000  # AWS: DynamoDB quotas, per table
# AWS: Kinesis quotas and limits, the default; other regions have 1,000 or 6,000, the smaller one is planned with
ACCOUNT_SHARDS = {"us-east-1": 20_000, "us-west-2": 20_000, "eu-west-1": 20_000}
ACCOUNT_SHARDS_ELSEWHERE = 1_000
ON_DEMAND_NEW_BYTES_PER_S, ON_DEMAND_NEW_RECORDS_PER_S = 4 * MIB, 4_000  # AWS: Kinesis, on-demand mode
TEMPLATE_SHARDS_MAX, TEMPLATE_TIMEOUT_S = 20_000, 60
MEMORY_MB_AT_FULL_PAYLOAD = 98  # benchmarks.memory: an environment's peak with a batch of 6 MB


@dataclass(frozen=True, slots=True)
class Quota:
    """`used` of `allowed`; `grows`: in proportion to the rate, or until `used_up_at` if that is known better.

    `can_be_raised`: on request.
    """

    name: str
    used: float
    allowed: float
    unit: str
    rests_on: str
    grows: bool = True
    can_be_raised: bool = False
    used_up_at: float | None = None

    @property
    def utilisation(self) -> float:
        return self.used / self.allowed

    def at_rate(self, rate: float) -> float | None:
        """The rate of the whole load at which it is used up; None: it does not grow with the load."""
        if self.used_up_at is not None:
            return self.used_up_at
        return rate / self.utilisation if self.grows and self.used > 0 else None

    def as_json(self, rate: float) -> dict[str, Any]:
        at = self.at_rate(rate)
        return {
            "name": self.name,
            "used": round(self.used, 3),
            "allowed": self.allowed,
            "unit": self.unit,
            "utilisation": round(self.utilisation, 4),
            "used_up_at_events_per_s": None if at is None else round(at, 1),
            "can_be_raised": self.can_be_raised,
            "rests_on": self.rests_on,
        }


def account_shards(region: str) -> int:
    """Open shards of provisioned streams that an account begins with."""
    return ACCOUNT_SHARDS.get(region, ACCOUNT_SHARDS_ELSEWHERE)


def batch_records_max(batch_size: int, record_bytes: float) -> int:
    """Records that one invocation takes at most: the batch size, or what fits the payload as base64."""
    each = record_bytes * 4 / 3 + RECORD_EVENT_BYTES
    return max(1, min(batch_size, int(EVENT_BYTES_MAX / each)))
