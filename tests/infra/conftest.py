"""The template as it deploys: its text, its blueprint, and AWS SAM's own translation of it into CloudFormation."""

import json
from pathlib import Path
from typing import Any

import pytest
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from infra.blueprint import Blueprint, load

ROOT = Path(__file__).resolve().parents[2]
STACK = {"stack_name": "stream-processor", "account_id": "000000000000", "region": "us-east-1"}


class NoManagedPolicies(ManagedPolicyLoader):  # type: ignore[misc]  # samtranslator has no types
    """Our roles are written out; whatever asked for a managed policy would find none."""

    def __init__(self) -> None:
        super().__init__(None)

    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="session")
def template_text() -> str:
    return (ROOT / "infra" / "template.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def blueprint(template_text: str) -> Blueprint:
    return load(template_text, {}, **STACK)


@pytest.fixture(scope="session")
def translated(template_text: str) -> dict[str, Any]:
    """What CloudFormation gets: parsed and translated by AWS SAM, code in a bucket, intrinsic functions as written."""
    parsed = yaml_parse(template_text)
    for resource in parsed["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://artifacts/function"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", STACK["region"])
        found: dict[str, Any] = json.loads(json.dumps(transform(parsed, {}, NoManagedPolicies())))
    return found
