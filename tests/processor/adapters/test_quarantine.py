"""What is set aside: its place, its item, its object, and what fails when it cannot be kept."""

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from processor.adapters.quarantine import INLINE_MAX_BYTES, TRACEBACK_MAX_CHARACTERS, Quarantine, position, rfc3339
from processor.core.errors import Reason
from processor.core.plan import Quarantined
from processor.core.records import KinesisRecord
from processor.core.statements import Table

ARN = "arn:aws:kinesis:eu-west-1:000000000000:stream/orders-events"
RECORD = KinesisRecord("shardId-000000000007", "4959", "outer", 1_795_425_112_059, b"")


class Bucket:
    """Keeps objects, or fails as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.objects: dict[tuple[str, str], bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803  # boto3's names
        if self.error:
            raise self.error
        self.objects[Bucket, Key] = Body


def bad(payload: bytes, subsequence: int | None = 3, traceback: str | None = None, source: int = 0) -> Quarantined:
    return Quarantined(source, subsequence, Reason.NOT_JSON, "why", traceback, "inner", payload)


def works(quarantined: list[Quarantined], s3: Any = None, *, late: bool = False) -> Any:
    made: list[int] = []

    def client() -> Any:
        made.append(1)
        return s3

    quarantine = Quarantine("failures", 30, client)
    found = quarantine.works(
        quarantined, [RECORD, RECORD], stream_arn=ARN, now_s=1_795_425_113.5, out_of_time=lambda: late
    )
    return (*found, made)


def test_a_record_is_kept_under_its_place_with_all_there_is_to_know() -> None:
    ((_, work),), failed, made = works([bad(b"\x00payload")])
    assert (failed, made) == ({}, [])
    insert = work.ask()
    assert (insert.table, insert.pk, insert.sk) == (
        Table.QUARANTINE,
        "orders-events/shardId-000000000007:4959",
        "000003",
    )
    assert insert.attributes == {
        "reason": "not_json",
        "detail": "why",
        "partition_key": "inner",
        "arrived_at": "2026-11-23T09:11:52.059Z",
        "quarantined_at": "2026-11-23T09:11:53.500Z",
        "size": 8,
        "payload": b"\x00payload",
        "payload_sha256": hashlib.sha256(b"\x00payload").hexdigest(),
        "event_source": ARN,
        "expires_at": 1_795_425_113 + 30 * 86_400,
    }
    assert work.sources() == (0,)


def test_a_whole_kinesis_record_has_a_place_of_its_own() -> None:
    assert position(ARN, RECORD, bad(b"", None)) == ("orders-events/shardId-000000000007:4959", "whole")


def test_records_of_one_aggregate_that_fan_out_took_apart_have_places_of_their_own() -> None:
    consumer = f"{ARN}/consumer/fast:1795425112"
    places = [position(consumer, RECORD, bad(payload, None)) for payload in (b"a", b"b", b"a")]
    assert {pk for pk, _ in places} == {"orders-events/shardId-000000000007:4959"}
    assert places[0] == places[2] != places[1]
    assert all(sk.startswith("whole-") for _, sk in places)
    other_key = Quarantined(0, None, Reason.NOT_JSON, "why", None, "inne", b"ra")
    assert position(consumer, RECORD, bad(b"a", None)) != position(consumer, RECORD, other_key)


@pytest.mark.parametrize("size", [INLINE_MAX_BYTES, INLINE_MAX_BYTES + 1])
def test_only_payloads_above_the_limit_go_to_s3_under_a_key_made_of_their_place(size: int) -> None:
    s3 = Bucket()
    for _ in range(2):
        ((_, work),), failed, _ = works([bad(b"x" * size)], s3)
    assert failed == {}
    attributes = work.ask().attributes
    if size > INLINE_MAX_BYTES:
        key = "quarantine/orders-events/shardId-000000000007/4959/000003"
        assert s3.objects == {("failures", key): b"x" * size}
        assert attributes["payload_s3"] == f"s3://failures/{key}"
        assert "payload" not in attributes
    else:
        assert s3.objects == {}
        assert len(attributes["payload"]) == size


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject"), "S3AccessDenied"),
        (EndpointConnectionError(endpoint_url="x"), "S3Connection"),
    ],
)
def test_a_payload_that_cannot_be_put_fails_its_record_and_no_other(error: Exception, code: str) -> None:
    kept, failed, _ = works([bad(b"x" * 100_000, source=1), bad(b"small", source=0)], Bucket(error))
    assert failed == {1: code}
    assert [work.sources() for _, work in kept] == [(0,)]


def test_out_of_time_puts_nothing() -> None:
    s3 = Bucket()
    kept, failed, _ = works([bad(b"x" * 100_000)], s3, late=True)
    assert (kept, failed, s3.objects) == ([], {0: "OutOfTime"}, {})


def test_the_end_of_a_long_traceback_is_kept() -> None:
    ((_, work),), _, _ = works([bad(b"", traceback="x" * 20_000 + "the place")])
    kept = work.ask().attributes["traceback"]
    assert len(kept) == TRACEBACK_MAX_CHARACTERS
    assert kept.endswith("the place")


def test_times_are_written_with_their_milliseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_795_425_112_999) == "2026-11-23T09:11:52.999Z"
