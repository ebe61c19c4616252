"""PURE: shard iterators and next tokens: a position in text that a client hands back within five minutes.

Clients must not look inside. A checksum, not a secret, tells a token that was never given out from one that was.
"""

import binascii
import json
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from infra.model.shard import Position
from infra.model.stream_error import StreamError, invalid_argument

LIFETIME_MS = 300_000  # AWS: GetShardIterator, ListShards
_CHECKSUM_BYTES = 8


def seal(kind: str, values: list[str | int | float | None], now: float) -> str:
    """`kind` keeps tokens of one operation from being used in another."""
    content = json.dumps([kind, int(now * 1000), *values], separators=(",", ":")).encode()
    checksum = blake2b(content, digest_size=_CHECKSUM_BYTES).digest()
    return binascii.b2a_base64(checksum + content, newline=False).decode()


def unseal(kind: str, token: str) -> tuple[int, list[Any]]:
    """When the token was made (epoch ms) and its values; ValueError for anything that `seal` did not return."""
    raw = binascii.a2b_base64(token, strict_mode=True)
    checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if blake2b(content, digest_size=_CHECKSUM_BYTES).digest() != checksum:
        raise ValueError("the token was not made here")
    found, made_at_ms, *values = json.loads(content)
    if found != kind:
        raise ValueError(f"the token is one for {found}")
    return made_at_ms, values


def seal_iterator(stream_name: str, stream_created_at_s: float, position: Position, now: float) -> str:
    return seal("GetRecords", [stream_name, stream_created_at_s, position.shard_id, str(position.after)], now)


def unseal_iterator(token: str, now: float) -> tuple[str, float, Position]:
    """Stream name, the stream's creation time, position. ExpiredIteratorException after five minutes."""
    try:
        made_at_ms, (name, created_at_s, shard_id, after) = unseal("GetRecords", token)
    except ValueError:
        raise invalid_argument("Invalid ShardIterator.") from None
    now_ms = int(now * 1000)
    if now_ms - made_at_ms > LIFETIME_MS:
        raise StreamError(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {_utc(made_at_ms)} while right now it is "
            f"{_utc(now_ms)} which is further in the future than the tolerated delay of {LIFETIME_MS} milliseconds.",
        )
    return name, created_at_s, Position(shard_id, int(after))


def unseal_next(kind: str, token: str, now: float) -> list[Any]:
    """The values of a NextToken. ExpiredNextTokenException after five minutes."""
    try:
        made_at_ms, values = unseal(kind, token)
    except ValueError:
        raise invalid_argument("Invalid NextToken.") from None
    if int(now * 1000) - made_at_ms > LIFETIME_MS:
        raise StreamError("ExpiredNextTokenException", f"NextToken has expired: it lives {LIFETIME_MS // 1000} s.")
    return values


def _utc(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
