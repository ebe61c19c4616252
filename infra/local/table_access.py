"""SHELL: which item of which table a DynamoDB request or a PartiQL statement touches, as far as its text tells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.model.table import item_size

WRITES = {"PutItem", "UpdateItem", "DeleteItem"}
READS = {"GetItem", "Query"}

_TABLE = re.compile(r'\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|FROM)\s+"?([A-Za-z0-9_.-]+)"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Access:
    """What one request or statement does to one table."""

    table: str
    is_write: bool
    key: Mapping[str, Mapping[str, Any]]  # empty when it is not known: then nothing is metered
    sent_bytes: int
    consistent: bool = True


def of_operation(operation: str, payload: Mapping[str, Any]) -> Access | None:
    if operation not in WRITES | READS or not isinstance(payload.get("TableName"), str):
        return None
    table: str = payload["TableName"]
    if operation == "PutItem" and isinstance(payload.get("Item"), dict):
        return Access(table, True, payload["Item"], _sent_bytes(payload["Item"]))
    key = payload.get("Key")
    consistent = payload.get("ConsistentRead") is True
    return Access(table, operation in WRITES, key if isinstance(key, dict) else {}, 0, consistent)


def of_statement(statement: Any) -> Access | None:
    """What a PartiQL statement touches. Only keys given as parameters are seen."""
    if not isinstance(statement, dict) or not isinstance(statement.get("Statement"), str):
        return None
    text: str = statement["Statement"]
    found = _TABLE.search(text)
    if found is None:
        return None
    parameters = statement.get("Parameters")
    key = _parameters_by_name(text, parameters if isinstance(parameters, list) else [])
    is_write = not text.lstrip()[:6].upper().startswith("SELECT")
    is_insert = found.group(1).upper().startswith("INSERT")
    sent = _sent_bytes(key) if is_insert else 0
    return Access(found.group(2), is_write, key, sent, statement.get("ConsistentRead") is True)


def _sent_bytes(item: Mapping[str, Any]) -> int:
    try:
        return item_size(item)
    except ValueError:  # DynamoDB refuses it, whatever its size
        return 0


def _parameters_by_name(text: str, parameters: list[Any]) -> dict[str, Mapping[str, Any]]:
    """Parameters of `'name': ?` (INSERT) and, after WHERE, of `name = ?`. Question marks inside quotes do not count."""
    named: dict[str, Mapping[str, Any]] = {}
    where = re.search(r"\bWHERE\b", text, re.IGNORECASE)
    for index, mark in enumerate(_marks(text)):
        before = text[:mark].rstrip()
        inserted = re.search(r"'([^']+)'\s*:$", before)
        compared = re.search(r'"?([A-Za-z0-9_.-]+)"?\s*=$', before) if where and mark > where.start() else None
        match = inserted or compared
        if match is not None and index < len(parameters) and isinstance(parameters[index], dict):
            named.setdefault(match.group(1), parameters[index])
    return named


def _marks(text: str) -> list[int]:
    """Positions of the parameters' question marks."""
    quote = ""
    found = []
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "?":
            found.append(position)
    return found
