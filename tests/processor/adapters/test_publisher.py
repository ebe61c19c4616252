"""The publisher against a Kinesis that works (moto) and one that fails as told."""

import base64
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from moto import mock_aws

from processor.adapters.publisher import Accepted, Publisher, PutRecords, Rejected, kinesis_client
from processor.core.packing import PackingSettings
from processor.core.records import KinesisRecord, deaggregate
from processor.core.resend import CallFailed, RetryPolicy

EVENTS = [(f"customer-{i % 7}", b'{"n": %d}' % i) for i in range(50)]


class Time:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


class FakeKinesis:
    """Answers each call with the next of `answers`; then it accepts everything."""

    def __init__(self, *answers: Callable[[list[dict[str, Any]]], dict[str, Any]] | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[list[dict[str, Any]]] = []

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's names
        assert StreamName == "events"
        self.calls.append(Records)
        answer = self.answers.pop(0) if self.answers else accept
        if isinstance(answer, Exception):
            raise answer
        return answer(Records)


def accept(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Records": [{"ShardId": "shardId-0", "SequenceNumber": f"49{i}"} for i in range(len(records))]}


def fail(*places: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    def answer(records: list[dict[str, Any]]) -> dict[str, Any]:
        answers: list[dict[str, Any]] = accept(records)["Records"]
        for place in places:
            answers[place] = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        return {"Records": answers, "FailedRecordCount": len(places)}

    return answer


def refused(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutRecords")


def publisher(kinesis: Any, time: Time | None = None, **packing: Any) -> Publisher:
    time = time or Time()
    return Publisher(
        kinesis, "events", PackingSettings(**packing), clock=time.clock, sleep=time.sleep, jitter=lambda: 0.5
    )


@pytest.fixture
def moto_kinesis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("kinesis", region_name="us-east-1")
        client.create_stream(StreamName="events", ShardCount=2)
        yield client


def stored(client: Any) -> dict[tuple[str, str, int], tuple[str, bytes]]:
    """(shard, sequence number, subsequence number) -> (partition key, data), as a consumer would read them."""
    found = {}
    for shard in client.list_shards(StreamName="events")["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName="events", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for record in client.get_records(ShardIterator=iterator)["Records"]:
            arrived = KinesisRecord(
                shard["ShardId"], record["SequenceNumber"], record["PartitionKey"], 0, record["Data"]
            )
            for user in deaggregate(arrived):
                position = (shard["ShardId"], record["SequenceNumber"], user.subsequence_number)
                found[position] = (user.partition_key, user.data)
    return found


@pytest.mark.parametrize("aggregate", [None, 1, 5, 100])
def test_every_event_is_found_at_the_position_it_was_acknowledged_with(
    moto_kinesis: Any, aggregate: int | None
) -> None:
    outcomes = publisher(moto_kinesis, aggregate=aggregate, lanes=8).publish(EVENTS)
    found = stored(moto_kinesis)
    assert len(found) == len(EVENTS)
    for event, outcome in zip(EVENTS, outcomes, strict=True):
        assert isinstance(outcome, Accepted)
        assert found[outcome] == event
    assert {shard for shard, _, _ in found} == {"shardId-000000000000", "shardId-000000000001"}


def test_only_what_failed_is_put_again() -> None:
    kinesis = FakeKinesis(fail(0, 2))
    outcomes = publisher(kinesis, aggregate=None).publish([(f"key-{i}", b"x") for i in range(5)])
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [[record["PartitionKey"] for record in call] for call in kinesis.calls] == [
        ["key-0", "key-1", "key-2", "key-3", "key-4"],
        ["key-0", "key-2"],
    ]


def test_a_later_event_of_a_key_waits_for_the_failed_one() -> None:
    kinesis = FakeKinesis(fail(0), fail(0))
    publisher(kinesis, aggregate=None).publish([("a", b"1"), ("a", b"2"), ("b", b"1"), ("b", b"2")])
    order: dict[str, list[bytes]] = {"a": [], "b": []}
    for call in kinesis.calls:
        assert len({record["PartitionKey"] for record in call}) == len(call)
        for record in call:
            order[record["PartitionKey"]].append(record["Data"])
    assert order == {"a": [b"1", b"1", b"2"], "b": [b"1", b"2", b"2"]}


def test_a_lost_answer_is_put_again_and_the_event_is_acknowledged_once() -> None:
    kinesis = FakeKinesis(ReadTimeoutError(endpoint_url="http://127.0.0.1"))
    outcomes = publisher(kinesis).publish(EVENTS[:3])
    assert len(kinesis.calls) == 2
    first, second = (sorted(call, key=lambda record: str(record["PartitionKey"])) for call in kinesis.calls)
    assert first == second
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)


def test_waits_grow_and_the_whole_is_bounded_in_time() -> None:
    time = Time()
    kinesis = FakeKinesis(*[refused("ServiceUnavailable", 503)] * 100)
    outcomes = publisher(kinesis, time).publish(EVENTS)
    assert time.now_s <= 30.0
    assert len(kinesis.calls) > 5
    assert time.slept[:4] == pytest.approx([0.0375, 0.075, 0.15, 0.3])
    assert max(time.slept) <= 2.0
    assert {outcome for outcome in outcomes if isinstance(outcome, Rejected)} == set(outcomes)
    assert all(outcome.reason == "ServiceUnavailable" and outcome.uncertain for outcome in outcomes)  # type: ignore[union-attr]  # all are Rejected, asserted above


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refused("ResourceNotFoundException", 400), "ResourceNotFoundException"),
        (refused("AccessDeniedException", 400), "AccessDeniedException"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
)
def test_what_waiting_cannot_cure_fails_at_once_for_every_event(error: Exception, reason: str) -> None:
    kinesis = FakeKinesis(error)
    outcomes = publisher(kinesis, lanes=1).publish(EVENTS)
    assert len(kinesis.calls) == 1
    assert Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Rejected)) == {reason: len(EVENTS)}
    assert not any(outcome.uncertain for outcome in outcomes if isinstance(outcome, Rejected))


@pytest.mark.parametrize("aggregate", [None, 100])
def test_an_oversized_event_fails_clearly_and_nothing_else_is_affected(
    moto_kinesis: Any, aggregate: int | None
) -> None:
    outcomes = publisher(moto_kinesis, aggregate=aggregate, lanes=1).publish(
        [("a", b"before"), ("a", bytes(1024 * 1024)), ("a", b"after")]
    )
    assert isinstance(outcomes[0], Accepted)
    assert isinstance(outcomes[2], Accepted)
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[1].reason == "event_too_large"
    assert sorted(data for _, data in stored(moto_kinesis).values()) == [b"after", b"before"]


def test_a_call_answered_for_fewer_records_than_it_had_is_not_believed() -> None:
    kinesis = FakeKinesis(lambda records: {"Records": accept(records)["Records"][1:]})
    outcomes = publisher(kinesis, aggregate=None).publish([("a", b"1"), ("b", b"1")])
    assert len(kinesis.calls) == 2
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)


