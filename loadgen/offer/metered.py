"""PURE: generated events and their truths in one loop: of well-formed originals under the processor's own rules.

They are what `Generator.many` and `Truths.of_many` say, in three quarters of the time; a test compares them.
"""

from bisect import bisect
from collections.abc import Sequence

from loadgen.offer.events import END, EVENT, PADDING, TEXTS_KEPT, EventOptions, Generated, Generator
from loadgen.offer.schedule import Block
from loadgen.offer.truth import Known, Metered, Place, Truths
from processor.core.events import hash_of_source


class MeteredEvents(Generator):
    """`block` makes the events that are due at ascending moments."""

    def __init__(self, options: EventOptions, first: int, step: int, truths: Truths) -> None:
        super().__init__(options, first, step)
        assert truths.is_known
        assert not options.duplicates
        assert not options.malformed
        self._truths = truths
        self._begun = hash_of_source(options.source)
        self._known: dict[int, tuple[str, bytes, Place]] = {}
        self._window = ""

    def block(self, due_s: Sequence[float]) -> Block:
        options, draw, started_s, weights = self.options, self._random.random, self.options.started_s, self._weights
        total, last_key, ordinal, known_keys = weights[-1], options.keys - 1, self._ordinal, self._known
        padded, new, begun = options.event_bytes - len(END), tuple.__new__, self._begun.copy
        names: list[str] = []
        payloads: list[bytes] = []
        truths: list[Known] = []
        for at_s in due_s:
            key = bisect(weights, draw() * total)
            if key > last_key:
                key = last_key
            now_milli = int((started_s + at_s) * 1000)
            size, milli = int(draw() * 100_000), int(draw() * 1_000_000)
            if now_milli != self._now_milli:
                before = self._second
                self._tell_time(now_milli)
                if self._second != before:
                    self._tell_window(key)
            known = known_keys.get(key) or self._look_up(key)
            name, text, place = known
            text = EVENT % (ordinal, text, self._time, size, milli // 1000, milli % 1000)
            payloads.append(text.ljust(padded, PADDING) + END)
            names.append(name)
            identity = begun()
            identity.update(b"%010d" % ordinal)
            truths.append(new(Metered, (int(at_s * 1e6), place, identity.digest(), size, milli, ordinal, False)))
            ordinal += self.step
        self._ordinal = ordinal
        return Block(due_s, names, payloads, truths)

    def _tell_window(self, key: int) -> None:
        """A second has begun, and with it perhaps a window."""
        window = self._example(key)[2].window
        if window != self._window:
            self._window = window
            self._known.clear()

    def _look_up(self, key: int) -> tuple[str, bytes, Place]:
        if len(self._known) >= TEXTS_KEPT:
            self._known.clear()
        self._known[key] = known = self._example(key)
        return known

    def _example(self, key: int) -> tuple[str, bytes, Place]:
        """What events of this key and second have in common; where they belong is asked of one of them."""
        name, text = self._texts(key)
        payload = EVENT % (0, text, self._time, 0, 0, 0) + END
        event = Generated(name, payload, 0, self.options.source, key, self._second, 0, 0)
        return name, text, self._truths.place_of(event)
