"""A stream's consumer in a template: its names, and a mapping on it."""

import copy
from typing import Any

import pytest
import yaml

from infra.blueprint import Blueprint, BlueprintError, load

STACK = {"stack_name": "trial", "account_id": "123456789012", "region": "eu-west-1"}
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"

TEMPLATE: dict[str, Any] = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "orders", "ShardCount": 1}},
        "Consumer": {
            "Type": "AWS::Kinesis::StreamConsumer",
            "Properties": {"ConsumerName": "quick", "StreamARN": {"Fn::GetAtt": ["Stream", "Arn"]}},
        },
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "FunctionName": "work",
                "Handler": "package.module.handler",
                "Runtime": "python3.13",
                "CodeUri": "code/",
                "Role": "arn:aws:iam::123456789012:role/work",
            },
        },
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Ref": "Consumer"},
                "FunctionName": {"Ref": "Function"},
                "StartingPosition": "TRIM_HORIZON",
            },
        },
    },
    "Outputs": {
        name: {"Value": {"Fn::GetAtt": ["Consumer", name]}}
        for name in ("ConsumerARN", "ConsumerName", "ConsumerCreationTimestamp", "ConsumerStatus", "StreamARN")
    },
}


def loaded(template: dict[str, Any], **stack: str) -> Blueprint:
    return load(yaml.safe_dump(template), {}, **{**STACK, **stack})


def test_a_consumer_has_its_streams_arn_its_name_and_a_second_that_never_changes() -> None:
    blueprint = loaded(TEMPLATE)
    [consumer] = blueprint.consumers
    assert (consumer.logical_id, consumer.name, consumer.stream_arn) == ("Consumer", "quick", STREAM)
    created_s = consumer.arn.removeprefix(f"{STREAM}/consumer/quick:")
    assert created_s.isdecimal()
    assert len(created_s) == 10
    assert loaded(TEMPLATE).consumers == blueprint.consumers
    assert blueprint.outputs == {
        "ConsumerARN": consumer.arn,
        "ConsumerName": "quick",
        "ConsumerCreationTimestamp": created_s,
        "ConsumerStatus": "ACTIVE",
        "StreamARN": STREAM,
    }


def test_a_mapping_on_a_consumer_has_the_consumer_as_its_source() -> None:
    """Fact 2.18."""
    blueprint = loaded(TEMPLATE)
    assert blueprint.mappings[0].event_source_arn == blueprint.consumers[0].arn


@pytest.mark.parametrize(
    ("stream_arn", "says"),
    [
        ("arn:aws:kinesis:eu-west-1:123456789012:stream/other", "is not in this template"),
        ({"Ref": "Consumer"}, "needs the ARN of its stream"),
        (None, "needs the ARN of its stream"),
    ],
)
def test_a_consumer_of_no_stream_of_the_template_is_refused_by_its_path(stream_arn: Any, says: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    template["Resources"]["Consumer"]["Properties"]["StreamARN"] = stream_arn
    with pytest.raises(BlueprintError, match=says) as error:
        loaded(template)
    assert error.value.path.startswith("Resources.Consumer.Properties.StreamARN")
