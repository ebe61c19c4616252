"""The mapping service over a stream, functions and destinations in memory, in virtual time: no sleeps, no sockets."""

import asyncio
import json
from typing import Any

import pytest

from infra.local.http import Request
from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping.errors import MappingError
from infra.model.stream import Entry, Stream, StreamError
from tests.support.mapping_house import BUCKET, EPOCH_S, FUNCTION, STREAM, House, blueprint, new_stream, run, values


def test_records_put_before_and_after_the_start_are_delivered_in_order() -> None:
    """Facts 2.12, 2.23."""

    async def test() -> None:
        house = House()
        house.put("a", "b")
        await house.service.start()
        await house.until(lambda: house.delivered == [["a", "b"]])
        house.put("c")
        await house.until(lambda: house.delivered == [["a", "b"], ["c"]], within_s=0.5)
        await house.service.stop()

    run(test())


def test_the_event_names_the_role_that_lambda_says_the_function_has() -> None:
    """Fact 1.7."""

    async def test() -> None:
        house = House()
        house.put("a")
        await house.service.start()
        await house.until(lambda: bool(house.functions.calls))
        record = json.loads(house.functions.calls[0][1])["Records"][0]
        assert record["invokeIdentityArn"] == "arn:aws:iam::000000000000:role/work-role"
        await house.service.stop()

    run(test())


def test_an_invocation_that_breaks_in_the_shell_is_retried_and_nothing_is_lost() -> None:
    async def test() -> None:
        house = House()
        answers: list[Exception | None] = [ConnectionResetError("gone"), None]

        async def answer(request_id: str, _payload: bytes) -> InvokeOutcome:
            error = answers.pop(0)
            if error is not None:
                raise error
            return Succeeded(request_id, b"null")

        house.functions.answer = answer
        house.put("a")
        await house.service.start()
        await house.until(lambda: house.delivered == [["a"], ["a"]])
        first, second = house.functions.calls
        assert first[0] == second[0]
        await house.service.stop()

    run(test())


