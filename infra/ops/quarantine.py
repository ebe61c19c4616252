"""SHELL: `infra quarantine list|show`: the events that were refused, with their reason.

Payloads are printed only when asked for with `--payload`: they may hold what a log must not.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from infra.ops.errors import USAGE, CommandError, explained
from infra.ops.outputs import Connection, add_target_arguments, connect, output, target_of
from infra.ops.tabular import FORMATS, Cell, emit, emit_listing
from infra.ops.times import milliseconds_text, moment
from infra.ops.totals import number
from processor.core.errors import Reason

INDEX = "by-reason"
COLUMNS = ("arrived_at", "reason", "position", "size", "detail")
# Everything `list` shows, so that no payload is read from the table.
LISTED = ("pk", "sk", "reason", "arrived_at", "size", "detail")

Item = Mapping[str, Mapping[str, Any]]


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `quarantine` with its subcommands to the `infra` parser."""
    parser = commands.add_parser("quarantine", help="events that were refused, with their reason")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show")
    listing = actions.add_parser("list", help="one line for each refused event", description="Oldest arrival first.")
    reasons = sorted(reason.value for reason in Reason)
    listing.add_argument(
        "--reason", choices=reasons, metavar="REASON", help=f"only this reason, one of {', '.join(reasons)}"
    )
    listing.add_argument("--from", dest="start", metavar="ISO", help="only what arrived on the stream then or later")
    listing.add_argument("--to", dest="end", metavar="ISO", help="only what arrived before this time")
    listing.add_argument(
        "--format", choices=FORMATS, default="table", help="json and csv have one row each (default table)"
    )
    add_target_arguments(listing)
    listing.set_defaults(run=run_list)
    showing = actions.add_parser("show", help="everything about one position", description="Prints JSON.")
    showing.add_argument(
        "position", help="as `list` prints it: stream/shardId:sequenceNumber[:subsequence], without the last part all"
    )
    showing.add_argument("--payload", action="store_true", help="print the refused bytes too")
    add_target_arguments(showing)
    showing.set_defaults(run=run_show)


def run_list(arguments: argparse.Namespace) -> int:
    """Prints what is in quarantine; returns 0. Raises CommandError."""
    start, end = moment(arguments.start, "--from"), moment(arguments.end, "--to")
    connection = connect(target_of(arguments))
    items = read(
        connection,
        output(connection, "QuarantineTableName"),
        reason=arguments.reason,
        start=None if start is None else milliseconds_text(start),
        end=None if end is None else milliseconds_text(end),
    )
    rows = sorted((_row(item) for item in items), key=lambda row: (str(row["arrived_at"]), str(row["position"])))
    if arguments.format != "table":
        emit(rows, COLUMNS, arguments.format)
    elif rows:
        emit_listing(rows, COLUMNS, below="position")
    else:
        print("nothing is in quarantine that matches")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Prints the items of one position as a JSON list; returns 0. Raises CommandError."""
    pk, sk = parse_position(arguments.position)
    connection = connect(target_of(arguments))
    table = output(connection, "QuarantineTableName")
    condition, values = "pk = :pk", {":pk": {"S": pk}}
    if sk is not None:
        condition, values = condition + " AND sk = :sk", {**values, ":sk": {"S": sk}}
    dynamodb = connection.client("dynamodb")
    with explained(f"{connection.target}, table {table}"):
        pages = dynamodb.get_paginator("query").paginate(
            TableName=table, KeyConditionExpression=condition, ExpressionAttributeValues=values, ConsistentRead=True
        )
        items = [item for page in pages for item in page["Items"]]
    if not items:
        message = f"nothing is in quarantine at {arguments.position}: `infra quarantine list` shows the positions"
        raise CommandError(message)
    documents = [document(item) for item in items]
    if arguments.payload:
        for item, shown in zip(items, documents, strict=True):
            shown.update(_payload(connection, item))
    json.dump(documents, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    return 0


def read(
    connection: Connection,
    table: str,
    *,
    reason: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Iterator[Item]:
    """The listed attributes, from the index when the reason is known (eventually consistent), else by a Scan."""
    names = {f"#{name}": name for name in LISTED}
    request: dict[str, Any] = {
        "TableName": table,
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
    }
    if reason is not None:
        condition, values = "#reason = :reason", {":reason": {"S": reason}}
        if start is not None or end is not None:
            condition += " AND #arrived_at BETWEEN :start AND :end"
            values |= {":start": {"S": start or "0"}, ":end": {"S": end or "~"}}
        request |= {
            "IndexName": INDEX,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
    else:
        request["ConsistentRead"] = True
    dynamodb = connection.client("dynamodb")
    with explained(f"{connection.target}, table {table}"):
        for page in dynamodb.get_paginator("scan" if reason is None else "query").paginate(**request):
            for item in page["Items"]:
                arrived_at = item["arrived_at"]["S"]
                if (start is None or arrived_at >= start) and (end is None or arrived_at < end):
                    yield item


def parse_position(position: str) -> tuple[str, str | None]:
    """(partition key, sort key or None) of `stream/shardId:sequenceNumber[:subsequence]`. Raises CommandError."""
    parts = position.split(":")
    if len(parts) not in (2, 3) or "/" not in parts[0] or not all(parts):
        message = f"{position}: a position is stream/shardId:sequenceNumber[:subsequence], as `list` prints it"
        raise CommandError(message, USAGE)
    return ":".join(parts[:2]), parts[2] if len(parts) == 3 else None


def _row(item: Item) -> dict[str, Cell]:
    return {
        "arrived_at": item["arrived_at"]["S"],
        "reason": item["reason"]["S"],
        "position": f"{item['pk']['S']}:{item['sk']['S']}",
        "size": int(item["size"]["N"]) if "size" in item else None,
        "detail": item.get("detail", {}).get("S"),
    }


def document(item: Item) -> dict[str, Any]:
    """An item as plain JSON values, without the payload; the position first."""
    plain = {name: _value(value) for name, value in sorted(item.items()) if name not in ("payload", "pk", "sk")}
    return {"position": f"{item['pk']['S']}:{item['sk']['S']}", **plain}


def _value(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        exact = number(Decimal(content))
        return exact if isinstance(exact, int) else str(exact)
    return base64.b64encode(content).decode() if kind == "B" else content


def _payload(connection: Connection, item: Item) -> dict[str, str]:
    """`payload` as text, or `payload_base64` when it is not UTF-8. Raises CommandError when it is not what was kept."""
    if "payload" in item:
        payload: bytes = item["payload"]["B"]
    elif "payload_s3" in item:
        payload = _from_s3(connection, item["payload_s3"]["S"])
    else:
        return {}
    kept = item.get("payload_sha256", {}).get("S")
    if kept is not None and hashlib.sha256(payload).hexdigest() != kept:
        raise CommandError(f"the payload of {item['pk']['S']}:{item['sk']['S']} is not the one whose SHA-256 was kept")
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def _from_s3(connection: Connection, address: str) -> bytes:
    parts = urlsplit(address, allow_fragments=False)
    s3 = connection.client("s3")
    with explained(f"{connection.target}, {address}"):
        body: bytes = s3.get_object(Bucket=parts.netloc, Key=parts.path.removeprefix("/"))["Body"].read()
    return body
