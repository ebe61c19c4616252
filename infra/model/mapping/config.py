"""PURE: the configuration of one event source mapping, with what AWS accepts and the words in which it refuses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from re import compile as pattern

from infra.model.mapping.errors import (
    MappingError,
    enum_failure,
    failure,
    invalid_parameter,
    pattern_failure,
    range_failure,
    starting_position_missing,
    validation,
)
from infra.model.mapping.filters import Filter

# Invoke's synchronous payload quota, exactly: 6 MiB and 100 bytes (the number in Lambda's own error message).
EVENT_BYTES_MAX = 6_291_556
# GetRecords returns at most this many (AWS: API_GetRecords).
READ_RECORDS_MAX = 10_000

STARTING_POSITIONS = ("LATEST", "AT_TIMESTAMP", "TRIM_HORIZON")
# A number's name in AWS's errors, its lowest and highest value (AWS: API_CreateEventSourceMapping).
RANGES = {
    "batch_size": ("batchSize", 1, 10_000),
    "batching_window_s": ("maximumBatchingWindowInSeconds", 0, 300),
    "parallelization_factor": ("parallelizationFactor", 1, 10),
    "retry_attempts_max": ("maximumRetryAttempts", -1, 10_000),
    "record_age_s_max": ("maximumRecordAgeInSeconds", -1, 604_800),
    "tumbling_window_s": ("tumblingWindowInSeconds", 0, 900),
}
RECORD_AGE_S_MIN = 60
DESTINATION_CHARS_MAX = 350
# What names have to look like (AWS: API_CreateEventSourceMapping).
_REGION = r"((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}"
EVENT_SOURCE = pattern(rf"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:{_REGION})?:(\d{{12}})?:(.*)")
DESTINATION = pattern(rf"$|kafka://([^.]([a-zA-Z0-9\-_.]{{0,248}}))|{EVENT_SOURCE.pattern}")
FUNCTION_NAME = pattern(
    rf"(arn:(aws[a-zA-Z-]*)?:lambda:)?{_REGION}:)?(\d{{12}}:)?(function:)?([a-zA-Z0-9-_\.]+)"
    r"(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
FUNCTION_NAME_MAX = 256
_UNCHANGEABLE = ("uuid", "event_source_arn", "starting_position", "starting_position_timestamp_s")
# What makes a batch what it is: its records, what is sent of them, and to whom.
_FORMS_BATCHES = (
    "function_arn",
    "role_arn",
    "batch_size",
    "parallelization_factor",
    "filters",
    "tumbling_window_s",
    "pace",
)
_DESTINATION = pattern(r"arn:aws[a-zA-Z0-9-]*:(sqs|sns|s3):[a-z0-9-]*:\d*:.+")


# Everything that does not fit the shape of a request is told at once, as AWS does: these say what one part breaks.


def name_failures(event_source_arn: str | None, function_name: str | None) -> Iterator[str]:
    """Those that a request has."""
    if event_source_arn is not None:
        yield from _found(pattern_failure(event_source_arn, "eventSourceArn", EVENT_SOURCE))
    if function_name is not None:
        yield from _found(pattern_failure(function_name, "functionName", FUNCTION_NAME))
        if len(function_name) > FUNCTION_NAME_MAX:
            constraint = f"Member must have length less than or equal to {FUNCTION_NAME_MAX}"
            yield failure(function_name, "functionName", constraint)


def range_failures(numbers: Mapping[str, int]) -> Iterator[str]:
    """`numbers` by their names here; what has no range is passed over."""
    for name, (where, low, high) in RANGES.items():
        if name in numbers:
            yield from _found(range_failure(numbers[name], where, low, high))


def starting_position_failure(starting_position: str) -> Iterator[str]:
    yield from _found(enum_failure(starting_position, "startingPosition", STARTING_POSITIONS))


def destination_failures(destination_arn: str) -> Iterator[str]:
    where = "destinationConfig.onFailure.destination"
    if len(destination_arn) > DESTINATION_CHARS_MAX:
        constraint = f"Member must have length less than or equal to {DESTINATION_CHARS_MAX}"
        yield failure(destination_arn, where, constraint)
    yield from _found(pattern_failure(destination_arn, where, DESTINATION))


def _found(failure_or_none: str | None) -> Iterator[str]:
    if failure_or_none is not None:
        yield failure_or_none


@dataclass(frozen=True, slots=True)
class Pace:
    """Rhythms and limits that AWS does not let one set. Seconds, records, bytes (of encoded events).

    A shard allows five reads per second to all its readers together: `backlog_interval_s` leaves one of them to others.
    Mappings of one shard share them: each takes its part of the four for a backlog and after puts. Five at the base
    rate leave none for puts; from six on each takes its part of the five. A refused read waits as long as the base
    rate, shortened by up to `refused_spread`.

    A batch that failed and one that was refused (429, service error: the function has not run) wait differently, which
    is a choice: AWS publishes neither (facts 4.3, 4.9, 4.10). Refused lanes are usually many at once, with more lanes
    than concurrent executions: they wait at most `refused_retry_interval_s_max`, each time shortened by up to
    `refused_spread` of it, so that they do not come back together, and an execution that is free again is soon found.
    """

    poll_interval_s: float = 1.0  # base rate (AWS: with-kinesis)
    backlog_interval_s: float = 0.25  # while there is more to read, and after a put if `read_on_put`
    read_interval_s: float = 0.2  # a shard's, whoever reads it (fact 9.1)
    read_on_put: bool = True  # False: an idle shard is read at the base rate only, as on AWS
    list_interval_s: float = 10.0
    first_retry_s: float = 0.2  # measured on AWS: 214 and 222 ms; the growth is a choice (fact 4.10)
    retry_interval_s_max: float = 30.0
    first_refused_retry_s: float = 0.2
    refused_retry_interval_s_max: float = 1.0
    refused_spread: float = 0.5
    held_records_max: int = 20_000  # per shard, read but not settled; raised to two full batches per lane
    held_bytes_max: int = 32 * 1024 * 1024  # per shard; raised to two full events per lane
    event_bytes_max: int = EVENT_BYTES_MAX
    window_idle_close_s: float = 120.0  # after a tumbling window's end, if the shard is idle (AWS: up to 2 minutes)
    window_state_bytes_max: int = 1024 * 1024  # of text in the answer; AWS says 1 MB, 1,048,640 characters were more

    def retry_after_s(self, failures: int) -> float:
        """How long to wait after the `failures`-th failure in a row (1 is the first) of an unchanged batch."""
        return min(self.first_retry_s * 2.0 ** min(failures - 1, 32), self.retry_interval_s_max)

    def refused_retry_after_s(self, request_id: str, refusals: int) -> float:
        """How long to wait after the `refusals`-th refusal in a row (1 is the first): repeatable, not random."""
        whole_s = min(self.first_refused_retry_s * 2.0 ** min(refusals - 1, 32), self.refused_retry_interval_s_max)
        return whole_s * self._shortened(f"{request_id}/{refusals}")

    def poll_after_s(self, pollers: int) -> float:
        """From one read of a shard that has no more to the next, with so many mappings polling it."""
        return max(self.poll_interval_s, pollers * self.read_interval_s)

    def leaves_reads(self, pollers: int) -> bool:
        """Whether so many mappings at the base rate leave any of a shard's reads."""
        return pollers * self.read_interval_s < self.poll_interval_s

    def read_on_after_s(self, pollers: int) -> float:
        """The same with more to read, or after a put."""
        return min(pollers * self.backlog_interval_s, self.poll_after_s(pollers))

    def refused_read_after_s(self, reader: str, refusals: int) -> float:
        """How long to wait after the reader's `refusals`-th refusal ever; no two readers keep in step."""
        return self.poll_interval_s * self._shortened(f"{reader}/{refusals}")

    def _shortened(self, seed: str) -> float:
        digest = blake2b(seed.encode(), digest_size=4).digest()  # a CRC keeps those that wait in step
        return 1.0 - self.refused_spread * int.from_bytes(digest, "big") / 2**32


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """What the template or the API says about one mapping. Raises MappingError for what AWS refuses.

    `function_arn` may have a qualifier; `role_arn` is the function's execution role (it is in every record as
    `invokeIdentityArn`). -1 means no limit for `retry_attempts_max` and `record_age_s_max`. `filters` are patterns as
    they are written; none means that nothing is filtered. 0 for `tumbling_window_s` means no windows.
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
    filters: tuple[str, ...] = ()
    tumbling_window_s: int = 0
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self._check_shape()
        self._check_meaning()
        self._check_destination()
        Filter(self.filters)

    def _check_shape(self) -> None:
        if not self.starting_position:
            raise starting_position_missing()
        failures = [
            *range_failures({name: getattr(self, name) for name in RANGES}),
            *starting_position_failure(self.starting_position),
            *destination_failures(self.on_failure_destination_arn or ""),
        ]
        if failures:
            raise validation(failures)

    def _check_meaning(self) -> None:
        if self.record_age_s_max != -1 and self.record_age_s_max < RECORD_AGE_S_MIN:
            raise self._refused(
                f"MaximumRecordAgeInSeconds is {self.record_age_s_max}; accepted: -1 or {RECORD_AGE_S_MIN} to 604800"
            )
        if (self.starting_position_timestamp_s is not None) != (self.starting_position == "AT_TIMESTAMP"):
            raise self._refused("StartingPositionTimestamp goes with AT_TIMESTAMP, and only with it")
        if self.tumbling_window_s and self.parallelization_factor > 1:
            raise self._refused("TumblingWindowInSeconds goes with ParallelizationFactor 1 only")
        if self.tumbling_window_s and self.filters:
            raise self._refused("TumblingWindowInSeconds and FilterCriteria exclude each other")

    def _check_destination(self) -> None:
        """AWS: kinesis-on-failure-destination. A Kafka topic is for Kafka sources."""
        arn = self.on_failure_destination_arn
        if arn is None:
            return
        if not _DESTINATION.fullmatch(arn):
            raise self._refused(f"the on-failure destination {arn} is no SQS queue, SNS topic or S3 bucket")
        if arn.endswith(".fifo"):
            raise self._refused(f"the on-failure destination {arn} is a FIFO queue or topic; a standard one is needed")

    def check_start(self, now: float) -> None:
        """For a new mapping: AT_TIMESTAMP is not in the future. Raises MappingError."""
        if self.starting_position_timestamp_s is not None and self.starting_position_timestamp_s > now:
            raise self._refused("StartingPositionTimestamp is in the future")

    def _refused(self, what: str) -> MappingError:
        return invalid_parameter(f"{what[0].upper()}{what[1:]}.")

    def check_change_to(self, after: "MappingConfig") -> None:
        """Raises ValueError for what no update can change."""
        for name in _UNCHANGEABLE:
            if getattr(self, name) != getattr(after, name):
                raise ValueError(f"{self.uuid}: {name} cannot be changed; delete the mapping and create another one")

    def forms_the_same_batches_as(self, other: "MappingConfig") -> bool:
        """Whether a batch formed under `other` may be sent, or sent again, under this configuration as it is."""
        return all(getattr(self, name) == getattr(other, name) for name in _FORMS_BATCHES)

    @property
    def region(self) -> str:
        return self.event_source_arn.split(":")[3]

    @property
    def fan_out(self) -> bool:
        """The source is a consumer of a stream: records are pushed, and aggregates taken apart."""
        return "/consumer/" in self.event_source_arn

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
