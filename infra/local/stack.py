"""SHELL: the life of `infra up`: bind, serve, deploy, say ready, wait for a signal, stop what was started."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import hypercorn.asyncio
from hypercorn.config import Config

from infra.blueprint import Blueprint
from infra.local import mapping_store
from infra.local import services as emulated
from infra.local.cloudformation import CloudFormationService
from infra.local.deploy import DeployError, delivery, deploy
from infra.local.functions import FunctionService
from infra.local.gateway import Gateway
from infra.local.kinesis import KinesisService
from infra.local.kinesis_store import StoreError
from infra.local.mappings import DELAYS, MappingService
from infra.local.monitoring import Monitoring
from infra.local.service_store import ServiceStore
from infra.local.service_store import StoreError as ServiceStoreError
from infra.local.stack_inputs import (
    ENVIRONMENT,
    HOST,
    USAGE,
    StackError,
    StackOptions,
    bind,
    data_directory,
    read_template,
    writing,
)
from infra.local.stack_told import deployed_stack, ready_line
from infra.local.table_store import StoreError as TableStoreError
from infra.local.table_store import TableStore
from infra.local.tables import TableFront
from infra.model.mapping import Delays, Pace

if TYPE_CHECKING:
    from hypercorn.typing import Framework

log = logging.getLogger("infra.up")

STOP_WITHIN_S = 10.0  # in-flight batches may finish; an invocation that takes longer is cut off


def run(options: StackOptions) -> int:
    """Runs the stack until SIGINT or SIGTERM; returns 0. Raises StackError when it cannot be started."""
    blueprint = read_template(options)
    with contextlib.ExitStack() as opened:
        data_dir = opened.enter_context(data_directory(options.data_dir))
        listener = opened.enter_context(bind(options.port))
        return asyncio.run(_serve(options, blueprint, data_dir, listener))


@dataclass(frozen=True, slots=True)
class Parts:
    """The services of one stack, wired to each other."""

    emulated: emulated.Services
    kinesis: KinesisService
    functions: FunctionService
    mappings: MappingService
    monitoring: Monitoring
    cloudformation: CloudFormationService
    gateway: Gateway
    tables: TableFront


def build(options: StackOptions, data_dir: Path, port: int) -> Parts:
    """All services, not yet serving and without resources."""
    keep = options.data_dir is not None
    mounted = emulated.load(
        region=options.region, account_id=options.account_id, port=port, data_dir=data_dir, keep=keep
    )
    if keep:
        mounted = _kept(mounted, data_dir)
    monitoring = Monitoring(mounted)
    kinesis = _kinesis(options)
    functions = FunctionService(
        options.account_id,
        options.region,
        data_dir,
        endpoint_url=f"http://{HOST}:{port}",
        log_sink=monitoring.log_line,
        report_sink=monitoring.invocation,
    )
    mappings = _mappings(options, kinesis, functions, mounted, monitoring)
    tables = TableFront(mounted)
    monitoring.attach(functions, kinesis, tables)
    cloudformation = CloudFormationService()
    gateway = Gateway(
        mounted.app,
        kinesis=kinesis,
        functions=functions,
        mappings=mappings,
        cloudformation=cloudformation,
        tables=tables,
        before_observing=monitoring.hand_over,
    )
    return Parts(mounted, kinesis, functions, mappings, monitoring, cloudformation, gateway, tables)


def _kept(mounted: emulated.Services, data_dir: Path) -> emulated.Services:
    """Buckets, queues and topics as they were, kept from now on: mappings that are kept send their documents there."""
    store = ServiceStore(data_dir / "services")
    try:
        store.restore()
    except ServiceStoreError as error:
        raise StackError(f"--data-dir {data_dir}: {error}", ENVIRONMENT) from error
    return emulated.Services(store.around(mounted.app))


def _kinesis(options: StackOptions) -> KinesisService:
    """Its streams are kept where the user wants things kept, and end with the process otherwise."""
    folder = None if options.data_dir is None else options.data_dir.resolve() / "kinesis"
    try:
        return KinesisService(options.account_id, options.region, data_dir=folder)
    except (OSError, StoreError) as error:
        raise StackError(f"--data-dir {options.data_dir}: its streams cannot be read: {error}", ENVIRONMENT) from error


def _mappings(
    options: StackOptions,
    kinesis: KinesisService,
    functions: FunctionService,
    mounted: emulated.Services,
    monitoring: Monitoring,
) -> MappingService:
    """They and their checkpoints are kept as the streams are."""
    folder = None if options.data_dir is None else options.data_dir.resolve() / "mappings"
    try:
        return MappingService(
            kinesis,
            functions,
            delivery(mounted),
            publish_metric=monitoring.mapping_metric,
            pace=Pace(read_on_put=not options.poll_as_aws),
            delays=Delays(DELAYS.transition_s, options.mapping_lag_s),
            data_dir=folder,
        )
    except (OSError, mapping_store.StoreError) as error:
        raise StackError(f"--data-dir {options.data_dir}: its mappings cannot be read: {error}", ENVIRONMENT) from error


def _tables(options: StackOptions) -> TableStore | None:
    """The items of the template's tables are kept as the streams are: a checkpoint says that they are there."""
    try:
        return None if options.data_dir is None else TableStore(options.data_dir.resolve() / "tables" / "items.sqlite")
    except TableStoreError as error:
        raise StackError(f"--data-dir {options.data_dir}: {error}", ENVIRONMENT) from error


