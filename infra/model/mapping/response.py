"""PURE: what a function's answer says about the records of its batch (ReportBatchItemFailures).

AWS: services-kinesis-batchfailurereporting. Only for mappings that have the option: without it every answer is a
success, whatever it says.
"""

from collections.abc import Sequence
from json import loads
from typing import NoReturn

from infra.model.stream import StreamRecord

# The answer cannot be read as a partial response: the whole batch has failed.
INVALID = -1


def first_failed(payload: bytes, records: Sequence[StreamRecord]) -> int:
    """The place in `records` from which on they are to be delivered again: their number if all succeeded, or INVALID.

    `null`, `""`, `{}`, `[]`, no or null or empty `batchItemFailures`, and an empty body are success. The lowest place
    wins; identifiers are compared as integers. One identifier that is empty, no number or not of this batch makes the
    answer invalid, also among good ones.
    """
    try:
        # Left to itself `loads` would take UTF-16 too, and refuse numbers of more than 4,300 digits.
        text = payload.decode("utf-8-sig")
        answer = loads(text, parse_constant=not_json, parse_int=float) if text.strip() else None
    except (ValueError, RecursionError):
        return INVALID
    if answer is None or answer in ("", [], {}):
        return len(records)
    if not isinstance(answer, dict):
        return INVALID
    failures = answer.get("batchItemFailures")
    if failures is None or failures == []:
        return len(records)
    if not isinstance(failures, list):
        return INVALID
    return _lowest(failures, records)


def not_json(constant: str) -> NoReturn:
    """For NaN and Infinity, which Python writes and reads, and JSON does not have."""
    raise ValueError(constant)


def _lowest(failures: list[object], records: Sequence[StreamRecord]) -> int:
    places: dict[int, int] = {}
    for place, record in enumerate(records):
        places.setdefault(record.sequence_number, place)  # first match: de-aggregated records share a number
    lowest = len(records)
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or not (identifier.isascii() and identifier.isdigit()):
            return INVALID
        # A sequence number has at most 128 digits (AWS: API_Record); longer ones cannot be in the batch.
        failed = places.get(int(identifier)) if len(identifier) <= 128 else None
        if failed is None:
            return INVALID
        lowest = min(lowest, failed)
    return lowest
