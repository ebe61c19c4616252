"""PURE: the load that is wished for, how producers pack it, and which part of it each shard and lane gets.

Keys are drawn by Zipf's law, the k-th with weight 1 / k**skew, as the load generator does. With aggregation the
publisher's lanes decide (a hash of the key picks the outer key, which picks shard and lane); without it the key does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b, md5
from math import ceil, exp, log
from zlib import crc32

from processor.core.packing import PackingSettings, lane_keys, lane_of

HASH_KEYS = 2**128
EXACT_KEYS_MAX = 30_000  # the hottest are hashed one by one; those behind them are spread evenly
PRODUCER_EVENTS_PER_S = 20_000
RECORD_OVERHEAD_BYTES, EVENT_OVERHEAD_BYTES = (
    76,
    8,
)  # of an aggregate: magic, digest, hash key, outer key; field headers
KEY_BYTES = 34  # a user key's length in an aggregate or as partition key, with its header


class WishError(ValueError):
    """What was asked for makes no sense; the text names the option."""


EVENT_BYTES_MIN = 98  # the shortest JSON that `processor.core.events.parse` takes
LIMITS: dict[str, tuple[float, float]] = {
    "rate": (0.01, 1_000_000), "event_bytes": (EVENT_BYTES_MIN, 262_144), "keys": (1, 10_000_000), "skew": (0, 10),
    "aggregate": (1, 10_000), "linger_s": (0, 60), "producers": (1, 100_000), "pause_s": (0, 899),
    "malformed": (0, 0.99),
}  # fmt: skip
OPTIONS = {"linger_s": ("--linger-ms", 1000), "pause_s": ("--function-pause-ms", 1000)}  # with another name, unit


@dataclass(frozen=True, slots=True)
class Wish:
    """`aggregate`: events per Kinesis record at most, 1: not aggregated. `producers`: processes that pack for
    themselves; None: one for every 20,000 events/s. `pause_s`: time of the rules' own per batch. `malformed`: share of
    the events that go to quarantine.
    """

    rate: float
    event_bytes: int = 256
    keys: int = 1000
    skew: float = 1.0
    aggregate: int = 100
    linger_s: float = 0.1
    producers: int | None = None
    pause_s: float = 0.0
    malformed: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name, None)
            if value is not None and not low <= value <= high:
                option, times = OPTIONS.get(name, (f"--{name.replace('_', '-')}", 1))
                said = f"{option} is {value * times:,.12g}"
                raise WishError(f"{said}; accepted: {low * times:,g} to {high * times:,.0f}")

    @property
    def producer_count(self) -> int:
        return self.producers or max(1, ceil(self.rate / PRODUCER_EVENTS_PER_S))


OUTER_LANES_MAX = 4096  # the publisher's


def outer_lanes_for(shards: int, each: int) -> int | None:
    """The publisher's lanes: `each` for every shard, at least 16 together (its default); None: more than it has."""
    lanes = shards * max(each, ceil(16 / shards))
    return lanes if lanes <= OUTER_LANES_MAX else None


def events_per_record(wish: Wish, lanes: int, rate: float | None = None) -> float:
    """How full an aggregate is when it is closed, by number, size or time, on average over the lanes.

    `rate`: another one than the wished.
    """
    if wish.aggregate == 1:
        return 1.0
    used = min(lanes, wish.keys)  # a key is in one lane
    by_time = 1.0 + (wish.rate if rate is None else rate) / used / wish.producer_count * wish.linger_s
    by_size = PackingSettings().record_bytes / (wish.event_bytes + EVENT_OVERHEAD_BYTES)
    return max(1.0, min(wish.aggregate, by_time, by_size))


def aggregate_wait_s(wish: Wish, lanes: int) -> float:
    """How long an aggregate waits at most: until its time is over or it is full."""
    if wish.aggregate == 1:
        return 0.0
    return min(wish.linger_s, wish.aggregate * min(lanes, wish.keys) * wish.producer_count / wish.rate)


def record_bytes(wish: Wish, events: float) -> float:
    """Data and partition key of a Kinesis record with so many events."""
    if wish.aggregate == 1:
        return wish.event_bytes + KEY_BYTES - 2
    different = min(events, wish.keys)
    return RECORD_OVERHEAD_BYTES + events * (wish.event_bytes + EVENT_OVERHEAD_BYTES) + different * KEY_BYTES


