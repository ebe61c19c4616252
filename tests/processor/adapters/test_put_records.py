"""PutRecords through botocore: the body written here is botocore's own, and other calls of the client stay as they are."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from processor.adapters.publisher import PutRecords, kinesis_client
from processor.adapters.put_records import STAND_IN, as_parameters, encoded
from processor.core.packing import Packed
from processor.core.resend import CallFailed, Entry, NotWritten, Reply, Written

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
hash_keys = st.none() | st.integers(0, 2**128 - 1).map(str)
records = st.lists(
    st.builds(Packed, keys, hash_keys, st.binary(max_size=300), st.just((1,)), st.booleans()), min_size=1, max_size=5
)


class Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.getvalue()


SESSION = Session()  # one for all clients: it reads botocore's data once
SESSION.set_credentials("test", "test")


class Wire:
    """A botocore client whose requests go nowhere; `answer(request body)` makes (status, body)."""

    def __init__(self, answer: Callable[[bytes], tuple[int, bytes]] = lambda _: (200, b'{"Records": []}')) -> None:
        self.client: Any = kinesis_client(region="us-east-1", session=SESSION)
        self.requests: list[Any] = []
        self._answer = answer
        events: Any = self.client.meta.events
        events.register("before-send.kinesis.PutRecords", self._send)

    def _send(self, request: Any, **_: object) -> AWSResponse:
        self.requests.append(request)
        status, body = self._answer(request.body)
        headers: Any = {"x-amzn-RequestId": "none"}
        return AWSResponse(request.url, status, headers, Body(body))

    def put(self, sent: list[Packed[int]]) -> Reply:
        return PutRecords(self.client, "events")([Entry(record, 0.0, record.size) for record in sent])


WIRE = Wire()


@given(records)
def test_a_body_is_byte_for_byte_what_botocore_writes_for_the_same_records(sent: list[Packed[int]]) -> None:
    WIRE.requests.clear()
    WIRE.put(sent)
    WIRE.client.put_records(StreamName="events", Records=as_parameters(sent))
    ours, theirs = WIRE.requests
    assert ours.body == theirs.body
    assert ours.headers["Content-Length"] == theirs.headers["Content-Length"] == str(len(ours.body))
    assert ours.headers.keys() == theirs.headers.keys()


@given(records)
def test_the_pieces_of_a_body_are_the_records_as_json(sent: list[Packed[int]]) -> None:
    found = json.loads(b"[" + b"".join(encoded(sent)) + b"]")
    assert [record["PartitionKey"] for record in found] == [record.partition_key for record in sent]
    assert [record.get("ExplicitHashKey") for record in found] == [record.explicit_hash_key for record in sent]


ONE: list[Packed[int]] = [Packed("key", None, b"data", (1,), aggregated=False)]


def answering(status: int, body: bytes) -> Reply:
    return Wire(lambda _: (status, body)).put(ONE)


def test_every_record_has_its_own_answer() -> None:
    body = {"Records": [{"ShardId": "s", "SequenceNumber": "1"}, {"ErrorCode": "Throttled", "ErrorMessage": "no"}]}
    reply = Wire(lambda _: (200, json.dumps(body).encode())).put(ONE * 2)
    assert reply == [Written("s", "1"), NotWritten("Throttled", "no")]


def test_nulls_beside_what_an_answer_says_are_nothing() -> None:
    body = b'{"Records": [{"ShardId": "s", "SequenceNumber": "1", "ErrorCode": null}], "EncryptionType": null}'
    assert answering(200, body) == [Written("s", "1")]


@pytest.mark.parametrize("body", [b'{"Records": []}', b'{"Records": [{"ShardId": "s", "SequenceNumber": "1"}, {}]}'])
def test_an_answer_for_another_number_of_records_may_have_written(body: bytes) -> None:
    reply = answering(200, body)
    assert isinstance(reply, CallFailed)
    assert (reply.code, reply.uncertain) == ("ResponseMismatch", True)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", b'"text"', b'{"Records": null}', b'{"Records": [{}]}', b'{"Records": [7]}', b"<html>"],
)
def test_whatever_else_is_answered_raises_nothing_and_acknowledges_nothing(status: int, body: bytes) -> None:
    reply = answering(status, body)
    assert isinstance(reply, CallFailed)
    assert (reply.uncertain and reply.transient) or status == 400


NO_ACKNOWLEDGEMENTS = [
    b'{"ShardId": null, "SequenceNumber": null}',
    b'{"ShardId": "", "SequenceNumber": ""}',
    b'{"ShardId": "s", "SequenceNumber": ""}',
    b'{"ShardId": "", "SequenceNumber": "1"}',
    b'{"ShardId": "s", "SequenceNumber": 7}',
    b'{"ShardId": 1, "SequenceNumber": "7"}',
    b'{"ShardId": "s", "SequenceNumber": NaN}',
    b'{"ShardId": "s", "SequenceNumber": "7a"}',
    b'{"ShardId": "s", "SequenceNumber": "\xd9\xa7"}',  # an Arabic 7
    b'{"ShardId": "\\ud800", "SequenceNumber": "7"}',
    b'{"ShardId": ["s"], "SequenceNumber": "7"}',
    b'{"ErrorCode": 5, "ErrorMessage": null}',
    b'{"ErrorCode": "\\ud800"}',
    b'{"ErrorCode": {"a": 1}, "ErrorMessage": ["x"]}',
]


@pytest.mark.parametrize("record", NO_ACKNOWLEDGEMENTS)
def test_a_record_without_a_shard_and_a_number_may_have_been_written_and_is_not_acknowledged(record: bytes) -> None:
    reply = answering(200, b'{"Records": [' + record + b"]}")
    assert isinstance(reply, CallFailed)
    assert (reply.code, reply.transient, reply.uncertain) == ("UnreadableAnswer", True, True)


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"Records": ' + b"[" * 200_000], ids=["bare", "as the records"])
def test_an_answer_nested_too_deeply_to_be_read_may_have_written(status: int, body: bytes) -> None:
    reply = answering(status, body)
    assert isinstance(reply, CallFailed)
    assert (reply.code, reply.transient, reply.uncertain) == ("UnreadableAnswer", True, True)


def test_what_an_error_says_can_be_written_down_whatever_its_json_is() -> None:
    half = b'{"Records": [{"ErrorCode": "InternalFailure", "ErrorMessage": "half \\ud800"}]}'
    assert answering(200, half) == [NotWritten("InternalFailure", "half \\ud800")]
    other = b'{"Records": [{"ErrorCode": "InternalFailure", "ErrorMessage": 5}]}'
    assert answering(200, other) == [NotWritten("InternalFailure", "5")]
    whole = answering(400, b'{"__type": "Odd\\ud800", "message": "half \\ud800"}')
    assert whole == CallFailed("Odd\\ud800", "half \\ud800", transient=False, uncertain=False)


def test_an_error_of_the_whole_call_is_parsed_by_botocore() -> None:
    reply = answering(400, b'{"__type": "ResourceNotFoundException", "message": "no stream"}')
    assert reply == CallFailed("ResourceNotFoundException", "no stream", transient=False, uncertain=False)


def test_other_calls_of_the_same_client_are_left_alone() -> None:
    wire = Wire(lambda _: (200, b'{"FailedRecordCount": 0, "Records": [{"ShardId": "s", "SequenceNumber": "1"}]}'))
    for _ in range(3):
        wire.put(ONE)
    answer = wire.client.put_records(StreamName="other", Records=[{"PartitionKey": "a", "Data": b"b"}])
    assert answer["FailedRecordCount"] == 0
    assert json.loads(wire.requests[-1].body)["StreamName"] == "other"


def test_a_call_is_sent_when_its_request_is_complete_and_signed() -> None:
    now_s = iter((1.0, 2.0, 3.0))
    wire = Wire()
    put = PutRecords(wire.client, "events", clock=lambda: next(now_s))
    put([Entry(ONE[0], 0.0, 1)])
    assert put.sent_s == 2.0
    assert "Authorization" in wire.requests[0].headers


@pytest.mark.parametrize("body", [b"\xbfkRecords", "text", b'{"Records":[]}'])
def test_a_botocore_that_writes_bodies_in_another_way_does_all_of_it_itself(body: object) -> None:
    """And nothing but the whole call is sent."""
    wire = Wire(lambda _: (200, b'{"Records": [{"ShardId": "s", "SequenceNumber": "1"}]}'))
    events: Any = wire.client.meta.events

    def otherwise(params: dict[str, Any], **_: object) -> None:
        if STAND_IN in params["body"]:
            params["body"] = body

    events.register_first("before-call.kinesis.PutRecords", otherwise)
    put = PutRecords(wire.client, "events")
    record = Packed("key", None, b"data", (1,), False)
    for _ in range(2):
        assert put([Entry(record, 0.0, record.size)]) == [Written("s", "1")]
    expected = {"StreamName": "events", "Records": [{"Data": "ZGF0YQ==", "PartitionKey": "key"}]}
    assert [json.loads(request.body) for request in wire.requests] == [expected] * 2
