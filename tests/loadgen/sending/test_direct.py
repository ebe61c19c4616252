"""PutRecords sent over own connections: what the endpoint gets and what becomes of its answers is as through botocore.

The endpoint is a real one on loopback. Every way in which a call fails is tried with both, and held against each other.
"""

import datetime
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPMessage, parse_headers
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.session import Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto import mock_aws

from loadgen.sending.direct import DirectPutRecords
from processor.adapters.publisher import PutRecords
from processor.core.packing import Packed
from processor.core.resend import CallFailed, Entry, Reply, Written

SESSION: Any = Session()
ONE = [Packed("key", None, b"data", (1,), aggregated=False)]
WRITTEN = b'{"FailedRecordCount": 0, "Records": [{"ShardId": "s", "SequenceNumber": "1"}]}'

Request = tuple[HTTPMessage, bytes]
Behaviour = Callable[[socket.socket, "Peer"], bool]
"""What is done with a connection's next request; False: the connection ends."""


class Peer:
    """An endpoint that does the next of its behaviours with each request, the last one for ever."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.behaviours, self.tls = list(behaviours), tls
        self.requests: list[Request] = []
        self.connections = 0
        self.ended = threading.Semaphore(0)  # released when a connection has ended
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://localhost:{self.listener.getsockname()[1]}"

    def __enter__(self) -> "Peer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            while (self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0])(connection, self):
                pass
        except (OSError, ValueError):  # ValueError: the client went away instead of asking
            pass
        finally:
            connection.close()
            self.ended.release()

    def read(self, connection: socket.socket) -> Request:
        with connection.makefile("rb") as stream:
            if not stream.readline().startswith(b"POST / HTTP/1.1"):
                raise ValueError
            headers = parse_headers(stream)
            request = (headers, stream.read(int(headers["Content-Length"])))
        self.requests.append(request)
        return request


def answers(status: int = 200, body: bytes = WRITTEN, *headers: str, then_close: bool = False) -> Behaviour:
    def behave(connection: socket.socket, peer: Peer) -> bool:
        peer.read(connection)
        head = "\r\n".join([f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}", *headers, "", ""])
        connection.sendall(head.encode() + body)
        return not then_close

    return behave


def says(text: bytes) -> Behaviour:
    """Whatever this is, and nothing more."""

    def behave(connection: socket.socket, peer: Peer) -> bool:
        peer.read(connection)
        connection.sendall(text)
        return False

    return behave


def resets_before(connection: socket.socket, peer: Peer) -> bool:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def resets_after(connection: socket.socket, peer: Peer) -> bool:
    peer.read(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def stalls(connection: socket.socket, peer: Peer) -> bool:
    peer.read(connection)
    connection.recv(1)  # until the client hangs up
    return False


def client_of(url: str, *, read_timeout_s: float = 5.0, token: str | None = None, **settings: Any) -> Any:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout_s, **settings.pop("config", {}))
    secrets = {"aws_access_key_id": "AKID", "aws_secret_access_key": "secret", "aws_session_token": token}
    return SESSION.create_client("kinesis", "us-east-1", endpoint_url=url, config=config, **secrets, **settings)


def direct_to(url: str, **settings: Any) -> DirectPutRecords:
    put = DirectPutRecords(client_of(url, **settings), "events")
    assert put.is_direct
    return put


def put_one(put: PutRecords, records: Sequence[Packed[int]] = ONE) -> Reply:
    return put([Entry(record, 0.0, record.size) for record in records])


def test_a_request_is_botocores_but_for_what_is_its_own() -> None:
    records = [*ONE, Packed("ü\"'", "17", bytes(range(256)), (2,), aggregated=True)]
    with Peer(answers()) as peer:
        client = client_of(peer.url, token="session token")
        for put in (PutRecords(client, "events"), DirectPutRecords(client, "events")):
            put_one(put, records)
        (theirs, their_body), (ours, our_body) = peer.requests
    assert our_body == their_body
    own = {"X-Amz-Date", "Authorization", "amz-sdk-invocation-id"}
    assert {**ours, **dict.fromkeys(own)} == {**theirs, **dict.fromkeys(own)}
    assert ours["amz-sdk-invocation-id"] != theirs["amz-sdk-invocation-id"]
    assert ours["X-Amz-Security-Token"] == "session token"


def test_what_is_signed_is_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(answers()) as peer:
        put_one(direct_to(peer.url, token="session token"))
        ((headers, body),) = peer.requests
        at = datetime.datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: at)
        signed = headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        request = AWSRequest("POST", peer.url + "/", {name: headers[name] for name in signed}, body)
    SigV4Auth(Credentials("AKID", "secret", "session token"), "kinesis", "us-east-1").add_auth(request)
    assert request.headers["Authorization"] == headers["Authorization"]
    assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(signed)


def test_new_credentials_sign_the_next_call() -> None:
    with Peer(answers()) as peer:
        client = client_of(peer.url)
        put = DirectPutRecords(client, "events")
        put_one(put)
        client._request_signer._credentials = Credentials("ANOTHER", "secret")  # as when they are refreshed
        put_one(put)
    assert "Credential=AKID/" in peer.requests[0][0]["Authorization"]
    assert "Credential=ANOTHER/" in peer.requests[1][0]["Authorization"]


def test_making_it_sends_nothing_and_calls_share_a_connection() -> None:
    with Peer(answers()) as peer:
        put = direct_to(peer.url)
        assert peer.connections == 0
        put.prepare()
        assert [put_one(put) for _ in range(5)] == [[Written("s", "1")]] * 5
        assert (peer.connections, len(peer.requests)) == (1, 5)


def test_threads_do_not_share_a_connection() -> None:
    with Peer(answers()) as peer:
        put = direct_to(peer.url)
        together = threading.Barrier(3)
        replies: list[Reply] = []

        def call() -> None:
            together.wait(5)
            replies.extend(put_one(put) for _ in range(20))

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert replies == [[Written("s", "1")]] * 60
        assert peer.connections == 3


def test_a_connection_that_the_peer_closed_meanwhile_is_replaced_before_anything_is_sent() -> None:
    with Peer(answers(then_close=True)) as peer:
        put = direct_to(peer.url)
        for _ in range(5):
            assert put_one(put) == [Written("s", "1")]
            assert peer.ended.acquire(timeout=5)
        assert (peer.connections, len(peer.requests)) == (5, 5)


@pytest.mark.parametrize(
    "answer",
    [
        answers(200, WRITTEN, "Connection: close"),
        says(b"HTTP/1.0 200 OK\r\n\r\n" + WRITTEN),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(WRITTEN), WRITTEN)),
        says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(WRITTEN), WRITTEN)),
    ],
    ids=["closes", "without a length", "chunked", "continue"],
)
def test_every_form_of_an_answer_is_read_and_the_next_call_finds_a_connection(answer: Behaviour) -> None:
    with Peer(answer) as peer:
        put = direct_to(peer.url)
        for _ in range(2):
            assert put_one(put) == [Written("s", "1")]
            assert peer.ended.acquire(timeout=5)


FAILURES: dict[str, tuple[Behaviour, bool, bool]] = {  # transient, uncertain
    "reset before the request": (resets_before, True, True),
    "reset after the request": (resets_after, True, True),
    "closed without an answer": (says(b""), True, True),
    "stalled": (stalls, True, True),
    "cut in the head": (says(b"HTTP/1.1 200 OK\r\nContent-"), True, True),
    "cut in the body": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + WRITTEN[:50]), True, True),
    "cut in a chunk": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + WRITTEN[:9]), True, True),
    "no HTTP": (says(b"SSH-2.0-OpenSSH_9.9\r\n"), True, True),
    "not JSON": (answers(200, b"<html>"), True, True),
    "of another form": (answers(200, b'{"Records": null}'), True, True),
    "no shard": (answers(200, b'{"Records": [{"ShardId": null, "SequenceNumber": null}]}'), True, True),
    "an empty shard": (answers(200, b'{"Records": [{"ShardId": "", "SequenceNumber": ""}]}'), True, True),
    "half of a surrogate pair": (
        answers(200, b'{"Records": [{"ShardId": "\\ud800", "SequenceNumber": "1"}]}'),
        True,
        True,
    ),
    "nested too deeply": (answers(200, b"[" * 200_000), True, True),
    "an error nested too deeply": (answers(400, b"[" * 200_000), True, True),
    "for none of the records": (answers(200, b'{"Records": []}'), True, True),
    "503": (answers(503, b""), True, True),
    "502 as a page": (answers(502, b"<html>Bad Gateway</html>"), True, True),
    "500 of the service": (answers(500, b'{"__type": "InternalFailure", "message": "no"}'), True, True),
    "throttled": (answers(400, b'{"__type": "LimitExceededException", "message": "slow down"}'), True, False),
    "refused": (answers(400, b'{"__type": "com.amazonaws#AccessDeniedException", "Message": "no"}'), False, False),
    "a header's type": (answers(403, b"{}", "x-amzn-ErrorType: ExpiredTokenException:"), False, False),
    "moved": (answers(301, b"", "Location: http://127.0.0.1/"), False, False),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_means_what_it_means_through_botocore(failure: str) -> None:
    behaviour, transient, uncertain = FAILURES[failure]
    with Peer(behaviour) as peer:
        client = client_of(peer.url, read_timeout_s=0.1 if failure == "stalled" else 5.0)
        theirs, ours = (put_one(kind(client, "events")) for kind in (PutRecords, DirectPutRecords))
    assert isinstance(ours, CallFailed)
    assert isinstance(theirs, CallFailed)
    assert (ours.transient, ours.uncertain) == (theirs.transient, theirs.uncertain) == (transient, uncertain)
    cut = failure.startswith("cut in") and failure != "cut in the head"
    assert cut or ours.code == theirs.code  # botocore has another name for every place of a cut


def test_after_a_failure_the_next_call_has_a_connection_of_its_own() -> None:
    with Peer(answers(), resets_after, answers()) as peer:
        put = direct_to(peer.url)
        first, second, third = (put_one(put) for _ in range(3))
        assert (first, third) == ([Written("s", "1")], [Written("s", "1")])
        assert isinstance(second, CallFailed)
        assert (second.code, second.uncertain) == ("ConnectionClosedError", True)
        assert peer.connections == 2


def test_where_nobody_listens_nothing_can_have_been_written() -> None:
    peer = Peer(answers())
    url = peer.url
    peer.listener.close()
    put = direct_to(url)
    put.prepare()
    replies = [put_one(kind(client_of(url), "events")) for kind in (PutRecords, DirectPutRecords)]
    for reply in replies:
        assert isinstance(reply, CallFailed)
        assert (reply.code, reply.transient, reply.uncertain) == ("EndpointConnectionError", True, False)


def test_sent_is_when_the_connection_stands_and_the_request_is_complete() -> None:
    with Peer(answers()) as peer:
        seen: list[tuple[int, int]] = []

        def clock() -> float:
            seen.append((peer.connections, len(peer.requests)))
            return float(len(seen))

        put = DirectPutRecords(client_of(peer.url), "events", clock=clock)
        put.prepare()
        put_one(put)
        put_one(put)
        assert put.sent_s == 4.0
        assert seen[3] == (1, 1)  # twice a call: when it begins, and before its request leaves


# ------------------------------------------------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ssl.SSLContext]]:
    """A certificate of its own for `localhost`, and a server's context with it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, secret = folder / "bundle.pem", folder / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, unencrypted = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, unencrypted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, secret)
    yield bundle, context


