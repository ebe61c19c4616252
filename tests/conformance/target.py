"""Where the conformance tests run, and the streams, functions and mappings that they make there through boto3.

The variable `CONFORMANCE_TARGET` decides: unset, a local stack is started; a URL is an endpoint that is running already
(any emulator's); `aws` is AWS itself, with the usual chain of credentials (docs/conformance.md names the rights and the
cost). Everything that a test makes carries a name of its own and is deleted at its end.
"""

import contextlib
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

WITNESS = Path(__file__).with_name("witness_function.py")
_TRUSTED = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
_GRANTED = [
    "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:GetRecords",
    "kinesis:GetShardIterator", "kinesis:SubscribeToShard", "sqs:SendMessage", "s3:PutObject", "s3:ListBucket",
    "dynamodb:PutItem", "dynamodb:UpdateItem", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents",
]  # fmt: skip


@dataclass(frozen=True)
class Invocation:
    """One call as the function saw it. Times are epoch seconds; `ended` is None while it runs, or if it was killed."""

    request_id: str
    began: float
    ended: float | None
    event_bytes: int
    told: Mapping[str, Any]  # the event's keys beside Records
    first: Mapping[str, Any]  # its first record, whole (empty if that is above 100 kB)
    sequence_numbers: Sequence[str]
    partition_keys: Sequence[str]
    data: Sequence[str]


