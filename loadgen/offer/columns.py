"""PURE: generated events that were made together, in columns: what each of them is, without an object for any of them.

A load at full speed makes hundreds of thousands of events a second; an object for each, with its payload, costs more
than all that is done with it. `Columns` are the events of one block of the schedule, `Rows` some of them on their way:
the members of one Kinesis record, of which one row of numbers is kept until it is acknowledged. Whoever wants an event
or a truth by itself gets it (`Columns.events`, `Rows.__getitem__`), which is what `Generator` and `Truths` say.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from loadgen.offer.truth import Known, Metered, Place
from processor.core.events import hash_of_source

Numbers: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
# The columns of an event's numbers: when it is due (us), its key's number, its number in the run, the data's `bytes`,
# `quantity` in thousandths, and the second of its time (epoch).
DUE_US, KEY, ORDINAL, SIZE, QUANTITY_MILLI, SECOND = range(6)
IDENTITY_BYTES = 8


class Book(Protocol):
    """What the events of one generator have in common."""

    @property
    def source(self) -> str: ...

    def name(self, key: int) -> str:
        """The partition key."""

    def place(self, key: int, second: int) -> Place:
        """Where the events of this key and second belong."""


def identities_of(source: str, ordinals: Sequence[int]) -> bytes:
    """8 bytes per event, big endian, as `processor.core.events` has them."""
    begun, found = hash_of_source(source).copy, bytearray()
    for ordinal in ordinals:
        identity = begun()
        identity.update(b"%010d" % ordinal)
        found += identity.digest()
    return bytes(found)


class Rows(Sequence[Known]):
    """Some generated events: `numbers` has a row of six for each. Nothing of their payloads."""

    __slots__ = ("book", "numbers")

    def __init__(self, book: Book, numbers: Numbers) -> None:
        self.book, self.numbers = book, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Metered: ...

    @overload
    def __getitem__(self, index: slice) -> "Rows": ...

    def __getitem__(self, index: int | slice) -> "Metered | Rows":
        if isinstance(index, slice):
            return Rows(self.book, self.numbers[index])
        return self._truth(self.numbers[index].tolist())

    def __iter__(self) -> Iterator[Metered]:
        return map(self._truth, self.numbers.tolist())

    def _truth(self, row: list[int]) -> Metered:
        due_us, key, ordinal, size, quantity_milli, second = row
        identity = identities_of(self.book.source, (ordinal,))
        return Metered(due_us, self.book.place(key, second), identity, size, quantity_milli, ordinal)

    def due_us(self) -> list[int]:
        times: list[int] = self.numbers[:, DUE_US].tolist()
        return times


class Columns:
    """Events that are due at ascending times. `payloads`: one row of bytes each, all of the same length."""

    __slots__ = ("book", "due_s", "numbers", "payloads")

    def __init__(self, book: Book, due_s: Sequence[float], numbers: Numbers, payloads: Bytes) -> None:
        self.book, self.due_s, self.numbers, self.payloads = book, due_s, numbers, payloads

    def events(self, first: int, last: int) -> list[tuple[str, bytes, Known]]:
        """(partition key, payload, truth) of each of these."""
        length, data = self.payloads.shape[1], self.payloads[first:last].tobytes()
        payloads = [data[start : start + length] for start in range(0, len(data), length)]
        names = map(self.book.name, self.numbers[first:last, KEY].tolist())
        return list(zip(names, payloads, Rows(self.book, self.numbers[first:last]), strict=True))
