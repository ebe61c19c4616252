"""PURE: the Kinesis records that producers would put for a slice of the shards, event by event, before time begins.

The publisher's packing (`processor.core.packing`) without the bytes: a lane's aggregate is closed when it is full, too
large or has waited long enough. Each producer packs for itself.
"""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple

from infra.plan.load import (
    EVENT_OVERHEAD_BYTES,
    HASH_KEYS,
    KEY_BYTES,
    RECORD_OVERHEAD_BYTES,
    Wish,
    keys_of,
    name,
    outer_lane,
    place_of,
)
from processor.core.packing import PackingSettings, lane_keys

RECORD_BYTES_MAX = PackingSettings().record_bytes


class Packed(NamedTuple):
    """A record that is ready to be put at `at_s`. `shard`: its place among the slice's shards.

    `due_s`, `keys`: of its events, in order.
    """

    at_s: float
    shard: int
    partition_key: str
    size: int
    due_s: list[float]
    keys: list[int]


class Population(NamedTuple):
    """The keys of the slice: cumulated weights, key numbers, and each one's shard place and lane or partition key.

    The last entry may stand for `rest` many keys behind those that are hashed one by one.
    """

    cumulated: list[float]
    keys: list[int]
    places: list[tuple[int, int, str]]
    rest: int


def population(wish: Wish, shards: Sequence[int], shard_count: int, outer_lanes: int) -> Population:
    """`shards`: which of the `shard_count` belong to the slice."""
    keys = keys_of(wish.keys, wish.skew)
    place_of_shard = {shard: place for place, shard in enumerate(shards)}
    weights: list[float] = []
    numbers: list[int] = []
    places: list[tuple[int, int, str]] = []
    for key, weight in enumerate(keys.weights):
        if wish.aggregate == 1:
            shard, lane, partition_key = keys.md5s[key] * shard_count // HASH_KEYS, 0, name(key)
        else:
            lane = keys.hashes[key] % outer_lanes
            shard, partition_key = place_of(lane, outer_lanes, shard_count, 1)[0], lane_keys(lane, outer_lanes)[0]
        if shard in place_of_shard:
            weights.append(weight)
            numbers.append(key)
            places.append((place_of_shard[shard], lane, partition_key))
    rest = keys.rest_count * len(shards) // shard_count
    if rest:
        weights.append(keys.rest * len(shards) / shard_count)
        numbers.append(-1)
        places.append((0, 0, ""))
    return Population(list(accumulate(weights)), numbers, places, rest)


def pack(
    wish: Wish, rate: float, duration_s: float, shards: Sequence[int], shard_count: int, outer_lanes: int, seed: str
) -> tuple[list[Packed], float]:
    """All records of the slice in the order in which they are ready, and the slice's events per second.

    `rate`: of the whole load. Events are due evenly, or, in a part of the load, at random, as what is left of an even
    load is. The last aggregates are closed at the end.
    """
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    people = population(wish, shards, shard_count, outer_lanes)
    share = people.cumulated[-1] if people.cumulated else 0.0
    count = int(rate * share * duration_s + 1e-9)
    if count == 0:
        return [], rate * share
    is_part = len(shards) < shard_count
    chosen = random.choices(range(len(people.keys)), cum_weights=people.cumulated, k=count)
    made: list[Packed] = []
    packer = _Packer(wish, made)
    lanes_here = [lane for lane in range(outer_lanes) if place_of(lane, outer_lanes, shard_count, 1)[0] in set(shards)]
    place_of_shard = {shard: place for place, shard in enumerate(shards)}
    due_s, gap_s = 0.0, 1.0 / (rate * share)
    producers = wish.producer_count
    for number, which in enumerate(chosen):
        due_s = due_s + random.expovariate(1.0) * gap_s if is_part else number * gap_s
        key, (shard, lane, partition_key) = people.keys[which], people.places[which]
        if key < 0:
            key = people.keys[-2] + 1 + random.randrange(people.rest) if len(people.keys) > 1 else people.rest
            if wish.aggregate == 1:
                shard, partition_key = key % len(shards), name(key)
            else:
                lane = lanes_here[outer_lane(name(key), len(lanes_here))]
                shard = place_of_shard[place_of(lane, outer_lanes, shard_count, 1)[0]]
                partition_key = lane_keys(lane, outer_lanes)[0]
        if wish.aggregate == 1:
            made.append(Packed(due_s, shard, partition_key, wish.event_bytes, [due_s], [key]))
        else:
            producer = random.randrange(producers) if producers > 1 else 0
            packer.add((producer, lane), shard, partition_key, due_s, key)
    packer.flush(due_s)
    made.sort(key=lambda record: record.at_s)
    return made, rate * share


class _Packer:
    def __init__(self, wish: Wish, made: list[Packed]) -> None:
        self._wish, self._made = wish, made
        self._open: dict[tuple[int, int], Packed] = {}
        self._sizes: dict[tuple[int, int], int] = {}

    def add(self, lane: tuple[int, int], shard: int, partition_key: str, due_s: float, key: int) -> None:
        wish = self._wish
        current = self._open.get(lane)
        if current is not None and current.at_s + wish.linger_s <= due_s:
            self._close(lane, current.at_s + wish.linger_s)
            current = None
        cost = wish.event_bytes + EVENT_OVERHEAD_BYTES
        if current is not None and self._sizes[lane] + cost > RECORD_BYTES_MAX:
            self._close(lane, due_s)
            current = None
        if current is None:
            current = self._open[lane] = Packed(due_s, shard, partition_key, 0, [], [])
            self._sizes[lane] = RECORD_OVERHEAD_BYTES - len(partition_key)
        self._sizes[lane] += cost + (KEY_BYTES if key not in current.keys else 0)
        current.due_s.append(due_s)
        current.keys.append(key)
        if len(current.keys) >= wish.aggregate:
            self._close(lane, due_s)

    def _close(self, lane: tuple[int, int], at_s: float) -> None:
        self._made.append(self._open.pop(lane)._replace(at_s=at_s, size=self._sizes.pop(lane)))

    def flush(self, end_s: float) -> None:
        for lane, current in list(self._open.items()):
            self._close(lane, min(end_s, current.at_s + self._wish.linger_s))