async def _serve(options: StackOptions, blueprint: Blueprint, data_dir: Path, listener: socket.socket) -> int:
    stopping = _stop_on_signals()
    port: int = listener.getsockname()[1]
    endpoint_url = f"http://{HOST}:{port}"
    with writing(data_dir):
        parts = build(options, data_dir, port)
        tables = _tables(options)
    async with _serving(parts.gateway, listener):
        try:
            with writing(data_dir):
                await _deploy(options, blueprint, parts, data_dir)
                if tables is not None:
                    names = [table.name for table in blueprint.tables]
                    tables.attach(names, account_id=options.account_id, region=options.region)
                parts.tables.meter.attach()
                await parts.mappings.start()
            parts.monitoring.start()
            sys.stdout.write(json.dumps(ready_line(blueprint, endpoint_url)) + "\n")
            sys.stdout.flush()
            log.info("ready at %s; functions log to %s; Ctrl-C stops it", endpoint_url, data_dir / "logs")
            await stopping.wait()
            log.info("stopping")
        finally:
            await _stop(parts)
            parts.kinesis.close()
            if tables is not None:
                tables.close()
    return 0


async def _deploy(options: StackOptions, blueprint: Blueprint, parts: Parts, data_dir: Path) -> None:
    try:
        await deploy(
            blueprint,
            services=parts.emulated,
            streams=parts.kinesis,
            functions=parts.functions,
            mappings=parts.mappings,
            template_dir=options.template.resolve().parent,
            data_dir=data_dir,
        )
    except DeployError as error:
        raise StackError(f"{options.template}: {error}", USAGE) from error
    parts.cloudformation.stack = deployed_stack(blueprint)


async def _stop(parts: Parts) -> None:
    """Mappings first, so that nothing new is invoked; then functions; the endpoint last, because both use it."""
    parts.monitoring.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_WITHIN_S):
            await parts.mappings.stop()
            await parts.functions.stop()
            return
    log.warning("what was running did not end within %s s and is cut off", STOP_WITHIN_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_WITHIN_S):
            await parts.functions.stop()


@contextlib.asynccontextmanager
async def _serving(gateway: Gateway, listener: socket.socket) -> AsyncIterator[None]:
    """Serves HTTP while the context lasts. A server that ends by itself is an error of the body."""
    closing = asyncio.Event()
    app = cast("Framework", gateway)  # hypercorn's type is its own spelling of ASGI
    server = asyncio.create_task(
        hypercorn.asyncio.serve(app, server_config(listener), shutdown_trigger=closing.wait, mode="asgi")
    )
    started = asyncio.create_task(gateway.started.wait())
    await asyncio.wait({server, started}, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        started.cancel()
        await server
        raise StackError("the endpoint could not be started", ENVIRONMENT)
    try:
        yield
    finally:
        closing.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server, STOP_WITHIN_S)


def server_config(listener: socket.socket) -> Config:
    """hypercorn on a socket that is bound already, and is closed by hypercorn from now on."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"
    config.backlog = 512
    config.graceful_timeout = 2.0
    config.keep_alive_timeout = 75.0  # clients keep idle connections for a minute; closing earlier costs them a request
    config.keep_alive_max_requests = 1_000_000_000  # the default closes a connection after 1,000 requests
    return config


def _stop_on_signals() -> asyncio.Event:
    """Set by the first SIGINT, SIGTERM or SIGHUP. A second one ends the process at once; its children end with it."""
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            os._exit(130)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    return stopping
