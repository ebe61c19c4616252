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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from typing import NamedTuple

from loadgen.malformed import Kind, kind_at
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
    id: str
    key: int
    time_s: int
    bytes: int
    quantity_milli: int
    copy: bool = False
    kind: Kind | None = None


def subject(run_id: str, key: int) -> str:
    """The subject, which is also the partition key, of the k-th key."""
    return f"{run_id}/key-{key:06d}"


def smallest_event_bytes(run_id: str) -> int:
    """No event of this run is shorter than this without padding."""
    return len(_render(run_id, "9" * 10, 999_999, "2026-11-23T00:00:00.000Z", 10**7, 10**6 - 1, 0))


def _render(run_id: str, event_id: str, key: int, time: str, size: int, quantity_milli: int, event_bytes: int) -> bytes:
    whole, thousandths = divmod(quantity_milli, 1000)
    text = (
        f'{{"specversion":"1.0","id":"{event_id}","source":"loadgen/{run_id}","type":"{TYPE}",'
        f'"subject":"{run_id}/key-{key:06d}","time":"{time}",'
        f'"data":{{"bytes":{size},"quantity":{whole}.{thousandths:03d},"pad":"'
    )
    return f'{text}{"x" * (event_bytes - len(text) - 3)}"}}}}'.encode()


@dataclass(slots=True)
class Generator:
    """`next` makes the event of the next slot of the schedule.

    Several generators of one load share no identity: `first` is the first one's number, from 0, and `step` how many
    generators there are.
    """

    options: EventOptions
    first: int = 0
    step: int = 1
    _random: Random = field(init=False)
    _weights: list[float] = field(init=False)
    _recent: deque[Generated] = field(init=False)
    _source: str = field(init=False)
    _ordinal: int = 0
    _malformed: int = 0
    _second: int = -1
    _second_text: str = ""

    def __post_init__(self) -> None:
        options = self.options
        self._source = options.source
        sender = f"/{self.first} of {self.step}" if self.step > 1 else ""
        self._ordinal = self._malformed = self.first
        self._random = Random(f"{options.seed}/{options.run_id}{sender}")  # noqa: S311 - repeatable, not secret
        self._weights = list(accumulate((k + 1) ** -options.skew for k in range(options.keys)))
        self._recent = deque(maxlen=COPIES_FROM)

    def next(self, due_s: float) -> Generated:
        """The event that is due `due_s` seconds after the start."""
        options, draw = self.options, self._random.random
        if options.duplicates or options.malformed:
            chance = draw()
            if chance < options.duplicates:
                if self._recent:
                    older = max(1, len(self._recent) - COPIES_FROM // 2)
                    return self._recent[int(draw() * older)]._replace(copy=True)
            elif chance < options.duplicates + options.malformed:
                return self._next_malformed(due_s)
        event = self._fresh(due_s)
        if options.duplicates:
            self._recent.append(event)
        return event

    def _fresh(self, due_s: float) -> Generated:
        options, draw = self.options, self._random.random
        weights = self._weights
        key = min(bisect(weights, draw() * weights[-1]), options.keys - 1)
        millis = int((options.started_s + due_s) * 1000)
        second = millis // 1000
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        size, quantity_milli = int(draw() * 100_000), int(draw() * 1_000_000)
        ordinal = self._ordinal
        self._ordinal += self.step
        event_id = f"{ordinal:010d}"
        time = f"{self._second_text}.{millis % 1000:03d}Z"
        payload = _render(options.run_id, event_id, key, time, size, quantity_milli, options.event_bytes)
        return Generated(
            subject(options.run_id, key), payload, ordinal, self._source, event_id, key, second, size, quantity_milli
        )

    def _next_malformed(self, due_s: float) -> Generated:
        kind = kind_at(self._malformed)
        self._malformed += self.step
        event = self._fresh(due_s)
        return event._replace(payload=kind.spoil(event.partition_key, event.payload), kind=kind)
