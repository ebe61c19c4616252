"""SHELL: the operations of the Kinesis API that move records; `kinesis_operations` lists them with the rest."""

from collections.abc import Mapping
from typing import Any

from infra.local import kinesis_wire as wire
from infra.model import tokens
from infra.model.putting import Refused, Written
from infra.model.shard import READ_RECORDS_MAX
from infra.model.stream import Stream, Throttled
from infra.model.stream_account import StreamAccount
from infra.model.stream_error import invalid_argument, not_found

Input = Mapping[str, Any]
Output = dict[str, Any] | None


def encryption(stream: Stream) -> dict[str, str]:
    return {"EncryptionType": "KMS"} if stream.key_id else {}


def put_record(stream: Stream, body: Input, now: float) -> Output:
    entry = wire.entry(body, stream.record_size_kib_max * 1024)
    after = body.get("SequenceNumberForOrdering")
    outcome = stream.put([entry], now)[0] if after is None else stream.put_after(int(after), entry, now)
    if isinstance(outcome, Refused):
        raise Throttled(outcome.message, now)
    return _put_outcome(outcome) | encryption(stream)


def put_records(stream: Stream, body: Input, now: float) -> Output:
    outcomes = stream.put(wire.entries(body["Records"], stream.record_size_kib_max * 1024), now)
    return {
        "FailedRecordCount": sum(isinstance(outcome, Refused) for outcome in outcomes),
        "Records": [_put_outcome(outcome) for outcome in outcomes],
        **encryption(stream),
    }


def _put_outcome(outcome: Written | Refused) -> dict[str, Any]:
    if isinstance(outcome, Refused):
        return {"ErrorCode": outcome.code, "ErrorMessage": outcome.message}
    return {"SequenceNumber": str(outcome.sequence_number), "ShardId": outcome.shard_id}


def get_shard_iterator(stream: Stream, body: Input, now: float) -> Output:
    number = body.get("StartingSequenceNumber")
    position = stream.position(
        body["ShardId"],
        body["ShardIteratorType"],
        now,
        sequence_number=None if number is None else int(number),
        timestamp_s=body.get("Timestamp"),
    )
    stream.charge_iterator(position.shard_id, now)
    return {"ShardIterator": tokens.seal_iterator(stream.name, stream.created_at_s, position, now)}


def get_records(account: StreamAccount, body: Input, now: float) -> Output:
    name, created_at_s, position = tokens.unseal_iterator(body["ShardIterator"], now)
    if body.get("StreamARN") is not None and account.by_arn(body["StreamARN"], now).name != name:
        raise invalid_argument(f"StreamARN {body['StreamARN']} is not that of the ShardIterator's stream.")
    stream = account.stream(name, now)
    if stream.created_at_s != created_at_s:
        raise not_found(f"Shard {position.shard_id} in {stream.where} does not exist")
    result = stream.read(position, body.get("Limit") or READ_RECORDS_MAX, now)
    output = wire.records(result, encryption(stream))
    if result.end_of_shard:
        output["ChildShards"] = [wire.child_shard(shard) for shard in stream.children(position.shard_id)]
    else:
        output["NextShardIterator"] = tokens.seal_iterator(name, created_at_s, result.position, now)
    return output
