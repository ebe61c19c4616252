"""SHELL: reads back from the stack's tables what a load must have left there.

Windows are read as chains.py says: by key while the load is waited for, and in the end every partition from end to end;
every other expected item with BatchGetItem. All of these reads are strongly consistent. Quarantine is read by position,
and in the end for what else is at positions of the load's own. Only when identities are missing then, the results table
is scanned for them, within bounds.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from infra.ops.errors import ENVIRONMENT, CommandError, explained
from infra.ops.outputs import Connection, describe
from loadgen.observing.batch_get import batch_get
from loadgen.observing.chains import BEYOND_MAX, Chains, Partition, Row
from loadgen.observing.quarantine import Quarantine, acknowledged, identity_of, rfc3339
from loadgen.offer.items import Item, ItemKey, content_of
from loadgen.offer.truth import RULES_MODULE
from loadgen.outcome.ledger import Expectations, Findings, Position, WindowKey, reconcile
from loadgen.outcome.windows import hold_beyond
from processor.core.effects import Scalar
from processor.core.errors import Malformed, Reason
from processor.core.records import KinesisRecord, deaggregate, from_lambda
from processor.core.rule_api import RuleSettings

SCANNED_PAGES_MAX = 50  # of 1 MB each: some 100,000 items, and a fraction of a cent
OF_RULES = {Reason.RULES_REFUSED, Reason.RULES_ERROR}
# The target's clock may be behind ours. Older findings do no harm: only what is missing is looked for among them.
CLOCKS_APART = timedelta(minutes=5)


class Stack(NamedTuple):
    """What a load needs to know of a deployed stack."""

    stream: str
    results_table: str
    quarantine_table: str
    failure_bucket: str
    settings: RuleSettings
    function: str = ""
    mapping_id: str = ""
    rules_module: str = RULES_MODULE


def find_stack(connection: Connection) -> Stack:
    """Names from the stack's outputs, rule settings from its parameters. Raises CommandError."""
    description = describe(connection)
    found = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in description["Parameters"]}
    name = connection.target.stack_name
    try:
        measures = tuple(measure.strip() for measure in parameters["Measures"].split(",") if measure.strip())
        settings = RuleSettings(measures, int(parameters["WindowSeconds"]))
        stack = Stack(
            found["StreamName"],
            found["ResultsTableName"],
            found["QuarantineTableName"],
            found["FailureBucketName"],
            settings,
            found["FunctionName"],
            found["MappingId"],
            parameters["RulesModule"],
        )
    except (KeyError, ValueError) as error:
        raise CommandError(f"the stack {name} is not one of infra/template.yaml: {error}", ENVIRONMENT) from error
    return stack


