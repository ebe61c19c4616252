"""PURE: the generated events. The same options, seed and run id give the same events, byte for byte.

Slot by slot of the schedule one of three things is sent: a copy of an earlier event (share `duplicates`), something
malformed (share `malformed`, one kind after the other), or a fresh event. Keys are drawn by Zipf's law: the k-th key
has weight 1 / k**skew; skew 0 is uniform. Events are CloudEvents of type `loadgen.metered`; their `time` is the start
of the run's own clock plus the moment they are due, so a run that is repeated with the same `--run-id`, `--seed` and
`--event-time` sends identical events, and the tables must not change.
"""

import re
from bisect import bisect
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from typing import NamedTuple

from loadgen.offer.malformed import Kind, kind_at
from processor.core.events import EVENT_BYTES_MAX
from processor.core.limits import YEAR_END

TYPE = "loadgen.metered"
RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Copies are taken from the older half of this many latest well-formed events; the bound on payloads held in memory. The
# younger half may still wait in an aggregate, which a copy would have to close before its time.
COPIES_FROM = 512
# No run lasts a month, so no event of a run that starts before this is later than any event may be.
STARTED_S_END = datetime(YEAR_END - 1, 12, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class EventOptions:
    """What to generate. `started_s`: epoch seconds of the events' own clock at the start of the schedule."""

    run_id: str
    seed: int
    started_s: float
    event_bytes: int = 256
    keys: int = 1000
    skew: float = 1.0
    duplicates: float = 0.0
    malformed: float = 0.0

    def __post_init__(self) -> None:
        if not RUN_ID.fullmatch(self.run_id):
            raise ValueError(f"the run id must match {RUN_ID.pattern}, not {self.run_id!r}")
        if not 0 <= self.started_s < STARTED_S_END:
            raise ValueError(f"--event-time must be Unix seconds before the year {YEAR_END}, not {self.started_s:g}")
        if self.keys < 1 or self.keys > 1_000_000:
            raise ValueError(f"--keys must be 1 to 1000000, not {self.keys}")
        if not 0 <= self.skew <= 10:
            raise ValueError(f"--skew must be 0 to 10, not {self.skew}")
        if not 0 <= self.duplicates <= 1 or not 0 <= self.malformed <= 1 or self.duplicates + self.malformed > 1:
            raise ValueError("--duplicates and --malformed are shares from 0 to 1, together at most 1")
        smallest = smallest_event_bytes(self.run_id)
        if not smallest <= self.event_bytes <= EVENT_BYTES_MAX:
            raise ValueError(f"--event-bytes must be {smallest} to {EVENT_BYTES_MAX}, not {self.event_bytes}")

    @property
    def source(self) -> str:
        return f"loadgen/{self.run_id}"


class Generated(NamedTuple):
    """One thing to send. `kind` is None for a well-formed event, whose other fields are then its truth.

    `ordinal`: number in the run (a copy has its original's). `quantity_milli`: the event's `quantity` in thousandths.
    """

    partition_key: str
    payload: bytes
    ordinal: int
    source: str
    key: int
    time_s: int
    bytes: int
    quantity_milli: int
    copy: bool = False
    kind: Kind | None = None

    @property
    def id(self) -> str:
        return f"{self.ordinal:010d}"


def subject(run_id: str, key: int) -> str:
    """The subject, which is also the partition key, of the k-th key."""
    return f"{run_id}/key-{key:06d}"


def smallest_event_bytes(run_id: str) -> int:
    """No event of this run is shorter than this without padding."""
    longest = (10**10 - 1, text_of_key(run_id, subject(run_id, 999_999)), b"2026-11-23T00:00:00.000Z", 0, 0, 0)
    return len(EVENT % longest + END)


# An event, in the order of its bytes: id, what depends on its key alone, time, bytes, quantity.
# Numbers are right-aligned, so that every event of a run has the same length.
ID = b"%010d"
EVENT = b'{"specversion":"1.0","id":"' + ID + b'%b%b","data":{"bytes":%5d,"quantity":%3d.%03d,"pad":"'
BYTES_BELOW, MILLI_BELOW = 100_000, 1_000_000  # of the data's `bytes`, and of `quantity` in thousandths
PADDING, END = b"x", b'"}}'
TEXTS_KEPT = 16_384  # of keys, at most


def text_of_key(run_id: str, partition_key: str) -> bytes:
    return f'","source":"loadgen/{run_id}","type":"{TYPE}","subject":"{partition_key}","time":"'.encode()


@dataclass(slots=True)
class Generator:
    """`next` makes the event of the next slot of the schedule, `many` those of several at once, which costs less.

    Several generators of one load share no identity: `first` is the first one's number, from 0, and `step` how many
    generators there are.
    """

    options: EventOptions
    first: int = 0
    step: int = 1
    random: Random = field(init=False)
    weights: list[float] = field(init=False)
    _recent: deque[Generated] = field(init=False)
    _keys: dict[int, tuple[str, bytes]] = field(init=False)
    _ordinal: int = 0
    _malformed: int = 0
    _now_milli: int = -1
    _second: int = -1
    _second_text: str = ""
    _time: bytes = b""

    def __post_init__(self) -> None:
        options = self.options
        sender = f"/{self.first} of {self.step}" if self.step > 1 else ""
        self._ordinal = self._malformed = self.first
        self.random = Random(f"{options.seed}/{options.run_id}{sender}")  # noqa: S311 - repeatable, not secret
        self.weights = list(accumulate((k + 1) ** -options.skew for k in range(options.keys)))
        self._recent = deque(maxlen=COPIES_FROM)
        self._keys = {}

    def next(self, due_s: float) -> Generated:
        """The event that is due `due_s` seconds after the start."""
        return self.many((due_s,))[0]

    def many(self, due_s: Iterable[float]) -> list[Generated]:
        """The events that are due at these moments, one for each."""
        options, draw, recent = self.options, self.random.random, self._recent
        if not options.duplicates and not options.malformed:
            return self._fresh(due_s)
        made: list[Generated] = []
        for at_s in due_s:
            chance = draw()
            if chance < options.duplicates and recent:
                older = max(1, len(recent) - COPIES_FROM // 2)
                made.append(recent[int(draw() * older)]._replace(copy=True))
                continue
            (event,) = self._fresh((at_s,))
            if options.duplicates <= chance < options.duplicates + options.malformed:
                event = self._spoiled(event)
            elif options.duplicates:
                recent.append(event)
            made.append(event)
        return made

    def _fresh(self, due_s: Iterable[float]) -> list[Generated]:
        """Everything is looked up once: a load makes hundreds of thousands of events a second here."""
        options, draw = self.options, self.random.random
        started_s, source, weights, last_key = options.started_s, options.source, self.weights, options.keys - 1
        total, keys, ordinal, step = weights[-1], self._keys, self._ordinal, self.step
        padded, new = options.event_bytes - len(END), tuple.__new__
        made: list[Generated] = []
        for at_s in due_s:
            key = bisect(weights, draw() * total)
            if key > last_key:
                key = last_key
            now_milli = int((started_s + at_s) * 1000)
            if now_milli != self._now_milli:
                self._tell_time(now_milli)
            size, milli = int(draw() * BYTES_BELOW), int(draw() * MILLI_BELOW)
            name, text = keys.get(key) or self._texts(key)
            text = EVENT % (ordinal, text, self._time, size, milli // 1000, milli % 1000)
            payload = text.ljust(padded, PADDING) + END
            made.append(new(Generated, (name, payload, ordinal, source, key, self._second, size, milli, False, None)))
            ordinal += step
        self._ordinal = ordinal
        return made

    def _tell_time(self, now_milli: int) -> None:
        second, thousandths = divmod(now_milli, 1000)
        if second != self._second:
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self._now_milli, self._second = now_milli, second
        self._time = f"{self._second_text}.{thousandths:03d}Z".encode()

    def _texts(self, key: int) -> tuple[str, bytes]:
        if len(self._keys) >= TEXTS_KEPT:
            self._keys.clear()
        name = subject(self.options.run_id, key)
        self._keys[key] = texts = name, text_of_key(self.options.run_id, name)
        return texts

    def _spoiled(self, event: Generated) -> Generated:
        kind = kind_at(self._malformed)
        self._malformed += self.step
        return event._replace(payload=kind.spoil(event.partition_key, event.payload), kind=kind)
