"""SHELL: a thin layer in front of DynamoDB: the capacity of `infra.model.table`, and latency. Off unless configured.

`PUT /_local/tables/<name>` with a JSON object (`write_units_per_s`, `read_units_per_s`, `partition_write_units_per_s`,
`partition_read_units_per_s`, `burst_s`, `burst_at_start_s`, `latency_ms`; null is no limit; `on_demand` true or false)
configures one table, `DELETE` ends it, `GET` shows what is set and the counts. With `on_demand` the table starts with
the units given, or with those of a new table, and grows with its traffic. While no table is configured no request
passes through here.

What is metered: GetItem, PutItem, UpdateItem, DeleteItem, Query by partition key, ExecuteStatement and
BatchExecuteStatement (each statement by itself, as DynamoDB does). Other operations only have the latency. Sizes are
those of the items as stored before and as sent; how much an UpdateItem or PartiQL UPDATE adds is not known beforehand
and is left out.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import unquote

from infra.local.http import Request, Response
from infra.local.services import ServiceCallError, Services
from infra.local.table_access import Access, of_operation, of_statement
from infra.local.table_meter import TableMeter
from infra.model.table import (
    Decision,
    TableCapacity,
    TableLimits,
    Throttling,
    item_size,
    read_units,
    throttling,
    write_units,
)

PATH = "/_local/tables/"
TARGET = "DynamoDB_20120810."
_LIMIT_MAX = 1_000_000_000  # beyond it a number is a mistake: infinity, or units of another kind
_LATENCY_S_MAX = 60.0  # DynamoDB's clients give up after as long


@dataclass
class _Metered:
    arn: str
    capacity: TableCapacity
    latency_s: float
    partition_key: str
    sort_key: str | None
    counts: Counter[str] = field(default_factory=Counter)


class TableFront:
    """In front of `services`; `clock` gives seconds."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        self._tables: dict[str, _Metered] = {}
        self._counted: dict[str, dict[str, float]] = {}
        self.meter = TableMeter(lambda table: table in self._tables)

    @property
    def active(self) -> bool:
        return bool(self._tables)

    def counted(self) -> dict[str, dict[str, float]]:
        """By table since the start, also of released ones: `throttled_writes` and `throttled_reads` are accesses that
        were refused, `write_units` and `read_units` what the others consumed. Of a table without limits there are the
        units of its writes, once the `meter` is attached."""
        found = {table: dict(counts) for table, counts in self._counted.items()}
        for table, units in self.meter.counted().items():
            counts = found.setdefault(table, {})
            counts["write_units"] = counts.get("write_units", 0) + units
        return found

    async def limit(self, table: str, limits: TableLimits, *, latency_s: float = 0.0) -> None:
        """From now on `table` has this capacity, with full burst unless the limits say otherwise.

        Raises ServiceCallError: there is no such table.
        """
        described = await self._services.call_json(TARGET + "DescribeTable", {"TableName": table})
        keys = {part["KeyType"]: part["AttributeName"] for part in described["Table"]["KeySchema"]}
        arn = described["Table"]["TableArn"]
        self._tables[table] = _Metered(arn, TableCapacity(limits), latency_s, keys["HASH"], keys.get("RANGE"))

    def release(self, table: str) -> None:
        """The table has no limits any more."""
        self._tables.pop(table, None)

    async def configure(self, request: Request) -> Response:
        """`/_local/tables/<name>`."""
        table = unquote(request.path.removeprefix(PATH))
        if not request.path.startswith(PATH) or not table:
            return _plain(404, {"message": f"{request.path}: there is only {PATH}<name>"})
        try:
            if request.method == "PUT":
                limits, latency_s = _limits(request.body)
                await self.limit(table, limits, latency_s=latency_s)
            elif request.method == "DELETE":
                self.release(table)
            elif request.method != "GET":
                return _plain(405, {"message": f"{request.method}: use GET, PUT or DELETE"})
        except ServiceCallError as error:
            return _plain(404, {"message": str(error)})
        except ValueError as error:
            return _plain(400, {"message": str(error)})
        metered = self._tables.get(table)
        if metered is None:
            return _plain(200, {"limited": False, "counts": {}})
        shown = {**asdict(metered.capacity.limits), "latency_ms": metered.latency_s * 1000}
        return _plain(200, {"limited": True, "limits": shown, "counts": dict(metered.counts)})

    async def handle(self, request: Request) -> Response:
        """A DynamoDB request: throttled here, or passed on."""
        operation = request.headers.get("x-amz-target", "").removeprefix(TARGET)
        try:
            payload = json.loads(request.body or b"{}")
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, dict):
            return _error("com.amazon.coral.service#SerializationException", "the body is not a JSON object")
        if operation == "BatchExecuteStatement":
            return await self._batch(request, payload)
        accesses = [of_statement(payload)] if operation == "ExecuteStatement" else [of_operation(operation, payload)]
        await self._wait(accesses)
        for access in accesses:
            refused = None if access is None else await self._refusal(access)
            if refused is not None:
                return _throttled(*refused)
        return await self._pass(request, request.body)

    async def _batch(self, request: Request, payload: dict[str, Any]) -> Response:
        """Each statement is decided by itself; those that may run go on as one smaller batch."""
        statements = payload.get("Statements")
        if not isinstance(statements, list):
            return await self._pass(request, request.body)
        accesses = [of_statement(statement) for statement in statements]
        await self._wait(accesses)
        refused = [None if access is None else await self._refusal(access) for access in accesses]
        if not any(refused):
            return await self._pass(request, request.body)
        if refused[0] is not None and all(refused):
            return _throttled(*refused[0])
        kept = [statement for statement, how in zip(statements, refused, strict=True) if how is None]
        response = await self._pass(request, json.dumps({**payload, "Statements": kept}).encode())
        if response.status != 200:
            return response
        answer = json.loads(response.body)
        served = iter(answer["Responses"])
        answer["Responses"] = [
            next(served) if how is None else _refused_statement(access.table if access else "", how[0])
            for access, how in zip(accesses, refused, strict=True)
        ]
        return Response(200, json.dumps(answer).encode(), {"content-type": "application/x-amz-json-1.0"})

    async def _wait(self, accesses: list[Access | None]) -> None:
        tables = [self._tables.get(access.table) for access in accesses if access is not None]
        latency_s = max((metered.latency_s for metered in tables if metered is not None), default=0.0)
        if latency_s > 0:
            await asyncio.sleep(latency_s)

    async def _refusal(self, access: Access) -> tuple[Throttling, str] | None:
        """None: it may run. Otherwise how it is refused, and the table's ARN."""
        metered = self._tables.get(access.table)
        if metered is None or metered.partition_key not in access.key:
            return None
        partition = json.dumps(access.key[metered.partition_key], sort_keys=True)
        stored = await self._stored_bytes(access, metered)
        kind = "write" if access.is_write else "read"
        units: float
        if access.is_write:
            units = write_units(stored, access.sent_bytes)
            decision = metered.capacity.write(partition, units, self._clock())
        else:
            units = read_units(stored, consistent=access.consistent)
            decision = metered.capacity.read(partition, units, self._clock())
        metered.counts[f"{kind}_{decision.value}"] += 1
        counted = self._counted.setdefault(access.table, defaultdict(float))
        if decision is Decision.ALLOWED:
            counted[f"{kind}_units"] += units
            return None
        counted[f"throttled_{kind}s"] += 1
        return throttling(decision, metered.capacity.limits, is_write=access.is_write), metered.arn

    async def _stored_bytes(self, access: Access, metered: _Metered) -> int:
        names = [name for name in (metered.partition_key, metered.sort_key) if name is not None]
        if any(name not in access.key for name in names):
            return 0
        key = {name: access.key[name] for name in names}
        try:
            found = await self._services.call_json(
                TARGET + "GetItem", {"TableName": access.table, "Key": key, "ConsistentRead": True}
            )
        except ServiceCallError:
            return 0
        return item_size(found.get("Item", {}))

    async def _pass(self, request: Request, body: bytes) -> Response:
        headers = {**request.headers, "content-length": str(len(body))}
        return await self._services.call(request.method, request.path, headers=headers, body=body)