class Readback:
    """Fills `Findings` for `Expectations`. Every method raises CommandError when the tables do not answer."""

    def __init__(self, connection: Connection, stack: Stack, expectations: Expectations, since: datetime) -> None:
        self._target, self._stack, self._expected = connection.target, stack, expectations
        self._started, self._since = since, (since - CLOCKS_APART).replace(microsecond=0)
        self._dynamodb, self._s3 = connection.client("dynamodb"), connection.client("s3")
        self._chains = Chains(self._dynamodb, stack.results_table)
        self._beyond_before: dict[str, Sequence[Row] | None] = {}  # by partition key
        self._quarantine = Quarantine(self._dynamodb, stack.quarantine_table, stack.stream)

    def check(self) -> None:
        """The tables are there, as far as one may ask."""
        from botocore.exceptions import ClientError

        for table in (self._stack.results_table, self._stack.quarantine_table):
            with explained(str(self._target)):
                try:
                    self._dynamodb.describe_table(TableName=table)
                except self._dynamodb.exceptions.ResourceNotFoundException as error:
                    why = "is not there although the stack has it: deploy the stack again. Nothing was sent"
                    raise CommandError(f"{self._target}: the table {table} {why}", ENVIRONMENT) from error
                except ClientError:  # a right that lacks, or a throttled call: reading will show
                    continue

    def before(self, keys: Sequence[WindowKey], items: Sequence[ItemKey] = ()) -> int:
        """Note what these windows and items have before the load; returns how many identities the windows have."""
        found = 0
        with explained(str(self._target)):
            for partition in self._chains.whole(keys):
                for window, rows in partition.chains.items():
                    if rows:
                        pages = [row.page() for row in rows]
                        self._expected.there_before((partition.pk, window), pages)
                        found += sum(len(page.ids) for page in pages)
                self._beyond_before[partition.pk] = partition.beyond
            self._expected.items_before.update(self._items(items))
        return found

    def refresh(self, findings: Findings, *, everything: bool = False) -> None:
        """Read what has not been found yet; `everything`: read all of it again (the final account)."""
        with explained(str(self._target)):
            self._refresh_windows(findings, everything=everything)
            positions = [p for p in self._expected.quarantine if everything or p not in findings.reasons]
            findings.reasons.update(self._quarantine.reasons(positions))
            if everything:
                findings.broken |= self._quarantine.contradictions(positions)
            self._refresh_items(findings, everything=everything)

    def _refresh_windows(self, findings: Findings, *, everything: bool) -> None:
        expected = self._expected.windows
        if not everything:
            wanted = [key for key in expected if key not in findings.checks or not findings.checks[key].complete]
            for key, pages in self._chains.growing(wanted):
                findings.checks[key] = reconcile(expected[key], pages)
            return
        self._chains.broken.clear()
        unread = 0
        for partition in self._chains.whole(expected):
            beyond = self._beyond(partition)
            unread += beyond is None
            for window, rows in partition.chains.items():
                key = partition.pk, window
                check = reconcile(expected[key], [row.page() for row in rows])
                findings.checks[key], away = hold_beyond(expected[key], check, beyond or {})
                findings.elsewhere |= away
        if unread:
            where = f"in windows that nobody expects, of {unread:,} partition keys with a long history"
            findings.unchecked.append(f"events counted again {where}: more than {BEYOND_MAX:,} items")
        findings.broken |= {
            f"{self._stack.results_table}: pk {pk}, sk {sk}": why for (pk, sk), why in self._chains.broken.items()
        }

    def _beyond(self, partition: Partition) -> Counter[str] | None:
        """How often each identity came since before the load into windows where none is expected; None: not known."""
        before = self._beyond_before.get(partition.pk, ())
        if partition.beyond is None or before is None:
            return None
        there = {row.sk: row.identities() for row in before}
        return Counter(chain.from_iterable(row.identities() - there.get(row.sk, set()) for row in partition.beyond))

    def _refresh_items(self, findings: Findings, *, everything: bool) -> None:
        findings.itemized = len(self._expected.itemized)
        wanted = [
            key
            for key in self._expected.items
            if everything or key not in findings.items or not findings.items[key].complete
        ]
        found = self._items(wanted)
        for key in wanted:
            item = self._expected.items[key]
            findings.items[key] = item.check(found.get(key), self._expected.items_before.get(key))

    def look_into_quarantine(self, findings: Findings, results: Path) -> None:
        """What is there and was not expected. `results`: results.jsonl, which says what of it is this load's."""
        with explained(str(self._target)):
            kept, is_all = self._quarantine.since(self._since, self._expected.quarantine)
            if not is_all:
                what = "items with reasons that this checkout does not know"
                findings.unchecked.append(f"{what}: {self._stack.quarantine_table} is too long to look for them")
            try:
                ours = acknowledged(results, kept)
            except OSError as error:
                raise CommandError(f"{results}: it cannot be read: {error.strerror}") from error
            started = rfc3339(self._started)
            findings.unexpected = {position: kept[position].reason for position in ours}
            findings.others = sum(one.arrived_at >= started for position, one in kept.items() if position not in ours)
            if findings.found() < self._expected.distinct_events:  # refused by the rules, perhaps
                wanted = [position for position, one in kept.items() if position in ours or one.reason in OF_RULES]
                findings.identities = self._quarantine.identities(wanted)
                findings.refused.update({one: kept[position].reason for position, one in findings.identities.items()})

    def explain_missing(self, findings: Findings) -> None:
        """Look for what is not where it belongs: given up by the mapping (on-failure destination), or put into other
        windows by rules that are not the ones that we know."""
        with explained(str(self._target)):
            self._read_expired(findings)
            self._scan(findings)

    def _items(self, keys: Sequence[ItemKey]) -> dict[ItemKey, Item]:
        items = map(_item, self._get(keys))
        return {(item.pk, item.sk): item for item in items}

    def _get(self, keys: Sequence[tuple[str, str]]) -> Iterator[Mapping[str, Any]]:
        wire = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]
        return batch_get(self._dynamodb, self._stack.results_table, wire)

    def _scan(self, findings: Findings) -> None:
        absent = self._expected.quarantine.keys() - findings.reasons.keys()
        missing = findings.incomplete().union(*(check.missing for check in findings.checks.values()))
        missing |= {self._expected.refused[where] for where in absent if where in self._expected.refused}
        missing -= findings.refused.keys() | findings.expired_digests
        if not missing:
            return
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._stack.results_table, ProjectionExpression="pk, sk, ids"
        )
        for item in (item for page in islice(pages, SCANNED_PAGES_MAX) for item in page["Items"]):
            here = missing.intersection(item.get("ids", {}).get("SS", ()))
            window = self._expected.windows.get((item["pk"]["S"], item["sk"]["S"].partition("#")[0]))
            findings.elsewhere |= here if window is None else {one for one in here if not window.has(one)}

    def _read_expired(self, findings: Findings) -> None:
        listing = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._stack.failure_bucket, Prefix="aws/lambda/"
        )
        for entry in (entry for page in listing for entry in page.get("Contents", [])):
            if entry["LastModified"] < self._since:
                continue
            body = self._s3.get_object(Bucket=self._stack.failure_bucket, Key=entry["Key"])["Body"].read()
            try:
                found = given_up(body)
            except ValueError as error:
                where = f"s3://{self._stack.failure_bucket}/{entry['Key']}"
                findings.unchecked.append(f"{where} is no batch that Lambda gave up: {error}")
                continue
            findings.expired_positions |= found.keys()
            findings.expired_digests |= {identity for identity in found.values() if identity}