class Keys:
    """The key population of a wish: weights (they sum to 1) of the hottest ones and of the rest together."""

    def __init__(self, keys: int, skew: float) -> None:
        self.count = keys
        self.skew = skew
        self.exact = min(keys, EXACT_KEYS_MAX)
        raw = [(k + 1) ** -skew for k in range(self.exact)]
        rest = _zipf_rest(self.exact, keys, skew)
        total = sum(raw) + rest
        self.weights = [weight / total for weight in raw]
        self.rest = rest / total

    @property
    def rest_count(self) -> int:
        return self.count - self.exact

    @cached_property
    def _groups(self) -> list[tuple[int, float]]:
        """(how many keys, weight of each), neighbours by rank taken together: about a hundred groups."""
        groups, first = [], 0
        while first < self.exact:
            past = min(self.exact, max(first + 1, first * 11 // 10))
            groups.append((past - first, sum(self.weights[first:past]) / (past - first)))
            first = past
        return [*groups, (self.rest_count, self.rest / self.rest_count)] if self.rest_count else groups

    def different(self, events: float) -> float:
        """How many different keys so many events have, on average."""
        return sum(count * (1.0 - exp(-events * weight)) for count, weight in self._groups)

    @cached_property
    def hashes(self) -> list[int]:
        """The 64 bits by which the publisher picks a key's lane."""
        return [int.from_bytes(blake2b(name(k).encode(), digest_size=8).digest()) for k in range(self.exact)]

    @cached_property
    def md5s(self) -> list[int]:
        """The hash key of each key as a partition key (AWS: Kinesis, partition keys)."""
        return [int.from_bytes(md5(name(k).encode(), usedforsecurity=False).digest()) for k in range(self.exact)]

    @cached_property
    def crcs(self) -> list[int]:
        return [crc32(name(k).encode()) for k in range(self.exact)]


def name(key: int) -> str:
    return f"key-{key:06d}"


def _zipf_rest(exact: int, keys: int, skew: float) -> float:
    """Sum of the weights behind the exact ones, by the midpoint integral."""
    if keys <= exact:
        return 0.0
    low, high = exact + 0.5, keys + 0.5
    return log(high / low) if skew == 1 else (high ** (1 - skew) - low ** (1 - skew)) / (1 - skew)


@lru_cache(maxsize=16)
def keys_of(keys: int, skew: float) -> Keys:
    return Keys(keys, skew)


@dataclass(frozen=True, slots=True)
class Spread:
    """Which share of all events goes to each shard, and within it to each of its lanes (batches at a time)."""

    shards: Sequence[float]
    lanes: Sequence[Sequence[float]]

    @property
    def hottest(self) -> int:
        """The shard with the most events; among equals, the one with the busiest lane."""
        return max(range(len(self.shards)), key=lambda shard: (self.shards[shard], max(self.lanes[shard])))

    @property
    def hottest_share(self) -> float:
        return max(self.shards)

    @property
    def hottest_lane_share(self) -> float:
        return max(max(lanes) for lanes in self.lanes)


@lru_cache(maxsize=32)
def spread(wish: Wish, shards: int, factor: int, outer_lanes: int) -> Spread:
    """The hash that AWS picks a lane by is not published; the model's own stands for it (fact 3.3)."""
    keys = keys_of(wish.keys, wish.skew)
    lanes = [[0.0] * factor for _ in range(shards)]
    if wish.aggregate == 1:
        for weight, hash_key, crc in zip(keys.weights, keys.md5s, keys.crcs, strict=True):
            lanes[hash_key * shards // HASH_KEYS][crc % factor] += weight
        even = keys.rest / (shards * factor)
        return _spread([[share + even for share in row] for row in lanes])
    outer = [0.0] * outer_lanes
    for weight, hashed in zip(keys.weights, keys.hashes, strict=True):
        outer[hashed % outer_lanes] += weight
    even = keys.rest / outer_lanes
    for lane, share in enumerate(outer):
        shard, within = place_of(lane, outer_lanes, shards, factor)
        lanes[shard][within] += share + even
    return _spread(lanes)


def _spread(lanes: Sequence[Sequence[float]]) -> Spread:
    return Spread([sum(row) for row in lanes], lanes)


@lru_cache(maxsize=65_536)
def place_of(outer_lane: int, outer_lanes: int, shards: int, factor: int) -> tuple[int, int]:
    """Shard and lane within it of one of the publisher's lanes."""
    key, hash_key = lane_keys(outer_lane, outer_lanes)
    return int(hash_key) * shards // HASH_KEYS, crc32(key.encode()) % factor


def outer_lane(key: str, outer_lanes: int) -> int:
    return lane_of(key, outer_lanes)
