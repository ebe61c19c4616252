"""SHELL: PutRecords for a process that makes a thousand small calls a second: signed by botocore, sent by ourselves.

A call through botocore's client costs half a millisecond of CPU, and four threads that make such calls keep each other,
and the one with the schedule, waiting for the interpreter. All that differs between two of these calls is the body, the
signature and the request's own id. So botocore makes one call ahead, which is not sent: from it come the endpoint, the
headers and the signer, as its configuration, environment, profile and endpoint rules have them. From then on a call is
that request with another body, signed anew by botocore's signer with the credentials of the moment, and exchanged over
a kept connection. Errors are read by botocore's parser, and mean what they mean for every other call.

Whatever is not the usual (a proxy, a client certificate, TLS that is not verified, another signature than version 4, a
header that is not known here, a client of another kind) is left to botocore, all of it.

For the load generator only: of the client's hooks, these calls pass only those before sending (moto's, a test's).
"""

import json
import re
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError
from botocore.hooks import first_non_none_response
from botocore.httpsession import URLLib3Session, get_cert_path
from botocore.parsers import create_parser

from loadgen.sending.connection import Address, Answer, Connection
from processor.adapters.put_records import STAND_IN, STANDS_FOR_ALL, PutRecords, Tag, encoded
from processor.core.packing import Packed

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# The headers of a request that stay, and those that are its own.
CONSTANT = frozenset({"x-amz-target", "content-type", "user-agent"})
ITS_OWN = frozenset({
    "x-amz-date", "x-amz-security-token", "authorization", "amz-sdk-invocation-id", "amz-sdk-request", "content-length",
})  # fmt: skip
BEFORE_SEND = "before-send.kinesis.PutRecords"
DEFAULT_PORTS = {"http": 80, "https": 443}
# Any other path is quoted and shortened on its way into the request's first line.
PLAIN_PATH = re.compile(r"(/[a-zA-Z0-9_~-][a-zA-Z0-9._~-]*)*/?")
CONNECTS_BY = frozenset({"_proxy_config", "_verify", "_cert_file", "_key_file"})  # a botocore HTTP session


class Example(NamedTuple):
    """What two calls have in common. `before` and `after`: of the body, around the records."""

    address: Address
    path: str
    headers: Mapping[str, str]
    before: bytes
    after: bytes
    signer: Callable[[], Any]  # botocore's, with the credentials of the moment


class _NotSentError(Exception):
    """Ends the call that was made for its request only."""


class _Threads(threading.local):
    connection: Connection | None = None


