"""SHELL: performs a commit's statements with DynamoDB's PartiQL. Builds text and wire values; decides nothing.

Only what AWS documents is used: `INSERT INTO ... VALUE {...}` (an existing key is `DuplicateItem`), `UPDATE ... SET ...
REMOVE ... WHERE <whole key> AND ...` (no upsert: a missing item is `ConditionalCheckFailed`), `set_add` on a string
set, `contains`, `IS MISSING`, comparisons, and `ReturnValuesOnConditionCheckFailure: ALL_OLD` for each statement of a
BatchExecuteStatement. Calls go out one after the other: a second thread only competes for the interpreter here, and the
time a batch takes is far below what its shard allows (`CommitLatency` reports it for every batch).
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from processor.core.commit import Call, Commit, Wait
from processor.core.statements import (
    WRITTEN,
    AddToPage,
    Insert,
    Item,
    Outcome,
    ReadPages,
    Replace,
    Statement,
    Table,
    Value,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

_PLAIN_EXPONENT_MAX = 40
"""Decimals are written without an exponent up to here; DynamoDB keeps 38 digits."""

_ELSEWHERE: list["BatchStatementRequestTypeDef"] = [{"Statement": "see Tables._give_body"}]


class Tables:
    """The results and the quarantine table behind one DynamoDB client. Not for use by two threads.

    The body of a BatchExecuteStatement is written here and given to botocore just before it signs and sends the
    request (its event `before-call`): walking thousands of small values along the service model makes a batch cost a
    tenth more CPU (docs/decisions/0005). Endpoint, credentials, signature, answer and errors stay botocore's.
    """

    def __init__(self, client: "DynamoDBClient", results: str, quarantine: str) -> None:
        self._client = client
        self._names = {Table.RESULTS: results, Table.QUARANTINE: quarantine}
        self._body = b""
        client.meta.events.register("before-call.dynamodb.BatchExecuteStatement", self._give_body)

    def write(self, call: Call) -> list[Outcome]:
        """Send the statements in one BatchExecuteStatement; one outcome each, in order. Never raises."""
        name = self._names[call.table]
        statements = [_request(name, statement) for statement in call.statements]
        self._body = json.dumps({"Statements": statements}, separators=(",", ":")).encode()
        try:
            answer = self._client.batch_execute_statement(Statements=_ELSEWHERE)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            return [Outcome(error_code(error), None, True)] * len(statements)
        responses = answer.get("Responses", [])
        if len(responses) != len(statements):
            return [Outcome("InternalServerError", None, True)] * len(statements)
        return [_outcome(response) for response in responses]

    def _give_body(self, params: dict[str, Any], **_: object) -> None:
        params["body"] = self._body

    def read(self, read: ReadPages) -> tuple[list[Item], bool]:
        """Return the pages of one answer and whether they are all. Raises botocore's errors: see `error_code`."""
        answer = self._client.query(
            TableName=self._names[Table.RESULTS],
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": {"S": read.pk},
                ":first": {"S": read.first_sk},
                ":last": {"S": read.last_sk},
            },
            ConsistentRead=True,
        )
        return [decode_item(item) for item in answer["Items"]], "LastEvaluatedKey" not in answer


