"""SHELL: what the local services measure and functions log, handed to the mounted CloudWatch and CloudWatch Logs.

What the data path calls only appends, to buffers with a limit; what does not fit is counted and said once in a while.
Logs are handed over every second, metrics every ten, and both before anyone asks for either (see the gateway).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from infra.local.log_keeper import LogKeeper
from infra.local.services import ServiceCallError, Services
from infra.model.function import Counters, FunctionError, InvokeOutcome, Report, Throttled
from infra.model.metrics import (
    Datum,
    Invocation,
    Measurement,
    MetricBuffer,
    embedded,
    of_invocation,
    of_mapping,
    of_shards,
    of_tables,
)
from infra.model.shard import ShardCounters

log = logging.getLogger("infra.monitoring")

LOGS_EVERY_S = 1.0
METRICS_EVERY_S = 10.0  # each handing-over becomes data points that the mounted service keeps for two weeks
LINES_AT_ONCE = 500
DATA_AT_ONCE = 100
LINES_MAX = 20_000  # waiting to be handed over
LINE_BYTES_MAX = 32 * 1024 * 1024  # of those
PUT_METRIC_DATA = "GraniteServiceVersion20100801.PutMetricData"


class Functions(Protocol):
    def counters(self, name: str, /) -> Counters: ...


class Streams(Protocol):
    def stream_arns(self) -> Sequence[str]: ...
    def counters(self, stream_arn: str, /) -> Mapping[str, ShardCounters]: ...


class Tables(Protocol):
    def counted(self) -> Mapping[str, Mapping[str, float]]: ...


class Monitoring:
    """`log_line`, `invocation` and `mapping_metric` are for the services; `start` and `stop` the handing over."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.time) -> None:
        self._services = services
        self._clock = clock
        self._logs = LogKeeper(services)
        self._metrics = MetricBuffer()
        self._lines: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._line_count = self._line_bytes = 0
        self._functions: Functions | None = None
        self._streams: Streams | None = None
        self._tables: Tables | None = None
        self._seen_tables: Mapping[str, Mapping[str, float]] = {}
        self._seen_shards: dict[str, Mapping[str, ShardCounters]] = {}
        self._handing_over = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._warned = 0
        self.dropped_lines = 0
        self.dropped_measurements = 0

    def attach(self, functions: Functions, streams: Streams, tables: Tables) -> None:
        """Whose counters are read from now on."""
        self._functions, self._streams, self._tables = functions, streams, tables

    # -- what the services call ------------------------------------------------------------------------------------

    def log_line(self, log_group: str, log_stream: str, line: str) -> None:
        if self._line_count >= LINES_MAX or self._line_bytes + len(line) > LINE_BYTES_MAX:
            self.dropped_lines += 1
            return
        self._line_count += 1
        self._line_bytes += len(line)
        self._lines.setdefault((log_group, log_stream), []).append((int(self._clock() * 1000), line))

    def invocation(self, function_name: str, outcome: InvokeOutcome, report: Report | None) -> None:
        now = self._clock()
        if report is not None:
            began_s = now - (asyncio.get_running_loop().time() - report.began_s)
            others = 0 if self._functions is None else self._functions.counters(function_name).concurrent_executions
            failed = isinstance(outcome, FunctionError)
            ended = Invocation(
                function_name,
                throttled=False,
                failed=failed,
                began_s=began_s,
                duration_ms=report.duration_ms,
                concurrent=others + 1,
                provisioned=report.provisioned,
                spilled_over=report.spilled_over,
            )
        elif isinstance(outcome, Throttled):
            ended = Invocation(function_name, True)
        else:
            return  # nothing ran and nothing was throttled: Lambda has no metric for it
        self._add(of_invocation(ended, now))

    def mapping_metric(self, dimension: str, value_of_dimension: str, name: str, value: float) -> None:
        self._metrics.add(of_mapping(dimension, value_of_dimension, name, value, self._clock()))

    # -- handing over ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Hands over from time to time until `stop`."""
        self._running = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()

    async def _run(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(LOGS_EVERY_S)
            rounds += 1
            await self.hand_over(metrics=rounds % int(METRICS_EVERY_S / LOGS_EVERY_S) == 0)

    async def hand_over(self, *, metrics: bool = True) -> None:
        """Everything up to now is in CloudWatch Logs afterwards, and in CloudWatch with `metrics`. Never raises."""
        async with self._handing_over:
            try:
                await self._hand_over_lines()
                if metrics:
                    self._read_counters()
                    await self._hand_over_metrics()
            except Exception:  # told, and the next round goes on
                log.exception("metrics and logs of this round are lost")
        self._say_what_was_dropped()

    async def _hand_over_lines(self) -> None:
        waiting, self._lines = self._lines, {}
        self._line_count = self._line_bytes = 0
        for (log_group, log_stream), lines in waiting.items():
            for start in range(0, len(lines), LINES_AT_ONCE):
                part = lines[start : start + LINES_AT_ONCE]
                for _, line in part:
                    self._add(embedded(line))
                try:
                    await self._logs.put(log_group, log_stream, part)
                except ServiceCallError as error:
                    self.dropped_lines += len(part)
                    log.debug("%s %s: %s", log_group, log_stream, error)
                await asyncio.sleep(0)  # others' requests come first

    async def _hand_over_metrics(self) -> None:
        by_namespace: dict[str, list[Datum]] = {}
        for datum in self._metrics.take():
            by_namespace.setdefault(datum.namespace, []).append(datum)
        for namespace, data in by_namespace.items():
            for start in range(0, len(data), DATA_AT_ONCE):
                part = data[start : start + DATA_AT_ONCE]
                payload = {"Namespace": namespace, "MetricData": [_metric_datum(datum) for datum in part]}
                try:
                    await self._services.call_json(PUT_METRIC_DATA, payload)
                except ServiceCallError as error:
                    self.dropped_measurements += sum(sum(datum.counts) for datum in part)
                    log.debug("%s: %s", namespace, error)
                await asyncio.sleep(0)

    def _read_counters(self) -> None:
        if self._streams is None or self._tables is None:
            return
        now = self._clock()
        counted = self._tables.counted()
        self._add(of_tables(self._seen_tables, counted, now))
        self._seen_tables = counted
        seen = {}
        for arn in self._streams.stream_arns():
            seen[arn] = self._streams.counters(arn)
            self._add(of_shards(arn.rpartition("/")[2], self._seen_shards.get(arn, {}), seen[arn], now))
        self._seen_shards = seen

    def _add(self, measured: Iterable[Measurement]) -> None:
        for each in measured:
            self._metrics.add(each)

    def _say_what_was_dropped(self) -> None:
        dropped = self.dropped_lines + self.dropped_measurements + self._metrics.dropped
        if dropped > 2 * self._warned:
            self._warned = dropped
            log.warning(
                "not in CloudWatch: %d log lines (the files have them) and %d measurements so far",
                self.dropped_lines,
                self.dropped_measurements + self._metrics.dropped,
            )


def _metric_datum(datum: Datum) -> dict[str, object]:
    return {
        "MetricName": datum.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.dimensions],
        "Timestamp": datum.time_s,
        "Unit": datum.unit,
        "Values": datum.values,
        "Counts": datum.counts,
    }
