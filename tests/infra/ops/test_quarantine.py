"""Positions can be copied from the list; payloads stay hidden until they are asked for."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.cli import main
from infra.ops import quarantine
from infra.ops.errors import CommandError
from infra.ops.quarantine import document, parse_position
from processor.core.errors import Reason

DETAIL = "the body of 291 bytes with a right digest is not an AggregatedRecord; " * 3
PK = "events/shardId-000000000000:49600000000000000000000000000000000000000000000000000001"


def test_a_position_with_and_without_subsequence_is_understood() -> None:
    assert parse_position(PK) == (PK, None)
    assert parse_position(f"{PK}:000003") == (PK, "000003")
    assert parse_position(f"{PK}:whole") == (PK, "whole")


@pytest.mark.parametrize(
    "wrong", ["", "shardId-0:1", "events/shardId-0", "events/shardId-0:1:2:3", "events/shardId-0:1:"]
)
def test_what_is_not_a_position_is_a_usage_error_that_says_what_one_is(wrong: str) -> None:
    with pytest.raises(CommandError, match="stream/shardId:sequenceNumber") as raised:
        parse_position(wrong)
    assert raised.value.exit_status == 2


def test_a_document_has_no_payload() -> None:
    item: dict[str, dict[str, Any]] = {
        "pk": {"S": PK},
        "sk": {"S": "000001"},
        "reason": {"S": "not_json"},
        "size": {"N": "12"},
        "payload": {"B": b"secret"},
    }
    assert document(item) == {"position": f"{PK}:000001", "reason": "not_json", "size": 12}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A stack with three refused records in quarantine; yields the longest position."""
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "us-east-1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    keys = [("pk", "HASH"), ("sk", "RANGE"), ("reason", "HASH"), ("arrived_at", "RANGE")]
    schema: Any = [{"AttributeName": name, "KeyType": kind} for name, kind in keys]
    pk = "stream-processor-events/" + PK.partition("/")[2]
    monkeypatch.setattr(quarantine, "output", lambda *_: "kept")  # moto's CloudFormation is not installed
    with mock_aws():
        dynamodb: Any = boto3.client("dynamodb", "us-east-1")
        dynamodb.create_table(
            TableName="kept",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=schema[:2],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            GlobalSecondaryIndexes=[
                {"IndexName": "by-reason", "KeySchema": schema[2:], "Projection": {"ProjectionType": "ALL"}}
            ],
        )
        for number, reason in enumerate(("digest", "not_json", "protobuf")):
            item: Any = {
                "pk": {"S": pk},
                "sk": {"S": f"{number:06d}"},
                "reason": {"S": reason},
                "arrived_at": {"S": f"2026-11-23T09:00:0{number}.000Z"},
                "size": {"N": "1048576"},
                "detail": {"S": DETAIL},
            }
            dynamodb.put_item(TableName="kept", Item=item)
        yield f"{pk}:000002"


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["quarantine", "list", *options]) == 0
    return capsys.readouterr().out


def test_the_list_fits_a_terminal_and_keeps_positions_whole_and_every_word(
    stack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = listed(capsys)
    assert max(map(len, shown.splitlines())) <= 120
    assert f"  {stack}\n" in shown
    assert " ".join(shown.split()).count("291 bytes with a right digest is not an AggregatedRecord") == 9


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_formats_for_programs_have_every_column_of_every_row(
    stack: str, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    shown = listed(capsys, "--format", form)
    rows = json.loads(shown) if form == "json" else list(csv.DictReader(io.StringIO(shown)))
    assert [row["reason"] for row in rows] == ["digest", "not_json", "protobuf"]
    assert rows[2]["position"] == stack
    assert rows[2]["detail"] == DETAIL


def test_a_reason_selects_and_one_without_entries_says_so(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["reason"] for row in json.loads(listed(capsys, "--reason", "digest", "--format", "json"))] == ["digest"]
    assert "nothing is in quarantine" in listed(capsys, "--reason", "bad_time")
    assert json.loads(listed(capsys, "--reason", "bad_time", "--format", "json")) == []


def test_an_unknown_reason_is_a_usage_error_that_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["quarantine", "list", "--reason", "not-json"])
    assert raised.value.code == 2
    said = capsys.readouterr().err
    assert set(Reason) <= set(re.findall(r"[a-z0-9_]+", said))
