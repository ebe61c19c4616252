"""PURE: the state of a stream: what it is, how it passes with time, and how it looks as plain data. See `stream`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from infra.model import sequence
from infra.model.consumers import Consumers
from infra.model.on_demand import OnDemand
from infra.model.shard import Quotas, Shard, StreamRecord
from infra.model.shard_set import ShardSet
from infra.model.stream_error import not_found
from infra.model.stream_settings import RETENTION_HOURS_MIN, PerDay
from infra.model.subscription import FanOutQuotas

SCALINGS_PER_DAY_MAX = 10  # UpdateShardCount within 24 hours
MODE_CHANGES_PER_DAY_MAX = 2
ON_DEMAND_SHARD_COUNT = 4  # of a new on-demand stream
_SWEEP_S = 60.0  # expired records are never shown; the memory of those nobody looks at is freed this often


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes true at `ready_at_s`: new boundaries, or only a return to ACTIVE."""

    status: str
    ready_at_s: float
    boundaries: tuple[int, ...] | None = None


class StreamState:
    """`record_size_kib_max`, `mode`, `key_id`, `tags` and `retention_hours` are AWS's settings.

    `transition_s` is how long CREATING, UPDATING and DELETING last. With 0 a change is true at once. For whoever keeps
    the stream on disk: `revision` grows with everything that `plain` shows, and `unsaved`, once set to a list, collects
    what was put, each record with its shard's index.
    """

    def __init__(
        self,
        name: str,
        *,
        account_id: str,
        region: str,
        shard_count: int | None,
        now: float,
        mode: str = "PROVISIONED",
        retention_hours: int = RETENTION_HOURS_MIN,
        record_size_kib_max: int = 1_024,
        key_id: str | None = None,
        transition_s: float = 0.0,
        ready: bool = False,
        quotas: Quotas | None = None,
        fan_out: FanOutQuotas | None = None,
    ) -> None:
        """`shard_count` None is for the mode ON_DEMAND, which decides itself. `ready`: it is ACTIVE at once."""
        self.name = name
        self.account_id = account_id
        self.arn = f"arn:aws:kinesis:{region}:{account_id}:stream/{name}"
        self.mode = mode
        self.retention_hours = retention_hours
        self.record_size_kib_max = record_size_kib_max
        self.key_id = key_id
        self.created_at_s = now
        self.revision = 1
        self.unsaved: list[tuple[int, StreamRecord]] | None = None
        self.policies: dict[str, str] = {}  # resource policies by the ARN of this stream or of its consumer
        self.shard_metrics: tuple[str, ...] = ()  # what EnableEnhancedMonitoring asked for
        self.deployed: Mapping[str, Any] = {}  # what a template said last, see `Stream.deploy`
        self._tags: dict[str, str] = {}
        self._transition_s = transition_s
        self._quotas = quotas or Quotas()
        self._shards = ShardSet(self._quotas)
        self.consumers = Consumers(self.arn, account_id, transition_s, fan_out)
        self._scalings = PerDay(SCALINGS_PER_DAY_MAX)
        self._mode_changes = PerDay(MODE_CHANGES_PER_DAY_MAX)
        self._swept_at_s = now
        count = shard_count or ON_DEMAND_SHARD_COUNT
        self._on_demand = OnDemand(count, self._quotas, now) if mode == "ON_DEMAND" else None
        boundaries = tuple(sequence.uniform_boundaries(count))
        self._change: Change | None = Change("CREATING", now + transition_s * (not ready), boundaries)
        self.settle(now)

    # ---- state

    @property
    def where(self) -> str:
        return f"stream {self.name} under account {self.account_id}"

    @property
    def status(self) -> str:
        """As of the last call with `now`."""
        return self._change.status if self._change else "ACTIVE"

    @property
    def deadline(self) -> float | None:
        """When the change under way is due; then `settle` carries it out."""
        return self._change.ready_at_s if self._change else None

    @property
    def tags(self) -> dict[str, str]:
        return self._tags

    @tags.setter
    def tags(self, tags: dict[str, str]) -> None:
        self._tags = tags
        self.revision += 1

    @property
    def open_shards(self) -> tuple[Shard, ...]:
        return tuple(self._shards.open)

    @property
    def bytes_held(self) -> int:
        return sum(shard.bytes_held for shard in self._shards.all)

    def gone(self, now: float) -> bool:
        return self.status == "DELETING" and self._change is not None and now >= self._change.ready_at_s

    def settle(self, now: float) -> None:
        """Carries out a due change, lets an on-demand stream grow, and forgets what has passed retention."""
        change = self._change
        if change and now >= change.ready_at_s and change.status != "DELETING":
            self._change = None
            self.revision += 1
            if change.boundaries is not None:
                self._shards.reshape(change.boundaries, change.ready_at_s)
        if self.consumers.settle(now):
            self.revision += 1
        if self._on_demand and self._change is None and self._on_demand.due(now):
            self._grow(self._on_demand, now)
        if now >= self._swept_at_s + _SWEEP_S:
            self._swept_at_s = now
            for shard in self._shards.all:
                shard.trim(self._oldest_ms(now))
                if self._expired(shard, now):
                    self._shards.forget(shard)
                    self.revision += 1

    def shards(self, now: float) -> list[Shard]:
        """Open shards, and closed ones that can still hold records, in order of index (parents before children)."""
        self.settle(now)
        return [shard for shard in self._shards.all if not self._expired(shard, now)]

    def shard(self, shard_id: str, now: float) -> Shard:
        """One to change. StreamError if there is none."""
        found = self._shard_or_none(shard_id, now)
        if found is None:
            raise not_found(f"Could not find shard {shard_id} in {self.where}.")
        return found

    def shard_to_read(self, shard_id: str, now: float) -> Shard:
        """AWS says it in other words where a shard is read. StreamError."""
        found = self._shard_or_none(shard_id, now)
        if found is not None:
            return found
        try:
            shard_id = sequence.shard_id(sequence.shard_index(shard_id))
        except ValueError:
            raise not_found(f"Could not find shard {shard_id} in {self.where}.") from None
        raise not_found(f"Shard {shard_id} in {self.where} does not exist")

    def trim_horizon_s(self, now: float) -> float:
        """Records that arrived before it are gone."""
        return self._oldest_ms(now) / 1000

    def children(self, shard_id: str) -> list[Shard]:
        return self._shards.children(shard_id)

    # ---- as plain data (JSON), without the records

    def plain(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "created_at_s": self.created_at_s,
            "mode": self.mode,
            "retention_hours": self.retention_hours,
            "record_size_kib_max": self.record_size_kib_max,
            "key_id": self.key_id,
            "deployed": self.deployed,
            "tags": self._tags,
            "policies": self.policies,
            "shard_metrics": self.shard_metrics,
            "scaled_at_s": self._scalings.at_s,
            "mode_set_at_s": self._mode_changes.at_s,
            "change": asdict(self._change) if self._change else None,
            "shards": self._shards.plain(),
            "consumers": self.consumers.plain(),
            "on_demand": self._on_demand.plain() if self._on_demand else None,
        }

    def restore(self, plain: Mapping[str, Any], records: Mapping[int, Sequence[StreamRecord]], now: float) -> None:
        """Becomes what `plain` describes, with the records by index of their shard. Quotas are full again."""
        self.created_at_s, self.mode = plain["created_at_s"], plain["mode"]
        self.retention_hours, self.record_size_kib_max = plain["retention_hours"], plain["record_size_kib_max"]
        self.key_id, self._tags, self.deployed = plain["key_id"], dict(plain["tags"]), plain["deployed"]
        self.policies, self.shard_metrics = dict(plain.get("policies", {})), tuple(plain.get("shard_metrics", ()))
        self._scalings.at_s, self._mode_changes.at_s = list(plain["scaled_at_s"]), list(plain["mode_set_at_s"])
        change = plain["change"]
        self._change = None if change is None else Change(**change)
        self._shards.restore(plain["shards"], records)
        for shard in self._shards.all:
            shard.trim(self._oldest_ms(now))
        self.consumers.restore(plain["consumers"])
        self._on_demand = None
        if plain["on_demand"] is not None:
            self._on_demand = OnDemand(len(self._shards.open), self._quotas, now)
            self._on_demand.restore(plain["on_demand"], self._shards.open)
        self.settle(now)

    # ---- inside

    def _shard_or_none(self, shard_id: str, now: float) -> Shard | None:
        self.settle(now)
        try:
            found = self._shards.get(sequence.shard_index(shard_id))
        except ValueError:
            return None
        return None if found is None or self._expired(found, now) else found

    def _grow(self, on_demand: OnDemand, now: float) -> None:
        """Splits and merges of an on-demand stream take no time, and it stays ACTIVE."""
        decision = on_demand.observe(self._shards.open, now)
        self.revision += 1  # the peaks, at least
        if decision is None:
            return
        if isinstance(decision, int):
            self._shards.reshape(sequence.uniform_boundaries(decision), now)
            return
        splitting = [self._shards.open[place] for place in decision]
        middles = [
            (s.first_hash_key + s.last_hash_key + 1) // 2 for s in splitting if s.last_hash_key > s.first_hash_key
        ]
        self._shards.reshape(sorted({*(s.first_hash_key for s in self._shards.open), *middles}), now)

    def _expired(self, shard: Shard, now: float) -> bool:
        return shard.closed_at_s is not None and int(shard.closed_at_s * 1000) < self._oldest_ms(now)

    def _oldest_ms(self, now: float) -> int:
        return int(now * 1000) - self.retention_hours * 3_600_000

    def _rate_exceeded(self, shard: Shard) -> str:
        return f"Rate exceeded for shard {shard.shard_id} in {self.where}."
