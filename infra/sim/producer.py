"""DRIVER: producers: they put parcels at a rate, some spoiled, some again later, and repeat what is throttled."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from infra.model.stream import Stream, Written
from infra.sim.clockwork import Clockwork
from infra.sim.faults import Faults
from infra.sim.numbers import Border
from infra.sim.scenario import Scenario
from infra.sim.stock import Parcel, stock
from infra.sim.witness import Witness

RESENT_AFTER_S_MAX = 20.0
CALL_S = 0.2  # of the rate are in one PutRecords, or less


class Producer:
    """Calls `changed` after every put. `done` when everything is in the stream."""

    def __init__(
        self,
        scenario: Scenario,
        clock: Clockwork,
        stream: Stream,
        border: Border,
        witness: Witness,
        changed: Callable[[], object],
    ) -> None:
        self._clock, self._stream, self._border, self._witness = clock, stream, border, witness
        self._changed = changed
        self._random = Random(f"{scenario.seed}/producer")  # noqa: S311 - repeatable, not secret
        self._stock = stock(scenario.aggregate, scenario.keys, scenario.window_s)
        self._variants = partial(self._stock.with_variants, to_the_byte=not scenario.fan_out)
        self._faults: Faults = scenario.faults
        self._parcel_s = scenario.aggregate / scenario.rate
        self._left = -(-scenario.events // scenario.aggregate)
        self._next = 0
        self._outstanding = 0
        self.events = 0  # user records in the stream, resends included
        self.resent = self.malformed = self.throttled = 0

    @property
    def done(self) -> bool:
        return not self._left and not self._outstanding

    def start(self) -> None:
        self._clock.later(0.0, self._call)

    def _call(self) -> None:
        """One PutRecords of new parcels, and the next one's time."""
        group_max = min(500, self._left, max(1, int(CALL_S / self._parcel_s)))
        count = self._random.randint(1, group_max)
        parcels = []
        for _ in range(count):
            parcels.append(self._parcel(self._next))
            self._next += 1
        self._left -= count
        self._outstanding += count
        self._put(parcels)
        if self._left:
            self._clock.later(count * self._parcel_s, self._call)

    def _parcel(self, number: int) -> Parcel:
        parcel, random = self._stock.parcel(number), self._random
        if random.random() < self._faults.producer_resend:
            self._outstanding += 1
            self.resent += 1
            chance = random.random()
            if chance < 0.8:
                again = parcel if chance < 0.4 else self._stock.repacked(parcel)
            else:
                again = self._variants(parcel)
            self._clock.later(RESENT_AFTER_S_MAX * random.random(), self._put, [again])
        if random.random() < self._faults.malformed:
            self.malformed += 1
            parcel = self._stock.spoiled(parcel, random)
        return parcel

    def _put(self, parcels: Sequence[Parcel]) -> None:
        clock = self._clock
        refused = []
        for parcel, outcome in zip(
            parcels, self._stream.put([parcel.entry for parcel in parcels], clock.now), strict=True
        ):
            if not isinstance(outcome, Written):
                refused.append(parcel)
                continue
            self._outstanding -= 1
            self.events += parcel.users
            put_at_ms = int(clock.now * 1000)
            number, arrived_at_ms = self._border.put(*outcome, put_at_ms)
            self._witness.put(outcome.shard_id, number, parcel.entry.partition_key, arrived_at_ms, put_at_ms, parcel)
        clock.say(f"put {parcels[0].name}..{parcels[-1].name} n={len(parcels)} refused={len(refused)}")
        if refused:
            self.throttled += len(refused)
            clock.later(0.2 + self._random.random(), self._put, refused)
        self._changed()
