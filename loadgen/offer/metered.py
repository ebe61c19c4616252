"""PURE: generated events and their truths in columns: well-formed originals under the processor's own rules.

They are what `Generator.many` and `Truths.of_generated` say, byte for byte, in a tenth of the time; a test compares
them. The draws are the same ones: numpy's Mersenne Twister goes on where Python's was seeded, and makes the same
fractions of the same numbers (numpy: RandomState, "legacy", its stream is frozen).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

import numpy as np

from loadgen.offer.columns import Bytes, Columns, Numbers
from loadgen.offer.events import (
    BYTES_BELOW,
    END,
    EVENT,
    ID,
    MILLI_BELOW,
    PADDING,
    TEXTS_KEPT,
    EventOptions,
    Generated,
    Generator,
    subject,
    text_of_key,
)
from loadgen.offer.truth import Place, Truths

TIME = b"2026-11-23T00:00:00.000Z"
SECONDS = len(b"2026-11-23T00:00:00")


@lru_cache
def digits(width: int, fill: bytes = b"0") -> Bytes:
    """A row of `width` characters for every number below 10**width, right-aligned."""
    numbers = np.arange(10**width)[:, None]
    powers = 10 ** np.arange(width - 1, -1, -1)
    written = numbers // powers % 10 + ord(b"0")
    return np.where((numbers < powers) & (powers > 1), ord(fill), written).astype(np.uint8)


class _Layout:
    """Where the changing parts of an event are: every event of a run has the same length."""

    def __init__(self, options: EventOptions) -> None:
        of_key = text_of_key(options.run_id, subject(options.run_id, 0))
        text = EVENT % (0, of_key, TIME, 0, 0, 0)
        self.event = np.frombuffer(text.ljust(options.event_bytes - len(END), PADDING) + END, np.uint8)
        self.id = EVENT.index(ID)
        self.time = self.id + len(ID % 0) + len(of_key)
        self.key = self.time - len(b'","time":"') - 6
        self.bytes = text.index(b'"bytes":', self.time) + len(b'"bytes":')
        self.quantity = text.index(b'"quantity":', self.bytes) + len(b'"quantity":')


class MeteredEvents:
    """`block` makes the events that are due at ascending moments; it is the `Book` of its columns."""

    def __init__(self, options: EventOptions, first: int, step: int, truths: Truths) -> None:
        assert truths.is_known
        assert not options.duplicates
        assert not options.malformed
        self.source = options.source
        self._options, self._truths, self._step, self._ordinal = options, truths, step, first
        begun = Generator(options, first, step)
        self._weights = np.array(begun.weights)
        self._random = np.random.RandomState()
        _, state, _ = begun.random.getstate()
        self._random.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1], 0, 0.0))
        self._layout = _Layout(options)
        self._names: dict[int, str] = {}

    def block(self, due_s: Sequence[float]) -> Columns:
        count, at_s = len(due_s), np.array(due_s, dtype=float)
        draws = self._random.random_sample(3 * count).reshape(count, 3)
        numbers: Numbers = np.empty((count, 6), np.int64)
        due_us, keys, ordinals, size, quantity_milli, second = numbers.T
        due_us[:] = at_s * 1e6
        keys[:] = np.searchsorted(self._weights, draws[:, 0] * self._weights[-1], side="right")
        np.minimum(keys, self._options.keys - 1, out=keys)
        ordinals[:] = np.arange(self._ordinal, self._ordinal + count * self._step, self._step)
        self._ordinal += count * self._step
        size[:] = draws[:, 1] * BYTES_BELOW
        quantity_milli[:] = draws[:, 2] * MILLI_BELOW
        now_milli = ((self._options.started_s + at_s) * 1000).astype(np.int64)
        second[:] = now_milli // 1000
        return Columns(self, due_s, numbers, self._written(numbers, now_milli))

    def _written(self, numbers: Numbers, now_milli: Numbers) -> Bytes:
        at, three = self._layout, digits(3)
        _, keys, ordinals, size, quantity_milli, second = numbers.T
        events: Bytes = np.empty((len(numbers), len(at.event)), np.uint8)
        events[:] = at.event
        events[:, at.id : at.id + 4] = digits(4)[ordinals // 10**6]
        events[:, at.id + 4 : at.id + 7] = three[ordinals // 1000 % 1000]
        events[:, at.id + 7 : at.id + 10] = three[ordinals % 1000]
        events[:, at.key : at.key + 3] = three[keys // 1000]
        events[:, at.key + 3 : at.key + 6] = three[keys % 1000]
        events[:, at.bytes : at.bytes + 5] = digits(5, b" ")[size]
        events[:, at.quantity : at.quantity + 3] = digits(3, b" ")[quantity_milli // 1000]
        events[:, at.quantity + 4 : at.quantity + 7] = three[quantity_milli % 1000]
        events[:, at.time + SECONDS + 1 : at.time + SECONDS + 4] = three[now_milli % 1000]
        begins = [0, *(np.flatnonzero(np.diff(second)) + 1).tolist(), len(numbers)]
        for first, last in pairwise(begins):
            if first < last:
                text = time_text(int(second[first]))[:SECONDS]
                events[first:last, at.time : at.time + SECONDS] = np.frombuffer(text, np.uint8)
        return events

    def name(self, key: int) -> str:
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= TEXTS_KEPT:
                self._names.clear()
            name = self._names[key] = subject(self._options.run_id, key)
        return name

    def place(self, key: int, second: int) -> Place:
        """Asked of the rules by one example: it is the same for all events of a key and a window."""
        name = self.name(key)
        payload = EVENT % (0, text_of_key(self._options.run_id, name), time_text(second), 0, 0, 0) + END
        return self._truths.place_of(Generated(name, payload, 0, self.source, key, second, 0, 0))


@lru_cache(maxsize=64)
def time_text(second: int) -> bytes:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.000Z".encode()
