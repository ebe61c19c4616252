"""DRIVER: what leaves the mapping as bytes, read again: the function's events and the destination's documents."""

import json
from collections.abc import Mapping
from typing import Any

from infra.model.mapping import Deliver, Invoke, MappingConfig
from infra.sim.attempts import Attempts
from infra.sim.environment import kinesis_records
from infra.sim.violation import Violation
from processor.core.records import from_lambda

EVENT_CHECKED_BYTES_MAX = 50_000
WINDOW_NAMES = {"window", "state", "shardId", "eventSourceARN", "isFinalInvokeForWindow", "isWindowTerminatedEarly"}


def check_event(config: MappingConfig, invoke: Invoke) -> None:
    """The event's bytes say what the records say, and fit the quota (facts 1.1, 1.8, 1.11, 1.13, 3.9). Large ones are
    left."""
    if sum(len(record.data) for record in invoke.records) > EVENT_CHECKED_BYTES_MAX:
        return
    event = invoke.event()
    if len(event) > config.pace.event_bytes_max:
        raise Violation("payload quota", f"an event of {len(event)} bytes")
    found = json.loads(event)
    if [from_lambda(record) for record in found["Records"]] != kinesis_records(invoke.shard_id, invoke.records):
        raise Violation("event", "the event's records are not those of the batch")
    told = [(record["eventID"], record["eventSourceARN"]) for record in found["Records"]]
    source = config.event_source_arn
    if told != [(f"{invoke.shard_id}:{record.sequence_number}", source) for record in invoke.records]:
        raise Violation("event", f"the event's records are called {told[:3]}, and more")
    names = found.keys() - {"Records"}
    if names != (WINDOW_NAMES if invoke.window is not None else set()):
        raise Violation("event", f"beside Records the event has {names}")


def check_document(
    now: float, config: MappingConfig, deliver: Deliver, found: Mapping[str, Any], attempts: Attempts
) -> None:
    """Is the document due, and does it say what is true?"""
    records = deliver.discarded.records
    info, request = found["KinesisBatchInfo"], found["requestContext"]
    told = tuple(map(info.get, ("streamArn", "shardId", "batchSize", "startSequenceNumber", "endSequenceNumber")))
    ends = [str(records[place].sequence_number) for place in (0, -1)] if records else [None, None]
    if told != (config.event_source_arn, deliver.discarded.shard_id, len(records) or None, *ends):
        raise Violation("documents", f"the document names {told}, the records are others")
    # Alone it does not fit an event: its attempts count like any others, but the function never sees them.
    oversized = len(records) == 1 and _too_large(config, deliver)
    _check_due(now, config, deliver, request, attempts, oversized=oversized)
    if ("responseContext" in found) != (request["condition"] == "RetryAttemptsExhausted" and not oversized):
        raise Violation("documents", f"responseContext is wrongly {found.get('responseContext', 'absent')}")
    if "responseContext" in found:
        error = found["responseContext"].get("functionError", "")
        if error != attempts.error:
            raise Violation("documents", f"functionError is {error!r}, the last attempt's was {attempts.error!r}")
    if request["approximateInvokeCount"] != max(1, attempts.made) and not oversized:
        count = request["approximateInvokeCount"]
        raise Violation("documents", f"approximateInvokeCount is {count}, there were {attempts.made} attempts")
    if "payload" in found:
        sent = [int(record["kinesis"]["sequenceNumber"]) for record in json.loads(found["payload"])["Records"]]
        if sent != [record.sequence_number for record in records]:
            raise Violation("documents", "the payload's records are not those that are discarded")
    _check_window(config, deliver, found.get("timeWindowInfo"))


def _check_due(
    now: float,
    config: MappingConfig,
    deliver: Deliver,
    request: Mapping[str, Any],
    attempts: Attempts,
    *,
    oversized: bool,
) -> None:
    """Too old, or all retries used up (facts 4.5, 4.18, 4.25, 4.26)."""
    records = deliver.discarded.records
    made = request["approximateInvokeCount"] if oversized else attempts.made
    if request["condition"] == "RecordAgeExceeded":
        young = [each for each in records if each.arrived_at_ms >= (now - config.record_age_s_max) * 1000]
        if config.record_age_s_max == -1 or young:
            raise Violation("record age", f"{len(young)} of {len(records)} discarded records are not too old")
    elif config.retry_attempts_max == -1 or not _used_up(config.retry_attempts_max, made, updated=attempts.updated):
        raise Violation(
            "retry budget",
            f"a batch is given up after {attempts.made} attempts that count; MaximumRetryAttempts is "
            f"{config.retry_attempts_max}",
        )
    elif config.bisect_batch_on_function_error and len(records) > 1:
        raise Violation("bisect", f"{len(records)} records are given up together")


def _used_up(retries: int, made: int, *, updated: bool) -> bool:
    """An update in its retries may have left a batch with more attempts than it may have now."""
    return made > retries if updated else made == retries + 1


def _check_window(config: MappingConfig, deliver: Deliver, told: Mapping[str, Any] | None) -> None:
    """Fact 5.12."""
    if (told is not None) != (config.tumbling_window_s > 0):
        raise Violation("documents", f"timeWindowInfo is {told}, windows have {config.tumbling_window_s} s")
    if told is not None and told["isFinalInvokeForWindow"] is not (not deliver.discarded.records):
        raise Violation("documents", f"timeWindowInfo is {told} for {len(deliver.discarded.records)} records")


def _too_large(config: MappingConfig, deliver: Deliver) -> bool:
    discarded = deliver.discarded
    event = deliver.encoder.event(discarded.shard_id, discarded.records, discarded.window)
    return len(event) > config.pace.event_bytes_max
