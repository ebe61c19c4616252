"""PURE: the event envelope (CloudEvents 1.0, JSON) and every limit on it."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any, NamedTuple

MEASURE_INTEGER_DIGITS = 20
MEASURE_FRACTION_DIGITS = 15


class Event(NamedTuple):
    """One well-formed event. `time` is as sent, `time_s` whole epoch seconds (floor), `digest` the identity."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    time_s: int
    data: dict[str, Any]
    digest: str


def digest(source: str, id: str) -> str:  # noqa: A002 - CloudEvents' own name
    """Return the identity of an event: 64 bits of BLAKE2b as 11 base64url characters."""
    encoded = source.encode()
    hashed = hashlib.blake2b(len(encoded).to_bytes(4, "big") + encoded + id.encode(), digest_size=8).digest()
    return urlsafe_b64encode(hashed)[:11].decode()


def parse(data: bytes) -> Event:
    """Return the event in `data`; raise Malformed with the reason why there is none."""
    raise NotImplementedError
