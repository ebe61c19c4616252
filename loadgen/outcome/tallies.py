"""PURE: acknowledged events of a generator, counted by window while they come: a load has a hundred thousand a second.

What they add up to goes into the expectations when somebody asks for them (`empty_into`). A copy is told from its
original by their common number in the run, so nothing has to be looked for among the identities.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from loadgen.offer.truth import Metered, Place
from loadgen.outcome.windows import Expected

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


class Tallies:
    """Memory: 8 bytes per event until it is emptied, and a byte per event beyond that."""

    def __init__(self) -> None:
        self._tallies: defaultdict[Place, _Tally] = defaultdict(_Tally)
        self._taken: defaultdict[str, bytearray] = defaultdict(bytearray)  # by source, by number in the run
        self._since = 0

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

    def empty_into(self, window_of: Callable[[tuple[str, str]], Expected]) -> None:
        while self._tallies:
            place, tally = self._tallies.popitem()
            sums = place.amounts(tally.size, tally.quantity_milli)
            tally.keep()
            window_of((place.pk, place.window)).take_all(tally.kept, sums)
