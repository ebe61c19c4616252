"""SHELL: the framing `application/vnd.amazon.eventstream`: messages with typed headers and two checksums.

    total length (4) | headers length (4) | CRC-32 of these (4) | headers | payload | CRC-32 of all before it (4)

A header is: length of its name (1), name, type of its value (1; 7 is a string), length of the value (2), value.
(AWS: "Amazon event stream encoding".)
"""

import struct
from collections.abc import Mapping
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def event(event_type: str, payload: bytes, content_type: str) -> bytes:
    """A message of kind event. The first one of a response is called `initial-response`."""
    return message({":event-type": event_type, ":content-type": content_type, ":message-type": "event"}, payload)


def exception(exception_type: str, payload: bytes, content_type: str) -> bytes:
    """A message that ends the stream with an error of the API."""
    headers = {":exception-type": exception_type, ":content-type": content_type, ":message-type": "exception"}
    return message(headers, payload)


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    block = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", len(block) + len(payload) + 16, len(block))
    body = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return body + struct.pack(">I", crc32(body))
