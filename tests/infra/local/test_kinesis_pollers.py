"""The service as pollers in the same process use it: shards, positions, reads, and waiting without polling."""

import asyncio
import base64
import json
from typing import Any

import pytest

from infra.blueprint import StreamBlueprint
from infra.local.http import Request
from infra.local.kinesis import KinesisService
from infra.model.stream import StreamError, Throttled

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
FIRST = "shardId-000000000000"


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def make(clock: Clock, **changes: Any) -> KinesisService:
    service = KinesisService("000000000000", "us-east-1", clock, transition_s=0.0)
    settings: dict[str, Any] = {
        "logical_id": "EventStream",
        "name": "orders",
        "arn": ARN,
        "mode": "PROVISIONED",
        "shard_count": 1,
        "retention_hours": 24,
        "encrypted": True,
        "record_size_kib_max": 1024,
    }
    service.create_stream(StreamBlueprint(**{**settings, **changes}))
    return service


async def call(service: KinesisService, operation: str, **members: Any) -> Any:
    headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "content-type": "application/x-amz-json-1.1"}
    response = await service.handle(Request("POST", "/", {}, headers, json.dumps(members).encode()))
    assert response.status == 200, response.body
    return json.loads(response.body) if response.body else None


def put(service: KinesisService, data: bytes) -> Any:
    return call(service, "PutRecord", StreamName="orders", PartitionKey="k", Data=base64.b64encode(data).decode())


def test_the_stream_of_a_template_is_there_at_once_with_its_settings() -> None:
    service = make(Clock(), mode="ON_DEMAND", shard_count=None, retention_hours=48, record_size_kib_max=2048)
    description = asyncio.run(call(service, "DescribeStreamSummary", StreamName="orders"))["StreamDescriptionSummary"]
    assert description["StreamARN"] == ARN
    assert (description["StreamStatus"], description["OpenShardCount"]) == ("ACTIVE", 4)
    assert (description["RetentionPeriodHours"], description["MaxRecordSizeInKiB"]) == (48, 2048)
    assert (description["EncryptionType"], description["KeyId"]) == ("KMS", "alias/aws/kinesis")


def test_a_poller_follows_a_shard_to_its_end_and_on_into_the_children() -> None:
    async def scenario() -> None:
        clock = Clock()
        service = make(clock)
        await put(service, b"one")
        position = service.start_position(ARN, FIRST, "TRIM_HORIZON")
        first = service.read(ARN, FIRST, position, 100)
        assert [record.data for record in first.records] == [b"one"]
        assert not first.end_of_shard
        await put(service, b"two")
        await call(service, "SplitShard", StreamName="orders", ShardToSplit=FIRST, NewStartingHashKey="9")
        second = service.read(ARN, FIRST, first.position, 100)
        assert [record.data for record in second.records] == [b"two"]
        assert second.end_of_shard
        parent, lower, upper = service.shards(ARN)
        assert (parent.closed, lower.closed, upper.closed) == (True, False, False)
        assert (lower.parent_shard_id, lower.adjacent_parent_shard_id) == (FIRST, None)
        again = service.start_position(
            ARN, FIRST, "AT_SEQUENCE_NUMBER", sequence_number=second.records[0].sequence_number
        )
        assert service.read(ARN, FIRST, again, 100).records == second.records

    asyncio.run(scenario())


def test_polls_use_up_the_same_quota_as_get_records() -> None:
    async def scenario() -> None:
        clock = Clock()
        service = make(clock)
        position = service.start_position(ARN, FIRST, "LATEST")
        for _ in range(4):
            service.read(ARN, FIRST, position, 100)
        answer = await call(
            service, "GetShardIterator", StreamName="orders", ShardId=FIRST, ShardIteratorType="TRIM_HORIZON"
        )
        await call(service, "GetRecords", ShardIterator=answer["ShardIterator"])
        with pytest.raises(Throttled) as throttled:
            service.read(ARN, FIRST, position, 100)
        clock.now = throttled.value.ready_at_s
        service.read(ARN, FIRST, position, 100)

    asyncio.run(scenario())


def test_what_was_taken_read_and_refused_is_counted_by_shard() -> None:
    async def scenario() -> None:
        service = make(Clock())
        entries = [{"PartitionKey": "key", "Data": ""}] * 500
        for _ in range(2):
            await call(service, "PutRecords", StreamName="orders", Records=entries)
        before = service.counters(ARN)[FIRST]
        await call(service, "PutRecords", StreamName="orders", Records=entries[:7])
        position = service.start_position(ARN, FIRST, "TRIM_HORIZON")
        for _ in range(5):
            service.read(ARN, FIRST, position, 10)
        with pytest.raises(Throttled):
            service.read(ARN, FIRST, position, 10)
        after = service.counters(ARN)[FIRST]
        assert (before.incoming_records, before.incoming_bytes) == (1_000, 3_000)
        assert (before.write_provisioned_throughput_exceeded, after.write_provisioned_throughput_exceeded) == (0, 7)
        assert (after.get_records, after.outgoing_records, after.outgoing_bytes) == (5, 50, 150)
        assert after.read_provisioned_throughput_exceeded == 1

    asyncio.run(scenario())


def test_a_position_is_good_for_its_own_shard_only() -> None:
    service = make(Clock(), shard_count=2)
    position = service.start_position(ARN, FIRST, "TRIM_HORIZON")
    with pytest.raises(ValueError, match="the position is one of shardId-000000000000"):
        service.read(ARN, "shardId-000000000001", position, 100)
    with pytest.raises(StreamError, match="not found"):
        service.shards(ARN + "x")


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("PutRecords", {"Records": [{"PartitionKey": "k", "Data": ""}]}),
        ("SplitShard", {"ShardToSplit": FIRST, "NewStartingHashKey": "9"}),
        ("UpdateShardCount", {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}),
    ],
)
def test_a_put_or_a_reshard_wakes_every_waiter_of_that_stream(operation: str, members: dict[str, Any]) -> None:
    async def scenario() -> None:
        service = make(Clock())
        waiters = [asyncio.create_task(service.wait(ARN, 60)) for _ in range(3)]
        other = asyncio.create_task(service.wait(ARN + "-of-others", 60))
        await asyncio.sleep(0)
        await call(service, operation, StreamName="orders", **members)
        await asyncio.wait_for(asyncio.gather(*waiters), 5)
        assert not other.done()
        other.cancel()

    asyncio.run(scenario())


def test_a_waiter_is_woken_again_when_a_slow_reshard_is_done() -> None:
    async def scenario() -> None:
        service = KinesisService("000000000000", "us-east-1", transition_s=0.05)
        await call(service, "CreateStream", StreamName="orders", ShardCount=1)
        for _ in range(500):
            if service.shards(ARN):
                break
            await service.wait(ARN, 0.01)
        await call(service, "SplitShard", StreamName="orders", ShardToSplit=FIRST, NewStartingHashKey="9")
        await asyncio.wait_for(service.wait(ARN, 60), 5)
        assert len(service.shards(ARN)) == 3

    asyncio.run(scenario())


def test_waiting_ends_at_its_time_and_leaves_nothing_behind_that_a_later_put_would_miss() -> None:
    async def scenario() -> None:
        service = make(Clock())
        await service.wait(ARN, 0.001)
        waiter = asyncio.create_task(service.wait(ARN, 60))
        await asyncio.sleep(0)
        await put(service, b"x")
        await asyncio.wait_for(waiter, 5)

    asyncio.run(scenario())
