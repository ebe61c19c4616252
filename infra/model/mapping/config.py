"""PURE: the configuration of one event source mapping, with the ranges that AWS accepts."""

from dataclasses import dataclass, field

# Invoke's synchronous payload quota, exactly: 6 MiB and 100 bytes (the number in Lambda's own error message).
EVENT_BYTES_MAX = 6_291_556
# GetRecords returns at most this many (AWS: API_GetRecords).
READ_RECORDS_MAX = 10_000

STARTING_POSITIONS = ("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Pace:
    """Rhythms and limits that AWS does not let one set. Seconds, records, bytes (of encoded events).

    A shard allows five reads per second to all its readers together: `backlog_interval_s` leaves one of them to others.
    """

    poll_interval_s: float = 1.0  # base rate (AWS: with-kinesis)
    backlog_interval_s: float = 0.25  # while there is more to read, and after a put if `read_on_put`
    read_on_put: bool = True  # False: an idle shard is read at the base rate only, as on AWS
    list_interval_s: float = 10.0
    first_retry_s: float = 0.2  # measured on AWS: 214 and 222 ms; the growth is a choice (fact 4.10)
    retry_interval_s_max: float = 30.0
    held_records_max: int = 20_000  # per shard, read but not settled; raised to two full batches per lane
    held_bytes_max: int = 32 * 1024 * 1024  # per shard; raised to two full events per lane
    event_bytes_max: int = EVENT_BYTES_MAX

    def retry_after_s(self, failures: int) -> float:
        """How long to wait after the `failures`-th failure in a row (1 is the first) of an unchanged batch."""
        return min(self.first_retry_s * 2.0 ** min(failures - 1, 32), self.retry_interval_s_max)


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """What the template or the API says about one mapping. Raises ValueError outside of AWS's ranges.

    `function_arn` may have a qualifier; `role_arn` is the function's execution role (it is in every record as
    `invokeIdentityArn`). -1 means no limit for `retry_attempts_max` and `record_age_s_max`.
    """

    uuid: str
    function_arn: str
    event_source_arn: str
    role_arn: str
    starting_position: str = "TRIM_HORIZON"
    starting_position_timestamp_s: float | None = None
    batch_size: int = 100
    batching_window_s: int = 0
    parallelization_factor: int = 1
    bisect_batch_on_function_error: bool = False
    retry_attempts_max: int = -1
    record_age_s_max: int = -1
    report_batch_item_failures: bool = False
    on_failure_destination_arn: str | None = None
    event_count_metrics: bool = False
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self._check("BatchSize", self.batch_size, 1 <= self.batch_size <= 10_000, "1 to 10000")
        window_s, factor = self.batching_window_s, self.parallelization_factor
        self._check("MaximumBatchingWindowInSeconds", window_s, 0 <= window_s <= 300, "0 to 300")
        self._check("ParallelizationFactor", factor, 1 <= factor <= 10, "1 to 10")
        retries, age_s = self.retry_attempts_max, self.record_age_s_max
        self._check("MaximumRetryAttempts", retries, -1 <= retries <= 10_000, "-1 to 10000")
        self._check("MaximumRecordAgeInSeconds", age_s, age_s == -1 or 60 <= age_s <= 604_800, "-1 or 60 to 604800")
        position = self.starting_position
        self._check("StartingPosition", position, position in STARTING_POSITIONS, " or ".join(STARTING_POSITIONS))
        has_timestamp = self.starting_position_timestamp_s is not None
        if has_timestamp != (position == "AT_TIMESTAMP"):
            raise ValueError(f"{self.uuid}: StartingPositionTimestamp goes with AT_TIMESTAMP, and only with it")

    def _check(self, name: str, value: object, within: bool, accepted: str) -> None:
        if not within:
            raise ValueError(f"{self.uuid}: {name} is {value!r}; accepted: {accepted}")

    @property
    def region(self) -> str:
        return self.event_source_arn.split(":")[3]

    @property
    def function_version(self) -> str:
        """The qualifier in the function's ARN, `$LATEST` without one. What an alias leads to is not known here."""
        parts = self.function_arn.split(":")
        return parts[7] if len(parts) > 7 else "$LATEST"

    @property
    def held_records_max(self) -> int:
        return max(self.pace.held_records_max, 2 * self.batch_size * self.parallelization_factor)

    @property
    def held_bytes_max(self) -> int:
        return max(self.pace.held_bytes_max, 2 * self.pace.event_bytes_max * self.parallelization_factor)
