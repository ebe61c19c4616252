"""Consumers and SubscribeToShard through unmodified boto3, and the same in CBOR as the SDK for Java speaks it."""

import asyncio
import io
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from mypy_boto3_kinesis import KinesisClient

from infra.local import cbor
from infra.local.cbor import Instant
from infra.local.http import Request
from infra.local.kinesis import KinesisService
from infra.model.stream import Quotas
from infra.model.stream_error import StreamError
from infra.model.subscription import FanOutQuotas
from tests.support.kinesis_endpoint import Endpoint

ACCOUNT = "000000000000"
FIRST = "shardId-000000000000"
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
JSON, CBOR = "application/x-amz-json-1.1", "application/x-amz-cbor-1.1"


def serving(**options: Any) -> Iterator[Endpoint]:
    quotas = Quotas(10**9, 10**12, 10**9, 10**12, 10**9)
    served = Endpoint(KinesisService(ACCOUNT, "us-east-1", transition_s=0.0, quotas=quotas, **options))
    served.client().create_stream(StreamName="orders", ShardCount=1)
    yield served
    served.stop()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    yield from serving()


@pytest.fixture
def impatient() -> Iterator[Endpoint]:
    """Subscriptions end after a second instead of five minutes."""
    yield from serving(fan_out=FanOutQuotas(lifetime_s=1.0))


def subscribe(client: KinesisClient, consumer_arn: str, **position: Any) -> Any:
    start = {"Type": "TRIM_HORIZON", **position}
    return client.subscribe_to_shard(ConsumerARN=consumer_arn, ShardId=FIRST, StartingPosition=start)["EventStream"]  # type: ignore[arg-type]  # a dict is what it is


def register(client: KinesisClient, name: str = "audit") -> str:
    return client.register_stream_consumer(StreamARN=ARN, ConsumerName=name)["Consumer"]["ConsumerARN"]


def test_boto3_registers_describes_lists_and_deregisters_consumers(endpoint: Endpoint) -> None:
    """Fact 9.10."""
    client = endpoint.client()
    registered = client.register_stream_consumer(StreamARN=ARN, ConsumerName="audit", Tags={"team": "a"})["Consumer"]
    assert registered["ConsumerStatus"] == "CREATING"
    created_s = int(registered["ConsumerCreationTimestamp"].timestamp())
    assert registered["ConsumerARN"] == f"{ARN}/consumer/audit:{created_s}"
    for named in ({"ConsumerARN": registered["ConsumerARN"]}, {"StreamARN": ARN, "ConsumerName": "audit"}):
        described = client.describe_stream_consumer(**named)["ConsumerDescription"]
        assert described == {**registered, "ConsumerStatus": "ACTIVE", "StreamARN": ARN}
    for name in ("billing", "copy"):
        register(client, name)
    pages = client.get_paginator("list_stream_consumers").paginate(StreamARN=ARN, PaginationConfig={"PageSize": 2})
    assert [[c["ConsumerName"] for c in page["Consumers"]] for page in pages] == [["audit", "billing"], ["copy"]]
    summary = client.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]
    assert summary["ConsumerCount"] == 3
    with pytest.raises(client.exceptions.ResourceInUseException):
        client.delete_stream(StreamName="orders")
    client.deregister_stream_consumer(StreamARN=ARN, ConsumerName="copy")
    with pytest.raises(client.exceptions.ResourceNotFoundException) as error:
        client.describe_stream_consumer(StreamARN=ARN, ConsumerName="copy")
    assert error.value.response["Error"]["Message"] == f"Consumer copy, account {ACCOUNT} not found."
    client.delete_stream(StreamName="orders", EnforceConsumerDeletion=True)


