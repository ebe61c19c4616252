"""docs/load-on-aws.md: its policy allows what a load calls and nothing else, and its commands are commands."""

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import boto3
import pytest

from loadgen import cli
from loadgen.showing import report
from loadgen.showing.thresholds import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "load-on-aws.md").read_text()
SERVICES = ("cloudformation", "cloudwatch", "dynamodb", "kinesis", "lambda", "logs", "s3")
ACTIONS = {"s3:ListObjectsV2": "s3:ListBucket"}  # where IAM has another name than the operation
OF_THE_KEY = {"kms:Decrypt", "kms:GenerateDataKey"}  # AWS's services ask for them on the caller's behalf


def policy() -> dict[str, Any]:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    found: dict[str, Any] = json.loads(block)
    return found


def said(path: Path) -> set[str]:
    """Every attribute and every string of a module: a client's methods and the names of paginators are among them."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def of_a_load() -> set[Path]:
    """loadgen/run.py and everything of loadgen that it imports, directly or not, and what it talks to AWS through."""
    waiting, found = [ROOT / "loadgen" / "run.py"], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in found or not path.exists():
            continue
        found.add(path)
        imported = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        names = {each.module or "" for each in imported} | {
            f"loadgen.{alias.name}" for each in imported if each.module == "loadgen" for alias in each.names
        }
        waiting += [ROOT / f"{name.replace('.', '/')}.py" for name in names if name.startswith("loadgen.")]
    adapters = ROOT / "processor" / "adapters"
    return found | {ROOT / "infra/ops/outputs.py", adapters / "publisher.py", *adapters.glob("put*.py")}


def called() -> set[str]:
    modules = of_a_load()
    assert len(modules) > 40
    words = set().union(*map(said, modules))
    found = set()
    for service in SERVICES:
        make: Any = boto3.client
        methods = make(service, region_name="us-east-1").meta.method_to_api_mapping
        found |= {f"{service}:{operation}" for method, operation in methods.items() if method in words}
    return {ACTIONS.get(name, name) for name in found}


def test_the_policy_allows_what_a_load_calls_and_nothing_else() -> None:
    allowed = [action for statement in policy()["Statement"] for action in statement["Action"]]
    assert len(allowed) == len(set(allowed))
    assert set(allowed) - OF_THE_KEY == called()


def test_no_statement_is_wider_than_aws_makes_it() -> None:
    """These four actions have no resource, or one that is known only once the mapping is there."""
    wide = {
        action for statement in policy()["Statement"] if statement["Resource"] == "*" for action in statement["Action"]
    }
    assert wide == {
        "lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping", "lambda:GetAccountSettings",
        "cloudwatch:GetMetricData",
    }  # fmt: skip


def commands() -> list[list[str]]:
    text = re.sub(r" \\\n\s+", " ", PAGE)
    return [
        shlex.split(line, comments=True)[1:]
        for line in re.findall(r"^    (\.venv/bin/loadgen .*)$", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:4]))
def test_every_command_of_the_page_is_understood(words: list[str]) -> None:
    arguments = cli.parser().parse_args(words)
    for expression in getattr(arguments, "threshold", []):
        parse(expression, report.known_numbers())
    assert "endpoint_url" not in arguments or arguments.endpoint_url is None


def test_the_names_in_the_policy_are_those_of_the_template() -> None:
    template = (ROOT / "infra" / "template.yaml").read_text()
    for name in ("-events", "-results", "-quarantine", "-failures-", "-stream"):
        assert f"${{AWS::StackName}}{name}" in template
        assert f"STACK{name}" in PAGE
    assert len(commands()) == 6
