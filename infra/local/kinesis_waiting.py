"""SHELL: those who wait until something happens on a stream, and what wakes them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from infra.model.stream import Stream

# After these a waiting poller has something to find: records, or other shards.
WAKING = frozenset({"PutRecord", "PutRecords", "SplitShard", "MergeShards", "UpdateShardCount", "DeleteStream"})


class Waiting:
    """For one event loop; streams are named by their ARN."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def wait(self, stream_arn: str, timeout_s: float) -> None:
        """Returns at the next `wake` of the stream, or after `timeout_s`."""
        event = self._changed[stream_arn]
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return

    def wake(self, stream_arn: str) -> None:
        event = self._changed.pop(stream_arn, None)
        if event:
            event.set()

    def wake_all(self) -> None:
        for stream_arn in list(self._changed):
            self.wake(stream_arn)

    def changed(self, stream: Stream, now: float) -> None:
        """Wakes now, and again when a change that takes time becomes visible."""
        self.wake(stream.arn)
        if stream.deadline is not None:
            asyncio.get_running_loop().call_later(stream.deadline - now, self._when_due, stream)

    def _when_due(self, stream: Stream) -> None:
        now = self._clock()
        if stream.deadline is not None and now < stream.deadline:  # the loop's clock was a little ahead of ours
            delay_s = max(0.001, stream.deadline - now)
            asyncio.get_running_loop().call_later(delay_s, self._when_due, stream)
        else:
            self.wake(stream.arn)