def test_streams_and_consumers_are_tagged_by_their_arn(endpoint: Endpoint) -> None:
    client = endpoint.client()
    consumer_arn = client.register_stream_consumer(StreamARN=ARN, ConsumerName="audit", Tags={"a": "1"})["Consumer"][
        "ConsumerARN"
    ]
    for arn, before in ((ARN, {}), (consumer_arn, {"a": "1"})):
        client.tag_resource(ResourceARN=arn, Tags={"b": "2", "c": "3"})
        client.untag_resource(ResourceARN=arn, TagKeys=["c", "never"])
        tags = {tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(ResourceARN=arn)["Tags"]}
        assert tags == {**before, "b": "2"}
    assert client.list_tags_for_stream(StreamName="orders")["Tags"] == [{"Key": "b", "Value": "2"}]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.tag_resource(ResourceARN=f"{ARN}/consumer/audit:1", Tags={"a": "1"})


def test_neither_arn_nor_name_of_a_consumer_is_an_invalid_argument(endpoint: Endpoint) -> None:
    client = endpoint.client()
    with pytest.raises(client.exceptions.InvalidArgumentException):
        client.describe_stream_consumer(StreamARN=ARN)


def test_boto3_gets_records_pushed_while_they_are_put(endpoint: Endpoint) -> None:
    """Facts 2.18, 9.10."""
    client = endpoint.client()
    client.put_record(StreamName="orders", PartitionKey="k", Data=b"before")
    events = iter(subscribe(client, register(client)))
    first = next(events)["SubscribeToShardEvent"]
    assert [(r["PartitionKey"], r["Data"]) for r in first["Records"]] == [("k", b"before")]
    assert first["MillisBehindLatest"] == 0
    assert first["ContinuationSequenceNumber"] == first["Records"][-1]["SequenceNumber"]
    for data in (b"one", b"two"):
        written = endpoint.client().put_record(StreamName="orders", PartitionKey="k", Data=data)
        pushed = next(events)["SubscribeToShardEvent"]
        assert [(r["Data"], r["SequenceNumber"]) for r in pushed["Records"]] == [(data, written["SequenceNumber"])]


def test_a_subscription_ends_by_itself_and_its_continuation_goes_on(impatient: Endpoint) -> None:
    """Fact 9.10."""
    client = impatient.client()
    consumer_arn = register(client)
    put = [client.put_record(StreamName="orders", PartitionKey="k", Data=b"")["SequenceNumber"] for _ in range(3)]
    events = [event["SubscribeToShardEvent"] for event in subscribe(client, consumer_arn)]
    assert [r["SequenceNumber"] for event in events for r in event["Records"]] == put
    later = client.put_record(StreamName="orders", PartitionKey="k", Data=b"")["SequenceNumber"]
    again = impatient.service.subscribe(
        register(client, "billing"),
        FIRST,
        "AFTER_SEQUENCE_NUMBER",
        sequence_number=int(events[-1]["ContinuationSequenceNumber"]),
    )
    event = impatient.run(anext(impatient.service.events(again)))
    assert [str(record.sequence_number) for record in event.records] == [later]


def test_the_end_of_a_shard_is_an_event_with_its_children(endpoint: Endpoint) -> None:
    """Fact 9.9."""
    client = endpoint.client()
    events = iter(subscribe(client, register(client), Type="LATEST"))
    assert next(events)["SubscribeToShardEvent"]["Records"] == []
    client.split_shard(StreamName="orders", ShardToSplit=FIRST, NewStartingHashKey=str(2**127))
    last = next(events)["SubscribeToShardEvent"]
    assert [child["ParentShards"] for child in last["ChildShards"]] == [[FIRST], [FIRST]]
    assert "ContinuationSequenceNumber" not in last
    assert list(events) == []


def test_subscribing_again_at_once_is_refused(endpoint: Endpoint) -> None:
    """Fact 9.10."""
    client = endpoint.client()
    consumer_arn = register(client)
    first = subscribe(client, consumer_arn)
    with pytest.raises(client.exceptions.ResourceInUseException, match="Another active subscription exists"):
        subscribe(client, consumer_arn)
    first.close()


