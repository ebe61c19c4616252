"""PURE: the events of a load in the order in which they are due, taken one by one or all that are due by now."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from loadgen.offer.columns import Columns
from loadgen.offer.truth import Known


class Due(NamedTuple):
    """One event of the schedule. `due_s`: seconds from the start; None: as soon as there is room."""

    due_s: float | None
    partition_key: str
    payload: bytes
    truth: Known


class Block(NamedTuple):
    """Events that were made together, one by one: well-formed originals that are due at ascending times."""

    due_s: Sequence[float]
    partition_keys: Sequence[str]
    payloads: Sequence[bytes]
    truths: Sequence[Known]

    def events(self, first: int, last: int) -> Sequence[tuple[str, bytes, Known]]:
        """(partition key, payload, truth) of each of these."""
        columns = (self.partition_keys, self.payloads, self.truths)
        if last - first < len(self.due_s):
            columns = tuple(column[first:last] for column in columns)  # type: ignore[assignment]  # three, as before
        return list(zip(*columns, strict=True))


NO_BLOCK = Block((), (), (), ())


class Schedule(Iterator[Due]):
    """One after the other, whether they were made together or not; what preparing the first one takes is over when it
    is made. `upcoming_s`: when the next one is due, None: as soon as there is room. False when there is none."""

    def __init__(self, made: Iterable[Due | Block | Columns]) -> None:
        self._made = iter(made)
        self._block: Block | Columns = NO_BLOCK
        self._place = 0
        self._ahead: Due | Block | Columns | None = None
        self._due: Due | None = None
        self.upcoming_s: float | None = None
        self._more()

    @classmethod
    def of(cls, events: Iterator[Due]) -> "Schedule":
        return events if isinstance(events, cls) else cls(events)

    def __bool__(self) -> bool:
        return self._due is not None or self._place < len(self._block.due_s)

    def __next__(self) -> Due:
        if self._due is not None:
            due = self._due
            self._more()
            return due
        if not self:
            raise StopIteration
        place, block = self._place, self._block
        self._advance(place + 1)
        return Due(block.due_s[place], *block.events(place, place + 1)[0])

    def together(self, now_s: float, at_most: int) -> Sequence[tuple[str, bytes, Known]]:
        """(partition key, payload, truth) of the next ones that are due and were made together; [] when the next one
        is not due, or was made alone."""
        if self._due is not None:
            return ()
        first, block = self._place, self._block
        last = self._until(now_s, at_most)
        if last == first:
            return ()
        self._advance(last)
        return block.events(first, last)

    @property
    def columns(self) -> Columns | None:
        """What the next ones were made in, if they were made in columns."""
        return self._block if self._due is None and isinstance(self._block, Columns) else None

    def rows(self, now_s: float, at_most: int) -> tuple[int, int]:
        """Take the next ones that are due out of `columns`: from the first to before the last of these places."""
        first, last = self._place, self._until(now_s, at_most)
        if first < last:
            self._advance(last)
        return first, last

    def _until(self, now_s: float, at_most: int) -> int:
        first, due_s = self._place, self._block.due_s
        return bisect_right(due_s, now_s, first, min(first + at_most, len(due_s)))

    def _advance(self, place: int) -> None:
        self._place = place
        if place < len(self._block.due_s):
            self.upcoming_s = self._block.due_s[place]
        else:
            self._more()

    def make_ahead(self) -> None:
        """Make the next block while there is time, when half of this one is used up."""
        if self._ahead is None and self._due is None and self._place * 2 > len(self._block.due_s):
            self._ahead = next(self._made, None)

    def _more(self) -> None:
        made, self._due, self._ahead = self._ahead or next(self._made, None), None, None
        while made is not None:
            if isinstance(made, Due):
                self._due, self.upcoming_s = made, made.due_s
                return
            if made.due_s:
                self._block, self._place, self.upcoming_s = made, 0, made.due_s[0]
                return
            made = next(self._made, None)
        self._block, self._place = NO_BLOCK, 0
