"""SHELL: the operations of the Kinesis API on a stream's settings; `kinesis_operations` lists them with the rest."""

from collections.abc import Mapping
from typing import Any

from infra.model.stream import Stream
from infra.model.stream_error import invalid_argument

Input = Mapping[str, Any]
Output = dict[str, Any] | None


def increase_retention(stream: Stream, body: Input, now: float) -> Output:
    stream.set_retention(body["RetentionPeriodHours"], now, longer=True)
    return None


def decrease_retention(stream: Stream, body: Input, now: float) -> Output:
    stream.set_retention(body["RetentionPeriodHours"], now, longer=False)
    return None


def start_encryption(stream: Stream, body: Input, now: float) -> Output:
    if body["EncryptionType"] != "KMS":
        raise invalid_argument("EncryptionType of StartStreamEncryption must be KMS.")
    stream.set_encryption(body["KeyId"], now)
    return None


def stop_encryption(stream: Stream, _: Input, now: float) -> Output:
    stream.set_encryption(None, now)
    return None


def enable_monitoring(stream: Stream, body: Input, now: float) -> Output:
    return _monitor(stream, body, now, enabled=True)


def disable_monitoring(stream: Stream, body: Input, now: float) -> Output:
    return _monitor(stream, body, now, enabled=False)


def _monitor(stream: Stream, body: Input, now: float, *, enabled: bool) -> Output:
    before = list(stream.shard_metrics)
    stream.set_shard_metrics(body["ShardLevelMetrics"], now, enabled=enabled)
    return {
        "StreamName": stream.name,
        "CurrentShardLevelMetrics": before,
        "DesiredShardLevelMetrics": list(stream.shard_metrics),
        "StreamARN": stream.arn,
    }


def update_max_record_size(stream: Stream, body: Input, now: float) -> Output:
    stream.set_record_size_max(body["MaxRecordSizeInKiB"], now)
    return None


def update_mode(stream: Stream, body: Input, now: float) -> Output:
    stream.set_mode(body["StreamModeDetails"]["StreamMode"], now)
    return None
