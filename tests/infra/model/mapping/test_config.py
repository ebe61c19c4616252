"""What a mapping's configuration may be, and the words in which AWS refuses the rest."""

from typing import Any

import pytest

from infra.model.mapping import MappingConfig, errors
from infra.model.mapping.config import DESTINATION, EVENT_SOURCE, FUNCTION_NAME, FUNCTION_NAME_MAX, RANGES
from infra.model.mapping.errors import MappingError
from infra.model.mapping.settings import DEFAULTS, KMS_KEY, PLAIN
from tests.support.mapping_world import STREAM, config

FILTER = '{"data":{"a":[1]}}'
QUEUE = "arn:aws:sqs:us-east-1:111111111111:failures"


def refused(**settings: Any) -> MappingError:
    with pytest.raises(MappingError) as found:
        config(**settings)
    assert found.value.status == 400
    return found.value


@pytest.mark.parametrize("name", RANGES)
def test_a_setting_outside_of_its_range_is_refused_in_the_words_of_aws(name: str) -> None:
    """Fact 2.2."""
    member, low, high = RANGES[name]
    for value in (low, high):
        assert getattr(config(**{name: value}), name) == value
    for value, bound in [(low - 1, f"greater than or equal to {low}"), (high + 1, f"less than or equal to {high}")]:
        error = refused(**{name: value})
        assert error.code == "ValidationException"
        assert error.message == (
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
            f"Member must have value {bound}"
        )


def test_the_ranges_are_those_of_the_service_model(lambda_model: Any) -> None:
    """Fact 2.2: botocore's model of CreateEventSourceMapping has the same numbers."""
    members = lambda_model.operation_model("CreateEventSourceMapping").input_shape.members
    for member, low, high in RANGES.values():
        metadata = members[member[0].upper() + member[1:]].metadata
        assert (metadata["min"], metadata["max"]) == (low, high), member
    assert members["FunctionResponseTypes"].member.enum == ["ReportBatchItemFailures"]
    assert members["DestinationConfig"].members["OnFailure"].members["Destination"].metadata["max"] == 350
    destination = members["DestinationConfig"].members["OnFailure"].members["Destination"]
    assert destination.metadata["pattern"] == DESTINATION.pattern
    assert members["FunctionName"].metadata == {"min": 1, "max": FUNCTION_NAME_MAX, "pattern": FUNCTION_NAME.pattern}
    assert members["EventSourceArn"].metadata["pattern"] == EVENT_SOURCE.pattern
    assert members["KMSKeyArn"].metadata["pattern"] == KMS_KEY.pattern
    assert members["FilterCriteria"].members["Filters"].member.members["Pattern"].metadata["max"] == 4_096


def test_what_a_creation_that_names_nothing_gets_is_what_the_machine_takes_for_nothing() -> None:
    """Fact 2.1."""
    assert {name: DEFAULTS[name] for name in PLAIN} == {name: getattr(config(), own) for name, own in PLAIN.items()}
    assert (DEFAULTS["BatchSize"], DEFAULTS["MaximumRetryAttempts"], DEFAULTS["TumblingWindowInSeconds"]) == (
        100,
        -1,
        0,
    )


@pytest.fixture(scope="module")
def lambda_model() -> Any:
    from botocore.session import get_session

    return get_session().get_service_model("lambda")


def test_everything_out_of_range_is_told_at_once() -> None:
    """Fact 2.2."""
    error = refused(batch_size=0, parallelization_factor=11, starting_position="OLDEST")
    assert error.message == (
        "3 validation errors detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value "
        "greater than or equal to 1; Value '11' at 'parallelizationFactor' failed to satisfy constraint: Member must "
        "have value less than or equal to 10; Value 'OLDEST' at 'startingPosition' failed to satisfy constraint: "
        "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
    )


@pytest.mark.parametrize("age_s", [0, 1, 59])
def test_a_record_age_below_a_minute_is_refused(age_s: int) -> None:
    """Fact 2.2: 0 to 59 are within the model's range, and refused all the same."""
    error = refused(record_age_s_max=age_s)
    assert error.code == "InvalidParameterValueException"
    assert "MaximumRecordAgeInSeconds" in error.message
    assert config(record_age_s_max=60).record_age_s_max == 60


def test_the_starting_position_is_needed_and_one_of_three() -> None:
    """Fact 2.6: each has its own error."""
    missing = refused(starting_position="")
    assert (missing.code, missing.message) == (
        "InvalidParameterValueException",
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
        "Member must not be null.",
    )
    unknown = refused(starting_position="OLDEST")
    assert (unknown.code, unknown.message) == (
        "ValidationException",
        "1 validation error detected: Value 'OLDEST' at 'startingPosition' failed to satisfy constraint: "
        "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
    )