def given_up(body: bytes) -> dict[Position, str | None]:
    """The events of a document that the mapping puts to its on-failure destination: where each one was, and its
    identity. Raises ValueError."""
    try:
        records = json.loads(json.loads(body)["payload"])["Records"]
        return dict(event for record in records for event in events_of(from_lambda(record)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def events_of(record: KinesisRecord) -> Iterator[tuple[Position, str | None]]:
    """Where each event was, and its identity; a record that cannot be taken apart is one without."""
    try:
        users = deaggregate(record)
    except Malformed:
        yield Position(record.shard_id, record.sequence_number, None), None
        return
    for user in users:
        yield Position(record.shard_id, record.sequence_number, user.subsequence_number), identity_of(user.data)


def _item(wire: Mapping[str, Any]) -> Item:
    """An item as the table has it; the processor's own attributes are no part of its contents."""
    values = {name: _scalar(value) for name, value in wire.items() if not name.startswith("_")}
    pk, sk = values.pop("pk"), values.pop("sk")
    assert isinstance(pk, str)
    assert isinstance(sk, str)
    version = values.pop("version") if "_shape" in wire else None
    return Item(pk, sk, content_of(values), version)


def _scalar(value: Mapping[str, Any]) -> Scalar:
    ((kind, content),) = value.items()
    if kind == "N":
        return Decimal(content)
    return None if kind == "NULL" else content if kind in {"S", "BOOL"} else f"{kind} {content!r}"
