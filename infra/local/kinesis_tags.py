"""SHELL: the operations of the Kinesis API on tags; `kinesis_operations` lists them with the rest.

The older ones name a stream; TagResource and its like name a stream or a consumer by its ARN.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.kinesis_consumers import stream_arn_of
from infra.model import tags
from infra.model.consumers import Consumer
from infra.model.stream import Stream
from infra.model.stream_account import StreamAccount

Input = Mapping[str, Any]
Output = dict[str, Any] | None


def add_tags(stream: Stream, body: Input, _: float) -> Output:
    stream.tags = tags.added(stream.tags, body["Tags"], stream.where)
    return None


def remove_tags(stream: Stream, body: Input, _: float) -> Output:
    stream.tags = tags.removed(stream.tags, body["TagKeys"], stream.where)
    return None


def list_tags(stream: Stream, body: Input, _: float) -> Output:
    after: str | None = body.get("ExclusiveStartTagKey")
    keys: Sequence[str] = [key for key in sorted(stream.tags) if after is None or key > after]
    page = keys[: body.get("Limit") or 50]
    return {"Tags": [{"Key": key, "Value": stream.tags[key]} for key in page], "HasMoreTags": len(keys) > len(page)}


def resource(account: StreamAccount, body: Input, now: float) -> tuple[Stream, Stream | Consumer]:
    """The stream or the consumer that ResourceARN names, beside its stream."""
    arn = body["ResourceARN"]
    stream = account.by_arn(stream_arn_of(arn) or arn, now)
    return stream, stream.consumers.find(arn=arn) if stream_arn_of(arn) else stream


def tag_resource(account: StreamAccount, body: Input, now: float) -> Output:
    stream, tagged = resource(account, body, now)
    tagged.tags = tags.added(tagged.tags, body["Tags"], stream.where)
    stream.revision += 1
    return None


def untag_resource(account: StreamAccount, body: Input, now: float) -> Output:
    stream, tagged = resource(account, body, now)
    tagged.tags = tags.removed(tagged.tags, body["TagKeys"], stream.where)
    stream.revision += 1
    return None


def list_resource_tags(account: StreamAccount, body: Input, now: float) -> Output:
    _, tagged = resource(account, body, now)
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tagged.tags.items())]}
