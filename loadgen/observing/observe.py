"""SHELL: asks CloudWatch, CloudWatch Logs and the services themselves what happened during a load.

The same calls on AWS and locally. Whatever cannot be had (no permission, no such operation) is left out and said in
`missing`: a load's account does not depend on it.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from infra.ops.errors import CommandError, explained
from loadgen.observing.readback import Stack
from loadgen.observing.stack_log import FunctionLog
from loadgen.observing.stack_metrics import StackMetrics
from loadgen.target.evidence import Capacity
from loadgen.target.function_log import Batch, Invocation
from loadgen.target.lanes import at_once
from loadgen.target.series import LOG, Series, of_function
from loadgen.target.shared import others_ran, sentence, without_it

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

PAUSED_HANDLER, PAUSE_VARIABLE = "processor.paused.handler", "PAUSE_MS"
LOCAL_TABLES, LOCAL_CALL_S = "/_local/tables/", 5.0  # infra/local/tables.py: limits that DescribeTable does not show
AWS_LOGS_WAIT_S = 10.0  # log lines are searchable after seconds; metrics are there after one to three minutes


@dataclass(slots=True)
class Observed:
    """What was there to be had. `missing`: sentences on what was not."""

    capacity: Capacity = field(default_factory=Capacity)
    series: list[Series] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


STOPPED = frozenset({"Disabling", "Disabled", "Deleting"})  # states of an event source mapping


class Observer:
    """Asks about one stack. `is_interrupted` ends waiting and paging early."""

    def __init__(self, connection: "Connection", stack: Stack, is_interrupted: Callable[[], bool]) -> None:
        self._connection, self._stack, self._is_interrupted = connection, stack, is_interrupted
        self._where = str(connection.target)

    def observe(
        self, started_s: float, ended_s: float, metrics_wait_s: float, *, is_whole_load: bool = True
    ) -> Observed:
        """Everything between two Unix times. Never raises CommandError. `is_whole_load`: nothing was processed before
        or after them, and what CloudWatch has of others in its first period is left out; else it cannot be told."""
        found = Observed()
        self._try(found, "the stack's capacity", lambda: self._capacity(found))
        self._wait(ended_s + (0.0 if self._connection.target.endpoint_url else AWS_LOGS_WAIT_S))
        self._try(found, LOG, lambda: self._log(found, started_s, ended_s))
        self._wait(ended_s + metrics_wait_s)
        self._try(found, "CloudWatch's metrics", lambda: self._metrics(found, started_s, ended_s))
        if is_whole_load:
            _leave_others_out(found, started_s)
        found.series += of_function(found.batches, found.invocations, started_s, found.capacity.batch_size)
        found.series += at_once(found.invocations, started_s)
        return found

    def _try(self, found: Observed, what: str, ask: Callable[[], None]) -> None:
        try:
            with explained(self._where):
                ask()
        except CommandError as error:
            found.missing.append(f"{what}: {error}")

    def _wait(self, until_s: float) -> None:
        while not self._is_interrupted() and (left_s := until_s - time.time()) > 0:
            time.sleep(min(left_s, 0.2))

    def _capacity(self, found: Observed) -> None:
        found.capacity = capacity_of(self._connection, self._stack)

    def _log(self, found: Observed, started_s: float, ended_s: float) -> None:
        log = FunctionLog(self._connection, self._stack.function, self._is_interrupted)
        for said in log.between(int(started_s * 1000), int(ended_s * 1000) + 1):
            if isinstance(said, Batch):
                found.batches.append(said)
            else:
                found.invocations.append(said)

    def _metrics(self, found: Observed, started_s: float, ended_s: float) -> None:
        found.series += StackMetrics(self._connection, self._stack).between(started_s, ended_s)


def _leave_others_out(found: Observed, started_s: float) -> None:
    has_log = not any(said.startswith(LOG) for said in found.missing)
    if others_ran(found.series, found.invocations if has_log else None, started_s):
        found.missing.append(sentence(found.series))
        found.series = without_it(found.series)


def capacity_of(connection: "Connection", stack: Stack) -> Capacity:
    """What the stack is allowed, as its services say. Raises botocore's errors and CommandError."""
    client = connection.client
    summary = client("kinesis").describe_stream_summary(StreamName=stack.stream)["StreamDescriptionSummary"]
    functions = client("lambda")
    mapping = functions.get_event_source_mapping(UUID=stack.mapping_id)
    try:
        function: Any = functions.get_function_configuration(FunctionName=stack.function)
        reserved = functions.get_function_concurrency(FunctionName=stack.function).get("ReservedConcurrentExecutions")
    except functions.exceptions.ResourceNotFoundException:
        function, reserved = None, None
    account = functions.get_account_settings()["AccountLimit"]
    table = client("dynamodb").describe_table(TableName=stack.results_table)["Table"]
    provisioned = table.get("ProvisionedThroughput", {}).get("WriteCapacityUnits") or None
    on_demand = table.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits")
    return Capacity(
        stream_mode=summary.get("StreamModeDetails", {}).get("StreamMode"),
        shards=summary["OpenShardCount"],
        parallelization_factor=mapping.get("ParallelizationFactor", 1),
        batch_size=mapping["BatchSize"],
        batching_window_s=mapping.get("MaximumBatchingWindowInSeconds", 0),
        timeout_s=function and function["Timeout"],
        memory_mb=function and function["MemorySize"],
        architecture=next(iter((function or {}).get("Architectures", ())), None),
        reserved_concurrency=reserved,
        account_concurrency=account["ConcurrentExecutions"],
        table_write_units_per_s=(
            provisioned
            or (on_demand if on_demand and on_demand > 0 else None)
            or _local_write_units_per_s(connection, stack.results_table)
        ),
        function_pause_ms=pause_ms(function or {}),
        stopped=why_stopped(mapping.get("State", ""), has_function=function is not None),
    )


def why_stopped(mapping_state: str, *, has_function: bool) -> str | None:
    """Why nothing is read from the stream any more (AWS: CreateEventSourceMapping, `State`); None: it is."""
    if not has_function:
        return "the function does not exist any more"
    return f"the event source mapping is {mapping_state}" if mapping_state in STOPPED else None


def _local_write_units_per_s(connection: "Connection", table: str) -> int | None:
    """Of a local stack's table that was given limits; None: it has none, or this is AWS or another endpoint."""
    if not connection.target.is_local:
        return None
    url = f"{(connection.target.endpoint_url or '').rstrip('/')}{LOCAL_TABLES}{table}"
    try:
        with urlopen(url, timeout=LOCAL_CALL_S) as answer:  # noqa: S310 - the local endpoint's address, which is http
            return write_units_per_s(json.loads(answer.read()))
    except (OSError, HTTPException, ValueError):
        return None


def write_units_per_s(answer: object) -> int | None:
    """Of the local endpoint's answer about a table; None: it has no such limit, or the answer is something else."""
    limits = answer.get("limits") if isinstance(answer, dict) else None
    allowed = limits.get("write_units_per_s") if isinstance(limits, dict) else None
    if isinstance(allowed, bool) or not isinstance(allowed, int | float) or allowed < 1:
        return None
    return int(allowed)


def pause_ms(function: Mapping[str, Any]) -> int | None:
    """Of GetFunctionConfiguration's answer; None: its handler is another one, or how long is not to be read."""
    said = function.get("Environment", {}).get("Variables", {}).get(PAUSE_VARIABLE, "0")
    is_paused = function.get("Handler") == PAUSED_HANDLER
    return int(said) if is_paused and said.isascii() and said.isdecimal() and len(said) < 7 else None
