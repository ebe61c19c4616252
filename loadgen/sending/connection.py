"""SHELL: one kept HTTP/1.1 connection to an AWS endpoint, for one thread, and nothing around it.

What botocore's HTTP session does for each request beyond the two system calls that matter costs five times as much as
they do. What goes wrong is raised as botocore's own exceptions, by when it went wrong: whatever fails until the
connection is there was never sent, whatever fails afterwards may have been.
"""

import encodings.idna  # noqa: F401 - what looking up the first name imports, not while events are due
import select
import socket
import ssl
from http.client import HTTPException, HTTPResponse
from typing import NamedTuple

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

NOT_CONNECTED = (
    (TimeoutError, ConnectTimeoutError),
    (ssl.SSLError, SSLError),
    (OSError, EndpointConnectionError),
)


class Address(NamedTuple):
    """Where to, and on which terms. `tls` None: no TLS. `read_timeout_s`: without a byte."""

    url: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_timeout_s: float
    read_timeout_s: float


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Connection:
    """One request at a time. `open` first, which costs nothing while the connection stands; then `exchange`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._poll = select.poll()

    def open(self) -> None:
        """Connect, also when the peer has closed meanwhile what was open. Nothing of a request is sent.

        Raises EndpointConnectionError, ConnectTimeoutError, SSLError.
        """
        if self._socket is not None and self._poll.poll(0):  # nothing is asked, so all it can have to say is goodbye
            self.close()
        if self._socket is None:
            self._socket = self._connected()
            self._poll.register(self._socket, select.POLLIN)

    def exchange(self, request: bytes) -> Answer:
        """Send a complete request; its answer. Raises ConnectionClosedError and ReadTimeoutError: it may have arrived,
        and the connection is closed."""
        assert self._socket is not None, "open first"
        try:
            self._socket.sendall(request)
            with HTTPResponse(self._socket, method="POST") as response:
                response.begin()
                body = response.read()
                headers = {name.lower(): value for name, value in response.headers.items()}
                if response.will_close:
                    self.close()
                return Answer(response.status, headers, body)
        except TimeoutError as error:
            self.close()
            raise ReadTimeoutError(endpoint_url=self._address.url, error=error) from error
        except (OSError, HTTPException) as error:  # among them a cut answer, and what TLS finds wrong with it
            self.close()
            raise ConnectionClosedError(endpoint_url=self._address.url, error=error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._poll.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:  # its thread has ended
        self.close()

    def _connected(self) -> socket.socket:
        url, host, port, tls, connect_timeout_s, read_timeout_s = self._address
        connected: socket.socket | None = None
        try:
            connected = socket.create_connection((host, port), connect_timeout_s)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if tls is not None:
                connected = tls.wrap_socket(connected, server_hostname=host)
            connected.settimeout(read_timeout_s)
        except OSError as error:
            if connected is not None:
                connected.close()
            failed = next(ours for theirs, ours in NOT_CONNECTED if isinstance(error, theirs))
            raise failed(endpoint_url=url, error=error) from error
        return connected
