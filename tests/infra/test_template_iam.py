"""The function's role: every AWS call made under it is granted on the one resource it needs, and nothing more."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from infra.blueprint.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
STACK = {"stack_name": "stream-processor", "account_id": "000000000000", "region": "us-east-1"}

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/stream-processor-events"
RESULTS = "arn:aws:dynamodb:us-east-1:000000000000:table/stream-processor-results"
QUARANTINE = "arn:aws:dynamodb:us-east-1:000000000000:table/stream-processor-quarantine"
BUCKET = "arn:aws:s3:::stream-processor-failures-000000000000"
LOGS = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/stream-processor-stream:*"

# Who calls what under the role -> the actions that AWS asks for, and on what. `Key` is the stack's KMS key.
CALLS: dict[tuple[str, str], list[tuple[str, str]]] = {
    # The mapping's poller (AWS: "Using Lambda with Kinesis Data Streams", execution role permissions).
    ("lambda", "create the mapping"): [("kinesis:DescribeStream", STREAM)],
    ("lambda", "describe_stream_summary"): [("kinesis:DescribeStreamSummary", STREAM)],
    ("lambda", "list_shards"): [("kinesis:ListShards", STREAM)],
    ("lambda", "get_shard_iterator"): [("kinesis:GetShardIterator", STREAM)],
    ("lambda", "get_records"): [("kinesis:GetRecords", STREAM), ("kms:Decrypt", "Key")],
    # Its on-failure destination (AWS: "Retain discarded records for a Kinesis event source in Lambda").
    ("lambda", "put_object"): [("s3:PutObject", f"{BUCKET}/aws/lambda/*"), ("kms:GenerateDataKey", "Key")],
    ("lambda", "find the bucket"): [("s3:ListBucket", BUCKET)],
    # The log group exists, so nobody creates it.
    ("lambda", "write log lines"): [("logs:CreateLogStream", LOGS), ("logs:PutLogEvents", LOGS)],
    # Our code (AWS: "IAM security policies with PartiQL for DynamoDB").
    ("code", "dynamodb.batch_execute_statement"): [
        ("dynamodb:PartiQLInsert", RESULTS),
        ("dynamodb:PartiQLUpdate", RESULTS),
        ("dynamodb:PartiQLInsert", QUARANTINE),
    ],
    ("code", "dynamodb.query"): [("dynamodb:Query", RESULTS)],
    ("code", "s3.put_object"): [("s3:PutObject", f"{BUCKET}/quarantine/*"), ("kms:GenerateDataKey", "Key")],
    # DynamoDB under the caller's name, for a table with a customer managed key.
    ("dynamodb", "use the table's key"): [
        (f"kms:{action}", "Key")
        for action in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
    ],
}


@pytest.fixture(scope="module")
def role(template_text: str) -> dict[str, Any]:
    return Stack(template_text, {}, **STACK).properties("StreamFunctionRole")


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Policies"]:
        assert policy["PolicyDocument"]["Version"] == "2012-10-17"
        yield from policy["PolicyDocument"]["Statement"]


def several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def granted(role: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (action, "Key" if ":key/" in resource else resource)
        for statement in statements(role)
        for action in several(statement["Action"])
        for resource in several(statement["Resource"])
    }


def test_the_role_grants_what_is_called_and_nothing_more(role: dict[str, Any]) -> None:
    needed = {pair for pairs in CALLS.values() for pair in pairs}
    assert granted(role) == needed


def test_the_table_above_has_every_call_that_the_deployed_code_makes() -> None:
    clients = {name: botocore.session.get_session().get_service_model(name) for name in ("dynamodb", "s3")}
    operations = {
        xform_name(op): f"{name}.{xform_name(op)}" for name in clients for op in clients[name].operation_names
    }
    made = {
        operations[node.func.attr]
        for path in (ROOT / "processor").rglob("*.py")
        if path.name != "publisher.py"  # producers' code: it runs under their credentials
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in operations
    }
    assert made == {call for who, call in CALLS if who == "code"}


def test_the_partiql_verbs_of_the_code_are_the_ones_granted(role: dict[str, Any]) -> None:
    formatted = [
        str(node.values[0].value)
        for path in (ROOT / "processor").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant)
    ]
    verbs = {text.split()[0] for text in formatted if text.startswith(("INSERT ", "UPDATE ", "DELETE ", "SELECT "))}
    assert verbs == {action[len("dynamodb:PartiQL") :].upper() for action, _ in granted(role) if "PartiQL" in action}


def test_every_statement_has_a_name_and_no_wildcard_action_or_resource(role: dict[str, Any]) -> None:
    for statement in statements(role):
        assert statement["Sid"]
        assert statement["Effect"] == "Allow"
        assert not [action for action in several(statement["Action"]) if "*" in action]
        for resource in several(statement["Resource"]):
            assert resource.startswith("arn:aws:")
            # A log group's streams and a bucket's two prefixes: a wildcard stands for names within, at the end only.
            assert "*" not in resource.removesuffix("/*").removesuffix(":*")
            assert resource != f"{BUCKET}/*"


def test_every_use_of_the_key_is_bound_to_the_service_it_is_for(role: dict[str, Any]) -> None:
    conditions = [
        s["Condition"]["StringEquals"] for s in statements(role) if several(s["Action"])[0].startswith("kms:")
    ]
    assert conditions == [
        {"kms:EncryptionContext:aws:kinesis:arn": STREAM},
        {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"},
        {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
    ]


def test_only_lambda_may_take_the_role_and_no_managed_policy_is_attached(role: dict[str, Any]) -> None:
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Principal"], trust["Action"]) == ({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole")
    assert set(role) == {"AssumeRolePolicyDocument", "Policies"}


def test_a_permissions_boundary_is_set_when_given(template_text: str) -> None:
    boundary = "arn:aws:iam::000000000000:policy/boundary"
    stack = Stack(template_text, {"PermissionsBoundaryArn": boundary}, **STACK)
    assert stack.properties("StreamFunctionRole")["PermissionsBoundary"] == boundary


def test_the_key_serves_logs_and_alarms_of_this_stack_only(template_text: str) -> None:
    policy = Stack(template_text, {}, **STACK).properties("EncryptionKey")["KeyPolicy"]
    root, logs, alarms = policy["Statement"]
    assert root["Principal"] == {"AWS": "arn:aws:iam::000000000000:root"}
    assert logs["Principal"] == {"Service": "logs.us-east-1.amazonaws.com"}
    assert logs["Condition"] == {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": LOGS.removesuffix(":*")}}
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "000000000000"}}
    for statement in (logs, alarms):
        assert not [action for action in statement["Action"] if "*" in action]
