"""What boto3 can ask of event source mappings that names no mapping, no function or no stream of this stack, and in
which words it is refused; their tags. In botocore's own requests and answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.http import Request
from infra.model.mapping.config import EVENT_SOURCE, FUNCTION_NAME
from tests.support.mapping_house import FUNCTION, STREAM, House, run
from tests.support.mapping_requests import created, settled

PAIR = {"EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "LATEST"}
NOWHERE = "11111111-2222-3333-4444-000000000000"
AT = "failed to satisfy constraint: Member must"


# Creating


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({"EventSourceArn": None}, "InvalidParameterValueException", "Unrecognized event source."),
        (
            {"EventSourceArn": None, "FunctionName": "missing"},
            "InvalidParameterValueException",
            "Unrecognized event source.",
        ),
        ({"EventSourceArn": "arn:aws:s3:::bucket"}, "InvalidParameterValueException", "Unrecognized event source."),
        (
            {"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:queue"},
            "InvalidParameterValueException",
            "The local stack reads Kinesis streams, not event sources of sqs.",
        ),
        (
            {"FunctionName": None},
            "ValidationException",
            f"1 validation error detected: Value null at 'functionName' {AT} not be null",
        ),
        (
            {"BatchSize": 0, "ParallelizationFactor": 11, "EventSourceArn": "hello", "StartingPosition": "OLDEST"},
            "ValidationException",
            "4 validation errors detected: Value 'hello' at 'eventSourceArn' "
            f"{AT} satisfy regular expression pattern: {EVENT_SOURCE.pattern}; "
            f"Value '0' at 'batchSize' {AT} have value greater than or equal to 1; "
            f"Value '11' at 'parallelizationFactor' {AT} have value less than or equal to 10; "
            f"Value 'OLDEST' at 'startingPosition' {AT} satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
        ),
        (
            {"FunctionResponseTypes": ["Everything"]},
            "ValidationException",
            "1 validation error detected: Value '[Everything]' at 'functionResponseTypes' failed to satisfy constraint: "
            "Member must satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures]]",
        ),
        (
            {"KMSKeyArn": "mine"},
            "ValidationException",
            f"1 validation error detected: Value 'mine' at 'kmsKeyArn' {AT} satisfy regular expression pattern: "
            "(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_created(settings: dict[str, Any], code: str, message: str) -> None:
    """Facts 2.2, 2.4, 2.6."""

    async def test() -> None:
        house = House(templates=False)
        given = {name: value for name, value in {**PAIR, **settings}.items() if value is not None}
        assert await house.wire.refused("CreateEventSourceMapping", **given) == (400, code, message)

    run(test())


@pytest.mark.parametrize(
    ("timestamp", "words"),
    [
        ("NaN", "the body is not JSON"),
        ("-Infinity", "the body is not JSON"),
        ("-1" + "0" * 400, "StartingPositionTimestamp has to be epoch seconds"),
        ("-1e400", "StartingPositionTimestamp has to be epoch seconds"),
        ("1e300", "StartingPositionTimestamp has to be epoch seconds"),
        ("1e299", "StartingPositionTimestamp is in the future."),
    ],
)
def test_a_starting_time_that_is_no_time_is_refused(timestamp: str, words: str) -> None:
    """Fact 2.21."""

    async def test() -> None:
        house = House(templates=False)
        body = json.dumps({**PAIR, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 0})
        body = body.replace('Timestamp": 0', f'Timestamp": {timestamp}')
        request = Request("POST", "/2015-03-31/event-source-mappings", {}, {}, body.encode())
        response = await house.service.handle(request)
        assert (response.status, words in json.loads(response.body)["message"]) == (400, True)
        assert house.service.all() == []

    run(test())


def test_latest_and_no_qualifier_are_one_function_an_alias_is_another() -> None:
    """Fact 2.5."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house, FunctionName="work:$LATEST")
        status, code, message = await house.wire.refused("CreateEventSourceMapping", **PAIR)
        assert (status, code) == (409, "ResourceConflictException")
        assert message.endswith(f"existing mapping with UUID {uuid}")
        other = await created(house, FunctionName="work:live")
        await settled(house, other)
        refused = await house.wire.refused("UpdateEventSourceMapping", UUID=other, FunctionName=FUNCTION)
        assert refused[1] == "ResourceConflictException"
        await settled(house, uuid)
        answer = await house.wire.call("UpdateEventSourceMapping", UUID=uuid, FunctionName="work")
        assert answer["FunctionArn"] == FUNCTION  # what it was, in other words
        for name in ("work", "work:$LATEST", FUNCTION, "000000000000:function:work"):
            found = (await house.wire.call("ListEventSourceMappings", FunctionName=name))["EventSourceMappings"]
            assert [each["UUID"] for each in found] == [uuid]
        await house.service.stop()

    run(test())


