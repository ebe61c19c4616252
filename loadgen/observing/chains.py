"""SHELL: windows of the results table as chains of pages, strongly consistent: as cheaply as they can be read while a
load is waited for (`growing`), and with whatever pages exist for the account of it (`whole`).

For the account every partition in which a window is expected is read from end to end, because an event can have been
counted again in a page that no writer would begin, and in a window that is nobody's. Where that takes many calls, a
Scan that ends within a few pages does the same in a fraction of them.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from loadgen.observing.batch_get import batch_get, is_scanned_in
from loadgen.outcome.expectations import WindowKey
from loadgen.outcome.windows import Page
from processor.core.pages import SEALED_AT
from processor.core.rule_results import RESERVED

BEYOND_MAX = 20_000  # items that are in the partitions, and in no expected window: some 5 MB, or 1,300 read units
SCAN_PAGES_MAX = 50  # of 1 MB each: 256 read units, as many as 256 calls of Query take at least
PARTITIONS_PER_SCAN_PAGE = 100  # on AWS a page takes as long as some 20 calls of Query, on the local stack as 100
EVENTS_MAX = 2**53  # counted in one page; no writer comes near it
PAGE_SUFFIX = re.compile(r"#[0-9]{5}\Z")
SEPARATOR = "\0"


class Row(NamedTuple):
    """An item, read as a page. `ids`: the identities in one text, because a scan holds millions of them. `broken`: why
    it cannot be read as what it seems to be; "" when it can."""

    sk: str
    events: int
    sums: Mapping[str, Decimal]
    ids: str
    broken: str = ""

    def identities(self) -> frozenset[str]:
        return frozenset(self.ids.split(SEPARATOR)) if self.ids else frozenset()

    def page(self) -> Page:
        return Page(self.events, self.sums, self.identities())


class Partition(NamedTuple):
    """All windows that are expected under one partition key. `beyond`: the items with identities that are in none of
    them; None: there were too many to read."""

    pk: str
    chains: Mapping[str, Sequence[Row]]
    beyond: Sequence[Row] | None


class Chains:
    """Reads one table. `broken`: what could not be read as a page, by (pk, sk), in the chains read so far. Every method
    raises botocore's errors, and CommandError when the table throttles too long."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table
        self.broken: dict[tuple[str, str], str] = {}

    def growing(self, keys: Sequence[WindowKey]) -> Iterator[tuple[WindowKey, list[Page]]]:
        """Page 0 of each, and where that is sealed the rest of its chain."""
        wire = [{"pk": {"S": pk}, "sk": {"S": window}} for pk, window in keys]
        first = {(item["pk"]["S"], item["sk"]["S"]): item for item in batch_get(self._dynamodb, self._table, wire)}
        for key in keys:
            rows = [] if key not in first else [row_of(first[key])]
            if rows and rows[0].events >= SEALED_AT:
                rows = self._chain(*key)
            yield key, [row.page() for row in rows]

    def whole(self, keys: Iterable[WindowKey]) -> Iterator[Partition]:
        """Every page of each, and what else is in their partitions."""
        windows: dict[str, set[str]] = {}
        for pk, window in keys:
            windows.setdefault(pk, set()).add(window)
        scanned = self._scan(windows)
        if scanned is None:
            partitions = self._one_by_one(windows)
        else:
            partitions = (arranged(pk, wanted, scanned.pop(pk, [])) for pk, wanted in windows.items())
        for found in partitions:
            for row in (row for chain in found.chains.values() for row in chain if row.broken):
                self.broken[found.pk, row.sk] = row.broken
            yield found

    def _one_by_one(self, windows: Mapping[str, Collection[str]]) -> Iterator[Partition]:
        left = BEYOND_MAX
        for pk, wanted in windows.items():
            rows = self._partition(pk, wanted, left)
            if rows is None:
                left = 0
                yield Partition(pk, {window: self._chain(pk, window) for window in wanted}, None)
                continue
            left -= sum(window_of(row.sk, wanted) is None for row in rows)
            yield arranged(pk, wanted, rows)

    def _scan(self, windows: Mapping[str, Collection[str]]) -> dict[str, list[Row]] | None:
        """Everything of these partitions; None: the table is too long for that."""
        pages_max = min(SCAN_PAGES_MAX, len(windows) // PARTITIONS_PER_SCAN_PAGE)
        if not is_scanned_in(self._dynamodb, self._table, pages_max):
            return None
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        found: dict[str, list[Row]] = {}
        is_whole = False
        for page in islice(pages, pages_max):
            is_whole = "LastEvaluatedKey" not in page
            for item in page["Items"]:
                if (pk := item["pk"]["S"]) in windows:
                    found.setdefault(pk, []).append(row_of(item))
        return found if is_whole else None

    def _partition(self, pk: str, wanted: Collection[str], beyond_max: int) -> list[Row] | None:
        """None: it has more than `beyond_max` items that are in no window that is wanted."""
        if beyond_max <= 0:
            return None
        rows = []
        beyond = 0
        for row in self._query(KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}):
            rows.append(row)
            beyond += window_of(row.sk, wanted) is None
            if beyond > beyond_max:
                return None
        return rows

    def _chain(self, pk: str, window: str) -> list[Row]:
        rows = self._query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :window)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":window": {"S": window}},
        )
        return [row for row in rows if window_of(row.sk, (window,)) == window]

    def _query(self, **condition: Any) -> Iterator[Row]:
        paginate: Callable[..., Iterable[Mapping[str, Any]]] = self._dynamodb.get_paginator("query").paginate
        pages = paginate(TableName=self._table, ConsistentRead=True, **condition)
        return (row_of(item) for page in pages for item in page["Items"])


def arranged(pk: str, wanted: Collection[str], rows: Iterable[Row]) -> Partition:
    """The items of one partition by the window whose pages they are."""
    chains: dict[str, list[Row]] = {window: [] for window in wanted}
    beyond = []
    for row in rows:
        window = window_of(row.sk, wanted)
        if window is not None:
            chains[window].append(row)
        elif row.ids:
            beyond.append(row)
    return Partition(pk, chains, beyond)


def window_of(sk: str, wanted: Collection[str]) -> str | None:
    """The window whose page has this sort key; None: none of these."""
    if sk in wanted:
        return sk
    window = PAGE_SUFFIX.sub("", sk)
    return window if window in wanted else None


def row_of(item: Mapping[str, Any]) -> Row:
    """What is no page at a page's place is not by the rules that we know, and holds none of our identities."""
    sums = {name: Decimal(value["N"]) for name, value in item.items() if "N" in value and name not in RESERVED}
    ids = item.get("ids", {}).get("SS", ())
    broken = "" if ids or "ids" not in item else "its ids are no set of strings"
    events = len(ids)
    if "events" in item:
        said = next(iter(item["events"].values()))
        number = Decimal(item["events"].get("N", "NaN"))
        if number.is_finite() and 0 <= number <= EVENTS_MAX and number == int(number):
            events = int(number)
        else:
            broken = f"its events are {said!r:.40}"
    elif ids:
        events = 0
    return Row(item["sk"]["S"], events, sums, SEPARATOR.join(ids), broken)
