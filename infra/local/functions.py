"""SHELL: Lambda. Functions of the template, invoked in this process's children through AWS's own runtime client."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.blueprint import FunctionBlueprint
from infra.local import function_api, function_names
from infra.local.function_driver import FunctionDriver, Invoked, ReportSink
from infra.local.function_events import EventInvoker
from infra.local.function_log import FunctionLog, LineSink
from infra.local.function_names import UnknownFunctionError
from infra.local.http import Request, Response
from infra.model.function import (
    IDLE_S_MAX,
    INIT_S_MAX,
    PAYLOAD_BYTES_MAX,
    Account,
    Counters,
    FunctionMachine,
    FunctionSettings,
    InvokeOutcome,
    ServiceError,
)

_INHERITED = ("PATH", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


class FunctionService:
    """`add` functions, `invoke` them, `stop` at the end. One per account and region; used from one event loop.

    data_dir: logs/<function>.log and environments/<function>/ (their /tmp) live below it.
    endpoint_url: where the functions' boto3 finds AWS. Functions get none of this process's variables but the path.
    log_sink, report_sink: see every log line and every invocation's figures (for CloudWatch).
    """

    def __init__(
        self,
        account_id: str,
        region: str,
        data_dir: Path,
        *,
        endpoint_url: str | None = None,
        account: Account | None = None,
        idle_s_max: float = IDLE_S_MAX,
        init_s_max: float = INIT_S_MAX,
        log_sink: LineSink | None = None,
        report_sink: ReportSink | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account_id = account_id
        self.region = region
        self._data_dir = data_dir
        self._endpoint_url = endpoint_url
        self._account = Account() if account is None else account
        self._idle_s_max = idle_s_max
        self._init_s_max = init_s_max
        self._log_sink = log_sink
        self._report_sink = report_sink
        self._clock = clock
        self._drivers: dict[str, FunctionDriver] = {}
        self._events: dict[str, EventInvoker] = {}

    def add(self, blueprint: FunctionBlueprint, *, task_root: Path, environment: Mapping[str, str]) -> None:
        """`environment` comes on top of the blueprint's own. ValueError when AWS would not accept the concurrency."""
        settings = FunctionSettings(
            blueprint.name,
            blueprint.timeout_s,
            blueprint.reserved_concurrency,
            init_s_max=self._init_s_max,
            idle_s_max=self._idle_s_max,
        )
        machine = FunctionMachine(settings, self._account)
        log_path = self._data_dir / "logs" / f"{blueprint.name}.log"
        driver = FunctionDriver(
            blueprint,
            machine,
            task_root=task_root.resolve(),
            scratch=(self._data_dir / "environments" / blueprint.name).resolve(),
            variables=self._variables(blueprint, task_root.resolve(), environment),
            log=FunctionLog(log_path, blueprint.log_group, self._log_sink),
            report=self._report_sink,
            clock=self._clock,
        )
        self._drivers[blueprint.name] = driver
        self._events[blueprint.name] = EventInvoker(driver)

    async def invoke(self, function_arn_or_name: str, payload: bytes, *, request_id: str) -> InvokeOutcome:
        """RequestResponse. Never raises for what AWS answers: an unknown function is a ServiceError."""
        try:
            invoked = await self.run(function_arn_or_name, payload, request_id=request_id)
        except UnknownFunctionError as unknown:
            return ServiceError(f"ResourceNotFoundException: Function not found: {unknown.arn}")
        return invoked.outcome

    async def run(
        self, function_arn_or_name: str, payload: bytes, *, request_id: str, client_context: str | None = None
    ) -> Invoked:
        """Like `invoke`, with the log's tail. UnknownFunctionError when there is no such function."""
        driver, arn = self.find(function_arn_or_name)
        if len(payload) > PAYLOAD_BYTES_MAX:
            reason = f"RequestTooLargeException: {len(payload)} bytes exceeded the limit of {PAYLOAD_BYTES_MAX} bytes"
            return Invoked(ServiceError(reason), b"")
        return await driver.invoke(payload, request_id=request_id, function_arn=arn, client_context=client_context)

    async def handle(self, request: Request) -> Response:
        return await function_api.handle(self, request)

    async def stop(self) -> None:
        """Ends all children (SIGTERM, then SIGKILL); invocations under way end as ServiceError."""
        await asyncio.gather(*(events.stop() for events in self._events.values()))
        await asyncio.gather(*(driver.stop() for driver in self._drivers.values()))

    def find(self, function_arn_or_name: str) -> tuple[FunctionDriver, str]:
        """The function and its ARN with the qualifier that was asked for. Raises UnknownFunctionError."""
        name = function_names.parse(function_arn_or_name, region=self.region, account_id=self.account_id)
        driver = self._drivers.get(name.name)
        if driver is None or name.arn != driver.blueprint.arn or name.qualifier not in (None, "$LATEST"):
            raise UnknownFunctionError(name.qualified_arn)
        return driver, name.qualified_arn

    def events(self, function_arn_or_name: str) -> EventInvoker:
        """Where asynchronous invocations of the function are put. Raises UnknownFunctionError."""
        return self._events[self.find(function_arn_or_name)[0].blueprint.name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._drivers)

    def counters(self, name: str) -> Counters:
        return self._drivers[name].machine.counters

    def log_lines(self, name: str) -> list[str]:
        """The newest lines of the function's log, oldest first."""
        return list(self._drivers[name].log.lines)

    def pids(self, name: str) -> list[int]:
        """Runtime processes of the function that live now."""
        return self._drivers[name].pids

    def _variables(
        self, blueprint: FunctionBlueprint, task_root: Path, environment: Mapping[str, str]
    ) -> dict[str, str]:
        """AWS: configuration-envvars. What the runtime sets cannot be overridden by the function, the rest can."""
        endpoint = {} if self._endpoint_url is None else {"AWS_ENDPOINT_URL": self._endpoint_url}
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "LANG": "en_US.UTF-8",
            "PYTHONUTF8": "1",  # the locale named above need not be installed here
            "TZ": ":UTC",
            **endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            **blueprint.environment,
            **environment,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{blueprint.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": blueprint.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(blueprint.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": blueprint.log_group,
            "LAMBDA_TASK_ROOT": str(task_root),
            "LAMBDA_RUNTIME_DIR": _runtime_folder(),
            "_HANDLER": blueprint.handler,
        }


def _runtime_folder() -> str:
    """Where AWS's runtime client is installed; asking does not import it."""
    found = importlib.util.find_spec("awslambdaric")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("awslambdaric is not installed; functions cannot run without it")
    return str(Path(found.origin).parent)
