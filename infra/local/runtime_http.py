"""SHELL: HTTP/1.1 as far as a Lambda runtime speaks it: bodies by length or in chunks, on a kept connection.

`RequestReader` is fed bytes and gives whole requests. A body above the limit is read to its end and dropped, so that
the sender can be told 413 on the same connection instead of losing it while it still writes.
"""

from dataclasses import dataclass

HEAD_BYTES_MAX = 1_179_648  # runtimes put their stack traces, up to 1 MiB, into a header of /error
DROPPED_BYTES_MAX = 268_435_456  # what is read only to be dropped, before the connection is given up
_CHUNK_HEAD_BYTES_MAX = 1_024


class BadRequestError(Exception):
    """What came is not a request that can be answered on; the connection ends after `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RuntimeRequest:
    """`headers` have lower-case names. `body` is None when it had more bytes than the limit; `size` counts them."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    size: int
    keep_alive: bool


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[0].isalpha() or not parts[1].startswith("/") or parts[2][:7] != "HTTP/1.":
        raise BadRequestError(400, "the request line is not `METHOD /path HTTP/1.1`")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "a header line is not `name: value`")
        name, value = name.lower(), value.strip()
        if headers.setdefault(name, value) != value and name in ("content-length", "transfer-encoding"):
            raise BadRequestError(400, f"two different {name} headers")
    return parts[0], parts[1], parts[2], headers


class RequestReader:
    """`feed` bytes, then call `next_request` until it gives None. After BadRequestError nothing more may be fed."""

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._buffer = bytearray()
        self._head: tuple[str, str, str, dict[str, str]] | None = None
        self._scanned = 0  # of the buffer, searched for the end of the head
        self._body = bytearray()
        self._size = 0
        self._left = 0  # of the body, or of the current chunk
        self._chunked = False
        self._chunk_open = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def continue_wanted(self) -> bool:
        """The sender waits for `100 Continue` before it sends the body."""
        return self._head is not None and self._head[3].get("expect", "").lower() == "100-continue" and not self._size

    def next_request(self) -> RuntimeRequest | None:
        if self._head is None and not self._read_head():
            return None
        assert self._head is not None
        whole = self._read_chunks() if self._chunked else self._read_exactly()
        if not whole:
            return None
        method, path, version, headers = self._head
        connection = headers.get("connection", "").lower()
        keep_alive = connection == "keep-alive" if version == "HTTP/1.0" else connection != "close"
        body = bytes(self._body) if self._size <= self._body_bytes_max else None
        request = RuntimeRequest(method, path, headers, body, self._size, keep_alive)
        self._head, self._body, self._size, self._scanned = None, bytearray(), 0, 0
        return request

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end > HEAD_BYTES_MAX or (end < 0 and len(self._buffer) > HEAD_BYTES_MAX):
            raise BadRequestError(431, f"the headers have more than {HEAD_BYTES_MAX} bytes")
        if end < 0:
            self._scanned = len(self._buffer)
            return False
        self._head = _parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        headers = self._head[3]
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length", "0")
        if coding is not None and (coding.lower() != "chunked" or "content-length" in headers):
            raise BadRequestError(400, "transfer-encoding must be chunked, without a content-length")
        if not (length.isascii() and length.isdigit()):
            raise BadRequestError(400, "content-length is not a number")
        self._chunked, self._chunk_open, self._left = coding is not None, False, int(length)
        if self._left > DROPPED_BYTES_MAX:
            raise BadRequestError(413, f"the body has more than {DROPPED_BYTES_MAX} bytes")
        return True

    def _read_exactly(self) -> bool:
        taken = min(self._left, len(self._buffer))
        if taken:
            self._size += taken
            self._left -= taken
            if self._size + self._left <= self._body_bytes_max:
                self._body += self._buffer[:taken] if taken < len(self._buffer) else self._buffer
            else:
                self._body.clear()
            if self._size > DROPPED_BYTES_MAX:
                raise BadRequestError(413, f"the body has more than {DROPPED_BYTES_MAX} bytes")
            del self._buffer[:taken]
        return self._left == 0

    def _read_chunks(self) -> bool:
        while True:
            if self._chunk_open:
                if not self._read_exactly() or len(self._buffer) < 2:
                    return False
                if self._buffer[:2] != b"\r\n":
                    raise BadRequestError(400, "a chunk does not end with its line")
                del self._buffer[:2]
                self._chunk_open = False
            line_end = self._buffer.find(b"\r\n")
            if line_end < 0:
                if len(self._buffer) > _CHUNK_HEAD_BYTES_MAX:
                    raise BadRequestError(400, "the size line of a chunk is too long")
                return False
            size = self._chunk_size(bytes(self._buffer[:line_end]))
            if size == 0:
                return self._read_trailer(line_end + 2)
            del self._buffer[: line_end + 2]
            self._left, self._chunk_open = size, True

    def _chunk_size(self, line: bytes) -> int:
        digits = line.partition(b";")[0].strip()
        if not 0 < len(digits) <= 8 or any(digit not in b"0123456789abcdefABCDEF" for digit in digits):
            raise BadRequestError(400, "the size of a chunk is not hexadecimal")
        return int(digits, 16)

    def _read_trailer(self, start: int) -> bool:
        """Trailer fields are read and forgotten. The size line stays in the buffer until all is there."""
        if self._buffer[start : start + 2] == b"\r\n":
            del self._buffer[: start + 2]
            return True
        end = self._buffer.find(b"\r\n\r\n", start)
        if end < 0:
            if len(self._buffer) > HEAD_BYTES_MAX:
                raise BadRequestError(431, "the trailer is too long")
            return False
        del self._buffer[: end + 4]
        return True