def test_tls_is_verified_by_the_bundle_that_botocore_was_told(authority: tuple[Path, ssl.SSLContext]) -> None:
    bundle, context = authority
    with Peer(answers(), tls=context) as peer:
        put = direct_to(peer.url, verify=str(bundle))
        assert [put_one(put) for _ in range(3)] == [[Written("s", "1")]] * 3
        assert peer.connections == 1
        assert peer.requests[0][0]["Host"] == peer.url.removeprefix("https://")


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_does_not_hold_is_refused_before_anything_is_sent(
    wrong: str, authority: tuple[Path, ssl.SSLContext]
) -> None:
    bundle, context = authority
    with Peer(answers(), tls=context) as peer:
        url = peer.url.replace("localhost", "127.0.0.1") if wrong == "name" else peer.url
        verify = str(bundle) if wrong == "name" else None
        for kind in (PutRecords, DirectPutRecords):
            reply = put_one(kind(client_of(url, verify=verify), "events"))
            assert isinstance(reply, CallFailed)
            assert (reply.code, reply.transient, reply.uncertain) == ("SSLError", True, False)
        assert not peer.requests


# ------------------------------------------------------------------------------------------- what is left to botocore


@pytest.mark.parametrize(
    "settings",
    [
        {"verify": False},
        {"verify": "/nowhere/bundle.pem"},
        {"config": {"client_cert": "/nowhere/certificate.pem"}},
        {"config": {"proxies": {"https": "http://127.0.0.1:9"}}},
        {"config": {"signature_version": "bearer"}},
    ],
    ids=["not verified", "no such bundle", "client certificate", "proxy", "another signature"],
)
def test_what_is_not_the_usual_is_left_to_botocore(settings: dict[str, Any]) -> None:
    assert not DirectPutRecords(client_of("https://127.0.0.1:9", **settings), "events").is_direct


