"""PURE: one shard: when to read it, which lane a record takes, and how far it is done."""

from collections.abc import Sequence
from math import floor
from operator import attrgetter
from zlib import crc32

from infra.model.mapping.commands import Checkpoint, Command, Read
from infra.model.mapping.config import READ_RECORDS_MAX
from infra.model.mapping.context import Context
from infra.model.mapping.events import epoch_seconds_length, json_string
from infra.model.mapping.lane import Lane
from infra.model.mapping.positions import AfterSequenceNumber, AtSequenceNumber, Position, Resume, StartingPosition
from infra.model.stream import StreamRecord

_PLACES_MAX = 65_536  # partition keys whose lane is remembered


def lane_of(partition_key: str, parallelization_factor: int) -> int:
    """A stable hash of the partition key. AWS's own is not published; nothing may depend on which lane a key gets."""
    return crc32(partition_key.encode("utf-8", "backslashreplace")) % parallelization_factor


class ShardReader:
    """`position` is where the next Read begins; `resume` is the checkpoint, where reading begins after a restart."""

    def __init__(
        self,
        context: Context,
        shard_id: str,
        start: Resume,
        now: float,
        *,
        invocations: dict[int, Lane],
        deliveries: dict[int, Lane],
    ) -> None:
        self.context = context
        self.shard_id = shard_id
        self.invocations = invocations
        self.deliveries = deliveries
        self.position: Position = start
        self.resume: Resume = start
        self.reading = False
        self.ended = False
        self.read_at_s = now  # the next read is due
        self.held_records = 0
        self.held_bytes = 0
        self.lanes = [Lane(context, self, now) for _ in range(context.config.parallelization_factor)]
        self.windows = context.windows_of(shard_id)
        self.window_ended = False  # and no checkpoint has told so yet
        self.caught_up_s = float("-inf")  # a read that began then reached the shard's tip
        self._last_sequence_number: int | None = None
        self.regrouping = False
        self._last_read_at_s = float("-inf")
        self._reads_paid_until_s = float("-inf")
        self._changed_while_reading = False
        self._refused_until_s = float("-inf")
        self._refusals = 0
        self._places: dict[str, tuple[Lane, int]] = {}
        self._fixed_bytes = context.encoder.fixed_bytes(shard_id)
        self._sequence_range = (0, 0)  # sequence numbers that have `_sequence_digits` digits: from, to (exclusive)
        self._sequence_digits = 0

    @property
    def completed(self) -> bool:
        """Ended, and nothing is unfinished."""
        return self.ended and not self.held_records and (self.windows is None or self.windows.open is None)

    @property
    def may_begin(self) -> bool:
        """Invocations and deliveries may begin."""
        return not self.regrouping and not self.context.stopping

    # Reading

    def poll(self, now: float) -> Command | None:
        """The Read that is due, if the shard may be read and what is held leaves room for more."""
        config = self.context.config
        if self.reading or self.ended or self.context.stopping:
            return None
        room = config.held_records_max - self.held_records
        if room * 2 < config.held_records_max or self.held_bytes * 2 > config.held_bytes_max:
            return None  # asked again when a batch is settled
        if now < self.read_at_s:
            self.context.timers.set(self, self.read_at_s)
            return None
        self.context.timers.clear(self)
        self.reading = True
        self._changed_while_reading = False
        self._last_read_at_s = now
        self._reads_paid_until_s = max(self._reads_paid_until_s, now) + config.pace.read_on_after_s(self._pollers)
        return Read(self.shard_id, self.position, min(READ_RECORDS_MAX, room))

    def stream_changed(self) -> None:
        """There may be more to read: sooner than the base rate, but not above this mapping's part of the shard's reads.

        One read may be taken in advance, so an idle shard is read at once, also when it was just found empty. A refused
        read keeps its time: those that are refused would come back together, and the same ones would win.
        """
        self._changed_while_reading = self.reading
        pace, pollers = self.context.config.pace, self._pollers
        if not pace.leaves_reads(pollers):
            return
        in_advance_s = self._reads_paid_until_s - pace.read_on_after_s(pollers)
        self.read_at_s = max(self._refused_until_s, min(self.read_at_s, in_advance_s))

    def records_read(
        self,
        now: float,
        records: Sequence[StreamRecord],
        position: Position,
        *,
        millis_behind_latest: int,
        end_of_shard: bool,
    ) -> None:
        self.reading = False
        self.position = position
        self.ended = end_of_shard
        pace = self.context.config.pace
        self.read_at_s = self._last_read_at_s + pace.poll_after_s(self._pollers)
        if millis_behind_latest > 0:
            self.read_at_s = self._last_read_at_s + pace.read_on_after_s(self._pollers)
        elif self._changed_while_reading:
            self.stream_changed()
        self._begun()
        self.context.count("PolledEventCount", len(records))
        if millis_behind_latest == 0:
            self.caught_up_s = max(self.caught_up_s, self._last_read_at_s)
        if records:
            self._distribute(self._filtered(records))
            self._last_sequence_number = records[-1].sequence_number
        if records or self.windows is not None:  # a tumbling window may end without a record
            for lane in self.lanes:
                lane.run(now)

    def _filtered(self, records: Sequence[StreamRecord]) -> Sequence[StreamRecord]:
        """What the filters drop is processed: it counts for no batch, and the checkpoint moves past it."""
        if self.context.filter is None:
            return records
        matches = self.context.filter.matches
        kept = [record for record in records if matches(record.data)]
        self.context.count("FilteredOutEventCount", len(records) - len(kept))
        return kept

    @property
    def _pollers(self) -> int:
        return self.context.sharing.pollers(self.context.config.event_source_arn, self.shard_id)

    def read_throttled(self, now: float, position: Position | None) -> None:
        """The same position again (perhaps resolved by now), soon, and not when others do."""
        self.reading = False
        if position is not None:
            self.position = position
            self._begun()
        self._refusals += 1
        config = self.context.config
        reader = f"{config.uuid}/{self.shard_id}"
        self.read_at_s = self._refused_until_s = now + config.pace.refused_read_after_s(reader, self._refusals)

    def read_failed(self, now: float) -> None:
        """The same position again, at the base rate."""
        self.reading = False
        self.read_at_s = now + self.context.config.pace.poll_interval_s

    def _begun(self) -> None:
        """LATEST has become a certain place: after a restart it is what came since, not what comes then."""
        if isinstance(self.resume, StartingPosition) and self.resume.kind == "LATEST":
            self.resume = StartingPosition("AT_TIMESTAMP", floor(self._last_read_at_s * 1000) / 1000)

    # A changed configuration

    def reconfigured(self, now: float) -> None:
        """The configuration has changed, but not what a batch is."""
        if self.may_begin:
            for lane in self.lanes:
                lane.reconfigured(now)

    def regroup(self) -> None:
        """The configuration has changed, and with it what a batch is. No batch begins before those under way have
        ended: else a partition key could be in two lanes at once."""
        self.regrouping = True

    def regrouped(self, now: float) -> None:
        """To be called after anything ended. What is not under way becomes batches anew, with all their retries."""
        if not self.regrouping or any(lane.under_way for lane in self.lanes):
            return
        self.regrouping = False
        unfinished = [record for lane in self.lanes for record in lane.hand_back()]
        unfinished.sort(key=attrgetter("sequence_number"))
        self._fixed_bytes = self.context.encoder.fixed_bytes(self.shard_id)
        self.windows = self.context.windows_of(self.shard_id)
        self._places.clear()
        factor = self.context.config.parallelization_factor
        if len(self.lanes) != factor:
            self.lanes = [Lane(self.context, self, now) for _ in range(factor)]
        self.held_records = self.held_bytes = 0
        self._distribute(self._filtered(unfinished))
        self.go_on(now)

    def go_on(self, now: float) -> None:
        """Batches may begin again."""
        for lane in self.lanes:
            lane.run(now)

    # Lanes

    def _distribute(self, records: Sequence[StreamRecord]) -> None:
        places, fixed_bytes = self._places, self._fixed_bytes
        first, past = self._sequence_range
        total = 0
        for record in records:
            lane, key_bytes = places.get(record.partition_key) or self._place(record.partition_key)
            if not first <= record.sequence_number < past:
                first, past = self._measure_sequence_number(record.sequence_number)
            size = (
                fixed_bytes
                + key_bytes
                + 2 * self._sequence_digits
                + (len(record.data) + 2) // 3 * 4
                + epoch_seconds_length(record.arrived_at_ms)
            )
            lane.records.append(record)
            lane.sizes.append(size)
            lane.queued_bytes += size
            total += size
        self.held_records += len(records)
        self.held_bytes += total

    def _place(self, partition_key: str) -> tuple[Lane, int]:
        if len(self._places) >= _PLACES_MAX:
            self._places.clear()
        lane = self.lanes[lane_of(partition_key, len(self.lanes))]
        self._places[partition_key] = place = lane, len(json_string(partition_key))
        return place

    def _measure_sequence_number(self, sequence_number: int) -> tuple[int, int]:
        self._sequence_digits = digits = len(str(sequence_number))
        self._sequence_range = (10 ** (digits - 1) if digits > 1 else 0, 10**digits)
        return self._sequence_range

    # How far it is done

    def checkpoint(self) -> Checkpoint | None:
        """The new checkpoint if it has moved: the lowest unfinished record over all lanes, or past the last read.

        The same one again when a tumbling window has ended, for a snapshot without it is to be kept now.
        """
        window_ended, self.window_ended = self.window_ended, False
        if self._last_sequence_number is None:
            if not window_ended or isinstance(self.resume, StartingPosition):
                return None
            return Checkpoint(self.shard_id, self.resume)
        unfinished = [lowest for lane in self.lanes if (lowest := lane.lowest_unfinished()) is not None]
        if unfinished:
            position: AtSequenceNumber | AfterSequenceNumber = AtSequenceNumber(min(unfinished))
        else:
            position = AfterSequenceNumber(self._last_sequence_number)
        if position == self.resume and not window_ended:
            return None
        self.resume = position
        return Checkpoint(self.shard_id, position)
