"""SHELL: one function of the local stack: its record, and a driver for every version that is invoked or provisioned."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.function_driver import FunctionDriver, Invoked, ReportSink
from infra.local.function_events import Event, EventInvoker
from infra.local.function_log import FunctionLog, LineSink
from infra.model.function import (
    Account,
    Counters,
    FunctionMachine,
    FunctionSettings,
    InvokeOutcome,
    ServiceError,
)
from infra.model.function.configuration import LATEST, Configuration
from infra.model.function.record import FunctionRecord
from infra.model.function.refusals import RefusedError

_INHERITED = ("PATH", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all functions of a service have in common."""

    region: str
    data_dir: Path
    endpoint_url: str | None
    account: Account
    idle_s_max: float
    init_s_max: float
    log_sink: LineSink | None
    report_sink: ReportSink | None
    clock: Callable[[], float]

    @property
    def code_dir(self) -> Path:
        """Where code that came through the API is unpacked, one folder below it for every upload."""
        return self.data_dir / "code"

    @property
    def environments_dir(self) -> Path:
        """Where the environments' /tmp are, one folder for every driver below the function's."""
        return self.data_dir / "environments"


class FunctionHost:
    """`environment` comes on top of the configuration's own. Raises ConcurrencyRefusedError."""

    def __init__(
        self,
        record: FunctionRecord,
        surroundings: Surroundings,
        *,
        environment: Mapping[str, str] | None = None,
        reserved: int | None = None,
    ) -> None:
        self.record = record
        self.counters = Counters()
        self.events = EventInvoker(self._invoke_event)
        self._around = surroundings
        self._environment = dict(environment or {})
        self._drivers: dict[str, FunctionDriver] = {}
        self._retiring: dict[FunctionDriver, asyncio.Task[None]] = {}
        latest = record.latest
        if latest.name in surroundings.account:  # one of that name was deleted and still runs
            surroundings.account.reserve(latest.name, reserved)
        else:
            surroundings.account.register(latest.name, reserved)
        log_path = surroundings.data_dir / "logs" / f"{latest.name}.log"
        self.log = FunctionLog(log_path, latest.log_group, surroundings.log_sink)

    # -- invoking --------------------------------------------------------------------------------------------------

    async def invoke(
        self, payload: bytes, *, request_id: str, qualifier: str | None, client_context: str | None = None
    ) -> Invoked:
        """Raises RefusedError when there is no such version or alias."""
        version = self.record.version(qualifier, secrets.randbelow(1 << 53) / (1 << 53))
        arn = self.record.latest.arn if qualifier is None else f"{self.record.latest.arn}:{qualifier}"
        return await self._driver(version).invoke(
            payload, request_id=request_id, function_arn=arn, client_context=client_context
        )

    async def _invoke_event(self, event: Event) -> InvokeOutcome:
        qualifier = event.function_arn.removeprefix(self.record.latest.arn).lstrip(":") or None
        try:
            invoked = await self.invoke(
                event.payload,
                request_id=event.request_id,
                qualifier=qualifier,
                client_context=event.client_context,
            )
        except RefusedError as refused:  # the alias was deleted while the event waited
            return ServiceError(f"{refused.code}: {refused.message}")
        return invoked.outcome

    # -- changing --------------------------------------------------------------------------------------------------

    def replace_latest(self, configuration: Configuration) -> None:
        """From now on $LATEST is this one; what runs ends with the old one."""
        self.record.latest = configuration
        self.log.log_group = configuration.log_group
        self.retire(LATEST)

    def retire(self, version: str) -> None:
        """The version's environments end when they have finished what they have."""
        driver = self._drivers.pop(version, None)
        if driver is not None:
            task = asyncio.get_running_loop().create_task(self._retire(driver))
            self._retiring[driver] = task

    def apply_provisioned(self) -> None:
        """Every version has the provisioned concurrency that the record says."""
        wanted = self.record.provisioned_by_version()
        for version in {*wanted, *self._drivers}:
            requested = wanted.get(version, 0)
            if version not in self._drivers and not requested:
                continue
            driver = self._driver(self.record.version(version))
            if driver.machine.provisioned.requested != requested or driver.machine.provisioned.failed:
                driver.provision(requested)

    def machine(self, version: str) -> FunctionMachine | None:
        """None: the version has never been invoked or provisioned."""
        driver = self._drivers.get(version)
        return None if driver is None else driver.machine

    async def delete(self) -> None:
        """Waits for what runs; then nothing is left but the log's file."""
        await self.events.stop()
        for version in list(self._drivers):
            self.retire(version)
        await asyncio.gather(*self._retiring.values())
        self.log.close()
        for configuration in (self.record.latest, *self.record.versions.values()):
            self._remove(Path(configuration.code))

    async def stop(self) -> None:
        """Ends all children (SIGTERM, then SIGKILL); invocations under way end as ServiceError."""
        await self.events.stop()
        drivers, tasks = [*self._drivers.values(), *self._retiring], list(self._retiring.values())
        await asyncio.gather(*(driver.stop() for driver in drivers))
        await asyncio.gather(*tasks)
        self.log.close()

    @property
    def pids(self) -> list[int]:
        """Of the runtime processes that live now."""
        return [pid for driver in (*self._drivers.values(), *self._retiring) for pid in driver.pids]

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _retire(self, driver: FunctionDriver) -> None:
        await driver.retire()
        del self._retiring[driver]
        code = driver.task_root
        users = [self.record.latest, *self.record.versions.values()]
        retiring = [each.configuration for each in self._retiring]
        if all(Path(each.code) != code for each in users + retiring):
            self._remove(code)

    def _remove(self, code: Path) -> None:
        if code.is_relative_to(self._around.code_dir):  # the template's is not ours to remove
            shutil.rmtree(code, ignore_errors=True)

    def _driver(self, configuration: Configuration) -> FunctionDriver:
        driver = self._drivers.get(configuration.version)
        if driver is not None:
            return driver
        around, name = self._around, configuration.name
        unique = secrets.token_hex(8)
        settings = FunctionSettings(
            name,
            configuration.timeout_s,
            init_s_max=around.init_s_max,
            idle_s_max=around.idle_s_max,
            version=configuration.version,
        )
        driver = self._drivers[configuration.version] = FunctionDriver(
            configuration,
            FunctionMachine(settings, around.account, self.counters),
            scratch=around.environments_dir / name / unique,
            stream_prefix=unique,
            variables=self._variables(configuration),
            log=self.log,
            report=around.report_sink,
            clock=around.clock,
        )
        return driver

    def _variables(self, configuration: Configuration) -> dict[str, str]:
        """AWS: configuration-envvars. What the runtime sets cannot be overridden by the function, the rest can."""
        endpoint_url, region = self._around.endpoint_url, self._around.region
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "LANG": "en_US.UTF-8",
            "PYTHONUTF8": "1",  # the locale named above need not be installed here
            "TZ": ":UTC",
            **({} if endpoint_url is None else {"AWS_ENDPOINT_URL": endpoint_url}),
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            **configuration.environment,
            **self._environment,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": configuration.name,
            "AWS_LAMBDA_FUNCTION_VERSION": configuration.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": configuration.log_group,
            "LAMBDA_TASK_ROOT": configuration.code,
            "LAMBDA_RUNTIME_DIR": _runtime_folder(),
            "_HANDLER": configuration.handler,
        }


def _runtime_folder() -> str:
    """Where AWS's runtime client is installed; asking does not import it."""
    found = importlib.util.find_spec("awslambdaric")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("awslambdaric is not installed; functions cannot run without it")
    return str(Path(found.origin).parent)