@pytest.mark.parametrize("path", ["/a b", "/a%20b", "/a/../b", "/./a", "//a", "/\u00fc", "/a;b"])
def test_a_path_that_has_to_be_quoted_or_shortened_is_left_to_botocore(path: str) -> None:
    assert not DirectPutRecords(client_of(f"http://127.0.0.1:9{path}"), "events").is_direct


@pytest.mark.parametrize("path", ["", "/", "/a", "/a/", "/a-b/c.d_e~f"])
def test_a_plain_path_is_not(path: str) -> None:
    assert DirectPutRecords(client_of(f"http://127.0.0.1:9{path}"), "events").is_direct


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert not DirectPutRecords(client_of("http://kinesis.invalid"), "events").is_direct
    monkeypatch.setenv("NO_PROXY", "kinesis.invalid")
    assert DirectPutRecords(client_of("http://kinesis.invalid"), "events").is_direct


def test_a_header_that_is_not_known_here_leaves_every_call_to_botocore() -> None:
    with Peer(answers()) as peer:
        client = client_of(peer.url)
        traced = "request-created.kinesis.PutRecords"
        client.meta.events.register(traced, lambda request, **_: request.headers.add_header("X-Amzn-Trace-Id", "1"))
        put = DirectPutRecords(client, "events")
        assert not put.is_direct
        put.prepare()
        assert put_one(put) == [Written("s", "1")]
        assert peer.requests[0][0]["X-Amzn-Trace-Id"] == "1"


