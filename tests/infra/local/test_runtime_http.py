"""Requests of a runtime, read from bytes in any portions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local import runtime_http
from infra.local.runtime_http import BadRequestError, RequestReader, RuntimeRequest


def read(data: bytes, *, limit: int = 1_000, cuts: list[int] | None = None) -> list[RuntimeRequest]:
    """All requests in `data`, which arrives cut at `cuts`."""
    reader = RequestReader(limit)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    found = []
    for start, end in itertools.pairwise(places):
        reader.feed(data[start:end])
        while (request := reader.next_request()) is not None:
            found.append(request)
    return found


def by_length(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def in_chunks(path: str, chunks: list[bytes]) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%X;x=y\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: t\r\n\r\n"


BODIES = st.lists(
    st.one_of(
        st.binary(max_size=40).map(lambda body: (by_length("/a", body), body)),
        st.lists(st.binary(min_size=1, max_size=20), max_size=4).map(lambda c: (in_chunks("/a", c), b"".join(c))),
        st.just((b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"")),
    ),
    max_size=5,
)


@given(BODIES, st.lists(st.integers(0, 10_000), max_size=30))
def test_however_the_bytes_arrive_the_same_requests_are_read(
    requests: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    found = read(b"".join(raw for raw, _ in requests), cuts=cuts)
    assert [request.body for request in found] == [body for _, body in requests]
    assert all(request.path == "/a" and request.keep_alive for request in found)


@given(st.integers(0, 30), st.booleans(), st.lists(st.integers(0, 200), max_size=8))
def test_a_body_above_the_limit_is_counted_and_dropped_and_the_next_request_is_read(
    size: int, chunked: bool, cuts: list[int]
) -> None:
    body = b"x" * size
    raw = in_chunks("/a", [body[i : i + 7] for i in range(0, size, 7)]) if chunked else by_length("/a", body)
    first, second = read(raw + by_length("/b", b"ok"), limit=10, cuts=cuts)
    assert (first.body, first.size) == (body if size <= 10 else None, size)
    assert (second.path, second.body) == ("/b", b"ok")


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_no_bytes_raise_anything_but_a_bad_request(data: bytes, cuts: list[int]) -> None:
    for start in (b"", b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET /a HTTP/1.1\r\n"):
        try:
            read(start + data, cuts=cuts)
        except BadRequestError as bad:
            assert 400 <= bad.status < 500


@pytest.mark.parametrize(
    "head",
    [
        "GET /a",
        "GET a HTTP/1.1",
        "GET /a b HTTP/1.1",
        "G-T /a HTTP/1.1",
        "GET /a HTTP/2",
        "GET /a HTTP/1.1\r\nno colon",
        "GET /a HTTP/1.1\r\n folded: x",
        "GET /a HTTP/1.1\r\nname : x",
        "GET /a HTTP/1.1\r\nContent-Length: -1",
        "GET /a HTTP/1.1\r\nContent-Length: 1_0",
        "GET /a HTTP/1.1\r\nContent-Length: ²",
        "GET /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        "GET /a HTTP/1.1\r\nTransfer-Encoding: gzip",
        "GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
    ],
)
def test_what_is_not_http_is_a_bad_request(head: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        read(head.encode("latin-1") + b"\r\n\r\n")
    assert raised.value.status == 400


@pytest.mark.parametrize("chunk", [b"x\r\n", b"\r\n", b"1_0\r\n", b"fffffffff\r\n", b"1\r\nabc", b"a" * 2_000])
def test_what_is_no_chunk_is_a_bad_request(chunk: bytes) -> None:
    with pytest.raises(BadRequestError):
        read(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)


def test_heads_and_dropped_bodies_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_http, "HEAD_BYTES_MAX", 50)
    monkeypatch.setattr(runtime_http, "DROPPED_BYTES_MAX", 100)
    with pytest.raises(BadRequestError) as raised:
        read(b"GET /a HTTP/1.1\r\nx: " + b"y" * 100)
    assert raised.value.status == 431
    with pytest.raises(BadRequestError) as raised:
        read(b"GET /a HTTP/1.1\r\nContent-Length: 101\r\n\r\n")
    assert raised.value.status == 413
    with pytest.raises(BadRequestError) as raised:
        read(
            b"GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3c\r\n" + b"y" * 60 + b"\r\n3c\r\n" + b"y" * 60
        )
    assert raised.value.status == 413


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: Keep-Alive\r\n", True),
    ],
)
def test_a_connection_is_kept_as_http_says(version: str, connection: str, kept: bool) -> None:
    (request,) = read(f"GET /a HTTP/{version}\r\n{connection}\r\n".encode())
    assert request.keep_alive is kept
