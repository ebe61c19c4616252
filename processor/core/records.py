"""PURE: Kinesis records in, user records out: strict deaggregation of the KPL's format.

Format: magic number, a protobuf `AggregatedRecord`, the MD5 of that body.
(github.com/awslabs/amazon-kinesis-producer, aggregation-format.md)
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


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
    """Translate one element of a Kinesis event's `Records` (AWS: Lambda, Example Kinesis event)."""
    raise NotImplementedError


def deaggregate(record: KinesisRecord) -> list[UserRecord]:
    """Return the user records in order; raise Malformed for the whole Kinesis record."""
    raise NotImplementedError