def _limits(body: bytes) -> tuple[TableLimits, float]:
    """Raises ValueError that says which member is wrong and what is accepted."""
    try:
        given = json.loads(body or b"{}")
    except RecursionError as error:
        raise ValueError("the body must be a JSON object") from error
    if not isinstance(given, dict):
        raise ValueError("the body must be a JSON object")
    allowed = {field.name for field in fields(TableLimits)}
    unknown = set(given) - allowed - {"latency_ms"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(sorted(allowed))}, latency_ms")
    for name, value in given.items():
        if name == "on_demand":
            if not isinstance(value, bool):
                raise ValueError("on_demand must be true or false")
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LIMIT_MAX
        if value is not None and (not is_number or (value == 0 and name.endswith("_per_s"))):
            zero = "above 0" if name.endswith("_per_s") else "from 0"
            raise ValueError(f"{name} must be a number {zero} to {_LIMIT_MAX:,}, or null for no limit")
    latency_s = float(given.pop("latency_ms", 0) or 0) / 1000
    if latency_s > _LATENCY_S_MAX:
        raise ValueError(f"latency_ms must be at most {_LATENCY_S_MAX * 1000:,.0f}")
    if given.get("burst_s", 0) is None:
        del given["burst_s"]
    return TableLimits(**given), latency_s


def _refused_statement(table: str, how: Throttling) -> dict[str, Any]:
    return {"TableName": table, "Error": {"Code": how.statement_code, "Message": how.message}}


def _throttled(how: Throttling, table_arn: str) -> Response:
    """The two exceptions spell the list of reasons differently (AWS: the service's model)."""
    reasons = [{"reason": how.reason, "resource": table_arn}]
    member = "throttlingReasons" if how.code == "ThrottlingException" else "ThrottlingReasons"
    return _error(f"com.amazonaws.dynamodb.v20120810#{how.code}", how.message, {member: reasons})


def _error(code: str, message: str, more: Mapping[str, Any] | None = None) -> Response:
    body = {"__type": code, "message": message, **(more or {})}
    return Response(400, json.dumps(body).encode(), {"content-type": "application/x-amz-json-1.0"})


def _plain(status: int, document: Mapping[str, Any]) -> Response:
    return Response(status, json.dumps(document).encode(), {"content-type": "application/json"})
