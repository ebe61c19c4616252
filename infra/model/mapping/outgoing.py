"""PURE: what leaves a lane: its batch to the function, or the document of a batch that is given up.

Each goes under a number of its own, by which the shard finds the lane again when it has ended.
"""

from typing import TYPE_CHECKING

from infra.model.mapping.commands import Deliver, Invoke, Metric
from infra.model.mapping.documents import Condition
from infra.model.mapping.windows import WindowInvoke

if TYPE_CHECKING:
    from infra.model.mapping.lane import Lane


def invoke(lane: "Lane", window: WindowInvoke | None, now: float) -> None:
    """The function, with the lane's batch; `window` is what it is told of its tumbling window."""
    context, shard, batch = lane.context, lane.shard, lane.batches[-1]
    if batch.records:
        age_ms = max(0.0, round(now * 1000 - batch.records[-1].arrived_at_ms, 3))
        context.commands.append(Metric("IteratorAge", age_ms))
    number = context.number()
    shard.invocations[number] = lane
    arn = context.config.function_arn
    context.commands.append(
        Invoke(number, batch.request_id, arn, shard.shard_id, batch.records, context.encoder, window)
    )


def deliver(lane: "Lane", destination_arn: str, condition: Condition, window: WindowInvoke | None, now: float) -> None:
    """The document of the lane's batch, which is given up because of `condition`."""
    context, shard = lane.context, lane.shard
    discarded = lane.batches[-1].discarded(
        context.config,
        shard.shard_id,
        condition,
        at_ms=int(now * 1000),
        object_name=context.new_id(),
        window=window,
    )
    number = context.number()
    shard.deliveries[number] = lane
    context.commands.append(Deliver(number, destination_arn, discarded, context.encoder))