class DirectPutRecords(PutRecords):
    """One PutRecords call, as `PutRecords`, in a fifth of the CPU time. Safe to call from several threads."""

    def __init__(
        self, client: "KinesisClient", stream_name: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(client, stream_name, clock=clock)
        self._example = example_of(client, stream_name) if isinstance(client, BaseClient) else None
        self._parser: Any = create_parser("json")
        self._threads = _Threads()

    @property
    def is_direct(self) -> bool:
        """Whether calls are sent from here; else botocore sends them."""
        return self._example is not None

    def prepare(self) -> None:
        """Connect this thread ahead of its first call. Never raises: a call that cannot connect says so."""
        if self._example is not None:
            with suppress(BotoCoreError, ValueError):  # ValueError: of a name that is none
                self._connection(self._example).open()

    def _connection(self, example: Example) -> Connection:
        if self._threads.connection is None:
            self._threads.connection = Connection(example.address)
        return self._threads.connection

    def _put(self, records: Sequence[Packed[Tag]]) -> Sequence[Any]:
        example = self._example
        if example is None:
            return super()._put(records)
        answer = self._sent(example, signed(example, b"".join((example.before, *encoded(records), example.after))))
        if answer.status >= 300:
            raise ClientError(self._error(answer), "PutRecords")
        answers: Sequence[Any] = json.loads(answer.body)["Records"]
        return answers

    def _sent(self, example: Example, request: AWSPreparedRequest) -> Answer:
        instead = first_non_none_response(self._client.meta.events.emit(BEFORE_SEND, request=request))
        if instead is not None:  # a hook has answered: moto, a test's sink
            return Answer(instead.status_code, {k.lower(): v for k, v in instead.headers.items()}, instead.content)
        connection = self._connection(example)
        connection.open()
        complete = written(example, request)
        self._note_sent()
        return connection.exchange(complete)

    def _error(self, answer: Answer) -> Any:
        parsed = self._parser.parse(
            {"status_code": answer.status, "headers": answer.headers, "body": answer.body}, None
        )
        metadata = {**parsed.get("ResponseMetadata", {}), "HTTPStatusCode": answer.status}
        return {"Error": parsed.get("Error", {}), "ResponseMetadata": metadata}


def signed(example: Example, body: bytes) -> AWSPreparedRequest:
    """Raises BotoCoreError when there are no credentials (any more)."""
    request = AWSRequest("POST", example.address.url, dict(example.headers), body)
    example.signer().add_auth(request)
    request.headers["amz-sdk-invocation-id"], request.headers["amz-sdk-request"] = str(uuid.uuid4()), "attempt=1"
    return request.prepare()


def written(example: Example, request: Any) -> bytes:
    """The request as it goes over the wire."""
    head = [f"POST {example.path} HTTP/1.1", *[f"{name}: {value}" for name, value in request.headers.items()]]
    head += ("Accept-Encoding: identity", "", "")
    return b"".join(("\r\n".join(head).encode(), request.body))


def example_of(client: Any, stream_name: str) -> Example | None:
    """What botocore makes of a call, which is not sent; None: botocore has to make every call itself."""
    requests: list[Any] = []
    signers: list[Callable[[], Any]] = []
    scopes: list[str] = []
    ours = threading.get_ident()

    def sign(request_signer: Any, signing_name: str, region_name: str, signature_version: Any, **_: object) -> None:
        if threading.get_ident() == ours:
            how = (signing_name, region_name, signature_version)
            scopes.append(f"/{region_name}/{signing_name}/aws4_request,")
            signers.append(lambda: request_signer.get_auth_instance(*how))

    def stop(request: Any, **_: object) -> None:
        if threading.get_ident() == ours:
            requests.append(request)
            raise _NotSentError

    events = client.meta.events
    events.register("before-sign.kinesis.PutRecords", sign)
    events.register_last("request-created", stop)  # behind the signature, before anybody takes it for a call
    try:
        client.put_records(StreamName=stream_name, Records=STANDS_FOR_ALL)
    except (_NotSentError, BotoCoreError):  # what is wrong every call will say
        pass
    finally:
        events.unregister("before-sign.kinesis.PutRecords", sign)
        events.unregister("request-created", stop)
    if not requests or not signers or scopes[-1] not in str(requests[-1].headers.get("Authorization")):
        return None  # not signed, or for another region than its signer says
    return _example(client, requests[-1], signers[-1])


def _example(client: Any, request: Any, signer: Callable[[], Any]) -> Example | None:
    parts = urlsplit(request.url)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    constant = {name: value for name, value in headers.items() if name.lower() in CONSTANT}
    unknown = {name for name in headers if name not in constant and name.lower() not in ITS_OWN}
    before, found, after = request.body.rpartition(STAND_IN) if isinstance(request.body, bytes) else (b"", b"", b"")
    address = _address(client, request.url)
    if unknown or not found or address is None or parts.query or not PLAIN_PATH.fullmatch(parts.path):
        return None
    if type(signer()) is not SigV4Auth:
        return None
    host = f"[{address.host}]" if ":" in address.host else address.host
    constant["Host"] = host if address.port == DEFAULT_PORTS[parts.scheme] else f"{host}:{address.port}"
    return Example(address, parts.path or "/", constant, before + b"[", b"]" + after, signer)


def _address(client: Any, url: str) -> Address | None:
    """None when botocore would do more than connect to it, and verify its certificate if it has one."""
    # The only place that says how this client connects. Of another botocore it may be another one.
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    told = vars(session) if type(session) is URLLib3Session else {}
    if not told.keys() >= CONNECTS_BY or told["_proxy_config"].proxy_url_for(url):
        return None
    parts, config, tls = urlsplit(url), client.meta.config, None
    if parts.scheme == "https":
        if not told["_verify"] or told["_cert_file"] or told["_key_file"]:
            return None
        try:
            tls = ssl.create_default_context(cafile=get_cert_path(told["_verify"]))
        except OSError:  # no such bundle, or none: every call will say it
            return None
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return Address(url, parts.hostname or "", port, tls, config.connect_timeout, config.read_timeout)
