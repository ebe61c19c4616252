"""A Kinesis endpoint over HTTP that only acknowledges PutRecords, and can be told to be slow, full, deaf or gone."""

import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from multiprocessing.connection import Connection
from typing import Any


class KinesisSink:
    """A context manager. `records` counts what was acknowledged.

    `answer(call number from 1, records asked for)` returns None to acknowledge all of them, or (HTTP status, document).
    `stalled`: no call is answered while it is set.
    """

    def __init__(self, answer: Callable[[int, int], tuple[int, dict[str, Any]] | None] = lambda _call, _asked: None):
        sink = self
        self.records = self.calls = 0
        self.stalled = threading.Event()
        self._numbers = count(10**55)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                sink._open.add(self.connection)

            def finish(self) -> None:
                sink._open.discard(self.connection)
                with suppress(OSError):
                    super().finish()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                while sink.stalled.is_set():
                    time.sleep(0.01)
                asked = body.count(b'"PartitionKey"')
                with sink._lock:
                    sink.calls += 1
                    told = answer(sink.calls, asked)
                    status, document = told or (200, sink._acknowledged(asked))
                payload = json.dumps(document).encode()
                head = (
                    f"HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-RequestId: sink\r\n"
                    f"Content-Length: {len(payload)}\r\n\r\n"
                )
                with suppress(OSError):  # the client has gone, or we have
                    self.wfile.write(head.encode() + payload)

            def log_message(self, *_: object) -> None:
                pass

        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    def _acknowledged(self, asked: int) -> dict[str, Any]:
        self.records += asked
        shard = "shardId-000000000000"
        return {
            "FailedRecordCount": 0,
            "Records": [{"ShardId": shard, "SequenceNumber": str(next(self._numbers))} for _ in range(asked)],
        }

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "KinesisSink":
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.stalled.clear()
        self.down()

    def up(self) -> None:
        """Listen, at the same address as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def in_own_process() -> Iterator[str]:
    """A sink whose work is not in this process's CPU time; yields its endpoint's URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # else its end would not be noticed
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join(2)
        if process.is_alive():
            process.kill()


def _serve(pipe: Connection) -> None:
    with KinesisSink() as sink:
        pipe.send(sink.endpoint_url)
        with suppress(EOFError):
            pipe.recv()
