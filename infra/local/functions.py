"""SHELL: Lambda. Functions of the template and of the API, run in children of this process by AWS's runtime client."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from infra.blueprint import FunctionBlueprint
from infra.local import function_api, function_code, function_names
from infra.local.function_driver import Invoked, ReportSink
from infra.local.function_host import FunctionHost, Surroundings
from infra.local.function_log import LineSink
from infra.local.function_store import FunctionStore, Kept
from infra.local.http import Request, Response
from infra.model.function import (
    IDLE_S_MAX,
    INIT_S_MAX,
    PAYLOAD_BYTES_MAX,
    Account,
    Counters,
    InvokeOutcome,
    ServiceError,
)
from infra.model.function.configuration import Configuration
from infra.model.function.record import FunctionRecord
from infra.model.function.refusals import RefusedError, conflict, no_function

log = logging.getLogger("infra.functions")

_RANDOM_NAME = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}")


class FunctionService:
    """`add` functions, `invoke` them, `stop` at the end. One per account and region; used from one event loop.

    data_dir: logs/<function>.log, environments/<function>/ (their /tmp) and code/<function>/ (of functions made through
    the API) live below it. endpoint_url: where the functions' boto3 finds AWS. Functions get none of this process's
    variables but the path. log_sink, report_sink: see every log line and how every invocation ended (for CloudWatch).
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
        self.account = Account() if account is None else account
        self.clock = clock
        self.surroundings = Surroundings(
            region,
            data_dir.resolve(),
            endpoint_url,
            self.account,
            idle_s_max,
            init_s_max,
            log_sink,
            report_sink,
            clock,
        )
        self.hosts: dict[str, FunctionHost] = {}
        self._store = FunctionStore(self.surroundings.data_dir / "functions-of-the-api.json")
        self._kept: set[str] = set()  # names of the functions that came through the API
        self._resumed = False
        self._restore()
        self._deleting: dict[asyncio.Task[None], FunctionHost] = {}
        self._stopping = False

    def add(self, blueprint: FunctionBlueprint, *, task_root: Path, environment: Mapping[str, str]) -> None:
        """`environment` comes on top of the blueprint's own. ValueError when AWS would not accept the concurrency.

        A function of that name that was made through the API in an earlier run gives way.
        """
        if blueprint.name in self._kept and not self._resumed:
            self._kept.discard(blueprint.name)
            self.hosts.pop(blueprint.name).log.close()
            self.account.forget(blueprint.name)
        if blueprint.name in self.hosts:
            raise ValueError(f"function {blueprint.name} exists already; give it another name")
        code = function_code.of_folder(task_root.resolve())
        latest = Configuration(
            name=blueprint.name,
            arn=blueprint.arn,
            runtime=blueprint.runtime,
            role_arn=blueprint.role_arn,
            handler=blueprint.handler,
            code=str(code.task_root),
            timeout_s=blueprint.timeout_s,
            memory_mb=blueprint.memory_mb,
            environment=blueprint.environment,
            architecture=blueprint.architecture,
            log_group=blueprint.log_group,
            code_sha256=code.sha256,
            code_bytes=code.size,
            revision_id=str(uuid.uuid4()),
            modified_s=self.clock(),
        )
        self.hosts[latest.name] = FunctionHost(
            FunctionRecord(latest),
            self.surroundings,
            environment=environment,
            reserved=blueprint.reserved_concurrency,
        )

    def create(self, configuration: Configuration, code: function_code.Code, tags: Mapping[str, str]) -> FunctionHost:
        """A function that came through the API. Raises RefusedError when there is one of that name."""
        if configuration.name in self.hosts:
            raise conflict(f"Function already exist: {configuration.name}")
        made = dataclasses.replace(
            configuration,
            code=str(code.task_root),
            code_sha256=code.sha256,
            code_bytes=code.size,
            revision_id=str(uuid.uuid4()),
            modified_s=self.clock(),
        )
        host = FunctionHost(FunctionRecord(made), self.surroundings)
        host.record.tags = tags
        self.hosts[made.name] = host
        self._kept.add(made.name)
        return host

    def delete(self, name: str) -> None:
        """The function is gone for every caller at once; what runs ends by itself."""
        host = self.hosts.pop(name)
        self._kept.discard(name)
        self.account.provision(name, 0)
        self.account.reserve(name, None)
        task = asyncio.get_running_loop().create_task(self._delete(name, host))
        self._deleting[task] = host
        task.add_done_callback(self._deleting.pop)

    async def invoke(self, function_arn_or_name: str, payload: bytes, *, request_id: str) -> InvokeOutcome:
        """RequestResponse. Never raises for what AWS answers: an unknown function is a ServiceError."""
        try:
            host, name = self.find(function_arn_or_name)
            if len(payload) > PAYLOAD_BYTES_MAX:
                reason = f"{len(payload)} bytes exceeded the limit of {PAYLOAD_BYTES_MAX} bytes"
                return ServiceError(f"RequestTooLargeException: {reason}")
            invoked = await self.run(host, payload, request_id=request_id, qualifier=name.qualifier)
        except RefusedError as refused:
            return ServiceError(f"{refused.code}: {refused.message}")
        return invoked.outcome

    async def run(
        self,
        host: FunctionHost,
        payload: bytes,
        *,
        request_id: str,
        qualifier: str | None,
        client_context: str | None = None,
    ) -> Invoked:
        """Like `invoke`, with the log's tail. Raises RefusedError when there is no such version or alias."""
        self._resume()
        if self._stopping:
            return Invoked(ServiceError(f"ServiceException: function {host.record.latest.name} is being stopped"), b"")
        return await host.invoke(payload, request_id=request_id, qualifier=qualifier, client_context=client_context)

    async def handle(self, request: Request) -> Response:
        self._resume()
        return await function_api.handle(self, request)

    def keep(self) -> None:
        """Functions made through the API are there again after a restart as they are now."""
        names = sorted(self._kept)
        self._store.write([Kept(self.hosts[name].record, self.account.reserved(name)) for name in names])

    async def stop(self) -> None:
        """Ends all children (SIGTERM, then SIGKILL); invocations under way end as ServiceError."""
        self._stopping = True
        hosts, deleting = [*self.hosts.values(), *self._deleting.values()], list(self._deleting)
        await asyncio.gather(*(host.stop() for host in hosts))
        await asyncio.gather(*deleting)

    def find(
        self, function_arn_or_name: str, qualifier: str | None = None
    ) -> tuple[FunctionHost, function_names.FunctionName]:
        """The function, and its name with the qualifier that was asked for. Raises RefusedError: there is none.

        Whether the qualifier exists is not looked at.
        """
        name = function_names.parse(
            function_arn_or_name, region=self.region, account_id=self.account_id, qualifier=qualifier
        )
        host = self.hosts.get(name.name)
        if host is None:
            raise no_function(name.qualified_arn)
        return host, name

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.hosts)

    def counters(self, name: str) -> Counters:
        """Of all versions together. KeyError: there is no such function, nor one that is being deleted."""
        return self._host(name).counters

    def log_lines(self, name: str) -> list[str]:
        """The newest lines of the function's log, oldest first."""
        return list(self._host(name).log.lines)

    def pids(self, name: str) -> list[int]:
        """Runtime processes of the function that live now."""
        return self._host(name).pids

    def _restore(self) -> None:
        used = set()
        for record, reserved in self._store.read():
            try:
                self.hosts[record.latest.name] = FunctionHost(record, self.surroundings, reserved=reserved)
                self.account.provision(record.latest.name, record.total_provisioned(without=""))
            except ValueError as refused:
                self.hosts.pop(record.latest.name, None)
                log.warning("function %s of an earlier run is lost: %s", record.latest.name, refused)
                continue
            self._kept.add(record.latest.name)
            used |= {Path(each.code) for each in (record.latest, *record.versions.values())}
        _sweep(self.surroundings, used)

    def _resume(self) -> None:
        """Provisioned concurrency of restored functions starts with the first thing that is asked."""
        if not self._resumed:
            self._resumed = True
            for name in self._kept:
                self.hosts[name].apply_provisioned()

    def _host(self, name: str) -> FunctionHost:
        if name in self.hosts:
            return self.hosts[name]
        for host in self._deleting.values():
            if host.record.latest.name == name:
                return host
        raise KeyError(name)

    async def _delete(self, name: str, host: FunctionHost) -> None:
        await host.delete()
        if name not in self.hosts and not any(
            other is not host and other.record.latest.name == name for other in self._deleting.values()
        ):
            self.account.forget(name)


def _sweep(surroundings: Surroundings, used: Collection[Path]) -> None:
    """Removes what a process that was killed has left: environments and unused code, which have random names."""
    for folder in (surroundings.environments_dir, surroundings.code_dir):
        for left in folder.glob("*/*"):
            if _RANDOM_NAME.fullmatch(left.name) and left not in used and left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
