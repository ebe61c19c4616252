"""Kinesis over HTTP/2 with prior knowledge, as AWS's SDK for Java speaks to an endpoint without TLS (SubscribeToShard)."""

import json
import socket
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from infra.local import cbor
from infra.local.kinesis import KinesisService
from infra.model.stream import Quotas
from infra.model.subscription import FanOutQuotas
from tests.support.kinesis_endpoint import Endpoint

FIRST = "shardId-000000000000"
CBOR = "application/x-amz-cbor-1.1"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    quotas = Quotas(10**9, 10**12, 10**9, 10**12, 10**9)
    service = KinesisService(
        "000000000000", "us-east-1", transition_s=0.0, quotas=quotas, fan_out=FanOutQuotas(lifetime_s=2.0)
    )
    served = Endpoint(service)
    served.client().create_stream(StreamName="orders", ShardCount=1)
    yield served
    served.stop()


class Http2:
    """One connection, several requests at once. `receive` reads until the streams have ended."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.connection = H2Connection()
        self.connection.initiate_connection()
        self.status: dict[int, int] = {}
        self.bodies: dict[int, bytes] = defaultdict(bytes)
        self.ended: set[int] = set()

    def close(self) -> None:
        self.connection.close_connection()
        self.socket.sendall(self.connection.data_to_send())
        self.socket.close()

    def send(self, operation: str, body: bytes, content_type: str = CBOR) -> int:
        """Begins a request with a body of one frame; returns the number of its stream."""
        stream = self.connection.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":path", "/"),
            (":scheme", "http"),
            (":authority", "kinesis.us-east-1.localhost"),
            ("content-type", content_type),
            ("content-length", str(len(body))),
            ("x-amz-target", f"Kinesis_20131202.{operation}"),
        ]
        self.connection.send_headers(stream, headers)
        self.connection.send_data(stream, body, end_stream=True)
        self.socket.sendall(self.connection.data_to_send())
        return stream

    def receive(self, *streams: int) -> None:
        while not self.ended.issuperset(streams):
            received = self.socket.recv(65_536)
            assert received, "the server closed the connection"
            for event in self.connection.receive_data(received):
                if isinstance(event, ResponseReceived):
                    self.status[event.stream_id] = int(dict(event.headers)[b":status"])
                elif isinstance(event, DataReceived):
                    self.bodies[event.stream_id] += event.data
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    self.ended.add(event.stream_id)
            self.socket.sendall(self.connection.data_to_send())


def test_records_are_put_and_pushed_side_by_side_over_one_connection(endpoint: Endpoint) -> None:
    """Fact 2.18."""
    client = endpoint.client()
    arn = client.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
    consumer_arn = client.register_stream_consumer(StreamARN=arn, ConsumerName="audit")["Consumer"]["ConsumerARN"]
    wire = Http2(endpoint.url)
    position = {"ConsumerARN": consumer_arn, "ShardId": FIRST, "StartingPosition": {"Type": "TRIM_HORIZON"}}
    pushed = wire.send("SubscribeToShard", cbor.dumps(position))
    puts = [
        wire.send("PutRecord", cbor.dumps({"StreamName": "orders", "PartitionKey": "k", "Data": bytes([n]) * 10_000}))
        for n in range(5)
    ]
    wire.receive(*puts)
    assert [wire.status[stream] for stream in puts] == [200] * 5
    numbers = [cbor.loads(wire.bodies[stream])["SequenceNumber"] for stream in puts]
    wire.receive(pushed)
    buffer = EventStreamBuffer()
    buffer.add_data(wire.bodies[pushed])
    received: list[Any] = list(buffer)
    first, *messages = [(message.headers[":event-type"], cbor.loads(message.payload)) for message in received]
    assert first == ("initial-response", {})
    records = [record for _, event in messages for record in event["Records"]]
    assert sorted(record["SequenceNumber"] for record in records) == sorted(numbers)
    assert sorted(record["Data"][0] for record in records) == list(range(5))
    wire.close()


def test_a_refusal_over_http2_is_the_same_as_over_http1(endpoint: Endpoint) -> None:
    wire = Http2(endpoint.url)
    body = json.dumps({"StreamName": "nobody"}).encode()
    stream = wire.send("DescribeStream", body, "application/x-amz-json-1.1")
    wire.receive(stream)
    assert wire.status[stream] == 400
    assert json.loads(wire.bodies[stream])["__type"] == "ResourceNotFoundException"
    wire.close()