def test_the_defaults_are_those_of_aws() -> None:
    """Facts 2.1, 2.2, 2.3: a batch size above 10 needs no window."""
    defaults: MappingConfig = config()
    assert (defaults.batch_size, defaults.batching_window_s, defaults.parallelization_factor) == (100, 0, 1)
    assert (defaults.retry_attempts_max, defaults.record_age_s_max) == (-1, -1)
    assert (defaults.tumbling_window_s, defaults.filters) == (0, ())
    assert defaults.on_failure_destination_arn is None
    assert not defaults.bisect_batch_on_function_error
    assert not defaults.report_batch_item_failures


def test_a_large_batch_needs_no_batching_window() -> None:
    """Fact 2.3: that rule is for queues."""
    assert config(batch_size=101, batching_window_s=0).batch_size == 101


def test_a_timestamp_goes_with_at_timestamp_only_and_is_not_in_the_future() -> None:
    """Fact 2.21."""
    assert "StartingPositionTimestamp" in refused(starting_position="AT_TIMESTAMP").message
    assert "StartingPositionTimestamp" in refused(starting_position_timestamp_s=1.0).message
    started = config(starting_position="AT_TIMESTAMP", starting_position_timestamp_s=100.5)
    started.check_start(100.5)
    with pytest.raises(MappingError, match="in the future"):
        started.check_start(100.4)
    config().check_start(0)


def test_a_tumbling_window_excludes_lanes_and_filters() -> None:
    """Facts 3.7, 6.10, 7.9."""
    for settings in ({"parallelization_factor": 2}, {"filters": (FILTER,)}):
        error = refused(tumbling_window_s=10, **settings)
        assert error.code == "InvalidParameterValueException"
        assert "TumblingWindowInSeconds" in error.message
        config(**settings)
    assert config(tumbling_window_s=900).tumbling_window_s == 900


def test_filters_are_checked_with_everything_else() -> None:
    """Fact 6.8."""
    error = refused(filters=(FILTER, "x"))
    assert (error.code, error.message) == ("InvalidParameterValueException", "Invalid filter pattern definition.")
    assert config(filters=(FILTER,) * 5).filters == (FILTER,) * 5


@pytest.mark.parametrize(
    "arn",
    [
        QUEUE + ".fifo",
        "arn:aws:sns:us-east-1:111111111111:failures.fifo",
        "arn:aws:lambda:us-east-1:111111111111:function:other",
        "arn:aws:kinesis:us-east-1:111111111111:stream/other",
        "kafka://failures",
        "",
    ],
)
def test_only_standard_queues_standard_topics_and_buckets_are_destinations(arn: str) -> None:
    """Fact 5.1."""
    assert refused(on_failure_destination_arn=arn).code == "InvalidParameterValueException"


@pytest.mark.parametrize(
    "arn", [QUEUE, "arn:aws:sns:us-east-1:111111111111:failures", "arn:aws:s3:::failures", "arn:aws-cn:s3:::failures"]
)
def test_queues_topics_and_buckets_are_destinations(arn: str) -> None:
    """Fact 5.1."""
    assert config(on_failure_destination_arn=arn).on_failure_destination_arn == arn


def test_a_destination_that_is_no_arn_does_not_fit_the_shape_of_the_request() -> None:
    """Fact 5.1."""
    error = refused(on_failure_destination_arn="failures")
    assert error.code == "ValidationException"
    assert error.message.startswith(
        "1 validation error detected: Value 'failures' at 'destinationConfig.onFailure.destination' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: $|kafka://"
    )


def test_a_destination_has_350_characters_at_most() -> None:
    """Fact 2.2."""
    error = refused(on_failure_destination_arn=QUEUE + "q" * 350)
    assert error.code == "ValidationException"
    assert error.message.endswith(
        "at 'destinationConfig.onFailure.destination' failed to satisfy constraint: "
        "Member must have length less than or equal to 350"
    )


def test_what_only_the_whole_account_can_know_has_the_words_of_aws() -> None:
    """Facts 2.4, 2.5."""
    unknown = errors.stream_not_found(STREAM)
    assert (unknown.code, unknown.message, unknown.status) == (
        "InvalidParameterValueException",
        f"Stream not found: {STREAM}",
        400,
    )
    twice = errors.mapping_exists(STREAM, "work", "u-u-i-d")
    assert (twice.code, twice.message, twice.status) == (
        "ResourceConflictException",
        f'The event source arn (" {STREAM} ") and function (" work ") provided mapping already exists. '
        "Please update or delete the existing mapping with UUID u-u-i-d",
        409,
    )
    gone = errors.mapping_not_found()
    assert (gone.code, gone.status) == ("ResourceNotFoundException", 404)
