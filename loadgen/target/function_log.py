"""PURE: what the function's log says about every batch and every invocation: to the millisecond, here and on AWS.

Two kinds of lines are understood: the metrics that the processor writes per batch (EMF, JSON), and Lambda's own REPORT
line of an invocation, in its text format. Every other line is passed over.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

REPORT = re.compile(
    r"REPORT RequestId: (?P<request>\S+)\s+Duration: (?P<duration>[0-9.]+) ms"
    r"(?:.*?Max Memory Used: (?P<memory>\d+) MB)?(?:.*?Init Duration: (?P<init>[0-9.]+) ms)?",
    re.DOTALL,
)


class Batch(NamedTuple):
    """One batch that the function has answered for. `at_ms`: Unix ms, just after the commit.

    `records`: Kinesis records; `failed` of them are delivered again. `keys`: different outer partition keys among them.
    `committed`: sequence numbers of an evenly spaced few of those that were committed. `oldest_ms`: the highest age of
    its records, from their arrival on the stream to the commit.
    """

    at_ms: int
    records: int
    failed: int
    events: int
    applied: int
    write_units: float
    keys: int
    commit_ms: float
    committed: tuple[str, ...]
    oldest_ms: float
    quarantined: int = 0


class Invocation(NamedTuple):
    """One invocation. `at_ms`: Unix ms of its end. `init_ms`: of a cold start, else None."""

    at_ms: int
    duration_ms: float
    init_ms: float | None
    memory_mb: int | None
    timed_out: bool


def read(at_ms: int, line: str) -> Batch | Invocation | None:
    """`at_ms`: the log event's own time."""
    if line.startswith("REPORT"):
        return _invocation(at_ms, line)
    if line.startswith("{") and '"_aws"' in line and '"BatchSize"' in line:
        try:
            return _batch(json.loads(line))
        except (ValueError, KeyError, TypeError, IndexError):
            return None
    return None


def _invocation(at_ms: int, line: str) -> Invocation | None:
    found = REPORT.match(line)
    if found is None:
        return None
    init, memory = found["init"], found["memory"]
    return Invocation(
        at_ms,
        float(found["duration"]),
        None if init is None else float(init),
        None if memory is None else int(memory),
        "Status: timeout" in line,
    )


def _batch(document: Mapping[str, Any]) -> Batch:
    def first(name: str) -> float:
        value = document[name]
        return float(value[0] if isinstance(value, list) else value)

    return Batch(
        at_ms=int(document["_aws"]["Timestamp"]),
        records=int(first("BatchSize")),
        failed=int(first("RecordsFailed")),
        events=int(first("EventsIn")),
        applied=int(first("EventsApplied")),
        write_units=first("WriteUnits"),
        keys=int(first("EffectiveParallelism")),
        commit_ms=first("CommitLatency"),
        committed=tuple(str(number) for number in document.get("Committed", ())),
        oldest_ms=max(map(float, document["EventAge"])),
        quarantined=int(first("EventsQuarantined")) if "EventsQuarantined" in document else 0,
    )
