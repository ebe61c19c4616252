"""SHELL: the operations of the Kinesis API on consumers; `kinesis_operations` lists them with the rest."""

from collections.abc import Mapping
from typing import Any

from infra.local import event_stream
from infra.local import kinesis_wire as wire
from infra.local.cbor import Instant
from infra.model import tags, tokens
from infra.model.consumers import Consumer
from infra.model.stream import Stream
from infra.model.stream_account import StreamAccount
from infra.model.stream_error import StreamError, invalid_argument
from infra.model.subscription import Subscription, SubscriptionEvent

Input = Mapping[str, Any]
Output = dict[str, Any] | None

_CONSUMERS_PER_LIST = 100  # where the request sets no limit (AWS: ListStreamConsumers)


def stream_arn_of(consumer_arn: str) -> str:
    return consumer_arn.rpartition("/consumer/")[0]


def _addressed(account: StreamAccount, body: Input, now: float) -> tuple[Stream, Consumer]:
    """The consumer that ConsumerARN, or StreamARN and ConsumerName, or all three name."""
    name, arn, stream_arn = (body.get(part) for part in ("ConsumerName", "ConsumerARN", "StreamARN"))
    if arn is not None:
        stream_arn = stream_arn or stream_arn_of(arn)
    elif name is None or stream_arn is None:
        raise invalid_argument("Either ConsumerARN or both StreamARN and ConsumerName should be provided.")
    stream = account.by_arn(stream_arn, now)
    return stream, stream.consumers.find(name=name, arn=arn)


def _shown(consumer: Consumer) -> dict[str, Any]:
    return {
        "ConsumerName": consumer.name,
        "ConsumerARN": consumer.arn,
        "ConsumerStatus": consumer.status,
        "ConsumerCreationTimestamp": Instant(int(consumer.created_at_s)),
    }


def register_consumer(account: StreamAccount, body: Input, now: float) -> Output:
    stream = account.by_arn(body["StreamARN"], now)
    wanted = tags.added({}, body.get("Tags") or {}, stream.where)
    consumer = stream.register_consumer(body["ConsumerName"], now, wanted)
    return {"Consumer": _shown(consumer) | {"ConsumerStatus": "CREATING"}}  # also when that takes no time here


def describe_consumer(account: StreamAccount, body: Input, now: float) -> Output:
    stream, consumer = _addressed(account, body, now)
    return {"ConsumerDescription": _shown(consumer) | {"StreamARN": stream.arn}}


def deregister_consumer(account: StreamAccount, body: Input, now: float) -> Output:
    stream, consumer = _addressed(account, body, now)
    stream.deregister_consumer(consumer, now)
    return None


def list_consumers(account: StreamAccount, body: Input, now: float) -> Output:
    stream = account.by_arn(body["StreamARN"], now)
    after = ""
    if body.get("NextToken") is not None:
        after = tokens.unseal_next("ListStreamConsumers", body["NextToken"], now)[0]
    consumers = [consumer for consumer in stream.consumers.all() if consumer.name > after]
    limit = body.get("MaxResults") or _CONSUMERS_PER_LIST
    output: dict[str, Any] = {"Consumers": [_shown(consumer) for consumer in consumers[:limit]]}
    if len(consumers) > limit:
        output["NextToken"] = tokens.seal("ListStreamConsumers", [consumers[limit - 1].name], now)
    return output


def subscribe(account: StreamAccount, body: Input, now: float) -> tuple[Stream, Subscription]:
    """The subscription that SubscribeToShard begins; what it gives is sent as `pushed_event`s."""
    stream, consumer = _addressed(account, {"ConsumerARN": body["ConsumerARN"]}, now)
    position = body["StartingPosition"]
    number = position.get("SequenceNumber")
    subscription = stream.subscribe(
        consumer,
        body["ShardId"],
        position["Type"],
        now,
        sequence_number=None if number is None else int(number),
        timestamp_s=position.get("Timestamp"),
    )
    return stream, subscription


def pushed_event(event: SubscriptionEvent, encryption: Mapping[str, str], used: wire.Encoding) -> bytes:
    """A SubscribeToShardEvent, framed."""
    content: dict[str, Any] = {
        "Records": [wire.record(record, encryption) for record in event.records],
        "MillisBehindLatest": event.millis_behind_latest,
    }
    if event.continuation is not None:
        content["ContinuationSequenceNumber"] = str(event.continuation)
    if event.children:
        content["ChildShards"] = [wire.child_shard(shard) for shard in event.children]
    return event_stream.event("SubscribeToShardEvent", used.dumps(content), used.content_type)


def pushed_failure(error: StreamError, used: wire.Encoding) -> bytes:
    return event_stream.exception(error.code, used.dumps({"message": error.message}), used.content_type)