def test_a_key_for_the_filters_is_kept_shown_and_taken_away() -> None:
    async def test() -> None:
        house = House(templates=False)
        key = "arn:aws:kms:us-east-1:000000000000:key/1234"
        uuid = await created(house, KMSKeyArn=key)
        await settled(house, uuid)
        assert (await house.wire.call("GetEventSourceMapping", UUID=uuid))["KMSKeyArn"] == key
        assert "KMSKeyArn" not in await house.wire.call("UpdateEventSourceMapping", UUID=uuid, KMSKeyArn="")
        await house.service.stop()

    run(test())


# Finding


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            {"EventSourceArn": "hello"},
            "1 validation error detected: Value 'hello' at 'eventSourceArn' "
            f"{AT} satisfy regular expression pattern: {EVENT_SOURCE.pattern}",
        ),
        (
            {"FunctionName": "bad name!", "MaxItems": 0},
            "2 validation errors detected: Value 'bad name!' at 'functionName' "
            f"{AT} satisfy regular expression pattern: {FUNCTION_NAME.pattern}; "
            f"Value '0' at 'maxItems' {AT} have value greater than or equal to 1",
        ),
        (
            {"MaxItems": 10_001},
            f"1 validation error detected: Value '10001' at 'maxItems' {AT} have value less than or equal to 10000",
        ),
    ],
)
def test_a_listing_of_what_has_no_name_is_refused(query: dict[str, Any], message: str) -> None:
    async def test() -> None:
        house = House()
        assert await house.wire.refused("ListEventSourceMappings", **query) == (400, "ValidationException", message)

    run(test())


@pytest.mark.parametrize(
    ("operation", "settings"),
    [
        ("GetEventSourceMapping", {}),
        ("DeleteEventSourceMapping", {}),
        ("UpdateEventSourceMapping", {"BatchSize": 10}),
        ("UpdateEventSourceMapping", {"BatchSize": 0, "FunctionName": "bad name!"}),
        ("UpdateEventSourceMapping", {"FunctionName": "missing"}),
    ],
)
def test_a_mapping_that_is_not_there_is_not_found_whatever_else_is_wrong(
    operation: str, settings: dict[str, Any]
) -> None:
    async def test() -> None:
        house = House()
        told = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
        for uuid in (NOWHERE, "nonsense"):
            assert await house.wire.refused(operation, UUID=uuid, **settings) == told

    run(test())


# Tags


def arn_of(uuid: str) -> str:
    return f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{uuid}"


def test_tags_of_a_creation_are_listed_changed_and_there_again_after_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(templates=False, data_dir=tmp_path)
        arn = arn_of(uuid := await created(house, Tags={"team": "shop", "stage": "test"}))
        assert "Tags" not in await house.wire.call("GetEventSourceMapping", UUID=uuid)
        assert (await house.wire.call("ListTags", Resource=arn))["Tags"] == {"team": "shop", "stage": "test"}
        answer = await house.wire.call("TagResource", Resource=arn, Tags={"stage": "live", "cost": "7"})
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        await house.wire.call("UntagResource", Resource=arn, TagKeys=["team", "cost", "none"])
        await house.service.stop()
        again = House(templates=False, data_dir=tmp_path, stream=house.stream)
        await again.service.start()
        assert (await again.wire.call("ListTags", Resource=arn))["Tags"] == {"stage": "live"}
        await again.service.stop()

    run(test())


def test_tags_that_aws_refuses() -> None:
    """Recorded from AWS."""

    async def test() -> None:
        house = House(templates=False)
        many = {f"key-{number}": "" for number in range(51)}
        limit = (400, "InvalidParameterValueException", "Number of tags exceeds resource tag limit.")
        assert await house.wire.refused("CreateEventSourceMapping", **PAIR, Tags=many) == limit
        arn = arn_of(await created(house))
        assert await house.wire.refused("TagResource", Resource=arn, Tags=many) == limit
        assert await house.wire.refused("TagResource", Resource=arn, Tags={}) == (
            400,
            "InvalidParameterValueException",
            "An error occurred and the request cannot be processed.",
        )
        assert await house.wire.refused("UntagResource", Resource=arn, TagKeys=[]) == (
            400,
            "ValidationException",
            f"1 validation error detected: Value null at 'tagKeys' {AT} not be null",
        )
        asked: list[tuple[str, dict[str, Any]]] = [
            ("TagResource", {"Tags": {"a": "b"}}),
            ("UntagResource", {"TagKeys": ["a"]}),
            ("ListTags", {}),
        ]
        for operation, more in asked:
            assert await house.wire.refused(operation, Resource=arn_of(NOWHERE), **more) == (
                404,
                "ResourceNotFoundException",
                f"Event source mapping not found: {arn_of(NOWHERE)}",
            )
        status, code, message = await house.wire.refused("ListTags", Resource=arn + ":alias")
        assert (status, code) == (400, "ValidationException")
        assert f"Value '{arn}:alias' at 'resource' {AT} satisfy regular expression pattern: arn:(aws" in message
        await house.service.stop()

    run(test())
