"""The event that the function gets, to the byte."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.mapping.events import ENVELOPE_BYTES, EventEncoder, epoch_seconds, epoch_seconds_length
from infra.model.stream import StreamRecord
from tests.support.mapping_world import FIRST, ONE, ROLE, STREAM, World

ENCODER = EventEncoder(event_source_arn=STREAM, region="us-east-1", role_arn=ROLE)


def test_the_event_is_as_recorded_from_aws_to_the_byte() -> None:
    """Facts 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9: one key `Records`, keys in order, constants, eventID, role, stream."""
    records = [
        StreamRecord(FIRST, "k", b"hello", 1_789_808_149_592),
        StreamRecord(FIRST + 1, "k", b"", 1_789_808_386_800),
    ]
    tail = (
        f'"eventName":"aws:kinesis:record","invokeIdentityArn":"{ROLE}",'
        f'"awsRegion":"us-east-1","eventSourceARN":"{STREAM}"}}'
    )
    assert ENCODER.event(ONE, records).decode() == (
        f'{{"Records":[{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"k","sequenceNumber":"{FIRST}",'
        f'"data":"aGVsbG8=","approximateArrivalTimestamp":1789808149.592}},"eventSource":"aws:kinesis",'
        f'"eventVersion":"1.0","eventID":"{ONE}:{FIRST}",{tail},'
        f'{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"k","sequenceNumber":"{FIRST + 1}",'
        f'"data":"","approximateArrivalTimestamp":1789808386.8}},"eventSource":"aws:kinesis",'
        f'"eventVersion":"1.0","eventID":"{ONE}:{FIRST + 1}",{tail}]}}'
    )


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (1_789_808_149_592, "1789808149.592"),
        (1_789_808_386_800, "1789808386.8"),
        (1_789_808_386_050, "1789808386.05"),
        (1_789_808_386_000, "1789808386"),
        (999_999_999_990, "999999999.99"),
        (7, "0.007"),
        (0, "0"),
    ],
)
def test_arrival_times_are_seconds_with_milliseconds_and_no_trailing_zeros(time_ms: int, text: str) -> None:
    """Fact 1.6."""
    assert epoch_seconds(time_ms) == text
    assert epoch_seconds_length(time_ms) == len(text)


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=20),
            st.binary(max_size=50),
            st.one_of(st.integers(0, 2**45), st.integers(1_700_000_000, 1_800_000_000).map(lambda s: s * 1000)),
            st.one_of(st.integers(0, 12), st.integers(0, 10**56)),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_sizes_are_known_without_building_the_event(parts: list[tuple[str, bytes, int, int]]) -> None:
    """Fact 1.12: it is the encoded event that counts. Whatever the key, the data, the time, the sequence number."""
    world = World(batching_window_s=300).start().run(0.1)
    numbers = sorted(FIRST + number * 1000 + place for place, (*_, number) in enumerate(parts))
    records = [
        StreamRecord(number, key, data, time_ms) for number, (key, data, time_ms, _) in zip(numbers, parts, strict=True)
    ]
    world.shards[ONE].records += records
    world.run(1.5)
    [lane] = world.machine._shards[ONE].lanes
    assert lane.records == records
    event = ENCODER.event(ONE, records)
    assert sum(lane.sizes) + ENVELOPE_BYTES == lane.queued_bytes + ENVELOPE_BYTES == len(event)
    decoded = json.loads(event)["Records"]
    assert [base64.b64decode(record["kinesis"]["data"]) for record in decoded] == [part[1] for part in parts]
    assert [record["kinesis"]["partitionKey"] for record in decoded] == [part[0] for part in parts]


def test_half_a_surrogate_pair_in_a_key_is_escaped() -> None:
    event = ENCODER.event(ONE, [StreamRecord(FIRST, "\ud800é", b"", 0)])
    assert b'"partitionKey":"\\ud800\xc3\xa9"' in event
    assert json.loads(event)["Records"][0]["kinesis"]["partitionKey"] == "\ud800é"
