"""PURE: a set of event identities in eight bytes each, because a load of ten minutes has millions of them.

An identity is a 64-bit digest as 11 base64url characters (`processor.core.events.digest`). New ones are kept in a
small set, and go from there into sorted arrays that are merged when they are of similar size, so that each is moved a
logarithmic number of times. Text that is no such digest is kept as it is.
"""

import sys
from array import array
from base64 import urlsafe_b64encode
from binascii import Error, a2b_base64
from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableSet

RECENT_MAX = 64  # a load has a thousand windows with a set each, and an entry of a Python set is ten times an array's
LAST_CHARACTERS = frozenset("AEIMQUYcgkosw048")  # the others would say bits beyond the 64th
DIGEST_CHARACTERS = 11
SORTED_TOGETHER = 65_536  # numbers; while they are sorted each needs 40 bytes
FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")  # the plain alphabet's own two are none of ours


def number_of(identity: str) -> int | None:
    """The digest as a number; None: it is no digest."""
    if len(identity) != DIGEST_CHARACTERS or identity[-1] not in LAST_CHARACTERS:
        return None
    try:
        return int.from_bytes(a2b_base64(identity.encode("ascii").translate(FROM_URL_SAFE) + b"=", strict_mode=True))
    except (Error, ValueError):
        return None


def text_of(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(8)).decode()[:DIGEST_CHARACTERS]


class Identities(MutableSet[str]):
    """A set of texts; what is asked for and iterated over are the texts. Nothing is ever taken out."""

    __slots__ = ("_arrays", "_others", "_recent", "_size", "_unsorted")

    def __init__(self, identities: Iterable[str] = ()) -> None:
        self._recent: set[int] = set()
        self._arrays: list[array[int]] = []
        self._unsorted: list[array[int]] = []
        self._others: set[str] = set()
        self._size = 0
        for identity in identities:
            self.add(identity)

    @classmethod
    def _from_iterable(cls, identities: Iterable[str]) -> "Identities":  # type: ignore[override]  # texts, not any S
        return cls(identities)

    def __contains__(self, identity: object) -> bool:
        if not isinstance(identity, str):
            return False
        number = number_of(identity)
        return identity in self._others if number is None else self._has(number)

    def add_numbers(self, numbers: bytes | bytearray) -> None:
        """Add many digests, 8 bytes each, big endian, of which none is there yet and none comes twice."""
        added = array("Q")
        added.frombytes(numbers)
        if sys.byteorder == "little":
            added.byteswap()
        self._unsorted.append(added)
        self._size += len(added)

    def _has(self, number: int) -> bool:
        if number in self._recent:
            return True
        if self._unsorted:
            self._sort()
        for kept in self._arrays:
            place = bisect_left(kept, number)
            if place < len(kept) and kept[place] == number:
                return True
        return False

    def add(self, value: str) -> None:
        self.add_new(value)

    def add_new(self, identity: str) -> bool:
        """Whether it was not there yet."""
        number = number_of(identity)
        if number is None:
            is_new = identity not in self._others
            self._others.add(identity)
            return is_new
        if self._has(number):
            return False
        self._recent.add(number)
        self._size += 1
        if len(self._recent) >= RECENT_MAX:
            self._keep()
        return True

    def _keep(self) -> None:
        newest = array("Q", sorted(self._recent))
        self._recent = set()
        while self._arrays and len(self._arrays[-1]) <= 2 * len(newest):
            newest = array("Q", sorted((*self._arrays.pop(), *newest)))
        self._arrays.append(newest)

    def _sort(self) -> None:
        for added in self._unsorted:
            for first in range(0, len(added), SORTED_TOGETHER):
                self._arrays.append(array("Q", sorted(added[first : first + SORTED_TOGETHER])))
        self._unsorted.clear()

    def absorb(self, other: "Identities") -> None:
        """Add all of another set that has none of ours."""
        self._arrays += other._arrays
        self._unsorted += other._unsorted
        self._recent |= other._recent
        self._others |= other._others
        self._size += other._size
        if len(self._recent) >= RECENT_MAX:
            self._keep()

    def discard(self, value: str) -> None:
        raise NotImplementedError("an acknowledged event stays acknowledged")

    def __len__(self) -> int:
        return self._size + len(self._others)

    def __iter__(self) -> Iterator[str]:
        for kept in (*self._arrays, *self._unsorted, self._recent):
            yield from map(text_of, kept)
        yield from self._others
