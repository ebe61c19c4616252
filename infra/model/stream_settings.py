"""PURE: the limits on changing a stream's settings (AWS: IncreaseStreamRetentionPeriod, UpdateShardCount, …)."""

from collections.abc import Collection

from infra.model.stream_error import invalid_argument

# AWS: EnableEnhancedMonitoring; ALL stands for each of them.
SHARD_METRICS = (
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
)
RETENTION_HOURS_MIN, RETENTION_HOURS_MAX = 24, 8_760
_DAY_S = 86_400


def check_retention(hours: int, current: int, stream_name: str, *, longer: bool) -> None:
    """24 hours to 365 days, and in the direction that the operation's name says."""
    asked = f"Requested retention period ({hours} hours)"
    if hours < RETENTION_HOURS_MIN:
        raise invalid_argument(f"Minimum allowed retention period is 24 hours. {asked} is too short.")
    if hours > RETENTION_HOURS_MAX:
        raise invalid_argument(f"Maximum allowed retention period is 8760 hours. {asked} is too long.")
    if (hours < current) if longer else (hours > current):
        than, use = ("shorter", "Decrease") if longer else ("longer", "Increase")
        raise invalid_argument(
            f"{asked} for stream {stream_name} can not be {than} than existing retention period "
            f"({current} hours). Use {use}RetentionPeriod API."
        )


def shard_metrics(current: Collection[str], asked: Collection[str], *, enabled: bool) -> tuple[str, ...]:
    """What is published after these were asked for, or asked to end."""
    named = set(SHARD_METRICS if "ALL" in asked else asked)
    after = set(current) | named if enabled else set(current) - named
    return tuple(name for name in SHARD_METRICS if name in after)


class PerDay:
    """At most so many within any 24 hours."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.at_s: list[float] = []

    def exhausted(self, now: float) -> bool:
        self.at_s = [at for at in self.at_s if at > now - _DAY_S]
        return len(self.at_s) >= self.most

    def note(self, now: float) -> None:
        self.at_s.append(now)
