"""Event source mappings over the wire, in the requests and answers of botocore: created, changed and deleted while they
run, and refused as AWS refuses."""

import asyncio
import json
import re
from typing import Any

import pytest

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import Delays, Pace
from tests.support.mapping_house import BUCKET, EPOCH_S, FUNCTION, STREAM, House, run, values
from tests.support.mapping_requests import created, settled, state

PATTERN = '{"data":{"type":["sale"]}}'
# Everything that UpdateEventSourceMapping can change of a mapping that reads a Kinesis stream.
CHANGES: dict[str, Any] = {
    "BatchSize": 500,
    "FilterCriteria": {"Filters": [{"Pattern": PATTERN}]},
    "MaximumBatchingWindowInSeconds": 3,
    "DestinationConfig": {"OnFailure": {"Destination": BUCKET}},
    "MaximumRecordAgeInSeconds": 3600,
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": 4,
    "ParallelizationFactor": 10,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "MetricsConfig": {"Metrics": ["EventCount"]},
}


# Creating


def test_a_created_mapping_is_answered_with_202_in_the_shape_of_aws() -> None:
    """Facts 2.1, 2.7, 2.8."""

    async def test() -> None:
        house = House(templates=False)
        house.put("a")
        answer = await house.wire.call(
            "CreateEventSourceMapping", EventSourceArn=STREAM, FunctionName="work", StartingPosition="TRIM_HORIZON"
        )
        uuid = answer.pop("UUID")
        assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 202
        assert answer.pop("LastModified").timestamp() == EPOCH_S
        assert answer == {
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 100,
            "MaximumBatchingWindowInSeconds": 0,
            "ParallelizationFactor": 1,
            "EventSourceArn": STREAM,
            "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{uuid}",
            "FunctionArn": FUNCTION,
            "LastProcessingResult": "No records processed",
            "State": "Creating",
            "StateTransitionReason": "User action",
            "DestinationConfig": {"OnFailure": {}},
            "MaximumRecordAgeInSeconds": -1,
            "BisectBatchOnFunctionError": False,
            "MaximumRetryAttempts": -1,
            "TumblingWindowInSeconds": 0,
            "FunctionResponseTypes": [],
        }
        await settled(house, uuid)
        await house.until(lambda: house.delivered == [["a"]])
        described = await house.wire.call("GetEventSourceMapping", UUID=uuid)
        assert (described["State"], described["LastProcessingResult"]) == ("Enabled", "OK")
        await house.service.stop()

    run(test())


def test_a_mapping_of_the_template_and_one_of_the_api_are_described_alike() -> None:
    async def test() -> None:
        house = House()
        uuid = await created(house, FunctionName="other", MetricsConfig={"Metrics": ["EventCount"]})
        ours, theirs = (await house.wire.call("ListEventSourceMappings"))["EventSourceMappings"]
        assert ours.keys() == theirs.keys()
        assert uuid in (ours["UUID"], theirs["UUID"])
        await house.service.stop()

    run(test())


def test_what_is_asked_for_is_what_is_answered() -> None:
    """Facts 2.1, 2.2: FilterCriteria appears only when set."""

    async def test() -> None:
        house = House(templates=False)
        answer = await house.wire.call(
            "CreateEventSourceMapping",
            EventSourceArn=STREAM,
            FunctionName=FUNCTION + ":live",
            StartingPosition="AT_TIMESTAMP",
            StartingPositionTimestamp=EPOCH_S - 60,
            Enabled=False,
            **CHANGES,
        )
        assert {name: answer[name] for name in CHANGES} == CHANGES
        assert answer["FunctionArn"] == FUNCTION + ":live"
        assert answer["StartingPositionTimestamp"].timestamp() == EPOCH_S - 60
        await settled(house, answer["UUID"])
        assert await state(house, answer["UUID"]) == "Disabled"
        await house.service.stop()

    run(test())


