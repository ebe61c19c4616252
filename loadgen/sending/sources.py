"""SHELL: where a load's events come from, as values that can be sent to another process, and whole or a part of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, tee
from typing import Protocol
from zlib import crc32

from loadgen.offer.columns import Columns
from loadgen.offer.events import EventOptions, Generator
from loadgen.offer.metered import MeteredEvents
from loadgen.offer.pacer import paced, schedule
from loadgen.offer.schedule import Block, Due, Schedule
from loadgen.offer.truth import RULES_MODULE, Truth, Truths
from loadgen.sending.recorded import Recording
from loadgen.sending.rules_module import effects_of
from loadgen.showing.report import Unread
from processor.core.rule_api import RuleSettings


@dataclass(frozen=True, slots=True)
class Part:
    """One sender's part of a load: the `index`-th, from 0, of `of`."""

    index: int = 0
    of: int = 1


WHOLE = Part()

# Generated events are made some at a time, which costs half as much: those of so many seconds, while the sender waits.
MADE_AT_ONCE, MADE_AHEAD_S = 2000, 0.025


class Source(Protocol):
    """`due` can be asked for as often as one likes; the parts together are the whole, and share no identity."""

    def due(self, part: Part = WHOLE) -> Iterator[Due]: ...

    @property
    def unread(self) -> Unread: ...


@dataclass(frozen=True, slots=True)
class GeneratedSource:
    """Every `of`-th slot of the schedule belongs to the same part."""

    events: EventOptions
    profile: str
    rate: float
    duration_s: float
    settings: RuleSettings
    rules_module: str = RULES_MODULE

    @property
    def unread(self) -> Unread:
        return Unread()

    def due(self, part: Part = WHOLE) -> Schedule:
        return Schedule(self._made(part))

    def _made(self, part: Part) -> Iterator[Due | Block | Columns]:
        truths = Truths(self.settings, effects_of(self.rules_module))
        moments = islice(schedule(self.profile, self.rate, self.duration_s), part.index, None, part.of)
        at_once = max(1, min(MADE_AT_ONCE, int(self.rate / part.of * MADE_AHEAD_S)))
        if truths.is_known and not self.events.duplicates and not self.events.malformed:
            metered = MeteredEvents(self.events, part.index, part.of, truths)
            while due_s := list(islice(moments, at_once)):
                yield metered.block(due_s)
            return
        generator = Generator(self.events, part.index, part.of)
        while due_s := list(islice(moments, at_once)):
            yield from made(generator, truths, due_s)


def made(generator: Generator, truths: Truths, due_s: Sequence[float]) -> Iterator[Due | Block]:
    """The events that are due at these moments; as blocks what has nothing special about it."""
    events = generator.many(due_s)
    known = truths.of_many(events, [int(at_s * 1e6) for at_s in due_s])
    keys, payloads = [event[0] for event in events], [event[1] for event in events]
    first = 0
    special = [place for place, truth in enumerate(known) if type(truth) is Truth or truth.copy]
    for place in special:
        if first < place:
            yield Block(due_s[first:place], keys[first:place], payloads[first:place], known[first:place])
        yield Due(due_s[place], keys[place], payloads[place], known[place])
        first = place + 1
    if first == 0:
        yield Block(due_s, keys, payloads, known)
    elif first < len(events):
        yield Block(due_s[first:], keys[first:], payloads[first:], known[first:])


@dataclass(frozen=True, slots=True)
class RecordedSource:
    """A partition key's events belong to the same part: their order is kept, and so are equal ones together."""

    recording: Recording
    speed: float | None
    settings: RuleSettings
    rules_module: str = RULES_MODULE

    @property
    def unread(self) -> Unread:
        return self.recording.unread

    def due(self, part: Part = WHOLE) -> Schedule:
        return Schedule(self._due(part))

    def _due(self, part: Part) -> Iterator[Due]:
        truths = Truths(self.settings, effects_of(self.rules_module))
        times, events = tee(self.recording.events())
        for due_s, event in zip(paced((event.time_s for event in times), self.speed), events, strict=True):
            if part.of > 1 and crc32(event.partition_key.encode()) % part.of != part.index:
                continue
            truth = truths.of_payload(event.payload, int(due_s * 1e6))
            yield Due(None if self.speed is None else due_s, event.partition_key, event.payload, truth)