def perform(commit: Commit, tables: Tables, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    """Do what the commit asks for until it asks for nothing more; `clock` is the one its deadline was given in."""
    while (step := commit.step(clock())) is not None:
        match step:
            case Call():
                commit.answer(tables.write(step), clock())
            case ReadPages():
                try:
                    items, complete = tables.read(step)
                except (BotoCoreError, ClientError, ResponseParserError) as error:
                    commit.read_failed(error_code(error), clock())
                else:
                    commit.read(items, complete=complete)
            case Wait(seconds):
                sleep(seconds)
            case _:
                assert_never(step)


def error_code(error: Exception) -> str:
    """Name an error as `BatchStatementError` does: AWS's code without `Exception`; `Timeout`, `Connection` for none."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", "")).removesuffix("Exception")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # DynamoDB's own 5xx are InternalServerError and ServiceUnavailable; a proxy's may be named anything.
        return "InternalServerError" if status >= 500 and code != "ServiceUnavailable" else code or "Unknown"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return "Timeout"
    if isinstance(error, HTTPClientError | NoConnectionError | ResponseParserError):
        return "Connection"
    return type(error).__name__


def encode(value: Value) -> dict[str, Any]:
    """A value as DynamoDB's JSON, as it goes over the wire."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, Decimal):
        return {"N": number_text(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bytes):
        return {"B": b64encode(value).decode()}
    return {"SS": list(value)}


def number_text(value: Decimal) -> str:
    """A decimal in digits, without an exponent where that stays short."""
    text = str(value)
    return format(value, "f") if "E" in text and abs(value.adjusted()) <= _PLAIN_EXPONENT_MAX else text


def decode_item(item: Mapping[str, Any]) -> Item:
    """An item from DynamoDB's JSON: whole numbers as `int`, others as `Decimal`, sets of text as `frozenset`."""
    return {name: _decode(value) for name, value in item.items()}


def _decode(value: Mapping[str, Any]) -> Value:
    ((kind, content),) = value.items()
    if kind == "S":
        return str(content)
    if kind == "N":
        return int(content) if content.lstrip("-").isdecimal() else _whole(Decimal(content))
    if kind == "SS":
        return frozenset(content)
    if kind == "BOOL":
        return bool(content)
    if kind == "B":
        return bytes(content)
    return None  # NULL, and the documents and other sets that nothing of ours ever writes


def _whole(number: Decimal) -> int | Decimal:
    return int(number) if number == number.to_integral_value() else number


def _outcome(response: Mapping[str, Any]) -> Outcome:
    error = response.get("Error")
    if not error:
        return WRITTEN
    item = error.get("Item")
    return Outcome(str(error.get("Code", "Unknown")).removesuffix("Exception"), decode_item(item) if item else None)


def _request(table: str, statement: Statement) -> dict[str, Any]:
    match statement:
        case Insert():
            text = insert_text(table, tuple(statement.attributes))
            values: list[dict[str, Any]] = [{"S": statement.pk}, {"S": statement.sk}]
            values += [encode(value) for value in statement.attributes.values()]
        case AddToPage():
            text, values = _add_to_page(table, statement)
        case Replace():
            text = replace_text(table, tuple(statement.attributes), statement.stale)
            values = [encode(value) for value in statement.attributes.values()]
            values += [
                {"S": statement.pk},
                {"S": statement.sk},
                encode(statement.version),
                {"S": statement.stored_shape},
            ]
        case _:
            assert_never(statement)
    return {"Statement": text, "Parameters": values, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _add_to_page(table: str, statement: AddToPage) -> tuple[str, list[dict[str, Any]]]:
    identities = [{"S": identity} for identity in statement.identities]
    text = add_text(table, tuple(statement.amounts), statement.absent, statement.exactly)
    values = [{"N": str(len(identities))}]
    values += [encode(amount) for amount in statement.amounts.values()]
    values.append({"SS": list(statement.identities)})  # type: ignore[dict-item]  # a set, not a text
    values += [{"S": statement.pk}, {"S": statement.sk}, {"N": str(statement.events)}]
    values += identities
    return text + ' AND NOT contains("ids",?)' * len(identities), values


@lru_cache(maxsize=256)
def insert_text(table: str, names: Sequence[str]) -> str:
    """INSERT of an item with `pk`, `sk` and `names`, a parameter for each in that order."""
    pairs = ",".join(f"{_text(name)}:?" for name in ("pk", "sk", *names))
    return f"INSERT INTO {_name(table)} VALUE {{{pairs}}}"


@lru_cache(maxsize=256)
def add_text(table: str, names: Sequence[str], absent: frozenset[str], exactly: bool) -> str:
    """UPDATE of a page without its `NOT contains`: parameters are count, amounts, set, pk, sk, events."""
    sets = "".join(
        f" SET {_name(name)}=?" if name in absent else f" SET {_name(name)}={_name(name)}+?" for name in names
    )
    where = "".join(f" AND {_name(name)} IS {'MISSING' if name in absent else 'NOT MISSING'}" for name in names)
    head = f'UPDATE {_name(table)} SET "events"="events"+?{sets} SET "ids"=set_add("ids",?)'  # noqa: S608  # names are quoted, values are parameters
    return head + f' WHERE "pk"=? AND "sk"=? AND "events"{"=" if exactly else "<="}?{where}'


@lru_cache(maxsize=256)
def replace_text(table: str, names: Sequence[str], stale: Sequence[str]) -> str:
    """UPDATE of a latest value: parameters are the attributes, pk, sk, version, stored shape."""
    sets = "".join(f" SET {_name(name)}=?" for name in names)
    removes = "".join(f" REMOVE {_name(name)}" for name in stale)
    return f'UPDATE {_name(table)}{sets}{removes} WHERE "pk"=? AND "sk"=? AND "version"<? AND "_shape"=?'


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