def test_stream_batches_above_ten_need_no_batching_window() -> None:
    """Fact 2.3."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house, BatchSize=101, MaximumBatchingWindowInSeconds=0)
        assert (await house.wire.call("GetEventSourceMapping", UUID=uuid))["BatchSize"] == 101
        await house.service.stop()

    run(test())


def test_two_mappings_of_one_stream_each_get_every_record() -> None:
    """Fact 2.10."""

    async def test() -> None:
        house = House(templates=False)
        first, second = await created(house), await created(house, FunctionName="other")
        assert first != second
        await settled(house, second)
        house.put("a")
        await house.until(lambda: house.delivered == [["a"], ["a"]])
        await house.service.stop()

    run(test())


@pytest.mark.parametrize(
    ("settings", "status", "code", "words"),
    [
        ({"EventSourceArn": STREAM + "-2"}, 400, "InvalidParameterValueException", f"Stream not found: {STREAM}-2"),
        ({"FunctionName": "missing"}, 400, "InvalidParameterValueException", "Function does not exist"),
        (
            {"StartingPosition": None},
            400,
            "InvalidParameterValueException",
            "1 validation error detected: Value null at 'startingPosition'",
        ),
        ({"FunctionName": "bad name!"}, 400, "ValidationException", "Value 'bad name!' at 'functionName' failed"),
        ({"FunctionName": "a" * 257}, 400, "ValidationException", "length less than or equal to 256"),
        ({"EventSourceArn": "hello"}, 400, "ValidationException", "Value 'hello' at 'eventSourceArn' failed"),
        ({"EventSourceArn": ""}, 400, "ValidationException", "satisfy regular expression pattern: arn:(aws"),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "hello"}}},
            400,
            "ValidationException",
            "Value 'hello' at 'destinationConfig.onFailure.destination' failed",
        ),
        ({"StartingPosition": "OLDEST"}, 400, "ValidationException", "[LATEST, AT_TIMESTAMP, TRIM_HORIZON]"),
        ({"BatchSize": 10_001}, 400, "ValidationException", "Value '10001' at 'batchSize' failed to satisfy"),
        ({"BatchSize": 0}, 400, "ValidationException", "greater than or equal to 1"),
        ({"MaximumBatchingWindowInSeconds": 301}, 400, "ValidationException", "maximumBatchingWindowInSeconds"),
        ({"ParallelizationFactor": 11}, 400, "ValidationException", "parallelizationFactor"),
        ({"MaximumRetryAttempts": 10_001}, 400, "ValidationException", "maximumRetryAttempts"),
        ({"MaximumRecordAgeInSeconds": 59}, 400, "InvalidParameterValueException", "MaximumRecordAgeInSeconds"),
        ({"TumblingWindowInSeconds": 901}, 400, "ValidationException", "tumblingWindowInSeconds"),
        ({"FunctionResponseTypes": ["All"]}, 400, "ValidationException", "[ReportBatchItemFailures]"),
        (
            {"TumblingWindowInSeconds": 5, "ParallelizationFactor": 2},
            400,
            "InvalidParameterValueException",
            "ParallelizationFactor",
        ),
        (
            {"TumblingWindowInSeconds": 5, "FilterCriteria": {"Filters": [{"Pattern": PATTERN}]}},
            400,
            "InvalidParameterValueException",
            "FilterCriteria",
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": '{"data": "text"}'}]}},
            400,
            "InvalidParameterValueException",
            "Invalid filter pattern definition.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q.fifo"}}},
            400,
            "InvalidParameterValueException",
            "FIFO",
        ),
        ({"MetricsConfig": {"Metrics": ["All"]}}, 400, "ValidationException", "[EventCount]"),
        ({"Topics": ["t"]}, 400, "InvalidParameterValueException", "Topics is not a setting"),
        ({"BatchSize": "many"}, 400, "SerializationException", "BatchSize has to be a whole number"),
        ({"Enabled": "yes"}, 400, "SerializationException", "Enabled has to be true or false"),
        ({"FunctionResponseTypes": [{}]}, 400, "SerializationException", "FunctionResponseTypes has to be a list of"),
        (
            {"MetricsConfig": {"Metrics": [["EventCount"]]}},
            400,
            "SerializationException",
            "Metrics has to be a list of",
        ),
        (
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": EPOCH_S + 60},
            400,
            "InvalidParameterValueException",
            "in the future",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_aws_refuses_is_refused_and_nothing_is_created(
    settings: dict[str, Any], status: int, code: str, words: str
) -> None:
    """Facts 2.2, 2.4, 2.6, 2.21, 3.7, 5.1, 6.8, 6.10."""

    async def test() -> None:
        house = House(templates=False)
        arguments = {"EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON", **settings}
        given = {name: value for name, value in arguments.items() if value is not None}
        refused = await house.wire.refused("CreateEventSourceMapping", **given)
        assert refused[:2] == (status, code)
        assert words in refused[2]
        assert not re.match("[0-9a-f]{8}-", refused[2]), "the UUID of a mapping that was never made"
        assert (await house.wire.call("ListEventSourceMappings"))["EventSourceMappings"] == []

    run(test())


def test_a_second_mapping_of_the_same_pair_is_a_conflict_that_names_the_first() -> None:
    """Fact 2.5."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house)
        refused = await house.wire.refused(
            "CreateEventSourceMapping", EventSourceArn=STREAM, FunctionName=FUNCTION, StartingPosition="LATEST"
        )
        assert refused == (
            409,
            "ResourceConflictException",
            f'The event source arn (" {STREAM} ") and function (" work ") provided mapping already exists. '
            f"Please update or delete the existing mapping with UUID {uuid}",
        )
        await house.service.stop()

    run(test())


