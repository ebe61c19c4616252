"""PURE: when each event is due. An open loop: the schedule never waits for the target.

A profile is a list of segments in which the rate changes linearly, so the number of events due by a moment and the
moment at which the n-th event is due are both closed formulas. `rate` is the highest rate of every profile:

- `constant`: the rate throughout;
- `ramp`: from 0 to the rate;
- `step`: a quarter, a half, three quarters and all of it, for a quarter of the time each;
- `spike`: a fifth of the rate, and all of it during the middle fifth of the time;
- `sine`: one wave from 0 up to the rate and back to 0, drawn with 200 straight lines.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

PROFILES = ("constant", "ramp", "step", "spike", "sine")
SINE_SEGMENTS = 200
WORKED_OUT_TOGETHER = 4_096  # moments

Floats: TypeAlias = npt.NDArray[np.float64]


class Segment(NamedTuple):
    """From `start_s` to `end_s` the rate goes in a straight line from `first` to `last` (events per second)."""

    start_s: float
    end_s: float
    first: float
    last: float

    @property
    def events(self) -> float:
        """How many events the segment holds (not a whole number)."""
        return (self.end_s - self.start_s) * (self.first + self.last) / 2

    def after(self, events: Floats) -> Floats:
        """The moments at which `events` of the segment have been due: t with first*t + slope*t**2/2 = events."""
        if self.first == self.last:
            return np.minimum(self.end_s, self.start_s + events / self.first)
        slope = (self.last - self.first) / (self.end_s - self.start_s)
        root = np.sqrt(np.maximum(0.0, self.first * self.first + 2 * slope * events))
        below = self.first + root  # this form of the solution loses no digits
        passed_s = np.divide(2 * events, below, out=np.zeros_like(events), where=below > 0)
        return np.minimum(self.end_s, self.start_s + passed_s)


def segments(profile: str, rate: float, duration_s: float) -> list[Segment]:
    """The profile's segments, in order and without gaps. Raises ValueError for an unknown profile or a bad number."""
    if not rate > 0 or not duration_s > 0 or math.isinf(rate) or math.isinf(duration_s):
        raise ValueError(f"rate and duration must be positive numbers, not {rate} and {duration_s}")
    if profile == "constant":
        shares = [(0.0, 1.0, 1.0, 1.0)]
    elif profile == "ramp":
        shares = [(0.0, 1.0, 0.0, 1.0)]
    elif profile == "step":
        shares = [(i / 4, (i + 1) / 4, (i + 1) / 4, (i + 1) / 4) for i in range(4)]
    elif profile == "spike":
        shares = [(0.0, 0.4, 0.2, 0.2), (0.4, 0.6, 1.0, 1.0), (0.6, 1.0, 0.2, 0.2)]
    elif profile == "sine":
        wave = [(1 - math.cos(2 * math.pi * i / SINE_SEGMENTS)) / 2 for i in range(SINE_SEGMENTS + 1)]
        shares = [(i / SINE_SEGMENTS, (i + 1) / SINE_SEGMENTS, wave[i], wave[i + 1]) for i in range(SINE_SEGMENTS)]
    else:
        raise ValueError(f"there is no profile {profile!r}; there are {', '.join(PROFILES)}")
    return [Segment(a * duration_s, b * duration_s, rate * first, rate * last) for a, b, first, last in shares]


def total_events(profile: str, rate: float, duration_s: float) -> int:
    """How many events the whole schedule has."""
    return math.floor(sum(segment.events for segment in segments(profile, rate, duration_s)) + 1e-6)


def schedule(profile: str, rate: float, duration_s: float) -> Iterator[float]:
    """Seconds from the start at which events are due, ascending; `total_events` of them."""
    return chain.from_iterable(_together(profile, rate, duration_s))


def _together(profile: str, rate: float, duration_s: float) -> Iterator[list[float]]:
    """The same, some at a time: a load has millions."""
    due, before = 0, 0.0
    total = total_events(profile, rate, duration_s)
    for segment in segments(profile, rate, duration_s):
        until = before + segment.events
        last = min(total, math.ceil(until))
        while due < last:
            some = np.arange(due, min(last, due + WORKED_OUT_TOGETHER), dtype=float)
            yield segment.after(some - before).tolist()
            due += len(some)
        before = until


def paced(times_s: Iterator[float], speed: float | None) -> Iterator[float]:
    """A recording's own times as offsets from its first one, `speed` times as fast; None: everything is due at once.

    A recording is replayed in its order: a time that goes backwards is due together with the one before it.
    """
    first: float | None = None
    latest = 0.0
    for time_s in times_s:
        if speed is None:
            yield 0.0
            continue
        first = time_s if first is None else first
        latest = max(latest, (time_s - first) / speed)
        yield latest