def test_a_deregistered_consumer_is_told_in_the_stream(endpoint: Endpoint) -> None:
    client = endpoint.client()
    consumer_arn = register(client)
    events = iter(subscribe(client, consumer_arn))
    next(events)
    client.deregister_stream_consumer(ConsumerARN=consumer_arn)
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        list(events)


@pytest.mark.parametrize(
    ("arn", "code"),
    [(f"{ARN}/consumer/audit:1", "ResourceNotFoundException"), ("arn:aws:kinesis", "ValidationException")],
)
def test_an_unknown_consumer_cannot_subscribe(endpoint: Endpoint, arn: str, code: str) -> None:
    client = endpoint.client()
    with pytest.raises(client.exceptions.ClientError) as error:
        subscribe(client, arn)
    assert error.value.response["Error"]["Code"] == code


def test_a_client_that_goes_away_ends_its_subscription(endpoint: Endpoint) -> None:
    client = endpoint.client()
    stream = subscribe(client, register(client))
    next(iter(stream))
    kept = endpoint.service._account.by_arn(ARN, 0.0).consumers.find(name="audit").subscriptions[FIRST]
    stream.close()

    async def ended() -> bool:
        for _ in range(1_000):
            if kept.ended:
                return True
            await asyncio.sleep(0.01)
        return False

    assert endpoint.run(ended())


# ---- CBOR


def post(endpoint: Endpoint, operation: str, body: bytes, content_type: str = CBOR) -> tuple[int, dict[str, str], Any]:
    """One request as the SDK for Java sends it: no library of the client's in between."""
    headers = {"content-type": content_type, "x-amz-target": f"Kinesis_20131202.{operation}"}
    request = Request("POST", "/", {}, headers, body)
    response = endpoint.run(endpoint.service.handle(request))
    return response.status, dict(response.headers), cbor.loads(response.body) if response.body else None


def call(endpoint: Endpoint, operation: str, **members: Any) -> Any:
    status, headers, answer = post(endpoint, operation, cbor.dumps(members))
    assert status == 200, answer
    assert headers["content-type"] == CBOR
    return answer


def test_records_go_in_and_out_as_bytes_and_times_as_milliseconds_in_cbor(endpoint: Endpoint) -> None:
    """As recorded from AWS: times are tag 1 with a whole number, never a float."""
    written = call(endpoint, "PutRecord", StreamName="orders", PartitionKey="ü", Data=b"\x00\xff")
    many = call(endpoint, "PutRecords", StreamName="orders", Records=[{"PartitionKey": "k", "Data": b""}] * 2)
    assert many["FailedRecordCount"] == 0
    iterator = call(
        endpoint,
        "GetShardIterator",
        StreamName="orders",
        ShardId=FIRST,
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=Instant(1_600_000_000),
    )["ShardIterator"]
    got = call(endpoint, "GetRecords", ShardIterator=iterator)
    assert [(r["PartitionKey"], r["Data"]) for r in got["Records"]] == [("ü", b"\x00\xff"), ("k", b""), ("k", b"")]
    assert got["Records"][0]["SequenceNumber"] == written["SequenceNumber"]
    assert isinstance(got["Records"][0]["ApproximateArrivalTimestamp"], Instant)
    body = {"StreamName": "orders"}
    raw = endpoint.run(
        endpoint.service.handle(
            Request(
                "POST",
                "/",
                {},
                {"content-type": CBOR, "x-amz-target": "Kinesis_20131202.DescribeStream"},
                cbor.dumps(body),
            )
        )
    ).body
    assert b"StreamCreationTimestamp\xc1\x1b" in raw


def test_maps_of_indefinite_length_are_understood(endpoint: Endpoint) -> None:
    body = b"\xbf" + cbor.dumps("StreamName") + cbor.dumps("orders") + b"\xff"
    status, _, answer = post(endpoint, "DescribeStreamSummary", body)
    assert status == 200
    assert answer["StreamDescriptionSummary"]["StreamName"] == "orders"


