"""PURE: the streams of one account in one region."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from infra.model.shard import StreamRecord
from infra.model.stream import Quotas, Stream
from infra.model.stream_error import StreamError, in_use, limit_exceeded, not_found
from infra.model.subscription import FanOutQuotas

SHARDS_MAX = 20_000  # open shards of provisioned streams (AWS: Kinesis quotas and limits, us-east-1)
ON_DEMAND_STREAMS_MAX = 50


class StreamAccount:
    """Creates and finds streams by name. `transition_s` and `quotas` are given to every stream created."""

    def __init__(
        self,
        account_id: str,
        region: str,
        *,
        transition_s: float = 0.0,
        quotas: Quotas | None = None,
        fan_out: FanOutQuotas | None = None,
    ) -> None:
        self.account_id = account_id
        self.region = region
        self.transition_s = transition_s
        self._quotas = quotas
        self._fan_out = fan_out
        self._streams: dict[str, Stream] = {}

    def create(
        self,
        name: str,
        now: float,
        *,
        mode: str = "PROVISIONED",
        shard_count: int | None = None,
        retention_hours: int = 24,
        record_size_kib_max: int = 1_024,
        key_id: str | None = None,
        ready: bool = False,
    ) -> Stream:
        """Begins to create a stream; ResourceInUseException if the name is taken, LimitExceededException at a limit."""
        if any(stream.name == name for stream in self.streams(now)):
            raise in_use(f"Stream {name} under account {self.account_id} already exists.")
        if mode == "PROVISIONED":
            self.check_shard_limit(shard_count or 1, now)
            shard_count = shard_count or 1
        elif shard_count is not None:
            raise StreamError("ValidationException", "ShardCount is not expected when StreamMode=ON_DEMAND")
        elif self.on_demand_count(now) >= ON_DEMAND_STREAMS_MAX:
            raise limit_exceeded(f"Account {self.account_id} already has {ON_DEMAND_STREAMS_MAX} on-demand streams.")
        stream = Stream(
            name,
            account_id=self.account_id,
            region=self.region,
            shard_count=shard_count,
            now=now,
            mode=mode,
            retention_hours=retention_hours,
            record_size_kib_max=record_size_kib_max,
            key_id=key_id,
            transition_s=self.transition_s,
            ready=ready,
            quotas=self._quotas,
            fan_out=self._fan_out,
        )
        self._streams[name] = stream
        return stream

    def restore(
        self, plain: Mapping[str, Any], records: Mapping[int, Sequence[StreamRecord]], now: float
    ) -> Stream | None:
        """A stream as `Stream.plain` showed it, with its records; None if it was being deleted and is gone."""
        stream = Stream(
            plain["name"],
            account_id=self.account_id,
            region=self.region,
            shard_count=1,
            now=now,
            transition_s=self.transition_s,
            quotas=self._quotas,
            fan_out=self._fan_out,
        )
        stream.restore(plain, records, now)
        if stream.gone(now):
            return None
        self._streams[stream.name] = stream
        return stream

    def streams(self, now: float) -> list[Stream]:
        """In order of name, each settled at `now`; deleted ones are gone."""
        for name, stream in list(self._streams.items()):
            stream.settle(now)
            if stream.gone(now):
                del self._streams[name]
        return [self._streams[name] for name in sorted(self._streams)]

    def stream(self, name: str, now: float) -> Stream:
        stream = self._streams.get(name)
        if stream is None or stream.gone(now):
            self._streams.pop(name, None)
            raise not_found(f"Stream {name} under account {self.account_id} not found.")
        stream.settle(now)
        return stream

    def by_arn(self, arn: str, now: float) -> Stream:
        """The stream of an ARN; of another account or region it is as little found as on AWS."""
        name = arn.rpartition(":stream/")[2]
        stream = self._streams.get(name)
        if stream is not None and stream.arn != arn:
            raise not_found(f"Stream {arn} under account {self.account_id} not found.")
        return self.stream(name, now)

    @property
    def known(self) -> Collection[Stream]:
        """All there are, as of whenever each was last looked at."""
        return self._streams.values()

    def open_shard_count(self, now: float) -> int:
        return sum(len(stream.open_shards) for stream in self.streams(now) if stream.mode == "PROVISIONED")

    def on_demand_count(self, now: float) -> int:
        return sum(stream.mode == "ON_DEMAND" for stream in self.streams(now))

    def check_shard_limit(self, additional: int, now: float) -> None:
        current = self.open_shard_count(now)
        if current + additional > SHARDS_MAX:
            raise limit_exceeded(
                f"This request would exceed the shard limit for the account {self.account_id} in {self.region}. "
                f"Current shard count for the account: {current}. Limit: {SHARDS_MAX}. Number of additional shards "
                f"that would have resulted from this request: {additional}. Refer to the AWS Service Limits page "
                "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to "
                "request higher limits."
            )
