"""SHELL: the lines of the function's log group, through FilterLogEvents; the same call on AWS and locally."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from loadgen.target.function_log import Batch, Invocation, read

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

LOG_PAGE_MAX = 10_000  # AWS: FilterLogEvents
LOG_SPAN_MS = 60_000
LOG_PATTERNS = ('"_aws"', "REPORT")


class FunctionLog:
    """The batches and invocations that a function's log tells of. `is_interrupted` ends paging early."""

    def __init__(self, connection: "Connection", function: str, is_interrupted: Callable[[], bool]) -> None:
        self._connection, self._function, self._is_interrupted = connection, function, is_interrupted

    def between(self, start_ms: int, end_ms: int) -> Iterator[Batch | Invocation]:
        """Of log events from `start_ms` until before `end_ms`, Unix ms. Raises botocore's errors."""
        for pattern in LOG_PATTERNS:
            for at_ms, line in self._lines(pattern, start_ms, end_ms):
                said = read(at_ms, line)
                if said is not None:
                    yield said

    def _lines(self, pattern: str, start_ms: int, end_ms: int) -> Iterator[tuple[int, str]]:
        span_ms = LOG_SPAN_MS
        while start_ms < end_ms and not self._is_interrupted():
            until_ms = min(end_ms, start_ms + span_ms)
            lines, whole = self._span(pattern, start_ms, until_ms - 1)
            if not whole and span_ms > 1:
                span_ms = max(1, span_ms // 4)  # the local service has no second page: ask for less at a time
                continue
            yield from lines
            start_ms = until_ms

    def _span(self, pattern: str, start_ms: int, last_ms: int) -> tuple[list[tuple[int, str]], bool]:
        """Both ends included; (lines, whether they are all)."""
        asked: dict[str, Any] = {
            "logGroupName": f"/aws/lambda/{self._function}",
            "filterPattern": pattern,
            "startTime": start_ms,
            "endTime": last_ms,
        }
        lines: list[tuple[int, str]] = []
        while not self._is_interrupted():
            answer = self._connection.client("logs").filter_log_events(**asked)
            events = answer["events"]
            lines += ((event["timestamp"], event["message"]) for event in events)
            token = answer.get("nextToken")
            if not token:
                return lines, len(events) < LOG_PAGE_MAX
            asked["nextToken"] = token
        return lines, True
