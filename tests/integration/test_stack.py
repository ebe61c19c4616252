"""The whole local stack through unmodified clients: what a user puts in comes out once, and everything can be asked."""

import hashlib
import http.client
import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from botocore.exceptions import ClientError

from tests.support.loads import limit
from tests.support.local_stack import Up, until

pytestmark = pytest.mark.integration

WINDOW = "2026-11-23T09:00:00Z"


def event(kind: str, number: int, subject: str, **data: Any) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(number),
            "source": "integration",
            "type": kind,
            "subject": subject,
            "time": "2026-11-23T09:10:11Z",
            "data": {"quantity": 1, **data},
        }
    ).encode()


def aggregated(events: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """(partition key, data) pairs as KPL aggregates, ready for PutRecords."""
    aggregator, records = RecordAggregator(), []
    for key, data in events:
        if (full := aggregator.add_user_record(key, data)) is not None:
            records.append(full)
    records.append(aggregator.clear_and_get())
    contents = (record.get_contents() for record in records)
    return [{"PartitionKey": key, "Data": data} for key, _, data in contents]


def put(stack: Up, records: list[dict[str, Any]]) -> None:
    answer = stack.client("kinesis").put_records(StreamName=stack.ready["stream"], Records=records)
    assert answer["FailedRecordCount"] == 0


def test_aggregated_events_sent_twice_are_counted_exactly_once(stack: Up, unique: str) -> None:
    events = [(f"s{n % 5}", event(unique, n, f"s{n % 5}", bytes=n)) for n in range(500)]
    put(stack, aggregated(events))
    put(stack, aggregated(events[::-1]))
    put(stack, [{"PartitionKey": "last", "Data": event(unique, 10_000, "last", bytes=0.25)}])
    until(lambda: stack.events(unique) >= 501, "501 events in the results table")
    expected: list[dict[str, Any]] = [
        {
            "type": unique,
            "subject": subject,
            "window": WINDOW,
            "events": 100,
            "sum_bytes": sum(range(index, 500, 5)),
            "sum_quantity": 100,
        }
        for index, subject in enumerate(["s0", "s1", "s2", "s3", "s4"])
    ]
    last = {"type": unique, "subject": "last", "window": WINDOW, "events": 1, "sum_bytes": 0.25, "sum_quantity": 1}
    assert stack.results(unique) == [last, *expected]


def test_totals_can_be_grouped_cut_by_time_and_printed_as_csv(stack: Up, unique: str) -> None:
    put(stack, [{"PartitionKey": "k", "Data": event(unique, n, f"s{n}", bytes=n)} for n in range(3)])
    until(lambda: stack.events(unique) == 3, "3 events in the results table")
    whole = stack.infra("results", "--type", unique, "--by", "type", "--format", "csv")
    assert whole.stdout == f"type,events,sum_bytes,sum_quantity\n{unique},3,3,3\n"
    one = stack.infra("results", "--type", unique, "--subject", "s2", "--from", WINDOW, "--format", "csv")
    assert one.stdout.splitlines()[1:] == [f"{unique},s2,{WINDOW},1,2,1"]
    none = stack.infra("results", "--type", unique, "--subject", "s2", "--to", WINDOW, "--format", "json")
    assert json.loads(none.stdout) == []


def test_a_malformed_event_is_kept_with_its_reason_and_shown_with_its_payload_only_when_asked(
    stack: Up, unique: str
) -> None:
    payload = f"{{this is not JSON: {unique}".encode()
    digest = hashlib.sha256(payload).hexdigest()
    put(stack, [{"PartitionKey": "k", "Data": payload}])

    def kept() -> list[dict[str, Any]]:
        listed = stack.infra("quarantine", "list", "--reason", "not_json", "--format", "json")
        assert listed.returncode == 0, listed.stderr
        assert unique not in listed.stdout
        rows: list[dict[str, Any]] = json.loads(listed.stdout)
        return [row for row in rows if row["size"] == len(payload)]

    (row,) = until(kept, "the malformed event in quarantine")
    (shown,) = json.loads(stack.infra("quarantine", "show", row["position"]).stdout)
    assert (shown["reason"], shown["payload_sha256"]) == ("not_json", digest)
    assert "payload" not in shown
    (shown,) = json.loads(stack.infra("quarantine", "show", row["position"], "--payload").stdout)
    assert shown["payload"] == payload.decode()


def test_events_survive_a_results_table_that_throttles(stack: Up, unique: str) -> None:
    table = "stream-processor-results"
    limit(stack, table, "PUT", write_units_per_s=3, burst_s=1)
    try:
        put(stack, aggregated([(f"s{n}", event(unique, n, f"s{n}")) for n in range(40)]))
        until(lambda: limit(stack, table, "GET")["counts"].get("write_table", 0) > 0, "a throttled write")
    finally:
        limit(stack, table, "DELETE")
    until(lambda: stack.events(unique) >= 40, "40 events in the results table")
    assert [row["events"] for row in stack.results(unique)] == [1] * 40


def test_the_stack_names_everything_that_was_deployed(stack: Up) -> None:
    (described,) = stack.client("cloudformation").describe_stacks(StackName="stream-processor")["Stacks"]
    assert described["StackStatus"] == "CREATE_COMPLETE"
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described["Parameters"]}
    assert (parameters["ShardCount"], parameters["Measures"]) == ("2", "bytes,quantity")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    assert outputs["StreamName"] == stack.ready["stream"]
    assert [outputs["ResultsTableName"], outputs["QuarantineTableName"]] == stack.ready["tables"]
    assert [outputs["FailureBucketName"]] == stack.ready["buckets"]
    stream = stack.client("kinesis").describe_stream_summary(StreamName=outputs["StreamName"])
    assert stream["StreamDescriptionSummary"]["StreamARN"] == outputs["StreamArn"]
    mapping = stack.client("lambda").get_event_source_mapping(UUID=outputs["MappingId"])
    assert mapping["EventSourceArn"] == outputs["StreamArn"]
    stack.client("s3").head_bucket(Bucket=outputs["FailureBucketName"])


