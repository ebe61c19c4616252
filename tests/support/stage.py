"""Tables over the wire, processors on them, Kinesis events as Lambda sends them, and the model to compare with."""

import base64
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from botocore.config import Config

from processor import rules
from processor.adapters.quarantine import Quarantine
from processor.adapters.tables import Tables
from processor.adapters.telemetry import Telemetry
from processor.batches import BatchProcessor, Clocks
from processor.core.effects import Effect
from processor.core.errors import Malformed
from processor.core.events import Event
from processor.core.records import deaggregate, from_lambda
from processor.core.rule_api import RuleSettings
from tests.support.faults import FaultyWire
from tests.support.ministack import Ministack

STREAM_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/stage-events"
SETTINGS = RuleSettings(("bytes", "quantity"), 3600)
NOW_S = 1_795_425_112.5
RULES: Callable[[Event], Iterable[Effect]] = partial(rules.effects, settings=SETTINGS)

_names = itertools.count()

Totals = dict[tuple[str, str], dict[str, Fraction]]
"""(pk, window) -> number -> exact sum."""


@dataclass
class ManualClock:
    """Time that only sleeping (and a test) moves."""

    now_s: float = 0.0
    slept_s: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now_s, lambda: NOW_S + self.now_s, self.sleep, lambda: 0.5)


class Stage:
    """Two tables and a bucket of one test's own."""

    def __init__(self, stack: Ministack) -> None:
        number = next(_names)
        self.stack = stack
        self.service = f"stage-{number}"  # of its own, because loggers are kept by name with the stream they found
        self.results, self.quarantine, self.bucket = (
            f"results-{number}",
            f"quarantine-{number}",
            f"failures-{number}",
        )
        self.dynamodb = stack.client("dynamodb")
        self.s3 = stack.client("s3")
        for name in (self.results, self.quarantine):
            self.dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            )
        self.s3.create_bucket(Bucket=self.bucket)

    def client(self) -> Any:
        """A DynamoDB client as the processor makes it: one attempt per call."""
        return self.stack.client("dynamodb", Config(read_timeout=10, retries={"total_max_attempts": 1}))

    def tables(self, client: Any = None) -> Tables:
        return Tables(client or self.client(), self.results, self.quarantine)

    def processor(
        self,
        wire: FaultyWire | None = None,
        *,
        effects: Callable[[Event], Iterable[Effect]] = RULES,
        clock: ManualClock | None = None,
        s3: Any = None,
    ) -> BatchProcessor:
        """A new environment's processor; `wire` decides what becomes of its DynamoDB calls."""
        client = self.client()
        if wire is not None:
            wire.attach(client)
        return BatchProcessor(
            rules=effects,
            tables=self.tables(client),
            quarantine=Quarantine(self.bucket, 30, lambda: s3 or self.s3),
            telemetry=Telemetry(self.service, "StreamProcessor", "INFO"),
            clocks=(clock or ManualClock()).clocks(),
            systemic_share=0.5,
        )

    def items(self, table: str) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def totals(self) -> Totals:
        """The results as a reader sees them: pages of a window summed."""
        found: Totals = {}
        for item in self.items(self.results):
            sums = found.setdefault((item["pk"]["S"], item["sk"]["S"].partition("#")[0]), {})
            for name, value in item.items():
                if "N" in value:
                    sums[name] = sums.get(name, Fraction(0)) + Fraction(value["N"])
        return found

    def kept(self) -> Counter[tuple[str, str]]:
        """How often each position is in quarantine."""
        return Counter((item["pk"]["S"], item["sk"]["S"]) for item in self.items(self.quarantine))


def usage(number: int, subject: str = "customer", **changes: Any) -> bytes:
    """Event `number`: bytes 10 * number + 1, and a fraction for every third."""
    data: dict[str, Any] = {"bytes": 10 * number + 1}
    if number % 3 == 0:
        data["quantity"] = number / 4
    event = {
        "specversion": "1.0",
        "id": str(number),
        "source": "/stage",
        "type": "usage",
        "subject": subject,
        "time": "2026-11-23T09:12:34Z",
        "data": data,
    }
    return json.dumps(event | changes).encode()


def kinesis_event(payloads: Sequence[bytes], first: int = 1, partition_key: str = "key") -> dict[str, Any]:
    """A batch as Lambda sends it: one Kinesis record per payload, sequence numbers from `first`."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": partition_key,
                    "sequenceNumber": str(number),
                    "data": base64.b64encode(payload).decode(),
                    "approximateArrivalTimestamp": NOW_S - 0.5,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"shardId-000000000000:{number}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/stage",
                "awsRegion": "us-east-1",
                "eventSourceARN": STREAM_ARN,
            }
            for number, payload in enumerate(payloads, first)
        ]
    }


def from_reported(event: dict[str, Any], response: Any) -> dict[str, Any] | None:
    """What Lambda delivers next: everything from the reported sequence number on; None when all is done."""
    failures = response["batchItemFailures"]
    if not failures:
        return None
    numbers = [record["kinesis"]["sequenceNumber"] for record in event["Records"]]
    lowest = min(int(failure["itemIdentifier"]) for failure in failures)
    assert str(lowest) in numbers, "an identifier that is not in the batch fails the whole batch"
    return {"Records": event["Records"][numbers.index(str(lowest)) :]}


def model(*events: dict[str, Any]) -> Totals:
    """The results by the plainest program there is: every identity once, in a dictionary."""
    found: Totals = {}
    seen = set()
    for record in (record for event in events for record in event["Records"]):
        try:
            users = deaggregate(from_lambda(record))
        except Malformed:
            continue
        for user in users:
            try:
                event = json.loads(user.data, parse_float=Decimal)
                identity = (str.strip(event["source"]), str.strip(event["id"]))
            except (ValueError, KeyError, TypeError):
                continue
            if identity in seen:
                continue
            seen.add(identity)
            sums = found.setdefault((f"{event['type']}#{event['subject']}", event["time"][:13] + ":00:00Z"), {})
            sums["events"] = sums.get("events", Fraction(0)) + 1
            for name, value in event["data"].items():
                sums[f"sum_{name}"] = sums.get(f"sum_{name}", Fraction(0)) + Fraction(value)
    return found
