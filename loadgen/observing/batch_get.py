"""SHELL: items of a table by their keys, as many as one likes, strongly consistent; and how long a table is."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from infra.ops.errors import CommandError

KEYS_MAX = 100  # AWS: BatchGetItem
SCAN_PAGE_BYTES = 1_000_000  # AWS: a page of Scan or Query has at most 1 MB
ROUNDS_MAX = 50  # UnprocessedKeys come back while a table is throttled; each round asks for what is left


def batch_get(
    dynamodb: Any,
    table: str,
    keys: Sequence[Mapping[str, Any]],
    projection: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Iterator[Mapping[str, Any]]:
    """`dynamodb`: boto3's client; `projection`: None is all attributes; `names`: of its placeholders. Raises
    CommandError when the table throttles too long, and botocore's errors."""
    remaining = iter(keys)
    while chunk := list(islice(remaining, KEYS_MAX)):
        for _ in range(ROUNDS_MAX):
            request: dict[str, Any] = {"Keys": chunk, "ConsistentRead": True}
            if projection:
                request["ProjectionExpression"] = projection
            if names:
                request["ExpressionAttributeNames"] = names
            answer = dynamodb.batch_get_item(RequestItems={table: request})
            yield from answer["Responses"].get(table, [])
            chunk = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if not chunk:
                break
        else:
            raise CommandError(f"the table {table} throttled {ROUNDS_MAX} reads in a row; try again later")


def is_scanned_in(dynamodb: Any, table: str, pages_max: int) -> bool:
    """Whether a Scan may end within so many pages: the size that the table says it has (on AWS up to six hours old)
    does not speak against it. Where it may not be asked, nothing does."""
    from botocore.exceptions import ClientError

    try:
        size_bytes: int = dynamodb.describe_table(TableName=table)["Table"].get("TableSizeBytes", 0)
    except ClientError:
        return pages_max > 0
    return size_bytes < pages_max * SCAN_PAGE_BYTES
