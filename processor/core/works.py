"""PURE: the other things a commit brings into a table: items written once, and latest values.

Like `pages.PageWriter` each is asked for its next statement and told the outcome, until it has nothing to ask.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from processor.core.chain import ForeignItem
from processor.core.sizes import item_bytes, write_units
from processor.core.statements import Insert, Outcome, ReadPages, Replace, Statement, Table, Value, shape_of

if TYPE_CHECKING:
    from processor.core.plan import ItemWrite


class Work(Protocol):
    """Something to be brought into a table by statements that may be repeated."""

    @property
    def steps_left(self) -> int:
        """Roughly how many more statements it needs, one after the other."""
        ...

    @property
    def conflicts(self) -> int:
        """How many times in a row the table held something else than expected."""
        ...

    def ask(self) -> Statement | ReadPages | None:
        """The next statement, or None when all is in the table."""
        ...

    def answer(self, outcome: Outcome) -> bool:
        """Take an outcome that decides something: written, `DUPLICATE_ITEM` or `CONDITION_FAILED`."""
        ...

    def unsure(self) -> None:
        """The statement last asked for may have been applied, although no answer says so."""
        ...

    def units(self) -> int:
        """Write units of the statement last asked for."""
        ...

    def sources(self) -> Iterable[int]:
        """Kinesis records (indices) with something that is not in the table yet."""
        ...


class InsertOnce:
    """One item, the first write of which wins: `Record` effects and quarantined records.

    `written`: this commit wrote it, also where only a second attempt after a lost answer found it there.
    """

    __slots__ = ("_maybe", "conflicts", "done", "fed_by", "insert", "written")
    steps_left = 0

    def __init__(self, insert: Insert, fed_by: Iterable[int]) -> None:
        self.insert = insert
        self.fed_by = fed_by
        self.written = False
        self.done = False
        self.conflicts = 0
        self._maybe = False

    def ask(self) -> Statement | None:
        """The INSERT, until its outcome is known."""
        return None if self.done else self.insert

    def answer(self, outcome: Outcome) -> bool:
        """Written now, or there already."""
        self.done = True
        self.written = not outcome.code or self._maybe
        return True

    def unsure(self) -> None:
        """A duplicate found later may be our own."""
        self._maybe = True

    def units(self) -> int:
        """Size of the item in write units."""
        insert = self.insert
        return write_units(item_bytes({"pk": insert.pk, "sk": insert.sk, **insert.attributes}))

    def sources(self) -> Iterable[int]:
        """All that fed it, until it is in the table."""
        return () if self.done else self.fed_by


class KnownVersion:
    """What an environment knows of a latest value: its version was at least `version`; `shape` names its attributes."""

    __slots__ = ("shape", "version")

    def __init__(self, version: int | str | None, shape: str) -> None:
        self.version = version
        self.shape = shape


class KeepLatest:
    """One latest value: INSERT, then a replacement under the condition that the stored version is lower.

    The item is replaced whole: `_shape` holds the names of its attributes, so that the replacement drops those that
    the new version does not have, and is refused (and told the item) where the names differ from what it expects.
    Without that the stored attributes would depend on the order of the writes.
    """

    __slots__ = ("_body", "_key", "_write", "conflicts", "done", "known", "written")
    steps_left = 0

    def __init__(self, pk: str, sk: str, write: "ItemWrite", known: KnownVersion | None) -> None:
        self._key = (pk, sk)
        self._write = write
        shape = shape_of(write.attributes)
        self._body: dict[str, Value] = {**write.attributes, "version": write.version, "_shape": shape}
        self.known = known
        self.conflicts = 0
        self.written = False
        self.done = self._superseded()

    def ask(self) -> Statement | None:
        """INSERT while nothing is known to be there, then the replacement."""
        if self.done:
            return None
        pk, sk = self._key
        if self.known is None:
            return Insert(Table.RESULTS, pk, sk, self._body)
        stored = self.known.shape
        stale = tuple(name for name in stored.split(",") if name and name not in self._body)
        assert self._write.version is not None
        return Replace(pk, sk, self._body, self._write.version, stored, stale)

    def answer(self, outcome: Outcome) -> bool:
        """Written, superseded, or the stored item differs from what was expected: then ask again."""
        body = self._body
        if not outcome.code:
            self.done = self.written = True
            self.known = KnownVersion(self._write.version, str(body["_shape"]))
        elif outcome.item is not None:
            self.conflicts += 1
            self.known = _version_of(outcome.item, like=self._write.version)
            self.done = self._superseded()
        else:
            self.conflicts += 1
            # A duplicate of unknown content: try with our own names. A vanished item: insert it again.
            self.known = KnownVersion(None, str(body["_shape"])) if self.known is None else None
        return True

    def unsure(self) -> None:
        """A repeated replacement is refused by its own version: nothing to remember."""

    def units(self) -> int:
        """Size of the new item in write units; the old one is taken to be no larger."""
        return write_units(item_bytes({"pk": self._key[0], "sk": self._key[1], **self._body}))

    def sources(self) -> Iterable[int]:
        """All that fed it, until it is in the table or superseded."""
        return () if self.done else self._write.sources

    def _superseded(self) -> bool:
        ours, known = self._write.version, self.known
        if known is None or known.version is None or ours is None:
            return False
        if isinstance(known.version, str) != isinstance(ours, str):
            raise ForeignItem("the stored version and the new one are of different types (text and number)")
        return known.version >= ours  # type: ignore[operator]  # just checked: both text or both numbers


def _version_of(item: Mapping[str, Value], *, like: int | str | None) -> KnownVersion:
    version, shape = item.get("version"), item.get("_shape")
    if (
        not isinstance(version, int | str)
        or not isinstance(shape, str)
        or isinstance(version, str) != isinstance(like, str)
    ):
        raise ForeignItem("the results table holds an item that is no latest value, or its version is of another type")
    return KnownVersion(version, shape)