# Changing


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_can_be_changed_while_it_runs_and_is_answered_with_202(name: str) -> None:
    """Facts 2.2, 2.7."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house)
        await settled(house, uuid)
        before = await house.wire.call("GetEventSourceMapping", UUID=uuid)
        answer = await house.wire.call("UpdateEventSourceMapping", UUID=uuid, **{name: CHANGES[name]})
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
        assert (answer[name], answer["State"]) == (CHANGES[name], "Updating")
        await settled(house, uuid)
        after = await house.wire.call("GetEventSourceMapping", UUID=uuid)
        assert after["State"] == "Enabled"
        assert after["LastModified"] > before["LastModified"]
        changed = {each for each in after if after[each] != before.get(each)} - {"ResponseMetadata", "LastModified"}
        assert changed == {name}
        house.put('{"type":"sale"}', '{"type":"return"}')
        await house.until(lambda: bool(house.delivered))
        assert house.delivered[0][0] == '{"type":"sale"}'
        await house.service.stop()

    run(test())


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        ("DestinationConfig", {"OnFailure": {"Destination": ""}}),
        ("DestinationConfig", {"OnFailure": {}}),
        ("FilterCriteria", {"Filters": []}),
        ("FilterCriteria", {}),
        ("MetricsConfig", {"Metrics": []}),
        ("FunctionResponseTypes", []),
    ],
)
def test_a_setting_is_taken_away_by_saying_nothing_in_it(name: str, nothing: Any) -> None:
    """Fact 5.1: removal is an empty destination."""

    async def test() -> None:
        house = House(templates=False)
        plain = await house.wire.call("GetEventSourceMapping", UUID=await created(house))
        uuid = await created(house, FunctionName="other", **CHANGES)
        await settled(house, uuid)
        answer = await house.wire.call("UpdateEventSourceMapping", UUID=uuid, **{name: nothing})
        assert answer.get(name) == plain.get(name)
        await house.service.stop()

    run(test())


def test_a_factor_of_ten_while_a_lane_is_blocked_frees_the_other_keys() -> None:
    """Facts 3.1, 3.4, 3.6."""

    async def test() -> None:
        house = House(templates=False)

        async def answer(request_id: str, payload: bytes) -> InvokeOutcome:
            if "poison" in values(payload):
                return FunctionError(request_id, "ValueError", b"{}")
            return Succeeded(request_id, b"null")

        house.functions.answer = answer
        uuid = await created(house, BatchSize=1)
        await settled(house, uuid)
        house.put("poison", key="a")
        house.put("good", key="b")
        await asyncio.sleep(60)
        assert ["good"] not in house.delivered
        await house.wire.call("UpdateEventSourceMapping", UUID=uuid, ParallelizationFactor=10)
        await house.until(lambda: ["good"] in house.delivered, within_s=1)
        await house.service.stop()

    run(test())


def test_a_retry_limit_set_while_a_batch_is_blocked_counts_what_was_tried() -> None:
    """Facts 4.5, 4.7: one request id over both updates, and the document says how often it was really sent."""

    async def test() -> None:
        house = House(templates=False)

        async def answer(request_id: str, _payload: bytes) -> InvokeOutcome:
            return FunctionError(request_id, "ValueError", b"{}")

        house.functions.answer = answer
        uuid = await created(house, DestinationConfig={"OnFailure": {"Destination": BUCKET}})
        await settled(house, uuid)
        house.put("poison")
        await house.until(lambda: len(house.delivered) == 4)
        await house.wire.call("UpdateEventSourceMapping", UUID=uuid, MaximumBatchingWindowInSeconds=1)
        await settled(house, uuid)
        sent = len(house.delivered)
        await house.wire.call("UpdateEventSourceMapping", UUID=uuid, MaximumRetryAttempts=1)
        await house.until(lambda: bool(house.destinations.documents), within_s=2)
        assert len(house.delivered) == sent
        [(request_id, _)] = {call[0]: call for call in house.functions.calls}.values()
        context = json.loads(house.destinations.documents[0][2])["requestContext"]
        assert (context["requestId"], context["approximateInvokeCount"]) == (request_id, sent)
        await house.service.stop()

    run(test())


def test_another_function_takes_over_at_the_checkpoint() -> None:
    """Facts 2.24, 2.25."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house)
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]])
        answer = await house.wire.call("UpdateEventSourceMapping", UUID=uuid, FunctionName="other")
        assert answer["FunctionArn"].endswith(":function:other")
        await settled(house, uuid)
        house.put("b")
        await house.until(lambda: house.delivered == [["a"], ["b"]])
        assert b"role/other-role" in house.functions.calls[1][1]
        await house.service.stop()

    run(test())


