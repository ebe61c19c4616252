"""SHELL: changes how many shards a stream has: in steps as AWS allows them, each of which is waited for."""

from collections.abc import Callable
from typing import Any, Protocol

from infra.ops.errors import CommandError
from loadgen.sweep.resharding import UPDATES_PER_DAY_MAX, shard_steps

LIMIT_EXCEEDED = "LimitExceededException"
COMMAND = "aws kinesis update-shard-count --stream-name {} --scaling-type UNIFORM_SCALING --target-shard-count {}"


class Until(Protocol):
    """Waits until it `is_so`; False when that was given up. Raises CommandError when it takes too long."""

    def __call__(self, what: str, is_so: Callable[[], bool], /) -> bool: ...


class ShardLimitError(CommandError):
    """UpdateShardCount was refused at a limit. `count`: the shards there are. `why`: in AWS's words."""

    def __init__(self, stream: str, count: int, wanted: int, why: str) -> None:
        super().__init__(
            f"UpdateShardCount of the stream {stream} from {count} to {wanted} shards is refused: {why}; AWS allows "
            f"{UPDATES_PER_DAY_MAX} in 24 hours, those of others included"
        )
        self.count = count


class StreamShards:
    """Of one stream. Every method raises what botocore raises, and CommandError."""

    def __init__(self, kinesis: Any, stream: str, until: Until) -> None:
        self._kinesis, self._stream, self._until = kinesis, stream, until

    def open(self) -> int:
        """How many there are; 0 while they are being changed."""
        summary = self._kinesis.describe_stream_summary(StreamName=self._stream)["StreamDescriptionSummary"]
        return int(summary["OpenShardCount"]) if summary["StreamStatus"] == "ACTIVE" else 0

    def change(self, wanted: int) -> None:
        """Until there are so many, or waiting was given up. Raises ShardLimitError at the limit."""
        if not self._until(f"the stream {self._stream} is ACTIVE", lambda: self.open() > 0):
            return
        count = self.open()
        for step in shard_steps(count, wanted):
            self._update(count, step)
            count = step
            if not self._until(f"the stream {self._stream} has {step} shards", lambda step=step: self.open() == step):  # type: ignore[misc]  # mypy cannot infer a lambda's default
                return

    def put_back(self, own: int) -> None:
        """The same; at the limit the text says how to go on."""
        try:
            self.change(own)
        except ShardLimitError as error:
            first, *others = shard_steps(error.count, own)
            then = "".join(f", then the same with {step}" for step in others)
            raise CommandError(
                f"the stream {self._stream} has {error.count} shards and not its {own}, for UpdateShardCount is "
                f"refused; when AWS allows it again, within 24 hours: `{COMMAND.format(self._stream, first)}`{then}"
            ) from error

    def _update(self, count: int, step: int) -> None:
        from botocore.exceptions import ClientError

        try:
            self._kinesis.update_shard_count(
                StreamName=self._stream, TargetShardCount=step, ScalingType="UNIFORM_SCALING"
            )
        except ClientError as error:
            problem = error.response.get("Error", {})
            if problem.get("Code") != LIMIT_EXCEEDED:
                raise
            why = f"{LIMIT_EXCEEDED}: {str(problem.get('Message')).rstrip('. ')}"
            raise ShardLimitError(self._stream, count, step, why) from error