def test_errors_are_cbor_too(endpoint: Endpoint) -> None:
    """Fact 9.13, and as recorded from AWS in CBOR."""
    status, headers, answer = post(endpoint, "DescribeStream", cbor.dumps({"StreamName": "nobody"}))
    assert (status, headers["content-type"], headers["x-amzn-errortype"]) == (400, CBOR, "ResourceNotFoundException")
    words = f"Stream nobody under account {ACCOUNT} not found."
    assert answer == {"__type": "ResourceNotFoundException", "message": words}
    for body in (b"\x9f", b"\x80", b"{}"):
        status, _, answer = post(endpoint, "ListStreams", body)
        assert (status, answer["__type"]) == (400, "SerializationException")


def test_json_text_in_a_blob_of_a_cbor_request_is_its_bytes(endpoint: Endpoint) -> None:
    data = json.dumps({"a": 1}).encode()
    call(endpoint, "PutRecord", StreamName="orders", PartitionKey="k", Data=data)
    client = endpoint.client()
    iterator = client.get_shard_iterator(StreamName="orders", ShardId=FIRST, ShardIteratorType="TRIM_HORIZON")
    assert client.get_records(ShardIterator=iterator["ShardIterator"])["Records"][0]["Data"] == data


def test_pushed_events_are_cbor_for_a_cbor_request(impatient: Endpoint) -> None:
    consumer_arn = register(impatient.client())
    call(impatient, "PutRecord", StreamName="orders", PartitionKey="k", Data=b"\x01")
    members = {"ConsumerARN": consumer_arn, "ShardId": FIRST, "StartingPosition": {"Type": "TRIM_HORIZON"}}
    headers = {"content-type": CBOR, "x-amz-target": "Kinesis_20131202.SubscribeToShard"}
    request = urllib.request.Request(impatient.url, cbor.dumps(members), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["content-type"] == "application/vnd.amazon.eventstream"
        raw = io.BytesIO(response.read())
    buffer = EventStreamBuffer()
    buffer.add_data(raw.read())
    messages: list[tuple[Any, Any]] = [(m.headers, cbor.loads(m.payload)) for m in buffer]
    assert messages[0][0][":event-type"] == "initial-response"
    assert messages[0][1] == {}
    assert messages[1][0] == {":event-type": "SubscribeToShardEvent", ":content-type": CBOR, ":message-type": "event"}
    assert [record["Data"] for record in messages[1][1]["Records"]] == [b"\x01"]


# ---- in this process


def test_a_poller_in_this_process_subscribes_without_a_wire(endpoint: Endpoint) -> None:
    client = endpoint.client()
    consumer_arn = register(client)
    client.put_record(StreamName="orders", PartitionKey="k", Data=b"x")

    async def first() -> tuple[bytes, ...]:
        subscription = endpoint.service.subscribe(consumer_arn, FIRST, "TRIM_HORIZON")
        async for event in endpoint.service.events(subscription):
            return tuple(record.data for record in event.records)
        return ()

    assert endpoint.run(first()) == (b"x",)


def test_a_subscription_of_a_stream_that_is_deleted_ends_with_its_error(endpoint: Endpoint) -> None:
    client = endpoint.client()
    subscription = endpoint.service.subscribe(register(client), FIRST, "TRIM_HORIZON")

    async def everything() -> str:
        try:
            async for _ in endpoint.service.events(subscription):
                client_delete = {"StreamName": "orders", "EnforceConsumerDeletion": True}
                headers = {"content-type": JSON, "x-amz-target": "Kinesis_20131202.DeleteStream"}
                await endpoint.service.handle(Request("POST", "/", {}, headers, json.dumps(client_delete).encode()))
        except StreamError as error:
            return error.code
        return "no error"

    assert endpoint.run(everything()) == "ResourceNotFoundException"


def test_closing_the_service_ends_every_subscription_in_good_order(endpoint: Endpoint) -> None:
    client = endpoint.client()
    events = iter(subscribe(client, register(client)))
    next(events)

    async def close() -> None:
        endpoint.service.close()

    endpoint.run(close())
    assert list(events) == []
