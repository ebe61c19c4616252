"""PURE: KPL aggregates as a mapping with enhanced fan-out takes them apart (AWS: kinesis-record-deaggregation).

An aggregate is a magic number, a protobuf message and the MD5 of it (github.com/awslabs/amazon-kinesis-producer,
aggregation-format.md). As recorded from AWS: each user record has its own partition key and data, but the sequence
number and the arrival time of the record that carried it; one that is damaged is left as it is; one with a user record
whose hash key is not the shard's is not delivered at all, also not in part. The hash key is the explicit one if there
is one, else the MD5 of the partition key: whoever aggregates has to know the shards, or name hash keys.

Not recorded, and taken from what AWS's client library does: an aggregate without user records is nothing.
"""

from collections.abc import Iterable, Sequence
from hashlib import md5
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from infra.model.sequence import hash_key
from infra.model.stream import StreamRecord

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_Field = descriptor_pb2.FieldDescriptorProto


def _message_class() -> Any:
    """`AggregatedRecord` by its description. Texts are bytes here: proto2 does not say whether they are UTF-8."""
    file = descriptor_pb2.FileDescriptorProto(name="aggregated_record.proto", package="kpl")
    outer, record = file.message_type.add(name="AggregatedRecord"), file.message_type.add(name="Record")
    for number, name in ((1, "partition_key_table"), (2, "explicit_hash_key_table")):
        outer.field.add(name=name, number=number, type=_Field.TYPE_BYTES, label=_Field.LABEL_REPEATED)
    outer.field.add(
        name="records", number=3, type=_Field.TYPE_MESSAGE, label=_Field.LABEL_REPEATED, type_name=".kpl.Record"
    )
    required, optional = _Field.LABEL_REQUIRED, _Field.LABEL_OPTIONAL
    record.field.add(name="partition_key_index", number=1, type=_Field.TYPE_UINT64, label=required)
    record.field.add(name="explicit_hash_key_index", number=2, type=_Field.TYPE_UINT64, label=optional)
    record.field.add(name="data", number=3, type=_Field.TYPE_BYTES, label=required)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kpl.AggregatedRecord"))


_AggregatedRecord = _message_class()


def user_records(records: Iterable[StreamRecord], hash_range: tuple[int, int]) -> list[StreamRecord]:
    """All that the records of a shard carry, in their order. `hash_range` is the shard's, inclusive at both ends."""
    found: list[StreamRecord] = []
    for record in records:
        inner = _inner(record.data) if record.data.startswith(MAGIC) else None
        if inner is None:
            found.append(record)
        elif all(hash_range[0] <= hash_key <= hash_range[1] for _, _, hash_key in inner):
            found += [StreamRecord(record.sequence_number, key, data, record.arrived_at_ms) for key, data, _ in inner]
    return found


def _inner(data: bytes) -> Sequence[tuple[str, bytes, int]] | None:
    """Partition key, data and hash key of every user record; None if this is no whole aggregate."""
    body, digest = data[len(MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if len(data) < len(MAGIC) + _DIGEST_BYTES or md5(body, usedforsecurity=False).digest() != digest:
        return None
    try:
        message = _AggregatedRecord.FromString(body)
        if not message.IsInitialized():
            return None
        keys = [key.decode() for key in message.partition_key_table]
        explicit = [int(key) for key in message.explicit_hash_key_table]
        return [
            (
                keys[user.partition_key_index],
                user.data,
                explicit[user.explicit_hash_key_index]
                if user.HasField("explicit_hash_key_index")
                else hash_key(keys[user.partition_key_index]),
            )
            for user in message.records
        ]
    except (DecodeError, ValueError, IndexError):
        return None
