"""The local Kinesis over HTTP on an ephemeral loopback port, for unmodified clients."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from hypercorn.asyncio import serve
from hypercorn.config import Config as ServerConfig
from mypy_boto3_kinesis import KinesisClient

from infra.local.gateway import Gateway
from infra.local.kinesis import KinesisService
from tests.support.beside_gateway import Absent, nothing_else

Value = TypeVar("Value")


class Endpoint:
    """A KinesisService behind the gateway, served from a thread of its own."""

    def __init__(self, service: KinesisService) -> None:
        self.service = service
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()

    def _run(self, listening: socket.socket) -> None:
        config = ServerConfig()
        config.bind = [f"fd://{listening.detach()}"]  # hypercorn owns and closes it
        config.errorlog = None
        config.graceful_timeout = 0.2
        gateway: Any = Gateway(
            nothing_else,
            kinesis=self.service,
            functions=Absent(),
            mappings=Absent(),
            cloudformation=Absent(),
        )
        self._loop.run_until_complete(serve(gateway, config, shutdown_trigger=self._stop.wait, mode="asgi"))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self.service.close)
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def client(self, *, attempts: int = 1) -> KinesisClient:
        return boto3.client(
            "kinesis",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
        )

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Runs something in the server's loop and returns its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
