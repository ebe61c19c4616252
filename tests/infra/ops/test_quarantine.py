"""Positions can be copied from the list; payloads stay hidden until they are asked for."""

from typing import Any

import pytest

from infra.ops.errors import CommandError
from infra.ops.quarantine import document, parse_position

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
