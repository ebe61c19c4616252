"""PURE: request ids and object names: UUIDs from a seed and a counter, the same again for the same seed."""

from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID


@dataclass(slots=True)
class RequestIds:
    """Call it for the next id. Ids of two seeds do not meet: whoever needs new ones takes a new seed."""

    seed: str
    issued: int = 0

    def __call__(self) -> str:
        self.issued += 1
        digest = blake2b(f"{self.seed}/{self.issued}".encode(), digest_size=16).digest()
        return str(UUID(bytes=digest, version=4))
