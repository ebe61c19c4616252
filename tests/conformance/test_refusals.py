"""What AWS refuses is refused, with its code and its words."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.target import Target


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"BatchSize": 10_001}, "ValidationException", "batchSize"),
        ({"MaximumRetryAttempts": 10_001}, "ValidationException", "maximumRetryAttempts"),
        ({"MaximumRecordAgeInSeconds": 59}, "InvalidParameterValueException", "MaximumRecordAgeInSeconds"),
        ({"StartingPosition": "SOMEWHERE"}, "ValidationException", "LATEST"),
        ({"ParallelizationFactor": 11}, "ValidationException", "parallelizationFactor"),
        ({"TumblingWindowInSeconds": 5, "ParallelizationFactor": 2}, "InvalidParameterValueException", ""),
        (
            {"TumblingWindowInSeconds": 5, "FilterCriteria": {"Filters": [{"Pattern": '{"data": {"a": [1]}}'}]}},
            "InvalidParameterValueException",
            "",
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": '{"data": "text"}'}]}},
            "InvalidParameterValueException",
            "Invalid filter pattern definition.",
        ),
    ],
)
def test_a_mapping_with_a_setting_out_of_range_is_refused(
    target: Target, settings: dict[str, Any], code: str, words: str
) -> None:
    """Facts 2.2, 2.6, 3.7, 6.8, 6.10, 7.9."""
    stream, function = target.stream(), target.function()
    client = target.client("lambda")
    arguments = {
        "FunctionName": function,
        "EventSourceArn": target.describe(stream)["StreamARN"],
        "StartingPosition": "TRIM_HORIZON",
    }
    with pytest.raises(ClientError) as refused:
        client.create_event_source_mapping(**arguments | settings)
    assert refused.value.response["Error"]["Code"] == code
    assert words in refused.value.response["Error"]["Message"]


def test_a_stream_that_is_not_there_and_a_second_mapping_of_the_same_pair_are_refused(target: Target) -> None:
    """Facts 2.4, 2.5."""
    stream, function = target.stream(), target.function()
    arn = target.describe(stream)["StreamARN"]
    client = target.client("lambda")
    with pytest.raises(ClientError, match=r"Stream not found: arn:.*-not-there") as refused:
        client.create_event_source_mapping(
            FunctionName=function, EventSourceArn=f"{arn}-not-there", StartingPosition="LATEST"
        )
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    mapping = target.mapping(stream, function)
    with pytest.raises(ClientError, match=f"update or delete the existing mapping with UUID {mapping}") as refused:
        client.create_event_source_mapping(FunctionName=function, EventSourceArn=arn, StartingPosition="LATEST")
    assert refused.value.response["Error"]["Code"] == "ResourceConflictException"
