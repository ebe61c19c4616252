"""PURE: when the records that wait in a lane become its next batch, and how many of them.

A batch is due when the batch size or the payload quota is reached, when the batching window is over, or, with tumbling
windows, when a record of a later window is behind it. AWS: services-kinesis-parameters, with-kinesis.
"""

from typing import TYPE_CHECKING

from infra.model.mapping.batch import Batch, batch_length
from infra.model.mapping.events import ENVELOPE_BYTES
from infra.model.mapping.windows import WindowInvoke

if TYPE_CHECKING:
    from infra.model.mapping.lane import Lane
    from infra.model.mapping.shard import ShardReader


def gather(lane: "Lane", now: float) -> Batch | None:
    """The next batch, taken out of the lane's queue; None if it is not due yet: then the lane is woken when it is."""
    context, config, windows = lane.context, lane.context.config, lane.shard.windows
    last = last_invocation(lane, now)
    if last is not None:
        return last
    if not lane.records:
        return None
    records_max, event_bytes_max, full = config.batch_size, config.pace.event_bytes_max, False
    if windows is not None:
        records_max, full = windows.front(lane.records, config.batch_size)
        event_bytes_max -= window_bytes(lane.shard, windows.invoke(windows.next_window(lane.records[0]), None))
    full = full or len(lane.records) >= config.batch_size
    if not full and lane.queued_bytes + ENVELOPE_BYTES <= event_bytes_max:
        window_ends_s = lane.window_opened_s + config.batching_window_s
        if now < window_ends_s:
            context.timers.set(lane, window_ends_s)
            return None
    context.timers.clear(lane)
    length = batch_length(lane.sizes, lane.queued_bytes, records_max=records_max, event_bytes_max=event_bytes_max)
    batch = Batch(context.new_id(), lane.records[:length], lane.sizes[:length])
    if windows is not None:
        batch.window = windows.next_window(batch.records[0])
    del lane.records[:length], lane.sizes[:length]
    lane.queued_bytes -= sum(batch.sizes)
    return batch


def last_invocation(lane: "Lane", now: float) -> Batch | None:
    """The one without records that ends the shard's open tumbling window, if it comes before anything else."""
    windows = lane.shard.windows
    if windows is None:
        return None
    ending = windows.ending(
        lane.batches[-1].records if lane.batches else lane.records,
        ended=lane.shard.ended,
        caught_up_s=lane.shard.caught_up_s,
    )
    if ending is None or windows.open is None:
        return None
    return Batch(lane.context.new_id(), (), (), window=windows.open.window, ending=ending, due_s=now)


def window_bytes(shard: "ShardReader", window: WindowInvoke | None) -> int:
    """What a tumbling window adds to the event."""
    return 0 if window is None else len(shard.context.encoder.window_part(shard.shard_id, window))
