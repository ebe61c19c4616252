"""SHELL: Kinesis Data Streams on this machine: the stream model at the real time, behind the real wire API.

`handle` answers any AWS SDK or CLI, in JSON or CBOR; `kinesis_pollers` is what mappings inside this process read by.
With a data directory the streams outlive the process, however it ends: what was put is written before it is
acknowledged (`kinesis_store`).
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from infra.blueprint import ConsumerBlueprint, StreamBlueprint
from infra.local import kinesis_check, kinesis_consumers, kinesis_operations, kinesis_wire
from infra.local.http import Request, Response
from infra.local.kinesis_keeper import StreamKeeper
from infra.local.kinesis_pollers import KinesisPollers
from infra.local.kinesis_records import encryption
from infra.local.kinesis_waiting import WAKING
from infra.model.stream import Quotas, StreamError
from infra.model.stream_account import StreamAccount
from infra.model.subscription import FanOutQuotas

DEFAULT_KEY_ID = "alias/aws/kinesis"


class KinesisService(KinesisPollers):
    """For one event loop. `transition_s` is how long CREATING, UPDATING and DELETING last over the API.

    `data_dir` is where the streams are kept; those found there are there again. None: they end with this object.
    Raises OSError when the folder cannot be used, StoreError when what it holds cannot be read.
    """

    def __init__(
        self,
        account_id: str,
        region: str,
        clock: Callable[[], float] = time.time,
        *,
        transition_s: float = 0.2,
        quotas: Quotas | None = None,
        fan_out: FanOutQuotas | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self._account = StreamAccount(account_id, region, transition_s=transition_s, quotas=quotas, fan_out=fan_out)
        super().__init__(self._account.by_arn, clock)
        self._keeper = StreamKeeper(data_dir) if data_dir is not None else None
        self._found: set[str] = set()  # streams of an earlier run that no template has asked for yet
        if self._keeper is not None:
            for saved in self._keeper.load():
                stream = self._account.restore(saved.state, saved.records, clock())
                self._found |= {stream.name} if stream else set()
            self._keep(clock())

    def create_stream(self, blueprint: StreamBlueprint) -> None:
        """Creates the stream of a template; it is ACTIVE at once.

        One that was found in the data directory goes on, with what the template has changed since. StreamError if that
        cannot be done, or if there is another stream of this name; OSError if it cannot be written.
        """
        now = self._clock()
        key_id = DEFAULT_KEY_ID if blueprint.encrypted else None
        wanted: dict[str, Any] = {
            "mode": blueprint.mode,
            "shard_count": blueprint.shard_count,
            "retention_hours": blueprint.retention_hours,
            "record_size_kib_max": blueprint.record_size_kib_max,
            "key_id": key_id,
        }
        if blueprint.name in self._found:
            self._found.remove(blueprint.name)
            stream = self._account.stream(blueprint.name, now)
        else:
            stream = self._account.create(blueprint.name, now, ready=True, **wanted)
        stream.deploy(now, **wanted)
        self._keep(now)

    def create_consumer(self, blueprint: ConsumerBlueprint) -> None:
        """Registers the consumer of a template, ACTIVE at once, unless the data directory has it. StreamError if there
        is another one of its name."""
        now = self._clock()
        stream = self._account.by_arn(blueprint.stream_arn, now)
        if blueprint.arn not in [consumer.arn for consumer in stream.consumers.all()]:
            stream.register_consumer(blueprint.name, now, arn=blueprint.arn)
        self._keep(now)

    def close(self) -> None:
        """Ends every subscription, whose connection would keep the endpoint open, and closes the data directory."""
        for stream in self._account.known:
            stream.consumers.end_all()
        self._waiting.wake_all()
        if self._keeper is not None:
            self._keeper.close()

    def stream_arns(self) -> list[str]:
        """Of every stream there is now, those made over the API too."""
        return [stream.arn for stream in self._account.streams(self._clock())]

    async def handle(self, request: Request) -> Response:
        """Answers one request of the wire API; every error is an answer."""
        used = kinesis_wire.encoding(request)
        try:
            operation, body = kinesis_wire.decode(request)
            kinesis_check.check(operation, body)
            if operation == "SubscribeToShard":
                return self._push(body, used)
            return kinesis_wire.success(self._perform(operation, body), used)
        except StreamError as error:
            return kinesis_wire.failure(error, used)
        except UnicodeEncodeError:  # a lone surrogate: JSON can write it, UTF-8 cannot
            return kinesis_wire.failure(StreamError("SerializationException", "A string is not valid Unicode."), used)

    def _perform(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        now = self._clock()
        try:
            if operation in kinesis_operations.OF_ACCOUNT:
                output = kinesis_operations.OF_ACCOUNT[operation](self._account, body, now)
                if operation == "DeregisterStreamConsumer":
                    self._waiting.wake_all()  # its subscriptions have to notice
            else:
                output = self._perform_on_stream(operation, body, now)
        except Exception:
            self._save()
            raise
        if self._keeper is not None:
            output = self._keeper.save_answered(operation, output, self._account.known, now)
        return output

    def _perform_on_stream(self, operation: str, body: Mapping[str, Any], now: float) -> dict[str, Any] | None:
        stream = kinesis_operations.addressed(self._account, body, now)
        more_shards = kinesis_operations.additional_shards(operation, stream, body)
        if more_shards > 0:
            self._account.check_shard_limit(more_shards, now)
        output = kinesis_operations.OF_STREAM[operation](stream, body, now)
        if operation in WAKING:
            self._waiting.changed(stream, now)
        return output

    def _push(self, body: Mapping[str, Any], used: kinesis_wire.Encoding) -> Response:
        stream, subscription = kinesis_consumers.subscribe(self._account, body, self._clock())
        self._waiting.wake(stream.arn)

        async def messages() -> AsyncGenerator[bytes, None]:
            try:
                async with contextlib.aclosing(self.events(subscription)) as events:
                    async for event in events:
                        yield kinesis_consumers.pushed_event(event, encryption(stream), used)
            except StreamError as error:
                yield kinesis_consumers.pushed_failure(error, used)

        return kinesis_wire.pushed(messages(), used)

    def _keep(self, now: float) -> None:
        """Raises OSError."""
        if self._keeper is not None:
            self._keeper.save(self._account.known, now)

    def _save(self) -> None:
        if self._keeper is not None:
            self._keeper.save_soon(self._account.known, self._clock())
