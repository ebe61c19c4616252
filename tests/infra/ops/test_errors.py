"""What stands between us and an endpoint is said as what it is, with what to do about it."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.ops.errors import ENVIRONMENT, CommandError, explained

HELLO = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def endpoint(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Its port. It answers whatever comes with a refusal in plain HTTP, or takes part in TLS and no further."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with suppress(OSError):
                        if tls is not None:
                            connection = tls.wrap_socket(connection, server_side=True)
                        connection.recv(1000)
                        connection.sendall(HELLO)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def certificate(folder: Path, days: int) -> tuple[Path, ssl.SSLContext]:
    """One for `localhost` that holds until in so many days, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, secret = folder / f"bundle-{days}.pem", folder / "key.pem"
    bundle.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, unencrypted = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, unencrypted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, secret)
    return bundle, context


def said(url: str, verify: Path | None = None) -> str:
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5)
    client = boto3.client(
        "cloudformation",
        "us-east-1",
        endpoint_url=url,
        config=once,
        verify=None if verify is None else str(verify),
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    with pytest.raises(CommandError) as raised, explained(url):
        client.describe_stacks()
    assert raised.value.exit_status == ENVIRONMENT
    assert str(raised.value).startswith(url)
    return str(raised.value).removeprefix(url)


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    with endpoint(certificate(tmp_path, 9)[1]) as port:
        text = said(f"https://localhost:{port}")
    assert text.startswith(": its certificate is not trusted: self")  # OpenSSL: self-signed, or self signed
    assert "AWS_CA_BUNDLE" in text


def test_a_certificate_of_another_name_is_said_with_both(tmp_path: Path) -> None:
    bundle, tls = certificate(tmp_path, 9)
    with endpoint(tls) as port:
        text = said(f"https://127.0.0.1:{port}", bundle)
    assert text.startswith(": its certificate is for another name: ")
    assert "127.0.0.1" in text


def test_a_certificate_that_has_expired_is_to_be_renewed(tmp_path: Path) -> None:
    bundle, tls = certificate(tmp_path, -1)
    with endpoint(tls) as port:
        text = said(f"https://localhost:{port}", bundle)
    assert text.startswith(": its certificate does not hold at this time: certificate has expired")


@pytest.mark.parametrize("bundle", ["none.pem", "folder"])
def test_a_bundle_that_is_not_there_is_named_by_who_names_it(tmp_path: Path, bundle: str) -> None:
    (tmp_path / "folder").mkdir()
    with endpoint(certificate(tmp_path, 9)[1]) as port:
        text = said(f"https://localhost:{port}", tmp_path / bundle)
    assert text.startswith(": the bundle of certificates that AWS_CA_BUNDLE")
    assert "cannot be read: " in text


def test_a_bundle_without_a_certificate_is_said(tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text("nothing")
    with endpoint(certificate(tmp_path, 9)[1]) as port:
        assert "has no certificate in it" in said(f"https://localhost:{port}", tmp_path / "bundle.pem")


def test_plain_http_on_a_port_of_tls_says_to_use_https(tmp_path: Path) -> None:
    with endpoint(certificate(tmp_path, 9)[1]) as port:
        assert "if that port speaks TLS, use https://" in said(f"http://localhost:{port}")


def test_tls_on_a_port_of_plain_http_says_to_use_http() -> None:
    with endpoint() as port:
        text = said(f"https://localhost:{port}")
    assert text.startswith(": no TLS there: ")
    assert text.endswith("use http://")


def test_where_nobody_listens_nobody_answers() -> None:
    with endpoint() as port:
        pass
    assert said(f"http://localhost:{port}").startswith(" does not answer: is `infra up` running there?")
