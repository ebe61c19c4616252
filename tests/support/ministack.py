"""ministack's services over the wire, for tests: `with serve() as stack: stack.client("dynamodb")`.

ministack runs in a child process under hypercorn on an ephemeral loopback port, so that a test's own process can be
measured, crashed or blocked without touching it. State lives in that process only and ends with it.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import Session, get_session

REGION = "us-east-1"
KEY = "test"


@dataclass(frozen=True)
class Ministack:
    """A running ministack and how to reach it."""

    endpoint_url: str
    pid: int

    def client(self, service: str, config: Config | None = None) -> Any:
        """A new client of `service`; every client is independent."""
        return _session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            config=config,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
        )

    def environment(self) -> dict[str, str]:
        """Environment variables under which clients made without arguments talk to this ministack."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }


@cache
def _session() -> Session:
    """One for all: every new session reads the endpoint data and the service models again."""
    return get_session()


@contextmanager
def serve() -> Iterator[Ministack]:
    """Start ministack, wait until it answers, and end it (by its pid) on leaving."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))
        }
        environment |= {"GATEWAY_PORT": str(port), "MINISTACK_REGION": REGION, "LOG_LEVEL": "WARNING"}
        # The child inherits the listening socket: the port is taken before the child exists, and a connection made
        # while it is still starting waits instead of failing.
        child = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).resolve()), str(listener.fileno())],  # -P: not this folder first
            env=environment,
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
        )
    try:
        stack = Ministack(f"http://127.0.0.1:{port}", child.pid)
        stack.client("dynamodb", Config(read_timeout=30, retries={"total_max_attempts": 1})).list_tables()
        yield stack
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _main(descriptor: int) -> None:
    import asyncio

    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config as HypercornConfig
    from ministack.app import app

    config = HypercornConfig()
    config.bind = [f"fd://{descriptor}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 60
    asyncio.run(hypercorn_serve(app, config))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