def test_an_endpoint_that_is_not_there_is_certain_to_have_written_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kinesis = FakeKinesis(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))
    put: PutRecords = PutRecords(kinesis, "events")  # type: ignore[arg-type]  # the fake has the one method that is used
    reply = put([])
    assert isinstance(reply, CallFailed)
    assert (reply.transient, reply.uncertain) == (True, False)


def test_the_clients_own_retries_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = kinesis_client(region="us-east-1", endpoint_url=f"http://127.0.0.1:{port}")
    sent: list[Any] = []
    client.meta.events.register("before-send.kinesis.PutRecords", lambda request, **_: sent.append(request))
    time = Time()
    outcomes = Publisher(
        client, "events", retry=RetryPolicy(deadline_s=0.1), clock=time.clock, sleep=time.sleep, jitter=lambda: 0.0
    ).publish([("a", b"payload")])
    assert isinstance(outcomes[0], Rejected)
    assert outcomes[0].reason == "EndpointConnectionError"
    assert len(sent) == len(time.slept) + 1
    body = json.loads(sent[0].body)
    assert base64.b64decode(body["Records"][0]["Data"]).startswith(b"\xf3\x89\x9a\xc2")


def test_nothing_to_publish_is_no_call() -> None:
    kinesis = FakeKinesis()
    assert publisher(kinesis).publish([]) == []
    assert kinesis.calls == []
