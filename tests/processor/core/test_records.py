"""Deaggregation is strict: everything comes out in order, or the whole Kinesis record is refused with its reason."""

import base64
import subprocess
import sys
from typing import Any

import pytest
from aws_kinesis_agg import aggregator
from aws_kinesis_agg.deaggregator import deaggregate_records
from hypothesis import given
from hypothesis import strategies as st

from processor.core.aggregate_format import MAGIC, AggregatedRecord
from processor.core.errors import Malformed, Reason
from processor.core.records import USER_RECORDS_MAX, KinesisRecord, UserRecord, deaggregate, from_lambda
from tests.processor.core.kpl import aggregate, kinesis, message, seal

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
payloads = st.binary(max_size=40).filter(lambda data: not data.startswith(MAGIC))
users = st.lists(st.tuples(keys, payloads), min_size=1, max_size=20)


def refused(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        deaggregate(kinesis(data))
    return caught.value


@given(users)
def test_everything_put_into_an_aggregate_comes_out_in_order_with_its_position(users: list[tuple[str, bytes]]) -> None:
    expected = [UserRecord(position, key, data, True) for position, (key, data) in enumerate(users)]
    assert deaggregate(kinesis(aggregate(users))) == expected


@given(users)
def test_agrees_with_the_reference_deaggregator_on_valid_aggregates(users: list[tuple[str, bytes]]) -> None:
    data = aggregate(users)
    theirs = deaggregate_records([lambda_record(data)])
    ours = deaggregate(kinesis(data))
    assert [(user.partition_key, user.data, user.subsequence_number) for user in ours] == [
        (
            user["kinesis"]["partitionKey"],
            base64.b64decode(user["kinesis"]["data"]),
            user["kinesis"]["subSequenceNumber"],
        )
        for user in theirs
    ]


@given(st.lists(st.tuples(keys, payloads), min_size=1, max_size=20), st.booleans())
def test_reads_what_the_reference_aggregator_writes(users: list[tuple[str, bytes]], hashed: bool) -> None:
    writer = aggregator.RecordAggregator()
    for position, (key, data) in enumerate(users):
        writer.add_user_record(key, data, str(position) if hashed else None)
    *_, data = writer.clear_and_get().get_contents()
    assert [(user.partition_key, user.data) for user in deaggregate(kinesis(data))] == users


@given(st.binary(max_size=200))
def test_arbitrary_bytes_without_the_magic_number_are_one_user_record(data: bytes) -> None:
    if not data.startswith(MAGIC):
        assert deaggregate(kinesis(data)) == [UserRecord(0, "outer", data, False)]


@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_behind_the_magic_number_raise_nothing_but_malformed(body: bytes, sealed: bool) -> None:
    try:
        found = deaggregate(kinesis(seal(body) if sealed else MAGIC + body))
    except Malformed as bad:
        assert bad.reason in set(Reason)
    else:
        assert [user.subsequence_number for user in found] == list(range(len(found)))
        assert found


@given(users, st.data())
def test_any_changed_byte_of_an_aggregate_is_refused_or_ends_the_magic_number(
    users: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    valid = bytearray(aggregate(users))
    at = data.draw(st.integers(0, len(valid) - 1))
    valid[at] ^= data.draw(st.integers(1, 255))
    corrupt = bytes(valid)
    if at < len(MAGIC):
        assert deaggregate(kinesis(corrupt)) == [UserRecord(0, "outer", corrupt, False)]
    else:
        assert refused(corrupt).reason is Reason.DIGEST


@given(users, st.data())
def test_any_shortened_aggregate_is_refused(users: list[tuple[str, bytes]], data: st.DataObject) -> None:
    valid = aggregate(users)
    assert refused(valid[: data.draw(st.integers(len(MAGIC), len(valid) - 1))]).reason is Reason.DIGEST


@pytest.mark.parametrize("size", range(16))
def test_a_magic_number_without_room_for_a_digest_is_refused(size: int) -> None:
    assert refused(MAGIC + bytes(size)).reason is Reason.DIGEST


def test_a_truncated_body_with_a_right_digest_is_refused() -> None:
    body = message([("a", b"one"), ("b", b"two")]).SerializeToString()
    assert refused(seal(body[:-1])).reason is Reason.PROTOBUF
    assert refused(seal(b"\xff" * 30)).reason is Reason.PROTOBUF


def test_a_user_record_without_its_required_data_is_refused() -> None:
    broken = message([("a", b"one")])
    broken.records.add(partition_key_index=0)
    assert refused(seal(broken.SerializePartialToString())).reason is Reason.PROTOBUF


def test_a_partition_key_that_is_not_utf8_is_refused() -> None:
    body = message([("abc", b"one")]).SerializeToString().replace(b"abc", b"a\xffc")
    assert refused(seal(body)).reason is Reason.PROTOBUF


@pytest.mark.parametrize("position", [0, 2, 4])
def test_a_partition_key_index_out_of_range_refuses_all_and_names_the_user_record(position: int) -> None:
    broken = message([("a", b"x")] * 5)
    broken.records[position].partition_key_index = 1
    bad = refused(seal(broken.SerializeToString()))
    assert bad.reason is Reason.KEY_INDEX
    assert bad.detail == f"user record {position} of 5: partition_key_index 1, the table has 1"


@pytest.mark.parametrize("index", [2**31, 2**63, 2**64 - 1])
def test_an_enormous_key_index_is_refused(index: int) -> None:
    broken = message([("a", b"x")])
    broken.records[0].partition_key_index = index
    assert refused(seal(broken.SerializeToString())).reason is Reason.KEY_INDEX


@pytest.mark.parametrize(("table", "index"), [([], 0), (["1"], 1), (["1", "2"], 7)])
def test_an_explicit_hash_key_index_out_of_range_is_refused(table: list[str], index: int) -> None:
    broken = message([("a", b"x"), ("a", b"y")], table)
    broken.records[1].explicit_hash_key_index = index
    bad = refused(seal(broken.SerializeToString()))
    assert bad.reason is Reason.KEY_INDEX
    assert bad.detail.startswith("user record 1 of 2: explicit_hash_key_index")


def test_user_records_with_and_without_an_explicit_hash_key_live_together() -> None:
    mixed = message([("a", b"x"), ("b", b"y")], ["12345"])
    mixed.records[1].explicit_hash_key_index = 0
    assert [user.data for user in deaggregate(kinesis(seal(mixed.SerializeToString())))] == [b"x", b"y"]


def test_an_aggregate_of_no_user_records_is_refused() -> None:
    assert refused(seal(b"")).reason is Reason.EMPTY_AGGREGATE
    assert refused(seal(message([], ["1"]).SerializeToString())).reason is Reason.EMPTY_AGGREGATE


@pytest.mark.parametrize(
    "trailing",
    [
        pytest.param(b"\x20\x01", id="unknown field at the end"),
        pytest.param(b"\x7a\x03abc", id="unknown bytes field at the end"),
        pytest.param(b"\x1a\x07\x08\x00\x1a\x01z\x28\x05", id="unknown field in a user record"),
        pytest.param(b"\x1a\x08\x08\x00\x1a\x01a\x1a\x01b", id="data given twice"),
        pytest.param(b"\x1a\x06\x08\x80\x00\x1a\x01a", id="a number with padding"),
    ],
)
def test_bytes_that_the_message_does_not_account_for_are_refused(trailing: bytes) -> None:
    body = message([("a", b"one")]).SerializeToString() + trailing
    AggregatedRecord.FromString(body)  # protobuf itself takes it
    assert refused(seal(body)).reason is Reason.TRAILING_BYTES


def test_the_order_of_fields_is_free() -> None:
    whole = message([("a", b"one"), ("b", b"two")])
    tables = AggregatedRecord(partition_key_table=whole.partition_key_table).SerializeToString()
    records = AggregatedRecord(records=whole.records).SerializeToString()
    assert [user.data for user in deaggregate(kinesis(seal(records + tables)))] == [b"one", b"two"]


def test_an_aggregate_inside_an_aggregate_is_refused() -> None:
    inner = aggregate([("a", b"one")])
    bad = refused(aggregate([("a", b"fine"), ("a", inner)]))
    assert bad.reason is Reason.NESTED_AGGREGATE
    assert bad.detail.startswith("user record 1 of 2")


def test_the_magic_number_in_the_middle_of_a_user_record_is_data() -> None:
    data = b"text" + MAGIC + b"more"
    assert deaggregate(kinesis(aggregate([("a", data)])))[0].data == data


def test_the_number_of_user_records_has_a_limit() -> None:
    most = [("a", b"")] * USER_RECORDS_MAX
    assert len(deaggregate(kinesis(aggregate(most)))) == USER_RECORDS_MAX
    assert refused(aggregate([*most, ("a", b"")])).reason is Reason.AGGREGATE_LIMIT


def lambda_record(data: bytes) -> dict[str, Any]:
    return {
        "eventID": "shardId-000000000003:49590338271490256608559692538361571095921575989136588898",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "outer",
            "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": 1545084650.987,
        },
    }


@given(st.binary(max_size=100))
def test_a_lambda_record_is_translated_whole(data: bytes) -> None:
    assert from_lambda(lambda_record(data)) == KinesisRecord(
        "shardId-000000000003",
        "49590338271490256608559692538361571095921575989136588898",
        "outer",
        1_545_084_650_987,
        data,
    )


@pytest.mark.parametrize("change", [{"eventID": "no-shard"}, {"eventID": None}, {"kinesis": {}}, {"kinesis": None}])
def test_what_lambda_never_sends_is_an_error_of_the_caller(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError, ValueError)):
        from_lambda({**lambda_record(b"x"), **change})


def test_importing_the_format_leaves_no_trace_on_the_path_and_spares_the_reference_deaggregator() -> None:
    script = (
        "import sys; path = list(sys.path); import processor.core.records; "
        "assert sys.path == path, sys.path; "
        "assert 'config_pb2' not in sys.modules and 'messages_pb2' not in sys.modules; "
        "assert 'aws_kinesis_agg.deaggregator' not in sys.modules; "
        "import aws_kinesis_agg.deaggregator as after; "
        "from processor.core.aggregate_format import AggregatedRecord; "
        "assert after.messages_pb2.AggregatedRecord is AggregatedRecord"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_format_can_be_imported_after_the_reference_deaggregator() -> None:
    script = "import aws_kinesis_agg.deaggregator, processor.core.records"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