def test_disabled_and_enabled_again_it_goes_on_at_the_checkpoint() -> None:
    """Facts 2.7, 2.24."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house)
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]])
        assert (await house.wire.call("UpdateEventSourceMapping", UUID=uuid, Enabled=False))["State"] == "Disabling"
        await settled(house, uuid)
        assert await state(house, uuid) == "Disabled"
        house.put("b")
        await asyncio.sleep(60)
        assert house.delivered == [["a"]]
        assert (await house.wire.call("UpdateEventSourceMapping", UUID=uuid, Enabled=True))["State"] == "Enabling"
        await house.until(lambda: house.delivered == [["a"], ["b"]])
        await house.service.stop()

    run(test())


def test_disabled_can_be_reported_before_polling_ends() -> None:
    """Facts 2.22, 2.24: eventually consistent, as far as one asks for it."""

    async def test() -> None:
        house = House(templates=False, delays=Delays(1, 30))
        uuid = await created(house)
        await asyncio.sleep(40)
        await house.wire.call("UpdateEventSourceMapping", UUID=uuid, Enabled=False)
        await asyncio.sleep(5)
        assert await state(house, uuid) == "Disabled"
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]], within_s=2)
        await asyncio.sleep(40)
        house.put("b")
        await asyncio.sleep(60)
        assert house.delivered == [["a"]]
        await house.service.stop()

    run(test())


def test_a_refused_change_changes_nothing() -> None:
    """Facts 2.2, 2.5, 3.7, 6.8."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house)
        other = await created(house, FunctionName="other", TumblingWindowInSeconds=30)
        await settled(house, other)
        before = await house.wire.call("ListEventSourceMappings")
        refusals: list[tuple[str, dict[str, Any], str]] = [
            (uuid, {"BatchSize": 10_001}, "ValidationException"),
            (uuid, {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "InvalidParameterValueException"),
            (uuid, {"FunctionName": "bad name!"}, "ValidationException"),
            (uuid, {"FunctionName": "missing"}, "InvalidParameterValueException"),
            (uuid, {"FunctionName": "other"}, "ResourceConflictException"),
            (other, {"ParallelizationFactor": 2}, "InvalidParameterValueException"),
            ("nope", {"BatchSize": 1}, "ResourceNotFoundException"),
        ]
        for changed, settings, code in refusals:
            assert (await house.wire.refused("UpdateEventSourceMapping", UUID=changed, **settings))[1] == code
        after = await house.wire.call("ListEventSourceMappings")
        assert after["EventSourceMappings"] == before["EventSourceMappings"]
        await house.service.stop()

    run(test())


def test_a_mapping_in_the_middle_of_a_change_is_in_use() -> None:
    """Fact 2.7."""

    async def test() -> None:
        house = House(templates=False, delays=Delays(transition_s=10))
        uuid = await created(house)
        for operation, arguments in [("UpdateEventSourceMapping", {"BatchSize": 5}), ("DeleteEventSourceMapping", {})]:
            status, code, message = await house.wire.refused(operation, UUID=uuid, **arguments)
            assert (status, code) == (400, "ResourceInUseException")
            assert message.endswith("the event source mapping because it is in use.")
        assert (await house.wire.call("GetEventSourceMapping", UUID=uuid))["BatchSize"] == 100
        await house.service.stop()

    run(test())


# Deleting


def test_a_deleted_mapping_is_deleting_and_then_not_found() -> None:
    """Facts 2.7, 2.25: deleted and created again, it begins at its starting position."""

    async def test() -> None:
        house = House(templates=False)
        uuid = await created(house)
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]])
        answer = await house.wire.call("DeleteEventSourceMapping", UUID=uuid)
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["State"]) == (202, "Deleting")
        assert await state(house, uuid) == "Deleting"
        await asyncio.sleep(2)
        for operation in ("GetEventSourceMapping", "DeleteEventSourceMapping"):
            assert (await house.wire.refused(operation, UUID=uuid))[:2] == (404, "ResourceNotFoundException")
        house.put("b")
        await asyncio.sleep(10)
        assert house.delivered == [["a"]]
        await created(house)
        await house.until(lambda: house.delivered == [["a"], ["a", "b"]])
        await house.service.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test())


def test_deleting_lets_what_is_under_way_end_and_stopping_meanwhile_leaves_no_task() -> None:
    async def test() -> None:
        house = House(templates=False)

        async def answer(request_id: str, _payload: bytes) -> InvokeOutcome:
            await asyncio.sleep(3)
            return Succeeded(request_id, b"null")

        house.functions.answer = answer
        uuid = await created(house)
        house.put("a")
        await house.until(lambda: bool(house.functions.calls))
        await house.wire.call("DeleteEventSourceMapping", UUID=uuid)
        await house.service.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test())


# Pace


def test_polling_as_aws_does_an_idle_shard_is_read_once_per_second() -> None:
    """Fact 2.17."""

    async def test() -> None:
        house = House(pace=Pace(read_on_put=False))
        await house.service.start()
        await asyncio.sleep(5.5)
        house.put("a")
        await asyncio.sleep(0.45)
        assert house.delivered == []
        await house.until(lambda: house.delivered == [["a"]], within_s=0.6)
        await house.service.stop()

    run(test())
