"""PURE: the items that an event's `Record` and `Latest` effects must leave, and what of them was found.

Of contents only a digest is kept. An item has no list of the events it came from: that an event was processed is proven
by the item being as it must read, and a value that a newer one replaced has left no trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from loadgen.offer.identities import Identities
from processor.core.effects import Scalar

ItemKey: TypeAlias = tuple[str, str]
Version: TypeAlias = int | str | Decimal | None
EXACT = Context(prec=200)
CONTENT_BYTES = 16


class Item(NamedTuple):
    """One item as an event wants it, or as the table has it. `version`: of a Latest; None: a Record."""

    pk: str
    sk: str
    content: bytes
    version: Version = None


def content_of(attributes: Mapping[str, Scalar]) -> bytes:
    """A digest of the attributes; numbers that are equal count as equal however they are written."""
    digest = blake2b(digest_size=CONTENT_BYTES)
    for name in sorted(attributes):
        value = attributes[name]
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        text = repr(EXACT.normalize(EXACT.add(Decimal(value), 0)).as_tuple() if is_number else value)  # type: ignore[arg-type]  # a number
        digest.update(f"{name}={text}\0".encode("utf-8", "backslashreplace"))
    return digest.digest()


class ItemCheck(NamedTuple):
    """One item held against the table. `missing`: identities of which it must show more than it does.

    `different`: it reads as none of what was sent makes it. `before`: it reads as it did before the load.
    """

    missing: frozenset[str]
    different: bool = False
    before: bool = False

    @property
    def complete(self) -> bool:
        return not self.missing and not self.different


@dataclass(slots=True)
class ExpectedItem:
    """What acknowledged events want at one key. Of several `Record` the first write wins, so any may be there; of a
    `Latest` the highest version, and of equal versions any.

    `deciding`: identities that want what may be there; `older`: of a Latest, all the others.
    """

    version: Version = None
    contents: set[bytes] = field(default_factory=set)
    deciding: set[str] = field(default_factory=set)
    older: Identities | None = None
    unknown: set[tuple[Version, bytes]] = field(default_factory=set)

    def take(self, identity: str, item: Item) -> None:
        """An acknowledged event wants this."""
        if self.deciding and is_newer(item.version, self.version):
            for replaced in self.deciding - {identity}:
                self._keep_older(replaced)
            self.contents.clear()
            self.deciding.clear()
        elif self.deciding and item.version != self.version:
            self._keep_older(identity)
            return
        self.version = item.version
        self.contents.add(item.content)
        self.deciding.add(identity)

    def _keep_older(self, identity: str) -> None:
        if self.older is None:
            self.older = Identities()
        self.older.add(identity)

    def absorb(self, other: "ExpectedItem") -> None:
        """What another sender's events want at the same key."""
        self.unknown |= other.unknown
        for identity in other.older or ():
            self._keep_older(identity)
        if other.deciding and (not self.deciding or is_newer(other.version, self.version)):
            for replaced in self.deciding:
                self._keep_older(replaced)
            self.version, self.contents, self.deciding = other.version, set(other.contents), set(other.deciding)
        elif other.version == self.version:
            self.contents |= other.contents
            self.deciding |= other.deciding
        else:
            for identity in other.deciding:
                self._keep_older(identity)

    def check(self, found: Item | None, before: Item | None) -> ItemCheck:
        """`before`: what was there before the load, None: nothing, or it was not looked for."""
        if found is None:
            return ItemCheck(frozenset((*self.deciding, *(self.older or ()))))
        if found == before and (not self.deciding or not is_newer(self.version, found.version)):
            return ItemCheck(frozenset(), before=True)
        if (found.version, found.content) in self.unknown and not is_newer(self.version, found.version):
            return ItemCheck(frozenset())
        if self.deciding and found.version == self.version and not _stays(before, found.version):
            return ItemCheck(frozenset(), different=found.content not in self.contents)
        if self.deciding and is_newer(self.version, found.version):
            return ItemCheck(frozenset(self.deciding))
        return ItemCheck(frozenset(), different=True)


def _stays(before: Item | None, version: Version) -> bool:
    """What was there before has this version already: the first write stays."""
    return before is not None and before.version == version


def is_newer(one: Version, other: Version) -> bool:
    """Whether a Latest's version replaces another; versions of two types replace nothing, like a Record's None."""
    if isinstance(one, str) and isinstance(other, str):
        return one > other
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return one > other
    return False
