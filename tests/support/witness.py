"""The project's own stack with a witness in front of its stream function: what is delivered when, and faults on demand.

`write` copies what is deployed and puts the witness into the copy; nothing of the original is changed. The witness is
deployed code like any other: it runs in the execution environments and appends to one file, whose lines are in the
order of this machine's monotonic clock.
"""

import json
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
HANDLER = "processor.stream.handler"

SOURCE = """
import itertools, json, os, time
from processor import stream

EVERY = {every}
FAULTS = ("raises before", "raises after", "exits after")
OUT = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
CALLS = itertools.count(1)


def say(**what):
    os.write(OUT, (json.dumps({{"at": time.monotonic_ns(), **what}}) + "\\n").encode())


def handler(event, context):
    call = next(CALLS)
    run = f"{{os.getpid()}}/{{call}}"
    fault = FAULTS[(os.getpid() + call // EVERY) % len(FAULTS)] if EVERY and call % EVERY == 0 else None
    records = [(each["kinesis"]["partitionKey"], each["eventID"]) for each in event["Records"]]
    say(run=run, fault=fault, records=records)
    if fault == "raises before":
        raise RuntimeError(fault)
    answer = stream.handler(event, context)
    if fault == "raises after":
        raise RuntimeError(fault)
    if fault == "exits after":
        os._exit(1)
    say(run=run, failed=[each["itemIdentifier"] for each in answer["batchItemFailures"]])
    return answer
"""


def write(folder: Path, *, fail_every: int = 0) -> tuple[Path, Path]:
    """Returns the template and the file that the witness will write. Each environment fails every n-th of its calls."""
    seen = folder / "seen.jsonl"
    shutil.copytree(ROOT / "processor", folder / "processor", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "processor" / "witness.py").write_text(SOURCE.format(path=str(seen), every=fail_every))
    (folder / "infra").mkdir()
    template = folder / "infra" / "template.yaml"
    text = (ROOT / "infra" / "template.yaml").read_text()
    assert text.count(f"Handler: {HANDLER}") == 1
    template.write_text(text.replace(f"Handler: {HANDLER}", "Handler: processor.witness.handler"))
    return template, seen


class Record(NamedTuple):
    """A Kinesis record in the order of its partition key: a shard's number is higher than its parents'."""

    shard: int
    sequence_number: int


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the function: what came in, and where it ended; `settled` are those that it took off Lambda."""

    began_ns: int
    ended_ns: int | None
    fault: str | None
    records: tuple[tuple[str, Record], ...]
    settled: frozenset[Record]


def read(seen: Path) -> list[Call]:
    """In the order in which the calls began. A call that raised or died has not ended and settled nothing."""
    begun: dict[str, dict[str, Any]] = {}
    ended: dict[str, dict[str, Any]] = {}
    for line in seen.read_text().splitlines():
        said = json.loads(line)
        (begun if "records" in said else ended)[said["run"]] = said
    return sorted((_call(said, ended.get(run)) for run, said in begun.items()), key=lambda call: call.began_ns)


def _call(said: dict[str, Any], end: dict[str, Any] | None) -> Call:
    records = tuple((key, _record(event_id)) for key, event_id in said["records"])
    settled: frozenset[Record] = frozenset()
    if end is not None:
        # Lambda takes everything before the lowest reported sequence number as done (AWS: batch item failures).
        first_failed = min((int(each) for each in end["failed"]), default=None)
        settled = frozenset(
            record for _, record in records if first_failed is None or record.sequence_number < first_failed
        )
    return Call(said["at"], end["at"] if end else None, said["fault"], records, settled)


def _record(event_id: str) -> Record:
    shard_id, _, sequence_number = event_id.partition(":")
    return Record(int(shard_id.rpartition("-")[2]), int(sequence_number))


def out_of_order(calls: list[Call]) -> list[str]:
    """Every first delivery of a record before the record ahead of it, of the same partition key, was settled.

    The one ahead may also stand before it in the same batch. An empty list: order held for every key, over reshards.
    """
    ahead: dict[Record, Record | None] = {}
    by_key: defaultdict[str, set[Record]] = defaultdict(set)
    for call in calls:
        for key, record in call.records:
            by_key[key].add(record)
    for records in by_key.values():
        ordered = sorted(records)
        ahead.update(zip(ordered, [None, *ordered[:-1]], strict=True))

    ends = sorted((call.ended_ns, call.settled) for call in calls if call.ended_ns is not None)
    settled: set[Record] = set()
    delivered: set[Record] = set()
    wrong: list[str] = []
    next_end = 0
    for call in calls:
        while next_end < len(ends) and ends[next_end][0] < call.began_ns:
            settled |= ends[next_end][1]
            next_end += 1
        in_batch: set[Record] = set()
        for key, record in call.records:
            before = ahead[record]
            if record not in delivered and before is not None and before not in settled and before not in in_batch:
                wrong.append(f"{key}: {record} was delivered before {before} was settled")
            in_batch.add(record)
        delivered |= in_batch
    return wrong


def concurrency(calls: list[Call]) -> int:
    """How many calls were under way at once, at most, of those that ended."""
    moments = [(call.began_ns, 1) for call in calls if call.ended_ns] + [
        (call.ended_ns, -1) for call in calls if call.ended_ns
    ]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most