def test_an_unknown_stack_is_refused_as_aws_refuses_it(stack: Up) -> None:
    with pytest.raises(ClientError) as raised:
        stack.client("cloudformation").describe_stacks(StackName="other")
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    said = stack.infra("results", "--stack-name", "other")
    assert said.returncode == 3
    assert "there is no stack other" in said.stderr


def test_mappings_and_functions_are_listed(stack: Up) -> None:
    client = stack.client("lambda")
    (mapping,) = client.list_event_source_mappings()["EventSourceMappings"]
    assert mapping["State"] == "Enabled"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    configuration = client.get_function_configuration(FunctionName=stack.ready["functions"][0])
    assert configuration["Handler"] == "processor.stream.handler"
    assert configuration["Environment"]["Variables"]["RESULTS_TABLE"] == stack.ready["tables"][0]


def test_objects_of_megabytes_come_back_as_they_went(stack: Up, unique: str) -> None:
    client = stack.client("s3")
    client.create_bucket(Bucket=unique)
    body = bytes(range(256)) * 20_000
    client.put_object(Bucket=unique, Key="a b/ü", Body=body)
    assert client.get_object(Bucket=unique, Key="a b/ü")["Body"].read() == body


@pytest.mark.parametrize("query", ["%ff", "x=%00", "Action=", "Action=DescribeStacks&Version=2010-05-15&StackName=%ff"])
def test_a_request_that_makes_no_sense_is_answered(stack: Up, query: str) -> None:
    host = stack.endpoint_url.removeprefix("http://")
    for method in ("GET", "POST"):
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request(method, f"/?{query}", body=b"\xff" if method == "POST" else None)
        assert 200 <= connection.getresponse().status < 600
        connection.close()


@pytest.mark.parametrize(
    ("service", "operation"), [("ec2", "describe_instances"), ("firehose", "list_delivery_streams")]
)
def test_a_service_that_is_not_there_is_an_error_and_not_a_hang(stack: Up, service: str, operation: str) -> None:
    with pytest.raises(ClientError):
        getattr(stack.client(service), operation)()


@pytest.mark.skipif(shutil.which("aws") is None, reason="the aws command line is not installed")
def test_the_aws_command_line_creates_puts_reads_describes_and_lists(stack: Up, unique: str) -> None:
    def aws(*arguments: str) -> Any:
        said = subprocess.run(
            ["aws", "--endpoint-url", stack.endpoint_url, "--region", "us-east-1", "--output", "json", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        )
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout) if said.stdout.strip() else None

    aws("kinesis", "create-stream", "--stream-name", unique, "--shard-count", "1")
    aws("kinesis", "wait", "stream-exists", "--stream-name", unique)
    stream = ("--stream-name", unique)
    aws("kinesis", "put-record", *stream, "--partition-key", "k", "--data", "aGVsbG8=")
    description = aws("kinesis", "describe-stream", *stream)["StreamDescription"]
    shard = ("--shard-id", description["Shards"][0]["ShardId"])
    iterator = aws("kinesis", "get-shard-iterator", *stream, *shard, "--shard-iterator-type", "TRIM_HORIZON")
    records = aws("kinesis", "get-records", "--shard-iterator", iterator["ShardIterator"])["Records"]
    assert len(records) == 1
    assert {unique, stack.ready["stream"]} <= set(aws("kinesis", "list-streams")["StreamNames"])
    assert aws("dynamodb", "list-tables")["TableNames"] == sorted(stack.ready["tables"])
    assert aws("cloudformation", "describe-stacks")["Stacks"][0]["StackName"] == "stream-processor"
