"""PURE: where a reader of a shard begins: AWS's five shard iterator types (AWS: GetShardIterator)."""

from infra.model import sequence
from infra.model.shard import Position, Shard
from infra.model.stream_error import invalid_argument


def start(
    shard: Shard,
    starting_position: str,
    now: float,
    *,
    sequence_number: int | None,
    timestamp_s: float | None,
    where: str,
) -> Position:
    """`starting_position` with what it needs: a number that came from this shard, or a time not in the future."""
    if starting_position == "AT_TIMESTAMP":
        return shard.position_at_time(_checked_time_ms(timestamp_s, now))
    if starting_position in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER") and sequence_number is not None:
        _check_from_shard(sequence_number, shard, where)
        return Position(shard.shard_id, sequence_number - (starting_position == "AT_SEQUENCE_NUMBER"))
    if starting_position == "TRIM_HORIZON" and sequence_number is None:
        return Position(shard.shard_id, 0)
    if starting_position == "LATEST" and sequence_number is None:
        return Position(shard.shard_id, shard.latest_sequence_number)
    has = "also a" if sequence_number is not None else "no"
    raise invalid_argument(
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) "
        f"TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {starting_position} and {has} "
        "StartingSequenceNumber."
    )


def _checked_time_ms(timestamp_s: float | None, now: float) -> int:
    if timestamp_s is None:
        raise invalid_argument(
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no "
            "timestamp parameter."
        )
    time_ms, now_ms = round(timestamp_s * 1000), int(now * 1000)
    if time_ms > now_ms:
        raise invalid_argument(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
            f"timestampInMillis: {time_ms}, currentTimestampInMillis: {now_ms}"
        )
    return time_ms


def _check_from_shard(number: int, shard: Shard, where: str) -> None:
    used = f"StartingSequenceNumber {number} used in GetShardIterator on shard {shard.shard_id} in {where} is invalid"
    try:
        parts = sequence.decode(number)
    except ValueError:
        raise invalid_argument(f"{used}.") from None
    if parts.shard_index != shard.index:
        raise invalid_argument(
            f"Invalid StartingSequenceNumber. It encodes {sequence.shard_id(parts.shard_index)}, while it was used in "
            f"a call to a shard with {shard.shard_id}"
        )
    if parts.created_s != shard.created_s:
        raise invalid_argument(f"{used} because it did not come from this stream.")
