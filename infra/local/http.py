"""SHELL: one HTTP request and response, as the endpoint hands them to the service that answers."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` have lower-case names; `path` and `query` are decoded; `body` is the raw bytes.

    Of a name that the query has more than once, `query` has the last value, and `all_of` every one.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    query_string: str = ""

    def all_of(self, name: str) -> list[str]:
        found = parse_qsl(self.query_string, keep_blank_values=True)
        return [value for each, value in found if each == name]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; `headers` must not contain content-length (the endpoint adds it).

    With `chunks` it is one whose body comes in pieces over time, after `body`. The endpoint closes them when the client
    has gone.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: AsyncGenerator[bytes, None] | None = None
