"""PURE: the product of a run: one line per Kinesis record that was put, and the table of what each line holds.

All times are whole microseconds since the start of the run. Three are kept for every event: when it was due (the
schedule), when it was first put, and when it was acknowledged; nobody has to trust a latency computed elsewhere.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from json.encoder import encode_basestring_ascii
from operator import sub
from typing import NamedTuple

# No load lasts longer: a month, replayed as it was. Whoever adds up by second relies on it.
TIME_US_MAX = 35 * 86_400 * 1_000_000
COUNT_MAX = 2**53
# A quotation mark within a text is escaped: neither is found in a partition key.
ACKNOWLEDGED, EVENTS = '"acknowledged_us":', re.compile(r'"events":(\d+)')


class ResultsError(ValueError):
    """A line of results.jsonl is not one of ours."""


class PutResult(NamedTuple):
    """How one Kinesis record ended.

    `due_us`: per event, in the order of the subsequence numbers. `put_us`: when the first attempt's request was handed
    to its connection, None: never tried. `done_us`: when it was acknowledged or given up. `copies`, `malformed`: how
    many of the events are deliberate ones. `errors`: the error code of every failed attempt; `failed_attempts`: when
    its answer came, and the shard that the answer names (or None), empty in a file that does not have it. `failed`:
    None, or why it was given up. `uncertain`: some answer was lost, so the record may be in the stream once more than
    acknowledged.
    """

    partition_key: str
    due_us: Sequence[int]
    put_us: int | None
    done_us: int
    attempts: int
    size: int
    copies: int
    malformed: int
    shard_id: str | None
    sequence_number: str | None
    errors: Sequence[str]
    failed: str | None
    uncertain: bool
    failed_attempts: Sequence[tuple[int, str | None]] = ()


def encode(result: PutResult) -> str:
    """One line, without its end. `due_us` is written as the first value and then the differences.

    The JSON is put together here because a load writes a line for every Kinesis record; a test holds it against
    json.dumps of the same."""
    due = result.due_us
    scheduled = ",".join(map(str, (*due[:1], *map(sub, due[1:], due))))
    done = "acknowledged_us" if result.failed is None else "failed_us"
    has_errors = result.errors or result.failed_attempts
    errors = _json(list(result.errors)) if has_errors else "[]"
    failed_attempts = _json([list(attempt) for attempt in result.failed_attempts]) if has_errors else "[]"
    return (
        f'{{"partition_key":{_text(result.partition_key)},"scheduled_us":[{scheduled}],'
        f'"sent_us":{"null" if result.put_us is None else result.put_us},"{done}":{result.done_us},'
        f'"attempts":{result.attempts},"events":{len(due)},"bytes":{result.size},"copies":{result.copies},'
        f'"malformed":{result.malformed},"shard":{_text(result.shard_id)},'
        f'"sequence_number":{_text(result.sequence_number)},"errors":{errors},"failed_attempts":{failed_attempts},'
        f'"failed":{_text(result.failed)},"uncertain":{"true" if result.uncertain else "false"}}}'
    )


def _text(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def decode(line: str) -> PutResult:
    """Raises ResultsError."""
    try:
        found = json.loads(line)
        result = PutResult(
            found["partition_key"],
            tuple(accumulate(found["scheduled_us"])),
            found["sent_us"],
            found["acknowledged_us"] if found["failed"] is None else found["failed_us"],
            found["attempts"],
            found["bytes"],
            found["copies"],
            found["malformed"],
            found["shard"],
            found["sequence_number"],
            tuple(found["errors"]),
            found["failed"],
            found["uncertain"],
            tuple((at_us, shard_id) for at_us, shard_id in found.get("failed_attempts", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsError(f"{type(error).__name__}: {error}") from error
    if wrong := _wrong(result):
        raise ResultsError(f"{wrong} is not what a load writes there")
    return result


def _wrong(result: PutResult) -> str | None:
    """The first name whose value has another type or is out of range; None: there is none."""
    due, failed = result.due_us, result.failed_attempts
    times = (result.done_us, *(() if result.put_us is None else (result.put_us,)), *(at_us for at_us, _ in failed))
    counts = (result.attempts, result.size, result.copies, result.malformed)
    texts = (result.shard_id, result.sequence_number, result.failed, *(shard_id for _, shard_id in failed))
    checks = (
        ("scheduled_us", set(map(type, due)) <= {int} and (not due or _is_time(min(due), max(due)))),
        ("one of the times", _is_time(*times)),
        ("one of the counts", all(type(count) is int and 0 <= count <= COUNT_MAX for count in counts)),
        ("partition_key", type(result.partition_key) is str),
        ("one of shard, sequence_number and failed", all(text is None or type(text) is str for text in texts)),
        ("errors", all(type(code) is str for code in result.errors)),
        ("failed_attempts", not failed or len(failed) == len(result.errors)),
        ("uncertain", type(result.uncertain) is bool),
    )
    return next((name for name, is_right in checks if not is_right), None)


def _is_time(*times_us: int) -> bool:
    return all(type(at_us) is int and -TIME_US_MAX <= at_us <= TIME_US_MAX for at_us in times_us)


def decode_all(lines: Iterable[str]) -> Iterator[PutResult]:
    """Raises ResultsError with the line's number. A last line without its end (an interrupted write) is left out."""
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            return
        try:
            yield decode(line)
        except ResultsError as error:
            raise ResultsError(f"line {number}: {error}") from error


def acknowledged_events(lines: Iterable[str]) -> int:
    """How many acknowledged events the whole lines have, counted without decoding them."""
    whole = (line for line in lines if ACKNOWLEDGED in line and line.endswith("\n"))
    return sum(int(found[1]) for line in whole if (found := EVENTS.search(line)))
