"""SHELL: where a mapping's reading begins, in the words of the stream it reads."""

from infra.local.mapping_ports import Streams
from infra.model.mapping import AfterSequenceNumber, AtSequenceNumber, Read, StartingPosition, Subscribe
from infra.model.stream import Position
from infra.model.subscription import Subscription


def resolve(streams: Streams, stream_arn: str, command: Read) -> Position:
    """The place at which a read begins. StreamError if the stream refuses it."""
    match command.position:
        case StartingPosition(kind, timestamp_s):
            return streams.start_position(stream_arn, command.shard_id, kind, timestamp_s)
        case AtSequenceNumber(sequence_number):
            return Position(command.shard_id, sequence_number - 1)
        case AfterSequenceNumber(sequence_number):
            return Position(command.shard_id, sequence_number)
        case Position() as position:
            return position
        case other:
            raise TypeError(f"not a position: {other!r}")


def subscribe(streams: Streams, consumer_arn: str, command: Subscribe) -> Subscription:
    """A subscription that begins there. StreamError if the stream refuses it."""
    match command.position:
        case StartingPosition(kind, timestamp_s):
            return streams.subscribe(consumer_arn, command.shard_id, kind, timestamp_s)
        case AtSequenceNumber(number):
            kind = "AT_SEQUENCE_NUMBER"
        case AfterSequenceNumber(number):
            kind = "AFTER_SEQUENCE_NUMBER"
        case other:
            raise TypeError(f"not a position: {other!r}")
    return streams.subscribe(consumer_arn, command.shard_id, kind, sequence_number=number)
