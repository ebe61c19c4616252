"""PURE: Kinesis records in, user records out: strict deaggregation of the KPL's format.

Format: magic number, a protobuf `AggregatedRecord`, the MD5 of that body (github.com/awslabs/amazon-kinesis-producer,
aggregation-format.md). A Kinesis record that starts with the magic number is an aggregate; where anything after the
magic is wrong, the whole Kinesis record is malformed: nothing of it is guessed, nothing of it is dropped in silence.
A Kinesis record that does not start with the magic number is one ordinary user record, whatever it holds.

What is checked, in this order, with the reason that is given:

- `digest`: fewer bytes than an MD5 behind the magic, or the MD5 is not the body's;
- `protobuf`: the body is not an `AggregatedRecord`: truncated, garbage, a required field missing, a key not UTF-8;
- `aggregate_limit`: it holds more than USER_RECORDS_MAX user records;
- `trailing_bytes`: it holds bytes that the message does not account for. The body must be as long as the message
  written out again without its unknown fields. That finds unknown fields at any level (also appended bytes that
  happen to parse), a single field given twice (the first value would vanish) and numbers longer than needed. It does
  not mind the order of fields, which protobuf leaves open;
- `empty_aggregate`: it holds no user record;
- `key_index`: a partition key or explicit hash key index that its table does not have;
- `nested_aggregate`: a user record that starts with the magic number itself. The KPL never writes one.
"""

import hashlib
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from processor.core.aggregate_format import DIGEST_SIZE, MAGIC, AggregatedRecord, ProtobufError
from processor.core.errors import Malformed, Reason

USER_RECORDS_MAX = 10_000
"""User records of one aggregate. The batch can be bisected down to one Kinesis record but not below, so one Kinesis
record must always be done within one invocation. 1 MiB of the smallest events there are (about 110 bytes) are 9,500."""

_HEADER_SIZE = len(MAGIC)


class KinesisRecord(NamedTuple):
    """One record of a Lambda batch. `sequence_number` is AWS's decimal string, `data` the decoded bytes."""

    shard_id: str
    sequence_number: str
    partition_key: str
    arrived_at_ms: int
    data: bytes


class UserRecord(NamedTuple):
    """What a producer put: its position is the Kinesis record's sequence number and `subsequence_number` (from 0)."""

    subsequence_number: int
    partition_key: str
    data: bytes
    aggregated: bool


def from_lambda(record: Mapping[str, Any]) -> KinesisRecord:
    """Translate one element of a Kinesis event's `Records` (AWS: Lambda, Example Kinesis event).

    Raises KeyError, TypeError, AttributeError or ValueError for what Lambda never sends: then the caller is not an
    event source mapping.
    """
    kinesis = record["kinesis"]
    shard_id, colon, _ = record["eventID"].partition(":")
    if not colon:
        raise ValueError("eventID must be <shard id>:<sequence number>")
    return KinesisRecord(
        shard_id,
        kinesis["sequenceNumber"],
        kinesis["partitionKey"],
        round(kinesis["approximateArrivalTimestamp"] * 1000),
        a2b_base64(kinesis["data"]),
    )


def deaggregate(record: KinesisRecord) -> list[UserRecord]:
    """Return the user records in their order, at least one; raise Malformed for the whole Kinesis record."""
    if not record.data.startswith(MAGIC):
        # tuple.__new__ is what UserRecord(...) ends in; without the call between, this takes half the time.
        return [tuple.__new__(UserRecord, (0, record.partition_key, record.data, False))]
    body = _body(record.data)
    message = _message(body)
    keys = _partition_keys(message)
    hash_keys = len(message.explicit_hash_key_table)
    try:
        users = [
            tuple.__new__(UserRecord, (position, keys[user.partition_key_index], user.data, True))
            for position, user in enumerate(message.records)
            if not user.HasField("explicit_hash_key_index") or user.explicit_hash_key_index < hash_keys
        ]
    except IndexError:
        raise _key_index(message, "partition_key", len(keys)) from None
    if len(users) != len(message.records):
        # The hash key chose the shard and is not needed any more, but a wrong index means a broken producer.
        raise _key_index(message, "explicit_hash_key", hash_keys)
    if MAGIC[0] in body:  # one search for one byte is cheaper than a comparison per user record
        _refuse_nested(users)
    return users


def _body(data: bytes) -> bytes:
    """Return what lies between the magic number and the digest, once the digest is right."""
    if len(data) < _HEADER_SIZE + DIGEST_SIZE:
        raise Malformed(
            Reason.DIGEST, f"{len(data)} bytes: too short for the magic number and an MD5 digest of {DIGEST_SIZE} bytes"
        )
    body = data[_HEADER_SIZE:-DIGEST_SIZE]
    if not data.endswith(hashlib.md5(body, usedforsecurity=False).digest()):
        raise Malformed(Reason.DIGEST, f"the MD5 digest does not match the body of {len(body)} bytes")
    return body


def _message(body: bytes) -> Any:
    """Return the protobuf message, knowing that every byte of the body is in it."""
    try:
        message = AggregatedRecord.FromString(body)
        count = len(message.records)
        if count > USER_RECORDS_MAX:
            raise Malformed(Reason.AGGREGATE_LIMIT, f"{count} user records, the limit is {USER_RECORDS_MAX}")
        message.DiscardUnknownFields()
        unaccounted = len(body) - message.ByteSize()  # protobuf's C parser finds missing required fields only here
    except ProtobufError:
        raise Malformed(
            Reason.PROTOBUF, f"the body of {len(body)} bytes with a right digest is not an AggregatedRecord"
        ) from None
    if unaccounted:
        raise Malformed(
            Reason.TRAILING_BYTES,
            f"{unaccounted} of the body's {len(body)} bytes are unknown fields, repeated single fields or padding",
        )
    if count == 0:
        raise Malformed(Reason.EMPTY_AGGREGATE, f"an aggregate of {len(body)} bytes with no user record")
    return message


def _partition_keys(message: Any) -> list[str]:
    """Return the table. Protobuf hands out a proto2 string that is not UTF-8 as bytes, without complaint."""
    keys = list(message.partition_key_table)
    if not {str}.issuperset(map(type, keys)):
        raise Malformed(Reason.PROTOBUF, "the partition key table holds a key that is not UTF-8")
    return keys


def _key_index(message: Any, table: str, size: int) -> Malformed:
    """Return the error for the first user record whose index `table` does not have."""
    field = f"{table}_index"
    positions = enumerate(message.records)
    position, user = next((at, user) for at, user in positions if user.HasField(field) and getattr(user, field) >= size)
    return Malformed(
        Reason.KEY_INDEX,
        f"user record {position} of {len(message.records)}: {field} {getattr(user, field)}, the table has {size}",
    )


def _refuse_nested(users: list[UserRecord]) -> None:
    for user in users:
        if user.data.startswith(MAGIC):
            raise Malformed(
                Reason.NESTED_AGGREGATE,
                f"user record {user.subsequence_number} of {len(users)} is an aggregate itself",
            )