@pytest.mark.parametrize("refusing", [None, ConnectionResetError("no such bucket")])
def test_a_poisoned_batch_ends_as_a_document_or_as_dropped_and_the_next_is_delivered(
    refusing: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Facts 5.10, 5.11, 5.13; a document that is not delivered is told in one line."""

    async def test() -> None:
        house = House(retry_attempts_max=1, batch_size=1, on_failure_destination_arn=BUCKET)
        house.destinations.refusing = refusing

        async def answer(request_id: str, payload: bytes) -> InvokeOutcome:
            if values(payload) == ["poison"]:
                return FunctionError(request_id, "ValueError", b"{}")
            return Succeeded(request_id, b"null")

        house.functions.answer = answer
        house.put("poison", "good")
        await house.service.start()
        await house.until(lambda: house.delivered == [["poison"], ["poison"], ["good"]])
        names = [name for _, _, name, _ in house.metrics]
        assert ("DroppedEventCount" in names) == (refusing is not None)
        assert ("OnFailureDestinationDeliveredEventCount" in names) == (refusing is None)
        if refusing is None:
            [(arn, key, body)] = house.destinations.documents
            assert arn == BUCKET
            assert key.startswith("aws/lambda/11111111-2222-3333-4444-555555555555/shardId-000000000000/2026/09/19/")
            assert json.loads(body)["payload"].encode() == house.functions.calls[0][1]
        await house.service.stop()

    run(test())
    errors = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [each.getMessage().rpartition("dropped: ")[2] for each in errors] == (
        [] if refusing is None else ["ConnectionResetError: no such bucket"]
    )
    assert all(each.exc_info is None for each in errors)


def test_a_split_while_reading_loses_nothing_and_keeps_the_order_per_key() -> None:
    """Facts 2.26, 2.27."""

    async def test() -> None:
        house = House(starting_position="LATEST")
        await house.service.start()
        await asyncio.sleep(2)
        for number in range(40):
            house.put(str(number), key=f"key-{number % 5}")
            if number == 19:
                house.streams.change(lambda now: house.stream.scale(2, now))
            await asyncio.sleep(0.03)
        await house.until(lambda: sum(map(len, house.delivered)) == 40)
        flat = [int(value) for batch in house.delivered for value in batch]
        for key in range(5):
            assert [number for number in flat if number % 5 == key] == list(range(key, 40, 5))
        await house.service.stop()

    run(test())


def test_an_idle_mapping_polls_once_a_second() -> None:
    """Fact 2.17; fact 8.10: an empty poll publishes 0."""

    async def test() -> None:
        house = House()
        await house.service.start()
        await asyncio.sleep(10.5)
        polls = [value for _, _, name, value in house.metrics if name == "PolledEventCount"]
        assert polls == [0.0] * 11
        await house.service.stop()

    run(test())


def test_stop_waits_for_the_invocation_under_way_and_leaves_no_task() -> None:
    async def test() -> None:
        house = House()
        ended = []

        async def answer(request_id: str, _payload: bytes) -> InvokeOutcome:
            await asyncio.sleep(5)
            ended.append(request_id)
            return Succeeded(request_id, b"null")

        house.functions.answer = answer
        house.put("a")
        await house.service.start()
        await house.until(lambda: bool(house.functions.calls))
        house.put("b")
        await house.service.stop()
        assert len(ended) == len(house.functions.calls) == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(100)
        assert len(house.functions.calls) == 1

    run(test())


def test_stop_cuts_off_an_invocation_that_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        house = House()

        async def answer(_request_id: str, _payload: bytes) -> InvokeOutcome:
            await asyncio.sleep(900)
            raise AssertionError

        house.functions.answer = answer
        house.put("a")
        await house.service.start()
        await house.until(lambda: bool(house.functions.calls))
        before = house.clock()
        await house.service.stop()
        assert house.clock() - before == pytest.approx(8)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test())
    assert "did not end within" in caplog.text


def test_a_stream_that_cannot_be_read_is_shown_and_tried_again() -> None:
    """Fact 2.9."""

    async def test() -> None:
        house = House()
        house.put("a")
        read = house.streams.read
        refusals = iter([True, True, False])

        def refusing(*arguments: Any) -> Any:
            if next(refusals, False):
                raise StreamError("AccessDeniedException", "no kinesis:GetRecords")
            return read(*arguments)

        house.streams.read = refusing  # type: ignore[method-assign,assignment] # takes the permission away
        await house.service.start()
        await asyncio.sleep(0.5)
        _, described = await house.get("11111111-2222-3333-4444-555555555555")
        assert described["State"] == "Enabled"
        assert described["LastProcessingResult"] == "PROBLEM: AccessDeniedException: no kinesis:GetRecords"
        await house.until(lambda: house.delivered == [["a"]])
        await house.service.stop()

    run(test())


@pytest.mark.parametrize("broken", ["shards", "read", "wait"])
def test_a_fault_of_the_stream_is_told_and_the_mapping_goes_on(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        house = House()
        house.put("a")
        whole = getattr(house.streams, broken)

        def breaking(*_: Any) -> Any:
            setattr(house.streams, broken, whole)
            raise RuntimeError("broken")

        setattr(house.streams, broken, breaking)
        await house.service.start()
        await house.until(lambda: house.delivered == [["a"]])
        house.put("b")
        await house.until(lambda: house.delivered == [["a"], ["b"]], within_s=2)
        await house.service.stop()

    run(test())
    assert "RuntimeError: broken" in caplog.text


def test_a_fault_of_the_model_stops_the_mapping_loudly_and_it_can_be_deleted(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        house = House()
        await house.service.start()
        house.streams.read = lambda *_: (_ for _ in ()).throw(StreamError("X", "y"))  # type: ignore[method-assign]
        [mapping] = house.service._mappings.values()
        assert mapping.runner is not None
        mapping.runner.machine.read_failed = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
        await asyncio.sleep(5)
        _, described = await house.get("11111111-2222-3333-4444-555555555555")
        assert described["LastProcessingResult"] == "PROBLEM: the mapping has stopped: ZeroDivisionError"
        await house.service.delete(mapping.uuid)
        await house.until(lambda: not house.service._mappings, within_s=1)
        await house.service.stop()

    run(test())
    assert "this is a fault of the model" in caplog.text


def test_the_description_has_the_shape_of_aws() -> None:
    """Facts 2.1, 2.8."""

    async def test() -> None:
        house = House(batch_size=500, report_batch_item_failures=True, on_failure_destination_arn=BUCKET)
        status, described = await house.get("11111111-2222-3333-4444-555555555555")
        assert status == 200
        assert described == {
            "UUID": "11111111-2222-3333-4444-555555555555",
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 500,
            "MaximumBatchingWindowInSeconds": 0,
            "ParallelizationFactor": 1,
            "EventSourceArn": STREAM,
            "EventSourceMappingArn": (
                "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:11111111-2222-3333-4444-555555555555"
            ),
            "FunctionArn": FUNCTION,
            "LastModified": EPOCH_S,
            "LastProcessingResult": "No records processed",
            "State": "Creating",
            "StateTransitionReason": "User action",
            "DestinationConfig": {"OnFailure": {"Destination": BUCKET}},
            "MaximumRecordAgeInSeconds": -1,
            "BisectBatchOnFunctionError": False,
            "MaximumRetryAttempts": -1,
            "TumblingWindowInSeconds": 0,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MetricsConfig": {"Metrics": ["EventCount"]},
        }
        await house.service.start()
        assert (await house.get(described["UUID"]))[1]["State"] == "Enabled"
        house.put("a")
        await house.until(lambda: bool(house.functions.calls))
        await asyncio.sleep(0.1)
        assert (await house.get(described["UUID"]))[1]["LastProcessingResult"] == "OK"
        await house.service.stop()

    run(test())


def test_the_list_is_filtered_and_paged() -> None:
    async def test() -> None:
        house = House()
        other = FUNCTION + "-2"
        house.service.add(blueprint(uuid="22222222-2222-3333-4444-555555555555", function_arn=other))
        first, second = "11111111-2222-3333-4444-555555555555", "22222222-2222-3333-4444-555555555555"

        async def listed(**query: str) -> list[str]:
            return [each["UUID"] for each in (await house.get(**query))[1]["EventSourceMappings"]]

        assert await listed() == [first, second]
        assert await listed(EventSourceArn=STREAM) == [first, second]
        assert await listed(EventSourceArn=STREAM + "x") == []
        assert await listed(FunctionName="work-2") == await listed(FunctionName=other) == [second]
        _, page = await house.get(MaxItems="1")
        assert [each["UUID"] for each in page["EventSourceMappings"]] == [first]
        assert await listed(MaxItems="1", Marker=page["NextMarker"]) == [second]
        for wrong, bound in [("0", "greater than or equal to 1"), ("10001", "less than or equal to 10000")]:
            status, error = await house.get(MaxItems=wrong)
            assert (status, error["message"]) == (
                400,
                f"1 validation error detected: Value '{wrong}' at 'maxItems' failed to satisfy constraint: "
                f"Member must have value {bound}",
            )
        assert (await house.get(MaxItems="many"))[0] == 400

    run(test())


def test_unknown_mappings_are_refused_in_the_shape_of_aws() -> None:
    async def test() -> None:
        house = House()
        for method in ("GET", "PUT", "DELETE"):
            request = Request(method, "/2015-03-31/event-source-mappings/nope", {}, {}, b"{}")
            response = await house.service.handle(request)
            assert response.status == 404
            assert response.headers["x-amzn-errortype"] == "ResourceNotFoundException"

    run(test())


@pytest.mark.parametrize("settings", [{"filters": ("{",)}, {"tumbling_window_s": 9, "parallelization_factor": 2}])
def test_what_aws_would_refuse_of_a_template_is_refused_before_anything_runs(settings: dict[str, Any]) -> None:
    """Facts 3.7, 6.8."""

    async def test() -> None:
        with pytest.raises(MappingError, match="InvalidParameterValueException"):
            House(**settings)

    run(test())


def test_the_same_function_reads_the_same_stream_only_once() -> None:
    """Fact 2.5."""

    async def test() -> None:
        house = House()
        with pytest.raises(ValueError, match="already exists") as raised:
            house.service.add(blueprint(uuid="22222222-2222-3333-4444-555555555555"))
        assert f'(" {STREAM} ") and function (" work ")' in str(raised.value)

    run(test())


def test_a_disabled_mapping_does_not_poll() -> None:
    """Fact 8.12."""

    async def test() -> None:
        house = House(enabled=False)
        house.put("a")
        await house.service.start()
        await asyncio.sleep(60)
        assert not house.functions.calls
        assert not house.metrics
        assert (await house.get())[1]["EventSourceMappings"][0]["State"] == "Disabled"
        await house.service.stop()

    run(test())


def test_an_idle_shard_reacts_to_a_put_within_50_ms_whatever_comes_to_another() -> None:
    """Fact 2.17: faster than AWS, which polls once per second, and never above the reads that a shard allows."""

    async def test() -> None:
        clock = asyncio.get_running_loop().time
        stream = Stream("events", account_id="000000000000", region="us-east-1", shard_count=2, now=clock())
        house = House(stream=stream)
        await house.service.start()

        async def traffic() -> None:
            while True:
                house.streams.put([Entry("busy", b"busy", 0)])
                await asyncio.sleep(0.02)

        busy = asyncio.create_task(traffic())
        for number in range(40):
            await asyncio.sleep(1.03)
            house.streams.put([Entry("idle", str(number).encode(), 2**127)])
            await house.until(lambda number=number: [str(number)] in house.delivered, within_s=0.05)  # type: ignore[misc] # mypy cannot type the default
        busy.cancel()
        counters = [shard.counters for shard in stream.shards(clock())]
        assert [each.read_provisioned_throughput_exceeded for each in counters] == [0, 0]
        assert all(each.get_records <= 43 * 5 for each in counters)
        await house.service.stop()

    run(test())


@pytest.mark.parametrize("busy", [False, True])
def test_a_stream_that_is_created_again_under_its_name_is_read_from_its_beginning(
    busy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the starting position is. Its shards have the names of the old one's, which are completed or read."""

    async def test() -> None:
        house = House(starting_position="LATEST")
        before, released = house.streams.stream, asyncio.Event()

        async def answer(request_id: str, payload: bytes) -> InvokeOutcome:
            if busy and values(payload) == ["a"]:
                await released.wait()
            return Succeeded(request_id, b"null")

        house.functions.answer = answer
        await house.service.start()
        await asyncio.sleep(2)
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]])
        house.streams.change(lambda now: before.scale(2, now))
        await asyncio.sleep(30)
        house.streams.change(lambda now: setattr(house.streams, "stream", new_stream(now)))
        house.put("NEW")
        if busy:
            await asyncio.sleep(20)
            released.set()
        await house.until(lambda: house.delivered[-1] == ["NEW"], within_s=12)
        house.put("newer")
        await house.until(lambda: house.delivered[-1] == ["newer"])
        (described,) = (await house.get())[1]["EventSourceMappings"]
        assert (described["State"], described["LastProcessingResult"]) == ("Enabled", "OK")
        await house.service.stop()

    run(test())
    assert "begins anew" in caplog.text
