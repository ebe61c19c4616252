"""A mapping on a consumer, over the local Kinesis with its quotas, in virtual time: no sleeps, no sockets."""

import asyncio
import base64
import json
from typing import Any

from infra.local.http import Request
from infra.local.kinesis import KinesisService
from infra.local.mappings import MappingService
from infra.model.function import InvokeOutcome, Succeeded
from infra.model.mapping import Pace
from infra.model.subscription import Subscription
from tests.support.kpl_format import aggregate
from tests.support.mapping_doubles import DestinationsInMemory, FunctionsInMemory
from tests.support.mapping_house import FUNCTION, House, Lambda, blueprint, new_stream, run

ACCOUNT = "000000000000"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/events"


class Place:
    """A stream with one consumer, and a mapping on it."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.clock = asyncio.get_running_loop().time
        self.kinesis = KinesisService(ACCOUNT, "us-east-1", self.clock, transition_s=0.0)
        self.functions = FunctionsInMemory()
        self.mappings = MappingService(
            self.kinesis, self.functions, DestinationsInMemory().deliver, self.clock, pace=pace
        )
        self.wire = Lambda(self.mappings)

    async def call(self, operation: str, **members: Any) -> Any:
        headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "content-type": "application/x-amz-json-1.1"}
        response = await self.kinesis.handle(Request("POST", "/", {}, headers, json.dumps(members).encode()))
        assert response.status == 200, response.body
        return json.loads(response.body) if response.body else None

    async def begin(self, **settings: Any) -> str:
        await self.call("CreateStream", StreamName="events", ShardCount=1)
        registered = await self.call("RegisterStreamConsumer", StreamARN=STREAM, ConsumerName="quick")
        arn: str = registered["Consumer"]["ConsumerARN"]
        self.mappings.add(blueprint(event_source_arn=arn, **settings))
        await self.mappings.start()
        return arn

    async def put(self, data: bytes, key: str = "k", **members: Any) -> None:
        encoded = base64.b64encode(data).decode()
        await self.call("PutRecord", StreamName="events", PartitionKey=key, Data=encoded, **members)

    @property
    def subscription(self) -> Subscription:
        """The latest one, looked at behind the scenes."""
        stream = self.kinesis._account.by_arn(STREAM, self.clock())
        return stream.consumers.find(name="quick").subscriptions["shardId-000000000000"]

    @property
    def delivered(self) -> list[dict[str, Any]]:
        return [record for _, payload in self.functions.calls for record in json.loads(payload)["Records"]]

    @property
    def values(self) -> list[str]:
        return [base64.b64decode(record["kinesis"]["data"]).decode() for record in self.delivered]

    async def until(self, values: list[str], within_s: float = 60.0) -> None:
        end = self.clock() + within_s
        while self.values != values:
            assert self.clock() < end, (self.values, values)
            await asyncio.sleep(0.01)


def test_records_are_pushed_to_the_function_as_they_are_put() -> None:
    """Facts 1.8, 2.18."""

    async def test() -> None:
        place = Place()
        consumer_arn = await place.begin()
        await asyncio.sleep(3)
        await place.put(b"1")
        await place.until(["1"], within_s=0.05)
        await place.put(b"2")
        await place.until(["1", "2"], within_s=0.05)
        assert {record["eventSourceARN"] for record in place.delivered} == {consumer_arn}
        counters = place.kinesis.counters(STREAM)["shardId-000000000000"]
        assert counters.get_records == 0  # the shard's own reads are left to others
        await place.mappings.stop()
        assert len(asyncio.all_tasks()) == 1

    run(test())


def test_aggregates_arrive_taken_apart_unless_a_hash_key_is_not_the_shards() -> None:
    """Facts 3.9, 3.10."""

    async def test() -> None:
        place = Place()
        await place.begin()
        await place.put(aggregate(("a", b"1"), ("b", b"2")))
        await place.until(["1", "2"])
        assert len({record["eventID"] for record in place.delivered}) == 1
        await place.call(
            "SplitShard", StreamName="events", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)
        )
        await place.put(aggregate(("a", b"lost", 0), ("a", b"lost", 2**128 - 1)), ExplicitHashKey="0")
        await place.put(aggregate(("a", b"3", 0), ("a", b"4", 1)), ExplicitHashKey="0")
        await place.until(["1", "2", "3", "4"])
        assert {record["eventID"].split(":")[0] for record in place.delivered} == {
            "shardId-000000000000",
            "shardId-000000000001",
        }
        await place.mappings.stop()

    run(test())


def test_a_mapping_lives_on_through_every_renewal_of_its_subscription() -> None:
    """Fact 9.10."""

    async def test() -> None:
        place = Place()
        await place.begin()
        expected = []
        for minute in range(20):
            await place.put(str(minute).encode())
            expected.append(str(minute))
            await asyncio.sleep(60)
        await place.until(expected)
        await place.mappings.stop()

    run(test())


def test_a_subscription_that_was_taken_over_is_taken_back() -> None:
    """Fact 9.10: whoever subscribes the same consumer from elsewhere gets what the mapping then misses, for a while."""

    async def test() -> None:
        place = Place()
        consumer_arn = await place.begin()
        await asyncio.sleep(6)
        thief = place.kinesis.subscribe(consumer_arn, "shardId-000000000000", "LATEST")
        await asyncio.sleep(1)
        _, listed = await _list(place)
        assert listed["LastProcessingResult"].startswith("PROBLEM: ResourceInUseException")
        await place.put(b"1")
        await place.until(["1"], within_s=10)
        assert thief.ended
        await place.mappings.stop()

    run(test())


def test_a_slow_function_holds_the_subscription_back_and_gets_everything() -> None:
    async def test() -> None:
        place = Place(pace=Pace(held_records_max=20))

        async def answer(request_id: str, _payload: bytes) -> InvokeOutcome:
            await asyncio.sleep(4)
            return Succeeded(request_id, b"null")

        place.functions.answer = answer
        await place.begin(batch_size=5)
        await asyncio.sleep(1)
        started = set()
        for number in range(100):
            await place.put(str(number).encode())
            started.add(place.subscription.started_at_s)
            await asyncio.sleep(0.3)
        assert len(place.values) < 60
        assert place.subscription.ended
        await place.until([str(number) for number in range(100)], within_s=200)
        assert len(started) > 1
        await place.mappings.stop()

    run(test())


def test_a_mapping_is_created_on_a_consumer_through_the_api_and_refused_on_one_that_is_not_there() -> None:
    """Fact 2.4."""

    async def test() -> None:
        place = Place()
        consumer_arn = await place.begin(enabled=False)
        gone = f"{STREAM}/consumer/nobody:1"
        status, code, message = await place.wire.refused(
            "CreateEventSourceMapping", EventSourceArn=gone, FunctionName=FUNCTION, StartingPosition="LATEST"
        )
        assert (status, code) == (400, "InvalidParameterValueException")
        assert message == f"Stream not found: {gone}"
        made = await place.wire.call(
            "CreateEventSourceMapping",
            EventSourceArn=consumer_arn,
            FunctionName="other",
            StartingPosition="TRIM_HORIZON",
        )
        assert made["EventSourceArn"] == consumer_arn
        await place.put(b"1")
        await place.until(["1"])
        await place.mappings.stop()

    run(test())


async def _list(place: Place) -> tuple[int, dict[str, Any]]:
    response = await place.mappings.handle(Request("GET", "/2015-03-31/event-source-mappings/", {}, {}, b""))
    return response.status, json.loads(response.body)["EventSourceMappings"][0]


def test_the_stream_in_memory_pushes_like_the_service() -> None:
    async def test() -> None:
        now = asyncio.get_running_loop().time()
        stream = new_stream(now)
        consumer = stream.register_consumer("quick", now)
        house = House(stream=stream, event_source_arn=consumer.arn)
        house.put("a")
        await house.service.start()
        await house.until(lambda: house.delivered == [["a"]])
        house.put("b")
        await house.until(lambda: house.delivered == [["a"], ["b"]], within_s=0.5)
        await asyncio.sleep(400)
        house.put("c")
        await house.until(lambda: house.delivered == [["a"], ["b"], ["c"]], within_s=0.5)
        await house.service.stop()

    run(test())
