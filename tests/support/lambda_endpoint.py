"""The local Lambda behind the gateway on an ephemeral loopback port, for unmodified boto3."""

import asyncio
import io
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from hypercorn.asyncio import serve
from hypercorn.config import Config as ServerConfig

from infra.local.functions import FunctionService
from infra.local.gateway import Gateway
from tests.support.beside_gateway import Absent, nothing_else
from tests.support.function_service import ACCOUNT, LIMIT_S, REGION

Value = TypeVar("Value")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/fn-role"


class LambdaEndpoint:
    """A FunctionService served from a thread of its own; `client` is boto3's, with a single attempt."""

    def __init__(self, service: FunctionService, listening: socket.socket) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()
        self.client: Any = boto3.client(
            "lambda",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20),
        )

    def _run(self, listening: socket.socket) -> None:
        config = ServerConfig()
        config.bind = [f"fd://{listening.detach()}"]  # hypercorn owns and closes it
        config.errorlog = None
        config.graceful_timeout = 0.2
        absent = Absent()
        gateway: Any = Gateway(
            nothing_else, kinesis=absent, functions=self.service, mappings=absent, cloudformation=absent
        )
        self.loop.run_until_complete(serve(gateway, config, shutdown_trigger=self._stop.wait, mode="asgi"))

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.service.stop(), self.loop).result(LIMIT_S)
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(LIMIT_S)
        self.loop.close()

    def ask(self, question: Callable[[FunctionService], Value]) -> Value:
        """Something of the service, looked at in its own loop."""

        async def answer() -> Value:
            return question(self.service)

        return asyncio.run_coroutine_threadsafe(answer(), self.loop).result(LIMIT_S)

    def create(self, name: str, source: str = "def handler(event, context): return event", **changes: Any) -> Any:
        """CreateFunction with the source as app.py."""
        request = {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped({"app.py": source})},
        }
        return self.client.create_function(**{**request, **changes})

    def refused(self, operation: str, **arguments: Any) -> tuple[int, str, str]:
        """Status, code and message of a call that must fail."""
        try:
            answer = getattr(self.client, operation)(**arguments)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return status, error.response["Error"]["Code"], error.response["Error"]["Message"]
        raise AssertionError(f"{operation} was not refused: {answer}")


@contextmanager
def lambda_endpoint(folder: Path, **options: Any) -> Iterator[LambdaEndpoint]:
    listening = socket.create_server(("127.0.0.1", 0))
    endpoint = LambdaEndpoint(FunctionService(ACCOUNT, REGION, folder / "data", **options), listening)
    try:
        yield endpoint
    finally:
        endpoint.stop()


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()