@dataclass
class Target:
    """`within_s` is how long something may take to happen; `settle_s` how long to wait for nothing more to happen."""

    endpoint_url: str | None
    within_s: float
    settle_s: float
    undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _role_arn: str = ""
    _table: str = ""

    def client(self, service: str) -> Any:
        make: Any = boto3.client  # its stubs want the service's name as a literal
        local: dict[str, str] = {}
        if self.endpoint_url is not None:
            local = {
                "endpoint_url": self.endpoint_url,
                "region_name": "us-east-1",
                "aws_access_key_id": "test",
                "aws_secret_access_key": "test",
            }
        return make(service, config=Config(retries={"total_max_attempts": 1 if local else 5}), **local)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """The first true value of `holds`; AssertionError after `within_s`."""
        deadline = time.monotonic() + self.within_s
        while time.monotonic() < deadline:
            if found := holds():
                return found
            time.sleep(self.settle_s / 20)
        raise AssertionError(f"not within {self.within_s} s: {what}")

    # For the whole session

    def prepare(self) -> None:
        """The role of all functions, and the table that they write to."""
        name = unique()
        iam, dynamodb = self.client("iam"), self.client("dynamodb")
        trust = json.dumps({"Version": "2012-10-17", "Statement": [_TRUSTED]})
        self._role_arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self.undo.callback(iam.delete_role, RoleName=name)
        granted = {"Effect": "Allow", "Action": _GRANTED, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [granted]})
        iam.put_role_policy(RoleName=name, PolicyName="conformance", PolicyDocument=policy)
        self.undo.callback(iam.delete_role_policy, RoleName=name, PolicyName="conformance")
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        self.undo.callback(dynamodb.delete_table, TableName=name)
        dynamodb.get_waiter("table_exists").wait(TableName=name)
        self._table = name

    # For one test

    def stream(self, shards: int = 1) -> str:
        """A new stream's name, ready to be written to."""
        kinesis, name = self.client("kinesis"), unique()
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        self.undo.callback(kinesis.delete_stream, StreamName=name, EnforceConsumerDeletion=True)
        self.until(lambda: self.describe(name)["StreamStatus"] == "ACTIVE", f"stream {name} is active")
        return name

    def describe(self, stream: str) -> dict[str, Any]:
        description: dict[str, Any] = self.client("kinesis").describe_stream_summary(StreamName=stream)
        return dict(description["StreamDescriptionSummary"])

    def put(self, stream: str, data: Sequence[str | bytes], *, keys: Sequence[str] = ("key",)) -> list[str]:
        """Puts in order, one call, with the keys in turn; returns the sequence numbers."""
        records = [
            {"Data": each.encode() if isinstance(each, str) else each, "PartitionKey": keys[place % len(keys)]}
            for place, each in enumerate(data)
        ]
        answer = self.client("kinesis").put_records(StreamName=stream, Records=records)
        assert answer["FailedRecordCount"] == 0, answer
        return [record["SequenceNumber"] for record in answer["Records"]]

    def function(self, **behaviour: Any) -> str:
        """A new function's name; see witness_function.py for what it can be told."""
        client, name = self.client("lambda"), unique()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(WITNESS, WITNESS.name)
        variables = {"BEHAVIOUR": json.dumps(behaviour), "WITNESS_TABLE": self._table}
        if self.endpoint_url is not None:
            variables["WITNESS_ENDPOINT_URL"] = self.endpoint_url
        settings = {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": self._role_arn,
            "Handler": "witness_function.handler",
            "Code": {"ZipFile": packed.getvalue()},
            "Timeout": 30,
            "MemorySize": 512,
            "Environment": {"Variables": variables},
        }

        def create() -> bool:
            try:
                client.create_function(**settings)
            except ClientError as error:  # a new role is not known everywhere at once
                if "cannot be assumed" not in str(error):
                    raise
                return False
            return True

        self.until(create, f"function {name} is created")
        self.undo.callback(client.delete_function, FunctionName=name)
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        return name

    def mapping(self, stream: str, function: str, *, source_arn: str | None = None, **settings: Any) -> str:
        """A new mapping's UUID, polling. It begins at TRIM_HORIZON unless told otherwise."""
        client = self.client("lambda")
        created = client.create_event_source_mapping(
            FunctionName=function,
            EventSourceArn=source_arn or self.describe(stream)["StreamARN"],
            **{"StartingPosition": "TRIM_HORIZON"} | settings,
        )
        mapping: str = created["UUID"]
        self.undo.callback(client.delete_event_source_mapping, UUID=mapping)
        self.until(lambda: self.state(mapping) == "Enabled", f"mapping {mapping} is enabled")
        return mapping

    def state(self, mapping: str) -> str:
        return str(self.client("lambda").get_event_source_mapping(UUID=mapping)["State"])

    def invocations(self, function: str) -> list[Invocation]:
        """Every call so far, in the order in which they began."""
        pages = self.client("dynamodb").get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": function}},
            ConsistentRead=True,
        )  # fmt: skip
        return [_invocation(item) for page in pages for item in page["Items"]]

    def delivered(self, function: str, count: int) -> list[Invocation]:
        """The calls as soon as `count` records (retries and all) have been given to the function and answered for."""

        def enough() -> list[Invocation] | None:
            found = self.invocations(function)
            answered = [each for each in found if each.ended is not None]
            return found if sum(len(each.data) for each in answered) >= count else None

        found: list[Invocation] = self.until(enough, f"{function} was given {count} records")
        return found

    def settled(self, function: str) -> list[Invocation]:
        """The calls when no new one began for `settle_s`; AssertionError if that does not come within `within_s`."""
        before = -1
        deadline = time.monotonic() + self.within_s
        while len(found := self.invocations(function)) != before:
            assert time.monotonic() < deadline, f"{function} is called again and again: {len(found)} times so far"
            before = len(found)
            time.sleep(self.settle_s)
        return found


def _invocation(item: Mapping[str, Any]) -> Invocation:
    records = json.loads(item["records"]["S"])
    return Invocation(
        request_id=item["request_id"]["S"],
        began=float(item["began"]["N"]),
        ended=float(item["ended"]["N"]) if "ended" in item else None,
        event_bytes=int(item["event_bytes"]["N"]),
        told=json.loads(item["told"]["S"]),
        first=(json.loads(item["first"]["S"]) or [{}])[0],
        sequence_numbers=[record[0] for record in records],
        partition_keys=[record[1] for record in records],
        data=[record[2] for record in records],
    )


def unique() -> str:
    return f"conformance-{uuid.uuid4().hex[:12]}"


@contextlib.contextmanager
def cleaned(target: Target) -> Iterator[Target]:
    """A view of the target whose new things are deleted at the end, in the opposite order, whatever happened."""
    view = Target(target.endpoint_url, target.within_s, target.settle_s, contextlib.ExitStack())
    view._role_arn, view._table = target._role_arn, target._table
    try:
        yield view
    finally:
        view.undo.close()
