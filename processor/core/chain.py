"""PURE: the stored form of a chain of pages, and what an environment knows of one. pages.py says why that is enough."""

from collections.abc import Collection
from functools import lru_cache

from processor.core.sizes import WRITE_UNIT_BYTES, value_bytes

SEALED_AT = 32
"""A page with this many identities takes no more. It is part of the stored format: a change breaks rule 2."""

IDENTITY_BYTES = 11
"""Length of a digest (64 bits in base64url without padding)."""

LAST_PAGE = 99_999
"""Page suffixes have five digits, so that sort keys sort by number."""


class ForeignItem(Exception):  # noqa: N818  # named for what was found, like the other outcomes
    """The table holds something else under a page's key: rules give one key to different kinds of effects."""


class ChainFull(Exception):  # noqa: N818  # named for what was found, like the other outcomes
    """The chain has used its last page number (more than three million identities of one key in one window)."""


def page_key(window: str, number: int) -> str:
    """The sort key of page `number` of a window; page 0 has the window's own."""
    if number > LAST_PAGE:
        raise ChainFull(f"a window has no page after number {LAST_PAGE}: choose a shorter window or a finer key")
    return f"{window}#{number:05d}" if number else window


def capacity(pk: str, window: str, names: Collection[str]) -> int:
    """How many identities fit one write unit beside a page's own overhead; at least SEALED_AT.

    Counts one byte more per identity than documented for strings, should a set be charged like a list, and 12 bytes
    (22 digits) for a sum. The window's key is counted with a page number.
    """
    overhead = 30 + value_bytes(pk) + value_bytes(window) + _sums_bytes(frozenset(names))
    return max(SEALED_AT, (WRITE_UNIT_BYTES - overhead) // (IDENTITY_BYTES + 1))


@lru_cache(maxsize=256)  # the rules name the same few amounts in every event
def _sums_bytes(names: frozenset[str]) -> int:
    return sum(12 + value_bytes(name) for name in names)


class Page:
    """What a writer knows of the open page: `known` is a subset of its identities, `names` of its amounts."""

    __slots__ = ("known", "names")

    def __init__(self, known: set[str], names: set[str]) -> None:
        self.known = known
        self.names = names


class Chain:
    """What an environment knows of one chain. Only ever true statements, so it may be kept, or forgotten, at any time.

    `sealed`: every identity of the pages before `number`. `page`: the page `number` if it is known to exist.
    `unread`: pages from `number` on are known to have been written by others and should be read first.
    """

    __slots__ = ("number", "page", "sealed", "unread")

    def __init__(self) -> None:
        self.sealed: set[str] = set()
        self.number = 0
        self.page: Page | None = None
        self.unread = False

    def __len__(self) -> int:
        return len(self.sealed) + (len(self.page.known) if self.page else 0)

    def seal(self) -> None:
        """The open page is complete in `page.known` and sealed: go on to the next one."""
        assert self.page is not None
        self.sealed |= self.page.known
        self.number += 1
        self.page = None

    def forget(self) -> None:
        """Start again from nothing, by reading."""
        self.sealed = set()
        self.number = 0
        self.page = None
        self.unread = True
