"""SHELL: the quarantine table: the reasons at the positions of a load's malformed events, and what else is there.

An item that nobody expected is the load's when it is at the position of one of its own Kinesis records: the shard and
the sequence number of an acknowledgement, of which results.jsonl has all.
"""

import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from loadgen.observing.batch_get import batch_get, is_scanned_in
from loadgen.outcome.expectations import Position
from processor.core.errors import Malformed, Reason
from processor.core.events import parse

INDEX = "by-reason"
SCAN_PAGES_MAX = 50  # of 1 MB each: some 50,000 items of a usual size
WHOLE = "whole"
ACKNOWLEDGED = re.compile(r'"shard":"([^"]+)","sequence_number":"(\d+)"')


class Kept(NamedTuple):
    """An item of the quarantine. `arrived_at`: on the stream, RFC 3339, UTC, milliseconds."""

    reason: str
    arrived_at: str


class Quarantine:
    """One stream's part of the table. Every method raises botocore's errors, and CommandError when the table throttles
    too long."""

    def __init__(self, dynamodb: Any, table: str, stream: str) -> None:
        self._dynamodb, self._table, self._stream = dynamodb, table, stream

    def reasons(self, positions: Iterable[Position]) -> dict[Position, str]:
        """Of those positions that have an item; strongly consistent."""
        keys = {self._key(position): position for position in positions}
        items = batch_get(self._dynamodb, self._table, list(map(_wire, keys)), "pk, sk, reason")
        return {keys[item["pk"]["S"], item["sk"]["S"]]: item.get("reason", {}).get("S", "none") for item in items}

    def contradictions(self, positions: Iterable[Position]) -> dict[str, str]:
        """Of the items at those positions, the ones whose payload is not what the item itself says of it: why, by table
        and key. A payload in S3 is not looked at."""
        wire = [_wire(self._key(position)) for position in positions]
        names = {"#size": "size"}  # a reserved word
        items = batch_get(self._dynamodb, self._table, wire, "pk, sk, payload, payload_sha256, #size", names)
        return {
            f"{self._table}: pk {item['pk']['S']}, sk {item['sk']['S']}": why
            for item in items
            if (why := contradiction(item))
        }

    def since(self, moment: datetime, expected: Container[Position]) -> tuple[dict[Position, Kept], bool]:
        """Everything else of what arrived since then. The second value: whatever its reason is. When the table is too
        long to be gone through, it is only what has a reason that we know, by the table's index (on AWS a moment
        late)."""
        found = self._scanned(moment, expected)
        return (self._by_reason(moment, expected), False) if found is None else (found, True)

    def _scanned(self, moment: datetime, expected: Container[Position]) -> dict[Position, Kept] | None:
        if not is_scanned_in(self._dynamodb, self._table, SCAN_PAGES_MAX):
            return None
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :stream) AND (attribute_not_exists(arrived_at) OR arrived_at >= :since)",
            ProjectionExpression="pk, sk, reason, arrived_at",
            ExpressionAttributeValues={":stream": {"S": f"{self._stream}/"}, ":since": {"S": rfc3339(moment)}},
        )
        found: dict[Position, Kept] = {}
        for page in islice(pages, SCAN_PAGES_MAX):
            found.update(self._kept(page["Items"], expected))
            if "LastEvaluatedKey" not in page:
                return found
        return None

    def _by_reason(self, moment: datetime, expected: Container[Position]) -> dict[Position, Kept]:
        found: dict[Position, Kept] = {}
        for reason in Reason:
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=INDEX,
                KeyConditionExpression="reason = :reason AND arrived_at >= :since",
                ExpressionAttributeValues={":reason": {"S": reason.value}, ":since": {"S": rfc3339(moment)}},
            )
            for page in pages:
                found.update(self._kept(page["Items"], expected))
        return found

    def _kept(
        self, items: Iterable[Mapping[str, Any]], expected: Container[Position]
    ) -> Iterator[tuple[Position, Kept]]:
        for item in items:
            position = self._position(item["pk"]["S"], item["sk"]["S"])
            if position is not None and position not in expected:
                reason, arrived_at = (item.get(name, {}).get("S", "none") for name in ("reason", "arrived_at"))
                yield position, Kept(reason, arrived_at)

    def identities(self, positions: Iterable[Position]) -> dict[Position, str]:
        """Of the well-formed events among the items there, as far as their payload is in the table."""
        keys = {self._key(position): position for position in positions}
        found = {}
        for item in batch_get(self._dynamodb, self._table, list(map(_wire, keys)), "pk, sk, payload"):
            if "payload" in item and (identity := identity_of(item["payload"]["B"])):
                found[keys[item["pk"]["S"], item["sk"]["S"]]] = identity
        return found

    def _key(self, position: Position) -> tuple[str, str]:
        number = position.subsequence_number
        pk = f"{self._stream}/{position.shard_id}:{position.sequence_number}"
        return pk, WHOLE if number is None else f"{number:06d}"

    def _position(self, pk: str, sk: str) -> Position | None:
        """None: of another stream."""
        stream, _, place = pk.rpartition("/")
        shard_id, _, sequence_number = place.rpartition(":")
        if stream != self._stream or not (sk == WHOLE or sk.isdecimal()):
            return None
        return Position(shard_id, sequence_number, None if sk == WHOLE else int(sk))


def acknowledged(results: Path, positions: Iterable[Position]) -> set[Position]:
    """Those in Kinesis records that the load has an acknowledgement of; none when there is no such file to be read.
    Raises OSError."""
    wanted: dict[tuple[str, str], list[Position]] = {}
    for position in positions:
        wanted.setdefault((position.shard_id, position.sequence_number), []).append(position)
    found: set[Position] = set()
    if wanted and results.is_file():  # no device that never ends
        with results.open() as lines:
            for line in lines:
                if (said := ACKNOWLEDGED.search(line)) and (ours := wanted.get((said[1], said[2]))):
                    found.update(ours)
    return found


def contradiction(item: Mapping[str, Any]) -> str:
    """What an item of the table says of its payload and is not so; "" when it is, as far as it says anything."""
    payload = item.get("payload", {}).get("B")
    if payload is None:
        return ""
    sha256, size = item.get("payload_sha256", {}).get("S"), item.get("size", {}).get("N")
    if sha256 is not None and sha256 != hashlib.sha256(payload).hexdigest():
        return "its payload is not the one that its payload_sha256 is of"
    return f"its payload has {len(payload):,} bytes and not {size}" if size not in {None, str(len(payload))} else ""


def identity_of(payload: bytes) -> str | None:
    """None: it is no event."""
    try:
        return parse(payload).digest
    except Malformed:
        return None


def rfc3339(moment: datetime) -> str:
    """To the millisecond, as the processor writes it; `moment` in UTC."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _wire(key: tuple[str, str]) -> Mapping[str, Mapping[str, str]]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
