"""SHELL: CloudWatch Logs as functions fill it: groups and streams made when needed, old streams removed for room."""

from collections.abc import Mapping, Sequence

from infra.local.services import ServiceCallError, Services

LOGS = "Logs_20140328."
KEPT_BYTES_MAX = 64 * 1024 * 1024
EVENT_BYTES = 900  # what the mounted service keeps in memory for one line besides its text (measured)


class LogKeeper:
    """`put` lines. Beyond KEPT_BYTES_MAX the streams that were written least recently go; the files keep their lines.

    If the newest stream alone is too large, it begins anew.
    """

    def __init__(self, services: Services, kept_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._services = services
        self._kept_bytes_max = kept_bytes_max
        self._sizes: dict[tuple[str, str], int] = {}  # by group and stream, least recently written first

    async def put(self, log_group: str, log_stream: str, lines: Sequence[tuple[int, str]]) -> None:
        """`lines` are (epoch ms, text), in order of time. Raises ServiceCallError when they are not accepted."""
        key = (log_group, log_stream)
        await self._make_room(key, sum(EVENT_BYTES + len(text) for _, text in lines))
        payload = {
            "logGroupName": log_group,
            "logStreamName": log_stream,
            "logEvents": [{"timestamp": time_ms, "message": text} for time_ms, text in lines],
        }
        if key not in self._sizes:
            await self._create(log_group, log_stream)
        try:
            await self._call("PutLogEvents", payload)
        except ServiceCallError as error:
            if error.code != "ResourceNotFoundException":
                raise
            await self._create(log_group, log_stream)  # someone has deleted it
            await self._call("PutLogEvents", payload)
        size = self._sizes.pop(key, 0)
        self._sizes[key] = size + sum(EVENT_BYTES + len(text) for _, text in lines)

    async def _make_room(self, key: tuple[str, str], size: int) -> None:
        kept = sum(self._sizes.values())
        while self._sizes and kept + size > self._kept_bytes_max:
            others = (other for other in self._sizes if other != key)
            oldest = next(others, key)
            kept -= self._sizes.pop(oldest)
            try:
                await self._call("DeleteLogStream", {"logGroupName": oldest[0], "logStreamName": oldest[1]})
            except ServiceCallError as error:
                if error.code != "ResourceNotFoundException":
                    raise

    async def _create(self, log_group: str, log_stream: str) -> None:
        for operation, names in (
            ("CreateLogGroup", {"logGroupName": log_group}),
            ("CreateLogStream", {"logGroupName": log_group, "logStreamName": log_stream}),
        ):
            try:
                await self._call(operation, names)
            except ServiceCallError as error:
                if error.code != "ResourceAlreadyExistsException":
                    raise

    async def _call(self, operation: str, payload: Mapping[str, object]) -> None:
        await self._services.call_json(LOGS + operation, payload, version="1.1")
