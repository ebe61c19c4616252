"""SHELL: changes a running stack's configuration to a point of a sweep, and back to what it was.

Only calls that anyone may make: UpdateShardCount, UpdateEventSourceMapping, PutFunctionConcurrency,
UpdateFunctionConfiguration. A table's limit is set through the local endpoint's `/_local/tables/`, not on AWS.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import URLError
from urllib.request import Request, urlopen

from infra.ops.errors import ENVIRONMENT, USAGE, CommandError, explained
from loadgen.observing.readback import Stack
from loadgen.sweep.quotas import Point
from loadgen.sweeping.shards import StreamShards

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

CHANGED_WITHIN_S = 600.0  # AWS: splitting or merging takes about half a minute per shard
POLL_S = 0.25
TABLE_CALL_S = 60.0  # a local stack without CPU left answers late
PAUSED_HANDLER, PAUSE_VARIABLE = "processor.paused.handler", "PAUSE_MS"
# AWS keeps up to 300 s of unused capacity: so does this, but every probe begins without any, or it would measure what
# was saved up before it, and not the capacity.
TABLE_BURST_S = 300.0


class Original(NamedTuple):
    """How the stack was found. `timeout_s`: of the function, which is not changed."""

    shards: int
    is_on_demand: bool
    parallelization_factor: int
    batch_size: int
    reserved_concurrency: int | None
    handler: str
    environment: Mapping[str, str]
    timeout_s: int
    table_limits: Mapping[str, Any] | None  # as the local endpoint has them

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if name != "environment"}


class Tuner:
    """One stack. Every method raises CommandError when AWS refuses or does not do it in time."""

    def __init__(self, connection: "Connection", stack: Stack, is_interrupted: Callable[[], bool]) -> None:
        self._connection, self._stack = connection, stack
        self._kinesis, self._lambda = connection.client("kinesis"), connection.client("lambda")
        self._where, self._is_interrupted = str(connection.target), is_interrupted
        self._shards = StreamShards(self._kinesis, stack.stream, self._until)
        self.original = self._read()

    def check(self, points: Sequence[Point]) -> None:
        """Raises CommandError for a point that this stack cannot be made, whose option is wrong then."""
        original = self.original
        for point in points:
            if point.shards != original.shards and original.is_on_demand:
                stream = self._stack.stream
                raise CommandError(
                    f"the stream {stream} is ON_DEMAND: AWS decides on its shards, leave --shards out", USAGE
                )
            if point.function_latency_ms >= original.timeout_s * 1000:
                raise CommandError(
                    f"--function-latency-ms {point.function_latency_ms}: the timeout is {original.timeout_s} s", USAGE
                )
            if point.table_write_units is not None and not self._connection.target.is_local:
                raise CommandError(
                    "--table-write-units is for the local stack; on AWS change the table's own mode", USAGE
                )

    def apply(self, point: Point) -> None:
        """Make the stack what `point` says, and wait until it is. Nothing that is so already is touched."""
        self.check([point])
        with explained(self._where):
            if not self.original.is_on_demand:
                self._shards.change(point.shards)
            self._mapping(point.parallelization_factor, point.batch_size)
            self._reserve(point.reserved_concurrency)
            self._pause(point.function_latency_ms)
            self._limit_table(point.table_write_units)

    def use_up_burst(self, point: Point) -> None:
        """A probe is about to begin: what the table had saved up until now is gone."""
        if point.table_write_units is not None:
            with explained(self._where):
                self._limit_table(point.table_write_units)

    def restore(self) -> list[str]:
        """Everything as it was found; goes on after a failure. Returns what could not be restored."""
        self._is_interrupted = lambda: False
        original, failed = self.original, []
        for what, undo in (
            ("the table's limit", self._restore_table),
            ("the function's handler and environment", lambda: self._configure(original.handler, original.environment)),
            ("the reserved concurrency", lambda: self._reserve(original.reserved_concurrency)),
            ("the mapping", lambda: self._mapping(original.parallelization_factor, original.batch_size)),
            ("the shards", self._restore_shards),
        ):
            try:
                with explained(self._where):
                    undo()
            except CommandError as error:
                failed.append(f"{what}: {error}")
        return failed

    def _read(self) -> Original:
        with explained(self._where):
            summary = self._kinesis.describe_stream_summary(StreamName=self._stack.stream)["StreamDescriptionSummary"]
            mapping = self._lambda.get_event_source_mapping(UUID=self._stack.mapping_id)
            function = self._lambda.get_function_configuration(FunctionName=self._stack.function)
            return Original(
                summary["OpenShardCount"],
                summary.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND",
                mapping.get("ParallelizationFactor", 1),
                mapping["BatchSize"],
                self._reserved(),
                function["Handler"],
                function.get("Environment", {}).get("Variables", {}),
                function["Timeout"],
                self._table_limits() if self._connection.target.is_local else None,
            )

    def _reserved(self) -> int | None:
        answer = self._lambda.get_function_concurrency(FunctionName=self._stack.function)
        found: int | None = answer.get("ReservedConcurrentExecutions")
        return found

    def _restore_shards(self) -> None:
        if not self.original.is_on_demand:
            self._shards.put_back(self.original.shards)

    def _mapping(self, factor: int, batch_size: int) -> None:
        uuid = self._stack.mapping_id
        found = self._lambda.get_event_source_mapping(UUID=uuid)
        if (found.get("ParallelizationFactor", 1), found["BatchSize"]) != (factor, batch_size):
            self._lambda.update_event_source_mapping(UUID=uuid, ParallelizationFactor=factor, BatchSize=batch_size)
        self._until(
            f"the event source mapping {uuid} is enabled",
            lambda: self._lambda.get_event_source_mapping(UUID=uuid)["State"] == "Enabled",
        )

    def _reserve(self, wanted: int | None) -> None:
        function = self._stack.function
        if self._reserved() == wanted:
            return
        if wanted is None:
            self._lambda.delete_function_concurrency(FunctionName=function)
        else:
            self._lambda.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=wanted)

    def _pause(self, latency_ms: int) -> None:
        original = self.original
        if latency_ms == 0:
            self._configure(original.handler, original.environment)
        else:
            self._configure(PAUSED_HANDLER, {**original.environment, PAUSE_VARIABLE: str(latency_ms)})

    def _configure(self, handler: str, environment: Mapping[str, str]) -> None:
        function = self._stack.function
        found = self._lambda.get_function_configuration(FunctionName=function)
        if found["Handler"] == handler and found.get("Environment", {}).get("Variables", {}) == environment:
            return
        self._lambda.update_function_configuration(
            FunctionName=function, Handler=handler, Environment={"Variables": dict(environment)}
        )
        self._until(
            f"the function {function} is changed",
            lambda: (
                self._lambda.get_function_configuration(FunctionName=function).get("LastUpdateStatus")
                in (None, "Successful")
            ),
        )

    def _limit_table(self, write_units: int | None) -> None:
        if write_units is None:
            self._restore_table()
            return
        limits = {
            "write_units_per_s": write_units,
            "partition_write_units_per_s": None,
            "burst_s": TABLE_BURST_S,
            "burst_at_start_s": 0,
        }
        self._table_call("PUT", limits)

    def _restore_table(self) -> None:
        if self._connection.target.is_local:
            limits = self.original.table_limits
            if limits is not None:
                self._table_call("PUT", limits)
            elif self._table_limits() is not None:
                self._table_call("DELETE", None)

    def _table_limits(self) -> Mapping[str, Any] | None:
        found = self._table_call("GET", None)
        limits: Mapping[str, Any] | None = found.get("limits") if found.get("limited") else None
        return limits

    def _table_call(self, method: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        url = f"{self._where.rstrip('/')}/_local/tables/{self._stack.results_table}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(url, data, method=method), timeout=TABLE_CALL_S) as answer:  # noqa: S310 - the local endpoint's address, which is http
                found: Mapping[str, Any] = json.loads(answer.read())
                return found
        except (URLError, TimeoutError, ValueError) as error:
            raise CommandError(f"{method} {url}: {error}", ENVIRONMENT) from error

    def _until(self, what: str, is_so: Callable[[], bool]) -> bool:
        """Whether it is so; False when it was interrupted before."""
        until_s = time.monotonic() + CHANGED_WITHIN_S
        while not is_so():
            if self._is_interrupted():
                return False
            if time.monotonic() > until_s:
                raise CommandError(f"not within {CHANGED_WITHIN_S:.0f} s: {what}", ENVIRONMENT)
            time.sleep(POLL_S)
        return True
