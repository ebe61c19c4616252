"""SHELL: a thread that looks at the target while a load runs, for whoever watches; what it finds decides nothing.

It asks what the report asks afterwards (the function's log, CloudWatch), only less at a time. It spends little of the
target's time: after a look it rests at least `REST` times as long as the look took.
"""

import threading
import time
from typing import TYPE_CHECKING

from infra.ops.errors import CommandError, explained
from loadgen.observing.observe import capacity_of
from loadgen.observing.readback import Stack
from loadgen.observing.stack_log import FunctionLog
from loadgen.observing.stack_metrics import METRICS, StackMetrics
from loadgen.target.function_log import Batch, Invocation
from loadgen.target.lanes import at_once
from loadgen.target.seen import Seen
from loadgen.target.series import Series, of_function

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

REST = 4
LOOK_BACK_S, AWS_LOOK_BACK_S = 5.0, 30.0  # so long a log line may take until it is found
BEHIND_S, AWS_BEHIND_S = 0.0, 10.0  # and so long it usually takes
AWS_EVERY_S = 10.0
CLIENTS = ("cloudwatch", "dynamodb", "kinesis", "lambda", "logs")
NAMES = (
    "function_errors", "iterator_age_ms", "lambda_throttles", "quarantine_throttles", "read_throttles",
    "table_read_throttles", "table_write_throttles",
)  # fmt: skip
WATCHED = tuple(metric for metric in METRICS if metric.series in NAMES)
JOIN_S = 5.0


class Watch:
    """`seen` is read under `lock`."""

    def __init__(self, connection: "Connection", stack: Stack) -> None:
        is_aws = connection.target.endpoint_url is None
        self._connection, self._stack = connection, stack
        self._where = str(connection.target)
        self._every_s = AWS_EVERY_S if is_aws else 0.0
        self._look_back_s = AWS_LOOK_BACK_S if is_aws else LOOK_BACK_S
        self._behind_s = AWS_BEHIND_S if is_aws else BEHIND_S
        self._log = FunctionLog(connection, stack.function, lambda: self._is_stopped.is_set())
        self._metrics = StackMetrics(connection, stack)
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._started_s = self._log_read_s = self._metrics_read_s = 0.0
        self.seen, self.lock = Seen(), threading.Lock()

    def start(self, started_s: float, every_s: float) -> None:
        """Begin to look, once; a stack whose function is not known is not looked at. `started_s`: Unix time of the
        load's second 0. `every_s`: not more often than that."""
        if self._thread is not None or not self._stack.function:
            return
        self._every_s = max(every_s, self._every_s)
        self._started_s = self._log_read_s = self._metrics_read_s = started_s
        for service in CLIENTS:
            self._connection.client(service)  # they are made in one thread, and used in any
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more looks; waits for one that is under way, a few seconds at most."""
        self._is_stopped.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        is_first = True
        rest_s = 0.0
        while not self._is_stopped.wait(rest_s):
            began_s = time.monotonic()
            try:
                with explained(self._where):
                    if is_first:
                        self._look_at_capacity()
                    self._look_at_log()
                    if time.time() - self._metrics_read_s >= self._metrics.resolution_s:
                        self._look_at_metrics()
                is_first = False
                self._tell(None)
            except CommandError as error:  # the load goes on, and so does the looking
                self._tell(str(error))
            except Exception as error:  # noqa: BLE001 - an answer of another shape must not end in a traceback mid-load
                self._tell(f"{type(error).__name__}: {error}")
            rest_s = max(self._every_s, REST * (time.monotonic() - began_s))

    def _tell(self, problem: str | None) -> None:
        with self.lock:
            self.seen.problem = problem

    def _look_at_capacity(self) -> None:
        capacity = capacity_of(self._connection, self._stack)
        with self.lock:
            self.seen.capacity = capacity

    def _look_at_log(self) -> None:
        now_s = time.time()
        from_s = max(self._started_s, self._log_read_s - self._look_back_s)
        first = int(from_s - self._started_s)
        batches: list[Batch] = []
        invocations: list[Invocation] = []
        for said in self._log.between(int((self._started_s + first) * 1000), int(now_s * 1000)):
            (batches if isinstance(said, Batch) else invocations).append(said)  # type: ignore[arg-type]  # one of two lists
        found = [
            *of_function(batches, invocations, self._started_s, None),
            *at_once(invocations, self._started_s),
        ]
        self._take(found, first)
        with self.lock:
            self.seen.read_until = max(0, int(now_s - self._started_s - self._behind_s))
        self._log_read_s = now_s

    def _look_at_metrics(self) -> None:
        now_s = time.time()
        self._take(self._metrics.between(self._started_s, now_s, WATCHED), -self._metrics.resolution_s)
        self._metrics_read_s = now_s

    def _take(self, found: list[Series], from_second: int) -> None:
        with self.lock:
            self.seen.take(found, from_second)
