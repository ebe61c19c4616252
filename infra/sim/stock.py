"""DRIVER: what producers put: Kinesis records of user records, made from a number, with the truth about each.

The n-th record of a packing is the same for every seed (a seed decides which of them are put, spoiled, put again, and
when), so its bytes are made once per process. The truth, which the checkers need, is computed here and not by the
processor: identity and window are written down a second time.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from infra.model.stream import Entry
from infra.sim.garbage import INNER_KEY, KINDS, REFUSED_BY_RULES, Kind
from processor.core.packing import Packer, PackingSettings, lane_of

EVENTS_BEGIN_S = 1_795_424_400  # 2026-11-23T09:00:00Z; the events' own clock, not the stream's
EVENTS_PER_SECOND = 20  # of the events' own clock: windows of a minute have a few pages
LANES = 16
TYPE, SOURCE = "sim.metered", "sim"
_KEPT_MAX = 200_000  # user records of one stock that are kept


class Truth(NamedTuple):
    """A well-formed event: where it must be counted, as what, and with which amounts."""

    pk: str
    window: str
    digest: str
    bytes: int
    quantity: int
    subject: str
    name: str
    """The digest; of an event that was sent again with a time in another window `moved_name`: it counts there too."""


class Malformed(NamedTuple):
    """A malformed user record, or a whole Kinesis record (`subsequence_number` None)."""

    subsequence_number: int | None
    reason: str
    payload: bytes


@dataclass(frozen=True, eq=False)
class Parcel:
    """One Kinesis record as a producer puts it, and the truth about its user records.

    `inside`: with a malformed aggregate what enhanced fan-out takes out of it; None: it leaves the record as it is.
    """

    name: str
    entry: Entry
    events: Sequence[Truth]
    malformed: Sequence[Malformed] = ()
    payloads: Sequence[tuple[str, bytes]] = field(default=(), repr=False)  # (partition key, data) of every user record
    inside: "Sequence[Parcel] | None" = None

    @cached_property
    def names(self) -> frozenset[str]:
        """What the truth about its events is kept under: `Stock.truths`."""
        return frozenset(event.name for event in self.events)

    @property
    def users(self) -> int:
        return len(self.events) + len(self.malformed)


class Stock:
    """Records of `aggregate` events each on `keys` subjects; 1: not aggregated, under the subject as partition key."""

    def __init__(self, aggregate: int, keys: int, window_s: int) -> None:
        self.aggregate = aggregate
        self._window_s = window_s
        self._lanes: dict[int, list[str]] = {}
        for number in range(keys):
            subject = f"key-{number:05d}"
            self._lanes.setdefault(lane_of(subject, LANES), []).append(subject)
        self._parcels: dict[int, Parcel] = {}
        self.truths: dict[str, Truth] = {}  # by name, of every event made so far

    def parcel(self, number: int) -> Parcel:
        """The record of that number, all its events well-formed."""
        found = self._parcels.get(number)
        if found is None:
            if len(self._parcels) * self.aggregate > _KEPT_MAX:
                self._parcels.clear()
            found = self._parcels[number] = self._make(number)
        return found

    def _make(self, number: int) -> Parcel:
        random = Random(number)  # noqa: S311 - repeatable, not secret
        subjects = self._lanes[random.choice(sorted(self._lanes))]
        events, payloads = [], []
        for place in range(self.aggregate):
            # Skewed within the lane: the first subjects are hot.
            subject = subjects[int(len(subjects) * random.random() ** 2)]
            truth, payload = self._event(number * self.aggregate + place, subject, random)
            self.truths[truth.name] = truth
            events.append(truth)
            payloads.append((subject, payload))
        return Parcel(f"{number}", pack(payloads, self.aggregate > 1), events, (), payloads)

    def _event(self, ordinal: int, subject: str, random: Random) -> tuple[Truth, bytes]:
        identity = f"{self.aggregate}-{ordinal}"
        time_s = EVENTS_BEGIN_S + ordinal // EVENTS_PER_SECOND
        size, quantity = int(random.random() * 10_000), int(random.random() * 100)
        payload = (
            f'{{"specversion":"1.0","id":"{identity}","source":"{SOURCE}","type":"{TYPE}","subject":"{subject}",'
            f'"time":"{rfc3339(time_s)}","data":{{"bytes":{size},"quantity":{quantity}}}}}'
        ).encode()
        window = rfc3339(time_s - time_s % self._window_s)
        name = digest(identity)
        return Truth(f"{TYPE}#{subject}", window, name, size, quantity, subject, name), payload

    def spoiled(self, parcel: Parcel, random: Random) -> Parcel:
        """The same record with something malformed in it, or instead of it."""
        kind = random.choice(KINDS)
        if kind.whole:
            return self._spoiled_whole(parcel, kind)
        place = random.randrange(len(parcel.payloads))
        subject, payload = parcel.payloads[place]
        bad = kind.spoil(payload)
        payloads = [*parcel.payloads[:place], (subject, bad), *parcel.payloads[place + 1 :]]
        events = [*parcel.events[:place], *parcel.events[place + 1 :]]
        entry, malformed = pack(payloads, self.aggregate > 1), (Malformed(place, kind.reason, bad),)
        return Parcel(f"{parcel.name}:{kind.reason}@{place}", entry, events, malformed, payloads)

    @staticmethod
    def _spoiled_whole(parcel: Parcel, kind: Kind) -> Parcel:
        name, payload = f"{parcel.name}:{kind.reason}", parcel.payloads[0][1]
        data = kind.spoil(payload)
        inside = None
        if kind.inside is not None:
            parts = kind.inside(payload)
            inside = [Parcel(f"{name}.{INNER_KEY}", Entry(INNER_KEY, part), parcel.events[:1]) for part in parts]
        malformed = (Malformed(None, kind.reason, data),)
        return Parcel(name, parcel.entry._replace(data=data), (), malformed, (), inside)

    def repacked(self, parcel: Parcel) -> Parcel:
        """The first half of a record's events in a record of their own, as the KPL sends them again after a reshard."""
        half = max(1, len(parcel.payloads) // 2)
        payloads = parcel.payloads[:half]
        return Parcel(f"{parcel.name}/half", pack(payloads, True), parcel.events[:half], (), payloads)

    def with_variants(self, parcel: Parcel, *, to_the_byte: bool = True) -> Parcel:
        """The first half of a record's events, each with others of its identity behind it.

        They are one that the rules refuse, one in the next window, and the event itself again, or one that means the
        same: taken apart, copies that are equal `to_the_byte` could not be told apart by their number.
        """
        events: list[Truth] = []
        payloads: list[tuple[str, bytes]] = []
        malformed: list[Malformed] = []
        for place, event in enumerate(parcel.events[: max(1, len(parcel.events) // 2)]):
            subject, payload = parcel.payloads[place]
            kind = REFUSED_BY_RULES[place % len(REFUSED_BY_RULES)]
            moved, moved_payload = self._moved(event, payload)
            malformed.append(Malformed(len(payloads) + 1, kind.reason, kind.spoil(payload)))
            again = payload if to_the_byte else payload + b" "
            payloads += [(subject, data) for data in (payload, malformed[-1].payload, moved_payload, again)]
            events += [event, moved, event]
        return Parcel(f"{parcel.name}/variants", pack(payloads, True), events, malformed, payloads)

    def _moved(self, event: Truth, payload: bytes) -> tuple[Truth, bytes]:
        window = rfc3339(int(datetime.fromisoformat(event.window).timestamp()) + self._window_s)
        moved = event._replace(window=window, name=moved_name(event.digest, window))
        self.truths[moved.name] = moved
        before, _, after = payload.partition(b'"time":"')
        return moved, before + b'"time":"' + window.encode() + after[len(window) :]


def moved_name(digest: str, window: str) -> str:
    return f"{digest} in {window}"


@lru_cache(maxsize=32)
def stock(aggregate: int, keys: int, window_s: int) -> Stock:
    """The one stock of this kind in the process."""
    return Stock(aggregate, keys, window_s)


def pack(payloads: Sequence[tuple[str, bytes]], aggregated: bool) -> Entry:
    """One Kinesis record of all user records, by the publisher's own packing."""
    if not aggregated:
        subject, data = payloads[0]
        return Entry(subject, data)
    packer: Packer[None] = Packer(PackingSettings(aggregate=len(payloads), lanes=LANES, record_bytes=1024 * 1024))
    for subject, payload in payloads:
        packed = packer.add(subject, payload, None, 0.0)
    (record,) = packed
    assert record.explicit_hash_key is not None
    return Entry(record.partition_key, record.data, int(record.explicit_hash_key))


def digest(identity: str) -> str:
    """The identity as docs/guarantees.md has it: 64 bits of BLAKE2b over the length of `source`, `source` and `id`."""
    message = len(SOURCE.encode()).to_bytes(4, "big") + SOURCE.encode() + identity.encode()
    return urlsafe_b64encode(blake2b(message, digest_size=8).digest()).decode().rstrip("=")


@lru_cache(maxsize=4_096)
def rfc3339(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
