"""Any sequence of puts, splits, merges, scalings and reads, against a dict of lists."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infra.model.sequence import HASH_KEYS
from infra.model.stream import Entry, Position, Quotas, Stream, Written

BOUNDLESS = Quotas(10**9, 10**12, 10**9, 10**12, 10**9)
KEYS = st.sampled_from([f"device-{n}" for n in range(12)])


class StreamMachine(RuleBasedStateMachine):
    """A reader follows the stream as a consumer must: a shard only after its parents have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000.0
        self.stream = Stream(
            "s",
            account_id="000000000000",
            region="us-east-1",
            shard_count=2,
            now=self.now,
            quotas=BOUNDLESS,
            transition_s=0.5,
        )
        self.now += 0.5
        self.stream.settle(self.now)
        self.put_in: dict[str, list[tuple[int, bytes]]] = defaultdict(list)  # shard -> what was put into it
        self.put_for: dict[str, list[bytes]] = defaultdict(list)  # partition key -> its data in order
        self.last_number: dict[str, int] = {}
        self.read_from: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self.read_for: dict[str, list[bytes]] = defaultdict(list)
        self.positions: dict[str, Position] = {}
        self.ended: set[str] = set()
        self.puts = 0

    @rule(keys=st.lists(KEYS, min_size=1, max_size=6))
    def put(self, keys: list[str]) -> None:
        entries = []
        for key in keys:
            self.puts += 1
            entries.append(Entry(key, b"%d" % self.puts))
        for entry, outcome in zip(entries, self.stream.put(entries, self.now), strict=True):
            assert isinstance(outcome, Written)
            assert outcome.sequence_number > self.last_number.get(entry.partition_key, 0)
            self.last_number[entry.partition_key] = outcome.sequence_number
            self.put_in[outcome.shard_id].append((outcome.sequence_number, entry.data))
            self.put_for[entry.partition_key].append(entry.data)

    @rule(seconds=st.floats(0, 3))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    def active(self) -> bool:
        self.stream.settle(self.now)
        return self.stream.status == "ACTIVE"

    @precondition(active)
    @rule(which=st.integers(0, 99), share=st.floats(0.01, 0.99))
    def split(self, which: int, share: float) -> None:
        shard = self.stream.open_shards[which % len(self.stream.open_shards)]
        width = shard.last_hash_key - shard.first_hash_key
        at = shard.first_hash_key + int(width * share)
        if shard.first_hash_key + 1 < at < shard.last_hash_key:
            self.stream.split(shard.shard_id, at, self.now)

    @precondition(lambda self: self.active() and len(self.stream.open_shards) > 1)
    @rule(which=st.integers(0, 99))
    def merge(self, which: int) -> None:
        lower = which % (len(self.stream.open_shards) - 1)
        shard, adjacent = self.stream.open_shards[lower : lower + 2]
        self.stream.merge(shard.shard_id, adjacent.shard_id, self.now)

    @precondition(active)
    @rule(share=st.floats(0, 1))
    def scale(self, share: float) -> None:
        current = len(self.stream.open_shards)
        least = (current + 1) // 2
        target = min(least + int(share * (2 * current - least)), 40)
        if 2 * target < current or self.scalings >= 9:
            return
        self.scalings += 1
        assert self.stream.scale(target, self.now) == current
        self.now += 0.5
        self.stream.settle(self.now)
        sizes = [shard.last_hash_key - shard.first_hash_key for shard in self.stream.open_shards]
        assert len(sizes) == target
        assert max(sizes) - min(sizes) <= 1

    scalings = 0

    @rule(limit=st.integers(1, 5))
    def read_some(self, limit: int) -> None:
        known = {shard.shard_id for shard in self.stream.shards(self.now)}
        for shard in self.stream.shards(self.now):
            parents = {shard.parent_id, shard.adjacent_parent_id} - {None}
            assert parents <= known  # nothing leaves retention in this machine
            if shard.shard_id in self.ended or not parents <= self.ended:
                continue
            start = self.stream.position(shard.shard_id, "TRIM_HORIZON", self.now)
            result = self.stream.read(self.positions.get(shard.shard_id, start), limit, self.now)
            self.positions[shard.shard_id] = result.position
            for record in result.records:
                self.read_from[shard.shard_id].append((record.sequence_number, record.data))
                self.read_for[record.partition_key].append(record.data)
            if result.end_of_shard:
                self.ended.add(shard.shard_id)

    @invariant()
    def open_shards_tile_all_hash_keys(self) -> None:
        next_key = 0
        for shard in self.stream.open_shards:
            assert shard.first_hash_key == next_key
            assert not shard.closed
            next_key = shard.last_hash_key + 1
        assert next_key == HASH_KEYS

    @invariant()
    def a_shard_gives_what_was_put_into_it_once_and_in_order(self) -> None:
        for shard_id, read in self.read_from.items():
            assert read == self.put_in[shard_id][: len(read)]
            assert read == sorted(read)

    @invariant()
    def a_key_is_read_in_the_order_it_was_put_across_every_reshard(self) -> None:
        for key, read in self.read_for.items():
            assert read == self.put_for[key][: len(read)]

    def teardown(self) -> None:
        self.now += 1
        for _ in range(len(self.stream.shards(self.now)) + 1):
            self.read_some(10_000)
        assert {s: r for s, r in self.read_from.items() if r} == {s: p for s, p in self.put_in.items() if p}


TestStreamMachine = StreamMachine.TestCase
TestStreamMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
