"""PURE: acknowledged events of a generator, counted by window while they come: a load has a hundred thousand a second.

What they add up to goes into the expectations when somebody asks for them (`empty_into`). A copy is told from its
original by their common number in the run, so nothing has to be looked for among the identities.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from loadgen.offer.columns import (
    IDENTITY_BYTES,
    KEY,
    ORDINAL,
    QUANTITY_MILLI,
    SECOND,
    SIZE,
    Numbers,
    Rows,
    identities_of,
)
from loadgen.offer.truth import Metered, Place
from loadgen.outcome.windows import Expected

Integers: TypeAlias = npt.NDArray[np.integer[Any]]
GROWTH = bytes(65_536)
KEPT_EVERY, KEPT_BYTES = 65_536, 2_048  # events; bytes of a window


class _Tally:
    """Of one window: 8 bytes of every identity, and the sums of all of them.

    `kept`: identities in pieces of their exact size; what grows is short, so that growing leaves no gaps in memory.
    """

    __slots__ = ("kept", "numbers", "quantity_milli", "size")

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.numbers = bytearray()
        self.size = self.quantity_milli = 0

    def keep(self) -> None:
        self.kept.append(bytes(self.numbers))
        self.numbers = bytearray()


class _Unidentified(NamedTuple):
    """Events whose sums are counted, and whose identities are worked out when somebody asks for them: hashing costs as
    much as all else that is done with an event. Those of the n-th place begin at the n-th of `firsts`."""

    source: str
    places: Sequence[Place]
    firsts: Numbers
    ordinals: Integers


class Tallies:
    """Memory: 9 bytes per event until it is emptied; 4 of one that was taken in rows."""

    def __init__(self) -> None:
        self._tallies: defaultdict[Place, _Tally] = defaultdict(_Tally)
        self._taken: defaultdict[str, bytearray] = defaultdict(bytearray)  # by source, by number in the run
        self._since = 0
        self._rows: list[Rows] = []
        self._unidentified: list[_Unidentified] = []

    def take_rows(self, rows: Rows) -> None:
        """Of one source, none of which was taken before: columns have no copies."""
        if rows:
            self._rows.append(rows)
        self._since += len(rows)
        if self._since >= KEPT_EVERY:
            self._count_rows()

    def _count_rows(self) -> None:
        """Add up what was taken, all events of a key and a window together."""
        if not self._rows:
            return
        self._since, book = 0, self._rows[0].book
        numbers = np.concatenate([rows.numbers for rows in self._rows])
        self._rows = []
        seconds, second_of = np.unique(numbers[:, SECOND], return_inverse=True)
        first_of_window: dict[str, int] = {}
        for number, second in enumerate(seconds.tolist()):
            window = book.place(int(numbers[0, KEY]), second).window
            seconds[number] = first_of_window.setdefault(window, second)
        order = np.lexsort((numbers[:, KEY], seconds[second_of]))
        numbers[:, SECOND] = seconds[second_of]
        numbers = numbers[order]
        is_next = np.diff(numbers[:, (KEY, SECOND)], axis=0).any(axis=1)
        firsts = np.concatenate(([0], np.flatnonzero(is_next) + 1))
        sizes = np.add.reduceat(numbers[:, SIZE], firsts).tolist()
        quantities = np.add.reduceat(numbers[:, QUANTITY_MILLI], firsts).tolist()
        places = [book.place(key, second) for key, second in numbers[firsts][:, (KEY, SECOND)].tolist()]
        for place, size, quantity_milli in zip(places, sizes, quantities, strict=True):
            tally = self._tallies[place]
            tally.size += size
            tally.quantity_milli += quantity_milli
        ordinals: Integers = numbers[:, ORDINAL]
        if int(ordinals.max()) < 2**32:
            ordinals = ordinals.astype(np.uint32)
        self._unidentified.append(_Unidentified(book.source, places, firsts, ordinals.copy()))

    def take(self, events: Sequence[Metered]) -> None:
        """Of one source. Those that are already counted count no more."""
        tallies, taken = self._tallies, self._taken[events[0].place.source]
        highest = max([event.ordinal for event in events])
        if highest >= len(taken):
            taken.extend(bytes(highest - len(taken)))
            taken.extend(GROWTH)
        for _, place, number, size, milli, ordinal, _ in events:
            if taken[ordinal]:
                continue
            taken[ordinal] = 1
            tally = tallies[place]
            tally.numbers += number
            tally.size += size
            tally.quantity_milli += milli
        self._since += len(events)
        if self._since >= KEPT_EVERY:
            self._since = 0
            for tally in tallies.values():
                if len(tally.numbers) >= KEPT_BYTES:
                    tally.keep()

    def _identify(self, events: _Unidentified) -> None:
        identities = identities_of(events.source, events.ordinals.tolist())
        ends = [*events.firsts[1:].tolist(), len(events.ordinals)]
        for place, first, end in zip(events.places, events.firsts.tolist(), ends, strict=True):
            self._tallies[place].numbers += identities[first * IDENTITY_BYTES : end * IDENTITY_BYTES]

    def empty_into(self, window_of: Callable[[tuple[str, str]], Expected]) -> None:
        self._count_rows()
        while self._unidentified:
            self._identify(self._unidentified.pop())
        while self._tallies:
            place, tally = self._tallies.popitem()
            sums = place.amounts(tally.size, tally.quantity_milli)
            tally.keep()
            window_of((place.pk, place.window)).take_all(tally.kept, sums)