def test_who_wants_to_see_requests_before_they_are_sent_sees_every_call_and_no_other() -> None:
    with Peer(answers()) as peer:
        client = client_of(peer.url)
        seen: list[bytes] = []
        client.meta.events.register("before-send.kinesis.PutRecords", lambda request, **_: seen.append(request.body))
        put = DirectPutRecords(client, "events")
        assert put.is_direct
        assert seen == []
        assert put_one(put) == [Written("s", "1")]
        assert seen == [peer.requests[0][1]]


def test_moto_gets_what_is_put_and_nothing_else() -> None:
    with mock_aws():
        client: Any = boto3.client("kinesis", "us-east-1")
        client.create_stream(StreamName="events", ShardCount=1)
        put = DirectPutRecords(client, "events")
        assert put.is_direct
        reply: Any = put_one(put)
        ((shard_id, number),) = reply
        at = {"ShardId": shard_id, "ShardIteratorType": "TRIM_HORIZON"}
        found = client.get_records(ShardIterator=client.get_shard_iterator(StreamName="events", **at)["ShardIterator"])
        assert [(record["SequenceNumber"], record["Data"]) for record in found["Records"]] == [(number, b"data")]


def test_without_credentials_every_call_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of("http://127.0.0.1:9")
    monkeypatch.setattr(client._request_signer, "_credentials", None)
    put = DirectPutRecords(client, "events")
    assert not put.is_direct
    reply = put_one(put)
    assert isinstance(reply, CallFailed)
    assert (reply.code, reply.transient, reply.uncertain) == ("NoCredentialsError", False, False)


def test_other_calls_of_the_same_client_are_left_alone() -> None:
    with Peer(answers()) as peer:
        client = client_of(peer.url)
        direct_to_peer = DirectPutRecords(client, "events")
        answer = client.put_records(StreamName="other", Records=[{"PartitionKey": "a", "Data": b"b"}])
        assert direct_to_peer.is_direct
        assert answer["FailedRecordCount"] == 0
        assert json.loads(peer.requests[0][1])["StreamName"] == "other"
