"""PURE: what is due becomes Kinesis records: taken from the schedule, alone or in columns, and packed with others."""

import math
from collections.abc import Callable, Sequence

from loadgen.offer.column_packer import ColumnPacker
from loadgen.offer.schedule import Due, Schedule
from loadgen.offer.truth import Known, Metered, Truth
from processor.core.packing import Packed, Packer, PackingSettings, UnpackableError

# An event is taken, and an aggregate closed, this long before it is due: to the connection it takes longer than that.
HAND_OVER_S = 0.0002
# Events are taken half a millisecond's worth at a time: at 5,000 events per second waking up for each of them would
# cost more CPU than everything else that is done with it.
TICK_S = 0.0005


class Filling:
    """Takes a schedule's events and fills Kinesis records with them. `add` is called with every record that is full or
    has waited long enough, and the time; `refuse` with an event that fits no record, as one of its own, and why."""

    def __init__(
        self,
        schedule: Schedule,
        packing: PackingSettings,
        add: Callable[[Packed[Known], float], None],
        refuse: Callable[[Packed[Known], UnpackableError, float], None],
    ) -> None:
        self._schedule, self._add, self._refuse = schedule, add, refuse
        self._packer: Packer[Known] = Packer(packing)
        columns = schedule.columns
        self._columns = None if columns is None else ColumnPacker.of(columns, packing)

    def take(self, now_s: float, at_most: int) -> int:
        """Pack some of what is due; returns how many events, 0 when none is due. An event without a pace is due now."""
        schedule = self._schedule
        if taken := self._take_together(now_s, at_most):
            return taken
        if not schedule or (schedule.upcoming_s or 0.0) > now_s + HAND_OVER_S:
            return 0
        due = next(schedule)
        if due.due_s is None:
            due = due._replace(truth=due.truth._replace(due_us=int(now_s * 1e6)))
        self._take_alone(due, now_s)
        return 1

    def _take_together(self, now_s: float, at_most: int) -> int:
        """The next ones that are due and were made together."""
        schedule, until_s, columns = self._schedule, now_s + HAND_OVER_S, self._schedule.columns
        since_s = max(now_s - TICK_S, schedule.upcoming_s or 0.0)  # what the first one opens waits since that was due
        if self._columns is not None and columns is not None:
            first, last = schedule.rows(until_s, at_most)
            for record in self._columns.add(columns, last, since_s) if first < last else ():
                self._add(record, now_s)
            return last - first
        together = schedule.together(until_s, at_most)
        for record in self._packer.add_all(together, since_s):
            self._add(record, now_s)
        return len(together)

    def _take_alone(self, event: Due, now_s: float) -> None:
        truth = event.truth
        alone = Packed(event.partition_key, None, event.payload, (truth,), aggregated=False)
        if truth.whole:  # malformed as a Kinesis record: it travels alone and as it is
            self._add(alone, now_s)
            return
        try:
            if truth.copy and _is_waiting(truth, self._packer.waiting(event.partition_key)):
                # A copy belongs into another Kinesis record than its original: close the one that is being filled.
                for record in self._packer.close_lane_of(event.partition_key):
                    self._add(record, now_s)
            for record in self._packer.add(event.partition_key, event.payload, truth, now_s):
                self._add(record, now_s)
        except UnpackableError as error:
            self._refuse(alone, error, now_s)

    def close(self, now_s: float) -> None:
        """The aggregates that have waited long enough go, and all of them when nothing more comes to join them."""
        until_s = now_s + HAND_OVER_S if self._schedule else math.inf
        for packer in (self._packer, self._columns):
            for record in packer.due(until_s) if packer is not None else ():
                self._add(record, now_s)

    def close_all(self, now_s: float) -> None:
        """Whatever still comes: the load is stopped."""
        for packer in (self._packer, self._columns):
            for record in packer.flush() if packer is not None else ():
                self._add(record, now_s)

    def deadline_s(self) -> float | None:
        """When the next aggregate has waited long enough; None: there is none."""
        packers: Sequence[Packer[Known] | ColumnPacker | None] = (self._packer, self._columns)
        waiting = (packer.deadline_s() for packer in packers if packer is not None)
        return min((at_s for at_s in waiting if at_s is not None), default=None)


def _is_waiting(copy: Known, members: Sequence[Known]) -> bool:
    """Whether the copy's original, or another copy of it, is among these."""
    if type(copy) is Truth:
        return copy.digest in {member.digest for member in members}
    return copy.number in {member.number for member in members if type(member) is Metered}
