"""SHELL: `infra results`: the totals, pages summed exactly."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from infra.ops.errors import USAGE, CommandError, explained
from infra.ops.outputs import Connection, add_target_arguments, connect, output, target_of
from infra.ops.tabular import FORMATS, emit
from infra.ops.times import moment, seconds_text
from infra.ops.totals import key_of, total


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the `infra` parser."""
    parser = commands.add_parser(
        "results",
        help="totals from the results table",
        description="Totals per type, subject and window. Reads the whole table unless --type and --subject are given.",
    )
    parser.add_argument("--subject", help="only this subject")
    parser.add_argument("--type", help="only this event type")
    parser.add_argument("--from", dest="start", metavar="ISO", help="only windows that start at this time or later")
    parser.add_argument("--to", dest="end", metavar="ISO", help="only windows that start before this time")
    parser.add_argument(
        "--by",
        choices=("subject", "type", "window"),
        help="one row for each, all else summed (default: one row for each type, subject and window)",
    )
    parser.add_argument("--format", choices=FORMATS, default="table", help="(default table)")
    add_target_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the totals; returns 0. Raises CommandError."""
    if arguments.type is not None and "#" in arguments.type:
        raise CommandError(f"--type {arguments.type}: an event type has no `#`", USAGE)
    start = _window(arguments.start, "--from")
    end = _window(arguments.end, "--to")
    connection = connect(target_of(arguments))
    table = output(connection, "ResultsTableName")
    items = read(connection, table, kind=arguments.type, subject=arguments.subject, start=start, end=end)
    rows, columns = total(items, arguments.by)
    emit(rows, columns, arguments.format)
    return 0


def _window(text: str | None, option: str) -> str | None:
    when = moment(text, option)
    return None if when is None else seconds_text(when)


def read(
    connection: Connection,
    table: str,
    *,
    kind: str | None = None,
    subject: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    """Items of the results table, in DynamoDB's JSON, strongly consistent. Raises CommandError.

    A Query when type and subject are known, else a Scan. There is no projection: it would not make reading cheaper,
    and the names of the sums are the adopter's own.
    """
    dynamodb = connection.client("dynamodb")
    if kind is not None and subject is not None:
        pages = dynamodb.get_paginator("query").paginate(**_query(table, f"{kind}#{subject}", start, end))
    else:
        pages = dynamodb.get_paginator("scan").paginate(**_scan(table, kind))
    with explained(f"{connection.target}, table {table}"):
        for page in pages:
            for item in page["Items"]:
                key = key_of(item)
                is_wanted = (kind is None or key["type"] == kind) and (subject is None or key["subject"] == subject)
                if is_wanted and (start is None or key["window"] >= start) and (end is None or key["window"] < end):
                    yield item


def _query(table: str, pk: str, start: str | None, end: str | None) -> dict[str, Any]:
    """Bounds are inclusive on the wire; the reader cuts what starts exactly at `end`."""
    values: dict[str, Any] = {":pk": {"S": pk}}
    condition = "pk = :pk"
    if start is not None or end is not None:
        condition += " AND sk BETWEEN :start AND :end"
        values |= {":start": {"S": start or "0"}, ":end": {"S": end or "~"}}
    return {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
    }


def _scan(table: str, kind: str | None) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    if kind is not None:
        request |= {
            "FilterExpression": "begins_with(pk, :prefix)",
            "ExpressionAttributeValues": {":prefix": {"S": f"{kind}#"}},
        }
    return request
