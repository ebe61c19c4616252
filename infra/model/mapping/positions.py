"""PURE: where in a shard to read: AWS's iterator types as values, and as plain data for a snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartingPosition:
    """TRIM_HORIZON, LATEST or AT_TIMESTAMP; `timestamp_s` (epoch seconds) only with the last."""

    kind: str
    timestamp_s: float | None = None


@dataclass(frozen=True, slots=True)
class AtSequenceNumber:
    """The first record at or after this sequence number."""

    sequence_number: int


@dataclass(frozen=True, slots=True)
class AfterSequenceNumber:
    """The first record after this sequence number."""

    sequence_number: int


TRIM_HORIZON = StartingPosition("TRIM_HORIZON")

Resume = StartingPosition | AtSequenceNumber | AfterSequenceNumber
# What a Read command carries: a place to begin, or whatever the last read of the shard gave as the next place.
Position = object


def to_plain(position: Resume) -> dict[str, str | float | None]:
    match position:
        case StartingPosition(kind, timestamp_s):
            return {"type": kind, "timestamp_s": timestamp_s}
        case AtSequenceNumber(sequence_number):
            return {"type": "AT_SEQUENCE_NUMBER", "sequence_number": str(sequence_number)}
        case AfterSequenceNumber(sequence_number):
            return {"type": "AFTER_SEQUENCE_NUMBER", "sequence_number": str(sequence_number)}


def from_plain(plain: Mapping[str, object]) -> Resume:
    """The opposite of `to_plain`. Raises KeyError or ValueError for anything else."""
    kind = str(plain["type"])
    if kind == "AT_SEQUENCE_NUMBER":
        return AtSequenceNumber(int(str(plain["sequence_number"])))
    if kind == "AFTER_SEQUENCE_NUMBER":
        return AfterSequenceNumber(int(str(plain["sequence_number"])))
    timestamp_s = plain.get("timestamp_s")
    return StartingPosition(kind, None if timestamp_s is None else float(str(timestamp_s)))
