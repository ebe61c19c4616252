"""A stack's stream, tables and bucket in moto, without a processor: the tests write what one would have written."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import boto3
from moto import mock_aws

from infra.ops.outputs import Connection, Target
from loadgen.observing.readback import Stack
from processor.core.rule_api import RuleSettings

STACK = Stack("events", "results", "quarantine", "failures", RuleSettings(("bytes", "quantity"), 3600))


class Deployed(NamedTuple):
    connection: Connection
    stack: Stack

    def client(self, service: str) -> Any:
        return self.connection.client(service)


@contextmanager
def in_moto() -> Iterator[Deployed]:
    with mock_aws():
        boto3.client("kinesis", region_name="us-east-1").create_stream(StreamName="events", ShardCount=1)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="failures")
        dynamodb: Any = boto3.client("dynamodb", region_name="us-east-1")
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        text = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        dynamodb.create_table(
            TableName="results", KeySchema=keys, AttributeDefinitions=text, BillingMode="PAY_PER_REQUEST"
        )
        dynamodb.create_table(
            TableName="quarantine",
            KeySchema=keys,
            AttributeDefinitions=text
            + [{"AttributeName": name, "AttributeType": "S"} for name in ("reason", "arrived_at")],
            BillingMode="PAY_PER_REQUEST",
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-reason",
                    "KeySchema": [
                        {"AttributeName": "reason", "KeyType": "HASH"},
                        {"AttributeName": "arrived_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        yield Deployed(Connection(Target(None, "us-east-1", "stack")), STACK)
